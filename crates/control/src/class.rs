//! Failures by who has to act

use crate::{Failed, OutgoingCallResult, PeerMisbehaved, StartResult};

/// The kinds of failure of a control connection, by who has to act before another connect may succeed
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The line or the server broke off: dialling again is all that can be done
    Network,
    /// The server has no room at the moment
    Busy,
    /// The server's settings do not fit this client's: somebody has to change one of them
    Operator,
}

impl Failed {
    /// The failure's class
    ///
    /// No arm stands for all others: a new failure has to be given its class here.
    pub const fn class(&self) -> Class {
        match self {
            Self::NotPptp { .. }
            | Self::VersionUnsupported { .. }
            | Self::ControlRefused { result: StartResult::NotAuthorized, .. }
            | Self::CallRefused { result: OutgoingCallResult::DoNotAccept, .. } => Class::Operator,
            Self::ControlRefused { .. } | Self::CallRefused { .. } | Self::StoppedByPeer { .. } => {
                Class::Busy
            }
            Self::NoControlReply
            | Self::NoCallReply
            | Self::CallDisconnected { .. }
            | Self::EchoTimeout
            | Self::Recognized(_)
            | Self::ConnectionLost
            | Self::PeerMisbehaved(
                PeerMisbehaved::LostSync(_)
                | PeerMisbehaved::OutOfPhase(_)
                | PeerMisbehaved::AnswersUnread,
            ) => Class::Network,
            #[cfg(feature = "server")]
            Self::NoControlRequest | Self::CallCleared => Class::Network,
        }
    }
}
