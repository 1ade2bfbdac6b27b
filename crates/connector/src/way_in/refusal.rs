//! The reasons for which a client does not reach its target, the same for all ways in

use std::{io, net::SocketAddrV4, time::Duration};

use pptp_fleet::{NotUp, SiteName, SiteState};
use tokio::time::Instant;

use super::client::Origin;
use crate::target::InvalidTarget;

/// The reason for which a client does not reach its target
///
/// Each way in translates it into the words of its protocol; the sentence is for people, and for the log.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The client's address is not on the listener's list
    #[error("{0} is none of the `clients` of this listener")]
    Client(Origin),
    /// The client has as many connections as one address may have
    #[error("{0} has as many connections as one address may have here")]
    TooMany(Origin),
    /// The login is missing or wrong
    #[error("the login is missing or wrong: the user name is LOGIN or LOGIN+SITE")]
    Login,
    /// The client did not speak the protocol
    #[error("{0}")]
    Protocol(String),
    /// The client names no site, and the proxy has more than one
    #[error("no site is named: the user name has to be a site, or the host HOST.SITE.{suffix}")]
    NoSite {
        /// The end of names that have a site in them
        suffix: String,
    },
    /// The user name and the host name are of two sites
    #[error("the user name is of the site `{user}`, and the host name of the site `{host}`")]
    TwoSites {
        /// The site of the user name
        user: String,
        /// The site of the host name
        host: String,
    },
    /// There is no such site
    #[error("there is no site `{0}`")]
    NoSuchSite(String),
    /// The site may not be reached by this way
    #[error("the site {0} may not be reached through this listener")]
    SiteNotAllowed(SiteName),
    /// The target may not be reached by this way
    #[error("{site}: {target} may not be reached through this listener")]
    TargetNotAllowed {
        /// The site
        site: SiteName,
        /// The target
        target: SocketAddrV4,
    },
    /// A request that would change a KNX device, which asks for no login
    #[error(
        "it would change the device's address, restart it or reset it, for which the device asks no login: \
         `remote_configuration = true` of this forward allows it"
    )]
    RemoteConfiguration,
    /// The target is no address, no name, or an IPv6 address
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    /// The site is not up
    #[error("{error}{}", next_dial(*.retry_after))]
    NotUp {
        /// The reason
        error: NotUp,
        /// The time until the site is dialled again, if it is known
        retry_after: Option<Duration>,
    },
    /// The name is unknown in the site
    #[error("{site}: the name {name} is not known there: {error}")]
    Name {
        /// The site
        site: SiteName,
        /// The name
        name: String,
        /// The error of the lookup
        error: String,
    },
    /// The connection to the target failed
    #[error("{site}: {target}: {error}")]
    Connect {
        /// The site
        site: SiteName,
        /// The target
        target: SocketAddrV4,
        /// The way in which it failed
        kind: ConnectFailure,
        /// The error
        error: String,
    },
    /// The client has gone away before its target was reached
    #[error("the client went away before {0} was reached")]
    Gone(String),
}

/// The way in which a connection to a target failed
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectFailure {
    /// The target refused it
    Refused,
    /// There is no way to the target
    Unreachable,
    /// The target did not answer in time
    TimedOut,
    /// The tunnel ended meanwhile
    TunnelLost,
    /// The target did not speak its protocol, or broke its answer off
    Broken,
}

/// The reason of a refusal in a word, for counters
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The client, or the number of its connections
    Client,
    /// The login
    Login,
    /// The protocol
    Protocol,
    /// No site, or two
    NoSite,
    /// The site is unknown
    NoSuchSite,
    /// The site or the target may not be reached
    NotAllowed,
    /// The target is no IPv4 address and no name
    Target,
    /// The site is not up
    NotUp,
    /// The name is unknown
    Name,
    /// The target refused
    Refused,
    /// The target cannot be reached
    Unreachable,
    /// The target did not answer
    TimedOut,
    /// The client went away
    Gone,
}

impl Reason {
    /// All reasons
    pub const ALL: [Self; 13] = [
        Self::Client,
        Self::Login,
        Self::Protocol,
        Self::NoSite,
        Self::NoSuchSite,
        Self::NotAllowed,
        Self::Target,
        Self::NotUp,
        Self::Name,
        Self::Refused,
        Self::Unreachable,
        Self::TimedOut,
        Self::Gone,
    ];

    /// Returns the reason as a word for programs
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Login => "login",
            Self::Protocol => "protocol",
            Self::NoSite => "no-site",
            Self::NoSuchSite => "no-such-site",
            Self::NotAllowed => "not-allowed",
            Self::Target => "target",
            Self::NotUp => "not-up",
            Self::Name => "name",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::Gone => "gone",
        }
    }
}

impl Refusal {
    /// Makes a refusal of a site that is not up
    pub fn not_up(error: NotUp) -> Self {
        let state = match &error {
            NotUp::Refused { state, .. } | NotUp::TooLate { state, .. } => Some(&**state),
            _ => None,
        };
        let retry_after = match state {
            Some(SiteState::Waiting { until, .. }) => {
                Some(until.saturating_duration_since(Instant::now()))
            }
            _ => None,
        };
        Self::NotUp { error, retry_after }
    }

    /// Makes a refusal of an error of a connect
    pub fn connect(site: &SiteName, target: SocketAddrV4, error: &io::Error) -> Self {
        let kind = if pptp::TunnelError::from_io(error).is_some() {
            ConnectFailure::TunnelLost
        } else {
            match error.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                    ConnectFailure::Refused
                }
                io::ErrorKind::TimedOut => ConnectFailure::TimedOut,
                io::ErrorKind::ConnectionAborted => ConnectFailure::TunnelLost,
                _ => ConnectFailure::Unreachable,
            }
        };
        Self::Connect { site: site.clone(), target, kind, error: error.to_string() }
    }

    /// Returns the reason in a word
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Client(_) | Self::TooMany(_) => Reason::Client,
            Self::Login => Reason::Login,
            Self::Protocol(_) => Reason::Protocol,
            Self::NoSite { .. } | Self::TwoSites { .. } => Reason::NoSite,
            Self::NoSuchSite(_) => Reason::NoSuchSite,
            Self::SiteNotAllowed(_) | Self::TargetNotAllowed { .. } | Self::RemoteConfiguration => {
                Reason::NotAllowed
            }
            Self::Target(_) => Reason::Target,
            Self::NotUp { .. } => Reason::NotUp,
            Self::Name { .. } => Reason::Name,
            Self::Connect { kind, .. } => match kind {
                ConnectFailure::Refused => Reason::Refused,
                ConnectFailure::Unreachable | ConnectFailure::Broken => Reason::Unreachable,
                ConnectFailure::TimedOut => Reason::TimedOut,
                ConnectFailure::TunnelLost => Reason::NotUp,
            },
            Self::Gone(_) => Reason::Gone,
        }
    }

    /// Returns the time after which another attempt may succeed, if it is known
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotUp { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn next_dial(retry_after: Option<Duration>) -> String {
    retry_after
        .map_or_else(String::new, |after| format!("; it is dialled again in {} s", after.as_secs()))
}
