//! The options of a tunnel by which its user is asked about the login

use std::{future::Future, sync::Arc};

use pptp_tunnel::Password;

use crate::{
    TunnelConfig,
    connect::login::{Credentials, RefusedLogin},
};

impl TunnelConfig {
    /// Asks for a new password when the server says that this one has expired (error 648)
    ///
    /// The server is then told to change it (RFC 2759 §7), and the connect goes on with the new one. Without
    /// this, or if it gives `None`, the connect fails with the server's refusal: a password is never changed
    /// unasked. [`on_password_changed`](Self::on_password_changed) tells when the server has taken it.
    ///
    /// It is asked once for each login, in a task of its own, and has a minute to answer; that time is not part
    /// of [`connect_timeout`](Self::connect_timeout). When the tunnel ends meanwhile, its future is dropped.
    ///
    /// ```
    /// # use pptp::{Password, TunnelConfig};
    /// let config = TunnelConfig::new("vpn.example.com", "testuser", "test123")
    ///     .on_password_expired(async |_| Some(Password::new("next123")))
    ///     .on_password_changed(|tunnel| println!("{tunnel}: test123 is worth nothing any more"));
    /// ```
    #[must_use]
    pub fn on_password_expired<F, A>(mut self, ask: F) -> Self
    where
        F: Fn(RefusedLogin) -> A + Send + Sync + 'static,
        A: Future<Output = Option<Password>> + Send + 'static,
    {
        self.callbacks.expired = Some(Arc::new(move |refused| Box::pin(ask(refused))));
        self
    }

    /// Is told the tunnel's name when its server has taken a new password
    ///
    /// From then on the old one is worth nothing, also if the connect fails later on. Called by a task of its
    /// own, without any lock.
    #[must_use]
    pub fn on_password_changed(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.callbacks.changed = Some(Arc::new(tell));
        self
    }

    /// Asks for another login when the server refuses this one and takes another on the same connection
    /// (`R=1`, RFC 2759 §6)
    ///
    /// Once for each connect, with the time and the end of
    /// [`on_password_expired`](Self::on_password_expired). Without this, or if it gives `None` or what
    /// was refused, the connect fails with the server's refusal: the same password is never sent again,
    /// since accounts get locked that way.
    #[must_use]
    pub fn on_login_refused<F, A>(mut self, ask: F) -> Self
    where
        F: Fn(RefusedLogin) -> A + Send + Sync + 'static,
        A: Future<Output = Option<Credentials>> + Send + 'static,
    {
        self.callbacks.refused = Some(Arc::new(move |refused| Box::pin(ask(refused))));
        self
    }
}
