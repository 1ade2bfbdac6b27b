//! Failures by who has to act

use crate::failure::{Failure, Rule};

/// The kinds of failure of a link, by who has to act before another connect may succeed
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The line or the server broke off: the client can only dial again
    Network,
    /// The server has no room, or no address, at the moment
    Busy,
    /// The server's settings do not fit this client's: somebody has to change one of them
    Operator,
    /// The server did not accept user and password
    Credentials,
    /// This server must not be dialled again with this configuration
    Configuration,
}

impl Failure {
    /// The failure's class
    ///
    /// There is no wildcard arm, so that each new failure gets its class here.
    pub const fn class(&self) -> Class {
        match self {
            Self::AuthFailed { .. } => Class::Credentials,
            // the server may be a false one: it must not get this password again
            Self::ServerNotAuthentic => Class::Configuration,
            Self::AuthProtocolRefused { .. }
            | Self::AuthProtocolWithdrawn { .. }
            | Self::AuthProtocolWithoutKeys { .. }
            | Self::EncryptionUnavailable { .. }
            | Self::EncryptionDemanded { .. }
            | Self::WrongKey(_)
            | Self::NoAgreement { .. }
            | Self::RejectedProtocol { .. }
            | Self::RejectedCode { .. } => Class::Operator,
            Self::NoAddress | Self::AddressChanged { .. } => Class::Busy,
            Self::EncryptionLost
            | Self::NothingPasses(_)
            | Self::Undecryptable(_)
            | Self::Loopback
            | Self::EchoTimeout { .. }
            | Self::NegotiationTimeout { .. }
            | Self::TerminatedByPeer { .. }
            | Self::PeerMisbehaved(Rule::EndlessRenegotiation) => Class::Network,
        }
    }
}
