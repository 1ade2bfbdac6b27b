//! The reason that the peer ended the link: its words, its error code, or an earlier refusal

use crate::authentication::Authentication;
use crate::encryption::agreed::Stance;
use crate::events::Event;
use crate::failure::Failure;
use crate::failure::ras::{RasCause, RasCode};
use crate::machine::Machine;
use crate::machine::role::Role;
use crate::negotiation::role_options::{EncryptionOptions, LinkOptions};
use crate::wire::packet::Packet;
use crate::wire::protocol::Protocol;

impl<R: Role> Machine<R> {
    /// The failure that a Terminate-Request of this protocol means
    ///
    /// A code of Windows is told before, by [`Event::PeerSaid`].
    pub(super) fn ended_by_peer(&mut self, protocol: Protocol, packet: &Packet<'_>) -> Failure {
        match RasCode::parse(packet.data) {
            Some(code) => {
                self.push(Event::PeerSaid(code));
                self.meant_by(protocol, code)
            }
            None => match protocol {
                Protocol::Lcp => self.disagreement().unwrap_or_else(|| terminated(packet)),
                Protocol::Ccp => self.encryption_ended(),
                _ => Failure::TerminatedByPeer { protocol, message: words(packet) },
            },
        }
    }

    /// Returns the failure by which the peer was refused something before: a reason to hang up
    pub(crate) fn disagreement(&self) -> Option<Failure> {
        self.authentication_disagreement().or_else(|| self.encryption_disagreement())
    }

    fn authentication_disagreement(&self) -> Option<Failure> {
        let authentication = || self.authentication.disagreement();
        self.lcp.options.disagreement().or_else(authentication)
    }

    /// The failure that a code of Windows means
    ///
    /// What was refused before goes first where it is about the same, since it tells more: before a
    /// login was tried, 691 is not about the password.
    fn meant_by(&self, protocol: Protocol, code: RasCode) -> Failure {
        let message = String::new();
        match code.cause() {
            RasCause::Login => {
                let failure = Failure::AuthFailed { code: code.0, retry: false, message };
                self.authentication_disagreement().unwrap_or(failure)
            }
            RasCause::Server => Failure::ServerNotAuthentic,
            RasCause::AuthenticationProtocol => {
                let failure = Failure::AuthProtocolRefused { offered: None };
                self.authentication_disagreement().unwrap_or(failure)
            }
            RasCause::Protocols => Failure::RejectedProtocol { protocol: needed(protocol) },
            // 732 says that a negotiation does not converge: it is the one that it stands in
            RasCause::Address if protocol == Protocol::Ccp => self.without_encryption(),
            RasCause::Address => Failure::NoAddress,
            RasCause::Encryption => self.without_encryption(),
            RasCause::Network => Failure::TerminatedByPeer { protocol, message },
            RasCause::Ended | RasCause::Unknown => {
                let failure = Failure::TerminatedByPeer { protocol, message };
                self.disagreement().unwrap_or(failure)
            }
        }
    }

    fn without_encryption(&self) -> Failure {
        let offered = self.ccp.options.offered();
        match self.data_path.stance() {
            Stance::Refuse => Failure::EncryptionDemanded { offered },
            _ => Failure::EncryptionUnavailable { offered },
        }
    }
}

/// The network protocol that a server lacks which says so in this protocol
const fn needed(protocol: Protocol) -> Protocol {
    match protocol {
        Protocol::Ccp => Protocol::Ccp,
        _ => Protocol::Ipcp,
    }
}

fn terminated(packet: &Packet<'_>) -> Failure {
    Failure::TerminatedByPeer { protocol: Protocol::Lcp, message: words(packet) }
}

fn words(packet: &Packet<'_>) -> String {
    let message = packet.data.get(..MAX_MESSAGE).unwrap_or(packet.data);
    String::from_utf8_lossy(message).into_owned()
}

/// Octets kept of a peer's last words
const MAX_MESSAGE: usize = 256;
