use pptp_packet::panics;
use pptp_tunnel::{Phase, TunnelError};
use tokio::sync::watch;

use crate::Redial;

/// Where a tunnel stands
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum State {
    /// On the way up
    Connecting {
        /// The phase reached last
        phase: Phase,
    },
    /// The server is dialled once more, in another way; [`State::Connecting`] follows
    Redialling {
        /// Why
        why: Redial,
    },
    /// IP packets flow
    Up,
    /// The server negotiates anew; sockets wait
    Renegotiating,
    /// Over for good
    Down {
        /// Why
        reason: TunnelError,
    },
}

impl State {
    /// Why the tunnel is over, if it is
    pub(crate) fn reason(&self) -> Option<TunnelError> {
        match self {
            Self::Down { reason } => Some(reason.clone()),
            _ => None,
        }
    }

    /// Whether the tunnel is over
    pub const fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }
}

/// The sending end of a tunnel's state
///
/// Telling a state wakes tasks of users, whose wakers may panic or call back into the tunnel: so it is
/// done with no lock held, and a panic stays with the task whose waker it was. tokio forgets the others
/// that it was about to wake in the same batch of 32, all of which watch this tunnel.
#[derive(Debug)]
pub(crate) struct StateSender(Option<watch::Sender<State>>);

impl StateSender {
    pub(crate) const fn new(sender: watch::Sender<State>) -> Self {
        Self(Some(sender))
    }

    /// Tells a state, unless the tunnel is over: nothing comes after [`State::Down`]
    ///
    /// True if a waker panicked.
    #[must_use]
    pub(crate) fn tell(&self, state: State) -> bool {
        let Some(sender) = &self.0 else { return false };
        panics(|| {
            sender.send_if_modified(|now| {
                let goes_on = !now.is_down();
                if goes_on {
                    *now = state;
                }
                goes_on
            });
        })
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<State> {
        // it is there until it is dropped
        self.0.as_ref().map_or_else(|| watch::channel(State::Up).1, watch::Sender::subscribe)
    }

    /// Calls `f` with the state as it is, which others wait for meanwhile
    pub(crate) fn with<R>(&self, f: impl FnOnce(&State) -> R) -> Option<R> {
        self.0.as_ref().map(|sender| f(&sender.borrow()))
    }
}

/// Those who still watch are woken
impl Drop for StateSender {
    fn drop(&mut self) {
        panics(|| drop(self.0.take()));
    }
}
