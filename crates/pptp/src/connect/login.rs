//! What a caller is asked when a server refuses a login

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use pptp_tunnel::{Password, Question};

use crate::{State, TunnelConfig, clock::now, driver::tunnel_shared::TunnelShared};

/// A login that a server has refused, for [`TunnelConfig::on_password_expired`] and
/// [`TunnelConfig::on_login_refused`]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedLogin {
    /// The tunnel's name, from [`TunnelConfig::name`]
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

/// What the caller wants to be asked and told
#[derive(Clone, Default)]
pub(crate) struct Callbacks {
    expired: Option<Ask<Password>>,
    refused: Option<Ask<Credentials>>,
    changed: Option<Tell>,
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

/// Whom to ask about a tunnel's login; tunnels without anybody have none
#[derive(Debug)]
pub(crate) struct Login {
    user: String,
    callbacks: Callbacks,
}

impl Login {
    pub(crate) fn of(config: &TunnelConfig) -> Option<Box<Self>> {
        let callbacks = config.callbacks.clone();
        let is_any = callbacks.asks_for_password() || callbacks.asks_for_login();
        is_any.then(|| Box::new(Self { user: config.user.clone(), callbacks }))
    }
}

impl TunnelShared {
    /// Has the caller asked, by a task of its own that holds no lock meanwhile
    pub(crate) fn ask(self: &Arc<Self>, question: Question) {
        let tunnel = Arc::clone(self);
        self.runtime().spawn(async move {
            tokio::select! {
                () = put(&tunnel, question) => {}
                () = ended(&tunnel) => return,
            }
            tunnel.mark_can_send();
        });
    }

    /// Tells the caller that the server has taken the new password
    pub(crate) fn password_changed(self: &Arc<Self>) {
        let tunnel = Arc::clone(self);
        self.runtime().spawn(async move {
            let changed = tunnel.login.as_ref().and_then(|login| login.callbacks.changed.clone());
            if let Some(changed) = changed {
                changed(&tunnel.name);
            }
        });
    }
}

/// Asks the caller, and hands the answer to the state machine
async fn put(tunnel: &TunnelShared, question: Question) {
    let refused = |code, message| RefusedLogin {
        tunnel: tunnel.name.clone(),
        user: tunnel.login.as_ref().map(|login| login.user.clone()).unwrap_or_default(),
        code,
        message,
    };
    let callbacks = tunnel.login.as_ref().map(|login| login.callbacks.clone()).unwrap_or_default();
    let answer = match (question, callbacks) {
        (Question::NewPassword { message }, Callbacks { expired: Some(ask), .. }) => {
            ask(refused(PASSWORD_EXPIRED, message)).await.map(Reply::NewPassword)
        }
        (Question::OtherCredentials { code, message }, Callbacks { refused: Some(ask), .. }) => {
            ask(refused(code, message)).await.map(Reply::Credentials)
        }
        _ => None,
    };
    let mut inner = tunnel.lock();
    let Some(machine) = &mut inner.machine else { return };
    match answer {
        Some(Reply::NewPassword(new)) => machine.change_password(now(), new),
        Some(Reply::Credentials(Credentials { user, password })) => {
            machine.log_in_as(now(), user, password);
        }
        None => machine.give_up_login(now()),
    }
}

enum Reply {
    NewPassword(Password),
    Credentials(Credentials),
}

async fn ended(tunnel: &TunnelShared) {
    // the sender is the tunnel's own
    let _ = tunnel.state.subscribe().wait_for(State::is_down).await;
}

/// `ERROR_PASSWD_EXPIRED` (RFC 2759 §6)
const PASSWORD_EXPIRED: u32 = 648;
