//! The pause before another dial, for each failure

use std::time::Duration;

use pptp_control::{Failure as ControlFailure, OutgoingCallResult, StartResult};
use pptp_ppp::Failure as LinkFailure;

use super::{Class, Failure};

/// The chances of another dial, in a word: [`retry_after`](Failure::retry_after) has the time, and
/// [`Class`] the one who has to act
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The same configuration may well succeed soon
    Soon,
    /// It may succeed some day: something outside has to change first
    Later,
    /// Not with this configuration; trying again may even do harm (an account locked)
    Never,
    /// Only if the owner asks for it: this side ended the tunnel, and nothing has failed
    OnRequest,
}

impl Retry {
    /// The chances of another dial after a failure with this pause, of this class
    pub const fn of(pause: Option<Duration>, class: Class) -> Self {
        match pause {
            None if matches!(class, Class::OwnDeed) => Self::OnRequest,
            None => Self::Never,
            Some(pause) if pause.as_secs() < CONFIGURATION_TIME.as_secs() => Self::Soon,
            Some(_) => Self::Later,
        }
    }
}

impl Failure {
    /// The chances of another dial
    pub const fn retry(&self) -> Retry {
        Retry::of(self.retry_after(), self.class())
    }

    /// Returns the least time before the next dial; `None`: never with this configuration, or not at all since
    /// this side ended the tunnel
    ///
    /// It is the pause before the first further attempt. The pauses of several attempts should grow, and
    /// differ by chance, so that tunnels which failed together do not come back together.
    ///
    /// A refused login (error 691, or no reason at all) has an hour: servers say the same of a wrong
    /// password, of an earlier session of the user that is still alive, and of a RADIUS server that is
    /// down; and an attempt an hour locks no account.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Control(failure) => Some(control_pause(failure)),
            Self::Link(failure) => link_pause(failure),
            Self::GreBlocked { .. }
            | Self::GreFromElsewhere { .. }
            | Self::GreUnsupported { .. } => Some(CONFIGURATION_TIME),
            Self::Closed => None,
            Self::ConnectTimeout { .. } => Some(RETRY_AT_ONCE),
        }
    }
}

const fn control_pause(failure: &ControlFailure) -> Duration {
    match failure {
        ControlFailure::NotPptp { .. }
        | ControlFailure::VersionUnsupported { .. }
        | ControlFailure::ControlRefused { result: StartResult::NotAuthorized, .. }
        | ControlFailure::CallRefused { result: OutgoingCallResult::DoNotAccept, .. } => {
            ADMINISTRATOR_TIME
        }
        ControlFailure::CallRefused { .. }
        | ControlFailure::ControlRefused { .. }
        | ControlFailure::StoppedByPeer { .. } => CLIENT_LEAVES_TIME,
        ControlFailure::NoControlReply | ControlFailure::NoCallReply => RESTART_TIME,
        _ => RETRY_AT_ONCE,
    }
}

const fn link_pause(failure: &LinkFailure) -> Option<Duration> {
    match failure {
        // 646: not at this hour
        LinkFailure::AuthFailed { code: 646, .. }
        | LinkFailure::AuthProtocolRefused { .. }
        | LinkFailure::AuthProtocolWithdrawn { .. }
        | LinkFailure::AuthProtocolWithoutKeys { .. }
        | LinkFailure::EncryptionUnavailable { .. }
        | LinkFailure::EncryptionDemanded { .. }
        | LinkFailure::RejectedProtocol { .. } => Some(ADMINISTRATOR_TIME),
        // the account itself, or its password, has to be changed first
        LinkFailure::AuthFailed { code: 647..=649 | 709, .. } | LinkFailure::ServerNotAuthentic => {
            None
        }
        LinkFailure::AuthFailed { .. } => Some(OLD_SESSION_TIME),
        LinkFailure::AddressChanged { .. } => Some(CLIENT_LEAVES_TIME),
        // always with a wrong RADIUS server, and once after a Configure-Ack of CCP that was lost
        LinkFailure::NoAddress | LinkFailure::WrongKey(_) => Some(CONFIGURATION_TIME),
        _ => Some(RETRY_AT_ONCE),
    }
}

/// A server that was there a moment ago may be there again
const RETRY_AT_ONCE: Duration = Duration::from_secs(1);
/// A server, a router or a name server starts in about that time
const RESTART_TIME: Duration = Duration::from_secs(10);
/// A server that is full has room when a client of it leaves
const CLIENT_LEAVES_TIME: Duration = Duration::from_secs(30);
/// Somebody has to notice and to do something
const CONFIGURATION_TIME: Duration = Duration::from_mins(1);
/// Somebody has to change a setting of the server
const ADMINISTRATOR_TIME: Duration = Duration::from_mins(10);
/// A session that lost its line ends on the server within that time, and no account is locked
const OLD_SESSION_TIME: Duration = Duration::from_hours(1);
