//! The reason that the peer ended the link: its words, its error code, or an earlier refusal

use crate::{
    authentication::{Authentication, peer_text},
    encryption::agreed::CcpPolicy,
    events::Event,
    failure::{
        Failure,
        ras::{RasCause, RasCode},
    },
    machine::{Machine, role::Role},
    negotiation::role_options::{EncryptionOptions, LinkOptions},
    wire::{packet::Packet, protocol::Protocol},
};

impl<R: Role> Machine<R> {
    /// The failure that a Terminate-Request of this protocol means
    ///
    /// A code of Windows is told before, by [`Event::PeerSaid`].
    pub(super) fn ended_by_peer(&mut self, protocol: Protocol, packet: &Packet<'_>) -> Failure {
        match RasCode::parse(packet.data) {
            Some(code) => {
                self.push(Event::PeerSaid(code));
                self.failure_for_code(protocol, code)
            }
            None => match protocol {
                Protocol::Lcp => self.disagreement().unwrap_or_else(|| terminated(packet)),
                Protocol::Ccp => self.encryption_ended(),
                _ => Failure::TerminatedByPeer { protocol, message: peer_text(packet.data) },
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
    /// An earlier refusal of the same matter goes first, since it tells more: before a login was
    /// tried, 691 is not about the password.
    fn failure_for_code(&self, protocol: Protocol, code: RasCode) -> Failure {
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
            // 732 says that a negotiation does not converge: the negotiation of the protocol that
            // carries it
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
        match self.data_path.ccp_policy() {
            CcpPolicy::Refuse => Failure::EncryptionDemanded { offered },
            _ => Failure::EncryptionUnavailable { offered },
        }
    }
}

/// The network protocol that a server lacks, if it says so in this protocol
const fn needed(protocol: Protocol) -> Protocol {
    match protocol {
        Protocol::Ccp => Protocol::Ccp,
        _ => Protocol::Ipcp,
    }
}

fn terminated(packet: &Packet<'_>) -> Failure {
    Failure::TerminatedByPeer { protocol: Protocol::Lcp, message: peer_text(packet.data) }
}
