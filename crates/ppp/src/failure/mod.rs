//! The reason that a link ended
//!
//! | module | content |
//! |---|---|
//! | `class` | failures by who has to act |
//! | `names` | the names of failures, for programs |
//! | `assigned` | [`Assigned`]: the values that a server may not change |
//! | `wrong_key` | [`WrongKey`]: the signs of different MPPE keys |
//! | `ras` | the error codes of Windows, and their meanings |
//! | `tests` | the texts and names of failures, word for word |

mod assigned;
pub(crate) mod class;
mod names;
pub(crate) mod ras;
#[cfg(test)]
mod tests;
mod wrong_key;

use std::{fmt, net::Ipv4Addr};

pub use assigned::Assigned;
pub use wrong_key::WrongKey;

use crate::{
    liveness::path_monitor::NothingPasses,
    wire::protocol::{AuthenticationProtocol, MppeBits, Protocol},
};

/// The reason that a link ended
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The server did not accept user name or password (RFC 2759 §6)
    #[error("the server refused the login: {}", login_refusal(*code, message))]
    AuthFailed {
        /// The server's error code, for example 691; 0 if it gave none
        code: u32,
        /// True if the server would take another attempt on the same link
        retry: bool,
        /// The server's own words, if it had any
        message: String,
    },
    /// The server accepted the login but could not prove that it knows the password itself
    #[error("the server could not prove that it knows the password: it may be an impostor")]
    ServerNotAuthentic,
    /// The server insists on an authentication protocol that is not allowed
    #[error("the server does not authenticate with MS-CHAPv2{}", offer(offered.as_ref()))]
    AuthProtocolRefused {
        /// The protocol that it asked for instead; `None`: no authentication at all
        offered: Option<AuthenticationProtocol>,
    },
    /// The server gave its authentication protocol up when it was asked for MS-CHAPv2 instead
    ///
    /// The protocol would have been allowed:
    /// [`accept_first_offer`](crate::AuthenticationPolicy::accept_first_offer) has it agreed to at once.
    #[error("the server offered {offered}, and nothing any more when it was asked for MS-CHAPv2")]
    AuthProtocolWithdrawn {
        /// The protocol that it had asked for
        offered: AuthenticationProtocol,
    },
    /// The server insists on a protocol that is allowed, but leaves no keys for MPPE
    #[error("encryption is required, and {offered} leaves no keys for it")]
    AuthProtocolWithoutKeys {
        /// The protocol that it asked for
        offered: AuthenticationProtocol,
    },
    /// The server does not encrypt as the policy wants it: by default with 128-bit stateless MPPE
    #[error("the server does not encrypt as is required here{}", offer(offered.as_ref()))]
    EncryptionUnavailable {
        /// Its latest offer, if it made one
        offered: Option<MppeBits>,
    },
    /// The server insists on encryption, and the policy refuses it or the authentication gave no keys
    #[error("the server insists on encryption, which this link does not have{}", offer(offered.as_ref()))]
    EncryptionDemanded {
        /// Its latest offer, if it made one
        offered: Option<MppeBits>,
    },
    /// The peer closed, restarted or no longer agreed to the encryption of a link that was encrypted
    #[error("the peer took the encryption down while the link was in use")]
    EncryptionLost,
    /// The packets that the peer encrypts can no longer be opened
    #[error("what the peer encrypts can no longer be opened: {0}")]
    Undecryptable(pptp_mppe::Discard),
    /// MPPE came up, and the two ends have different keys: nothing that either encrypts is of use
    #[error("the MPPE keys of the two ends differ: {0}")]
    WrongKey(WrongKey),
    /// The link is up, and nothing passes inside it in one direction or both
    #[error("nothing passes inside the tunnel: {0}")]
    NothingPasses(NothingPasses),
    /// IPCP ended without an inner address that can be used
    #[error("the server gave no usable inner address")]
    NoAddress,
    /// IPCP gave another inner address or DNS server than the link was up with
    ///
    /// Not where [`ClientConfig::address_may_change`](crate::ClientConfig::address_may_change) allows it.
    #[error("the server named another {assigned} while the link was up: {new} instead of {}", or_none(*old))]
    AddressChanged {
        /// The value that changed
        assigned: Assigned,
        /// The value before; `None`: there was no such server
        old: Option<Ipv4Addr>,
        /// The value that the server wants now
        new: Ipv4Addr,
    },
    /// Our own packets come back
    #[error("the line is looped back: the packets that come in are our own")]
    Loopback,
    /// The peer has fallen silent and answers no Echo-Request
    #[error("the peer fell silent and did not answer {unanswered} echo requests")]
    EchoTimeout {
        /// Echo-Requests without an answer
        unanswered: u8,
    },
    /// The peer did not answer the requests of this protocol
    #[error("the peer did not answer the {protocol} requests in time")]
    NegotiationTimeout {
        /// The protocol without an answer
        protocol: Protocol,
    },
    /// The two ends go on refusing each other's options
    #[error("the {protocol} negotiation does not converge")]
    NoAgreement {
        /// The protocol that does not converge
        protocol: Protocol,
    },
    /// The peer ended the link, or one protocol of it
    #[error("the peer ended {protocol}{}", quoted(message))]
    TerminatedByPeer {
        /// The protocol that it ended; [`Protocol::Lcp`] is the whole link
        protocol: Protocol,
        /// Its own words, if it had any
        message: String,
    },
    /// The peer does not know a protocol the link cannot do without (RFC 1661 §5.7)
    #[error("the peer rejected {protocol}")]
    RejectedProtocol {
        /// The protocol it rejected
        protocol: Protocol,
    },
    /// The peer does not know a code every implementation has to know (RFC 1661 §5.6)
    #[error("the peer rejected code {code} of {protocol}")]
    RejectedCode {
        /// The protocol whose packet it rejected
        protocol: Protocol,
        /// The code it rejected
        code: u8,
    },
    /// The peer broke a rule and the link cannot go on
    #[error("the peer misbehaved: {0}")]
    PeerMisbehaved(Rule),
}

/// A rule that a peer broke so badly that the link ended
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// A link is negotiated anew now and then, not all the time
    #[error("it renegotiates without end")]
    EndlessRenegotiation,
}

fn offer(offered: Option<&impl fmt::Display>) -> String {
    offered.map_or_else(String::new, |offered| format!(": it offered {offered}"))
}

fn or_none(address: Option<Ipv4Addr>) -> String {
    address.map_or_else(|| "none".into(), |address| address.to_string())
}

fn quoted(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message:?}") }
}

fn login_refusal(code: u32, message: &str) -> String {
    let meaning = match code {
        0 if message.is_empty() => return "it gave no reason".into(),
        0 => return format!("{message:?}"),
        646 => "not at this hour",
        647 => "the account is disabled",
        648 => "the password has expired",
        649 => "the account may not dial in",
        691 => "wrong user name or password",
        709 => "the password could not be changed",
        _ => "unknown reason",
    };
    format!("{meaning} (error {code}){}", quoted(message))
}
