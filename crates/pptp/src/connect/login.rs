//! The questions to the user when a server refuses a login

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use pptp_tunnel::Password;

/// A login that a server has refused, for
/// [`TunnelConfig::on_password_expired`](crate::TunnelConfig::on_password_expired) and
/// [`TunnelConfig::on_login_refused`](crate::TunnelConfig::on_login_refused)
///
/// ```
/// use pptp::{TunnelConfig, config::Credentials};
///
/// let config = TunnelConfig::new("vpn.example.com", "old", "secret").on_login_refused(|refused| async move {
///     println!("{}: {} ({})", refused.tunnel, refused.message, refused.code);
///     Some(Credentials::new("new", "another secret")) // None gives up
/// });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedLogin {
    /// The tunnel's name, from [`TunnelConfig::name`](crate::TunnelConfig::name)
    pub tunnel: String,
    /// The user whose login it was
    pub user: String,
    /// The server's error code (RFC 2759 §6): 648 if the password has expired
    pub code: u32,
    /// The server's own words, if it had any
    pub message: String,
}

/// A user and its password
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user, perhaps with a Windows domain: `DOMAIN\user`
    pub user: String,
    /// Its password
    pub password: Password,
}

impl Credentials {
    /// A user with its password
    pub fn new(user: impl Into<String>, password: impl Into<Password>) -> Self {
        Self { user: user.into(), password: password.into() }
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = Option<T>> + Send>>;
type Tell = Arc<dyn Fn(&str) + Send + Sync>;
type Ask<T> = Arc<dyn Fn(RefusedLogin) -> Answer<T> + Send + Sync>;

/// The functions that a tunnel's user wants to be called
#[derive(Clone, Default)]
pub(crate) struct Callbacks {
    pub(crate) expired: Option<Ask<Password>>,
    pub(crate) refused: Option<Ask<Credentials>>,
    pub(crate) changed: Option<Tell>,
}

impl Callbacks {
    pub(crate) const fn asks_for_password(&self) -> bool {
        self.expired.is_some()
    }

    pub(crate) const fn asks_for_login(&self) -> bool {
        self.refused.is_some()
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks")
            .field("expired", &self.expired.is_some())
            .field("refused", &self.refused.is_some())
            .field("changed", &self.changed.is_some())
            .finish()
    }
}

/// The user of a tunnel that wants to be asked about its login
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) callbacks: Callbacks,
}

impl Login {
    /// `None` if the user wants to be asked nothing
    pub(crate) fn new(user: &str, callbacks: &Callbacks) -> Option<Box<Self>> {
        let is_any = callbacks.asks_for_password() || callbacks.asks_for_login();
        is_any.then(|| Box::new(Self { user: user.to_owned(), callbacks: callbacks.clone() }))
    }
}
