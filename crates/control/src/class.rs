//! Classes of failures, by the party that has to act

use crate::{Failure, OutgoingCallResult, PeerMisbehaved, StartResult};

/// The kinds of failure of a control connection, by the party that has to act
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The line or the server broke off: the client can only dial again
    Network,
    /// The server has no room at the moment
    Busy,
    /// The server's settings do not fit this client's: one of them has to be changed
    Operator,
}

impl Failure {
    /// The failure's class
    ///
    /// There is no wildcard arm, so that each new failure gets its class here.
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
