//! The tasks that ask a tunnel's user about its login

use std::sync::Arc;

use pptp_driver::{Session, now};
use pptp_tunnel::{Password, Question};

use crate::{
    State,
    connect::login::{Callbacks, Credentials, RefusedLogin},
    tunnel_shared::TunnelShared,
};

impl TunnelShared {
    /// Asks the user, in a task of its own that holds no lock meanwhile
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

    /// Tells the user that the server has taken the new password
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

/// Asks the user, and hands the answer to the state machine
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
    let Some(machine) = inner.protocol.machine_mut() else { return };
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
