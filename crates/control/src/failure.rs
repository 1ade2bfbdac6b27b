//! Reasons for the end of a control connection

use crate::{
    ControlType, DisconnectResult, GeneralError, OutgoingCallResult, ParseError, Recognized,
    StartResult, StopReason,
};

/// The reason why a control connection, or its call, ended without being asked to
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The peer speaks another protocol
    #[error("the server does not speak PPTP: it sent \"{}\"", first.escape_ascii())]
    NotPptp {
        /// The first octets it sent, at most 16
        first: Vec<u8>,
    },
    /// The Start-Control-Connection-Reply did not come in time
    #[error("no reply to the Start-Control-Connection-Request")]
    NoControlReply,
    /// The Start-Control-Connection-Request did not come in time
    #[cfg(feature = "server")]
    #[error("no Start-Control-Connection-Request")]
    NoControlRequest,
    /// The peer speaks another version of PPTP
    #[error("the peer speaks PPTP version {version:#06x}")]
    VersionUnsupported {
        /// Its version, major in the high octet
        version: u16,
    },
    /// The peer refused the control connection
    #[error("control connection refused: {result} ({error})")]
    ControlRefused {
        /// Its result code
        result: StartResult,
        /// Its error code, which says something if the result is a general error
        error: GeneralError,
    },
    /// The Outgoing-Call-Reply did not come in time
    #[error("no reply to the Outgoing-Call-Request")]
    NoCallReply,
    /// The peer refused the call
    #[error("call refused: {result} ({error}, cause {cause})")]
    CallRefused {
        /// Its result code
        result: OutgoingCallResult,
        /// Its error code, which says something if the result is a general error
        error: GeneralError,
        /// Its cause code
        cause: u16,
    },
    /// The peer ended the call by Call-Disconnect-Notify
    #[error("call disconnected by the peer: {result} ({error}, cause {cause})")]
    CallDisconnected {
        /// Its result code
        result: DisconnectResult,
        /// Its error code, which says something if the result is a general error
        error: GeneralError,
        /// Its cause code, as in Q.931
        cause: u16,
    },
    /// The peer ended the call by Call-Clear-Request
    #[cfg(feature = "server")]
    #[error("call cleared by the peer")]
    CallCleared,
    /// The peer ended the control connection by Stop-Control-Connection-Request
    #[error("control connection stopped by the peer: {reason}")]
    StoppedByPeer {
        /// Its reason
        reason: StopReason,
    },
    /// An Echo-Request was not answered in time
    #[error("no reply to an Echo-Request")]
    EchoTimeout,
    /// The server was recognized as one that has to be dialled in another way from the start on
    #[error("the server is of the kind {}, which has to be dialled otherwise", .0.name)]
    Recognized(Box<Recognized>),
    /// The TCP connection ended
    #[error("the TCP connection was closed by the peer")]
    ConnectionLost,
    /// The peer broke a rule of the protocol
    #[error(transparent)]
    PeerMisbehaved(#[from] PeerMisbehaved),
}

/// The names of a failure's variants, and the list of all of them
macro_rules! names {
    ($($(#[$if:meta])* $failure:pat => $name:literal,)*) => {
        impl Failure {
            /// The names of all failures, in the order of the enum
            pub const NAMES: &[&str] = &[$($(#[$if])* $name,)*];

            /// The failure's name, one word: for programs
            pub const fn name(&self) -> &'static str {
                match self {
                    $($(#[$if])* $failure => $name,)*
                }
            }
        }
    };
}

names! {
    Self::NotPptp { .. } => "NotPptp",
    Self::NoControlReply => "NoControlReply",
    #[cfg(feature = "server")]
    Self::NoControlRequest => "NoControlRequest",
    Self::VersionUnsupported { .. } => "VersionUnsupported",
    Self::ControlRefused { .. } => "ControlRefused",
    Self::NoCallReply => "NoCallReply",
    Self::CallRefused { .. } => "CallRefused",
    Self::CallDisconnected { .. } => "CallDisconnected",
    #[cfg(feature = "server")]
    Self::CallCleared => "CallCleared",
    Self::StoppedByPeer { .. } => "StoppedByPeer",
    Self::EchoTimeout => "ControlEchoTimeout",
    Self::Recognized(_) => "Recognized",
    Self::ConnectionLost => "ConnectionLost",
    Self::PeerMisbehaved(PeerMisbehaved::LostSync(_)) => "LostSync",
    Self::PeerMisbehaved(PeerMisbehaved::OutOfPhase(_)) => "ControlOutOfPhase",
    Self::PeerMisbehaved(PeerMisbehaved::AnswersUnread) => "AnswersUnread",
}

/// The rule that the peer broke
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// The stream of messages cannot be followed any more (RFC 2637 §1.3.1 forbids to hunt)
    #[error("lost synchronization: {0}")]
    LostSync(#[from] ParseError),
    /// A message that its state forbids
    #[error("{0} out of phase")]
    OutOfPhase(ControlType),
    /// The peer requests more answers than it reads
    #[error("more than 4 KiB of answers left unread")]
    AnswersUnread,
}

#[cfg(test)]
mod tests;
