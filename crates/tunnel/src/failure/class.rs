//! The class of each failure: who has to act first

use pptp_control::Class as ControlClass;
use pptp_ppp::Class as LinkClass;

use super::{Failure, TunnelError};

/// The kinds of failure, by who has to act before another connect may succeed
///
/// For programs that keep tunnels up: how long to wait is told by [`TunnelError::retry_after`], and
/// the class tells how those pauses may grow, and whom to tell.
///
/// | class | what to do | examples |
/// |---|---|---|
/// | [`OwnDeed`](Self::OwnDeed) | nothing: do not dial until the owner asks for it | hung up on this side |
/// | [`Network`](Self::Network) | dial again, with pauses that grow to minutes | connection lost, no echo |
/// | [`Busy`](Self::Busy) | dial again after half a minute, a minute | all lines taken, no address left |
/// | [`Operator`](Self::Operator) | dial again some times an hour, and tell somebody | no MPPE, PAP only |
/// | [`Credentials`](Self::Credentials) | once an hour at most, or never: accounts get locked | error 691 |
/// | [`Configuration`](Self::Configuration) | stop until the configuration changes | no such option |
/// | [`Host`](Self::Host) | dial again some times an hour, and tell this machine's administrator | no file descriptor left |
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// This side ended the tunnel
    OwnDeed,
    /// The line or the server broke off
    Network,
    /// The server has no room, or no address, at the moment
    Busy,
    /// The settings of the server, or of a firewall on the way, do not fit this client's
    Operator,
    /// The server did not accept user and password
    Credentials,
    /// This server must not be dialled again with this configuration
    Configuration,
    /// This machine, or this program
    Host,
}

impl Class {
    /// All classes there are
    pub const ALL: [Self; 7] = [
        Self::OwnDeed,
        Self::Network,
        Self::Busy,
        Self::Operator,
        Self::Credentials,
        Self::Configuration,
        Self::Host,
    ];

    /// One word or two, for programs
    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnDeed => "own deed",
            Self::Network => "network",
            Self::Busy => "busy",
            Self::Operator => "operator",
            Self::Credentials => "credentials",
            Self::Configuration => "configuration",
            Self::Host => "host",
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Failure {
    /// The failure's class: who has to act before another connect may succeed
    ///
    /// No arm stands for all others, here and in the crates of the control connection and of PPP: a
    /// new failure has to be given its class.
    pub const fn class(&self) -> Class {
        match self {
            Self::Closed => Class::OwnDeed,
            Self::GreBlocked { send_error: Some(_), .. } => Class::Host,
            Self::GreFromElsewhere { .. } | Self::GreUnsupported { .. } => Class::Operator,
            Self::GreBlocked { send_error: None, .. } | Self::ConnectTimeout { .. } => {
                Class::Network
            }
            Self::Control(failure) => match failure.class() {
                ControlClass::Network => Class::Network,
                ControlClass::Busy => Class::Busy,
                ControlClass::Operator => Class::Operator,
            },
            Self::Link(failure) => match failure.class() {
                LinkClass::Network => Class::Network,
                LinkClass::Busy => Class::Busy,
                LinkClass::Operator => Class::Operator,
                LinkClass::Credentials => Class::Credentials,
                LinkClass::Configuration => Class::Configuration,
            },
        }
    }
}

impl TunnelError {
    /// The failure's class: see [`Failure::class`]
    pub const fn class(&self) -> Class {
        self.failure.class()
    }
}
