//! The reasons why a site is not up

use std::{fmt, time::Duration};

use pptp::{Class, TunnelError, error::Layer};

use crate::SiteName;

/// The reason why a site is not up
///
/// What this side did on purpose is no failure.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SiteFailure {
    /// The connect failed, or the tunnel ended
    Tunnel(Box<TunnelError>),
    /// The password could not be had
    Secret {
        /// The place where it was asked for, as the configuration names it
        source: String,
        /// The reason
        error: String,
    },
    /// The login was refused so often that it is not tried for a while, so that the account is not locked
    LoginHeld,
    /// The server ended the tunnel, or refused the login, while another site had the same login
    ///
    /// It allows one session of the user, as far as one can see.
    LoginInUse {
        /// The other site
        by: SiteName,
        /// What the server did
        error: Box<TunnelError>,
    },
    /// The configuration can never work, which is known without the network
    Invalid(String),
    /// A task of the site has ended that should have gone on: a fault of this program
    Internal(String),
}

impl SiteFailure {
    /// Returns the failure's class: who has to act before another dial may succeed
    pub fn class(&self) -> Class {
        match self {
            Self::Tunnel(error) => error.class(),
            Self::Secret { .. } | Self::Internal(_) => Class::Host,
            Self::LoginHeld => Class::Credentials,
            Self::LoginInUse { .. } => Class::Busy,
            Self::Invalid(_) => Class::Configuration,
        }
    }

    /// Returns the layer at which the site failed
    pub fn layer(&self) -> Layer {
        match self {
            Self::Tunnel(error) | Self::LoginInUse { error, .. } => error.layer(),
            Self::LoginHeld => Layer::Authentication,
            Self::Secret { .. } => Layer::Host,
            Self::Invalid(_) => Layer::Configuration,
            Self::Internal(_) => Layer::Program,
        }
    }

    /// Returns a short name for programs: the library's for a tunnel's failure
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tunnel(error) => error.name(),
            Self::Secret { .. } => "Secret",
            Self::LoginHeld => "LoginHeld",
            Self::LoginInUse { .. } => "LoginInUse",
            Self::Invalid(_) => "Invalid",
            Self::Internal(_) => "Internal",
        }
    }

    /// Returns the least time before the next dial; `None` if the class alone decides
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Tunnel(error) => error.retry_after(),
            Self::Secret { .. } | Self::Internal(_) => Some(SOON),
            Self::LoginHeld | Self::LoginInUse { .. } | Self::Invalid(_) => None,
        }
    }

    /// Returns true if this configuration can never work, which is known without the network
    ///
    /// What was learned from the wire or from DNS is tried again, since anybody may have said it.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Tunnel(error) => {
                error.class() == Class::Configuration
                    && matches!(error.name(), "InvalidServer" | "InvalidOption")
            }
            Self::Invalid(_) => true,
            Self::Secret { .. } | Self::LoginHeld | Self::LoginInUse { .. } | Self::Internal(_) => {
                false
            }
        }
    }

    /// Returns what to do about it
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Tunnel(error) => Some(error.advice().to_owned()),
            Self::Secret { source, .. } => Some(format!("look at {source}")),
            Self::LoginHeld => {
                Some("check user and password, and ask the server's operator".to_owned())
            }
            Self::LoginInUse { by, .. } => Some(format!(
                "the server seems to allow one session of this user: give this site or {by} a user of its own, or \
                 take one of them away; if the server allows several, set share_login for both"
            )),
            Self::Invalid(_) | Self::Internal(_) => None,
        }
    }
}

impl fmt::Display for SiteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tunnel(error) => error.fmt(f),
            Self::Secret { source, error } => {
                write!(f, "the password could not be had from {source}: {error}")
            }
            Self::LoginHeld => f.write_str("the server has refused this login too often"),
            Self::LoginInUse { by, error } => {
                let told = error.told();
                write!(f, "the site {by} has the same login, and is up: {}: {told}", error.name())
            }
            Self::Invalid(problem) => write!(f, "the configuration cannot work: {problem}"),
            Self::Internal(message) => write!(f, "a task of the site has ended: {message}"),
        }
    }
}

impl std::error::Error for SiteFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tunnel(error) | Self::LoginInUse { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<TunnelError> for SiteFailure {
    fn from(error: TunnelError) -> Self {
        Self::Tunnel(Box::new(error))
    }
}

/// A file that is being written, or a task that ended by chance
const SOON: Duration = Duration::from_secs(2);
