//! The source of a site's password

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use pptp::Password;
use tokio::time::timeout;

use crate::{SiteFailure, decide::site::MAX_FETCH_TIME};

/// A future of a password, or of the reason why it cannot be had
pub type Fetching = Pin<Box<dyn Future<Output = Result<Password, String>> + Send>>;

/// A source of a password, asked before each dial
///
/// It is asked outside of the dials that may be under way at a time, and has five seconds.
pub trait SecretSource: Send + Sync {
    /// Returns the place of the password for people, as the configuration names it: `file /etc/…`
    fn name(&self) -> String;

    /// Fetches the password
    fn fetch(&self) -> Fetching;
}

/// The password of a site
#[derive(Clone)]
pub enum Secret {
    /// The password itself
    Literal(Password),
    /// A place where it is asked for before each dial
    Source(Arc<dyn SecretSource>),
    /// None, for the configuration of the site can never work; this is why
    Invalid(String),
}

impl Secret {
    /// Makes a secret of the password itself
    pub fn literal(password: impl Into<String>) -> Self {
        Self::Literal(Password::new(password))
    }

    /// Returns the password, which is asked for if it is elsewhere
    ///
    /// # Errors
    /// [`SiteFailure::Secret`]: it cannot be had, or there was no answer within five seconds. [`SiteFailure::Invalid`]
    /// for a configuration that cannot work.
    pub async fn password(&self) -> Result<Password, SiteFailure> {
        let source = match self {
            Self::Literal(password) => return Ok(password.clone()),
            Self::Source(source) => source,
            Self::Invalid(problem) => return Err(SiteFailure::Invalid(problem.clone())),
        };
        let error = match timeout(MAX_FETCH_TIME, source.fetch()).await {
            Ok(Ok(password)) => return Ok(password),
            Ok(Err(error)) => error,
            Err(_) => format!("no answer within {} s", MAX_FETCH_TIME.as_secs()),
        };
        Err(SiteFailure::Secret { source: source.name(), error })
    }

    /// Returns true if the other is the same password, or the same place
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(one), Self::Literal(other)) => one == other,
            (Self::Source(one), Self::Source(other)) => one.name() == other.name(),
            (Self::Invalid(one), Self::Invalid(other)) => one == other,
            _ => false,
        }
    }

    /// Returns true if it has to be fetched before each dial
    pub(crate) const fn is_fetched(&self) -> bool {
        matches!(self, Self::Source(_) | Self::Invalid(_))
    }
}

/// Prints the place, never the password
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("Secret(literal)"),
            Self::Source(source) => write!(f, "Secret({})", source.name()),
            Self::Invalid(problem) => write!(f, "Secret(invalid: {problem})"),
        }
    }
}
