//! Refusals in the words of SOCKS (RFC 1928 §6)

use pptp_socks5::Reply;
use tokio::io::AsyncWriteExt;

use crate::{
    target::InvalidTarget,
    way_in::{
        client::{ClientStream, Origin},
        listener::Listener,
        pass::Passage,
        refusal::{ConnectFailure, Refusal},
    },
};

/// Refuses a client in the words of SOCKS
pub(super) async fn refuse<S: ClientStream>(
    listener: &Listener,
    passage: Passage<S>,
    origin: Origin,
    refusal: &Refusal,
) {
    listener.refuse(origin, refusal);
    say(passage, Some(reply(refusal))).await;
}

/// Says the last word to a client
pub(super) async fn say<S: ClientStream>(mut passage: Passage<S>, reply: Option<Reply>) {
    if let Some(reply) = reply
        && passage.client.write_all(&reply.emit()).await.is_err()
    {
        return;
    }
    passage.finish().await;
}

/// Returns the reply for a refusal
const fn reply(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::Client(_)
        | Refusal::TooMany(_)
        | Refusal::Login
        | Refusal::NoSite { .. }
        | Refusal::TwoSites { .. }
        | Refusal::NoSuchSite(_)
        | Refusal::SiteNotAllowed(_)
        | Refusal::TargetNotAllowed { .. }
        | Refusal::RemoteConfiguration => Reply::NotAllowed,
        Refusal::NotUp { .. } | Refusal::Connect { kind: ConnectFailure::TunnelLost, .. } => {
            Reply::NetworkUnreachable
        }
        Refusal::Target(InvalidTarget::Ipv6(_)) => Reply::AddressNotSupported,
        Refusal::Connect { kind: ConnectFailure::Refused, .. } => Reply::ConnectionRefused,
        Refusal::Connect { kind: ConnectFailure::TimedOut, .. } => Reply::TtlExpired,
        Refusal::Target(_) | Refusal::Name { .. } | Refusal::Connect { .. } => {
            Reply::HostUnreachable
        }
        Refusal::Protocol(_) | Refusal::Gone(_) => Reply::GeneralFailure,
    }
}
