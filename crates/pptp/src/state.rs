//! The states of a tunnel, and the way in which they are told

use std::{fmt, net::SocketAddrV4};

use pptp_packet::panics;
use pptp_tunnel::{AuthenticationProtocol, Phase};
use tokio::sync::watch;

use crate::TunnelError;

/// The state of a tunnel
///
/// ```no_run
/// # async fn example(tunnel: pptp::Tunnel) {
/// use pptp::State;
///
/// let mut state = tunnel.state();
/// loop {
///     match &*state.borrow_and_update() {
///         State::Up => println!("packets flow"),
///         State::Down { reason } => return println!("down: {reason}"),
///         other => println!("{other:?}"),
///     }
///     // behind the look at the state: only later changes count
///     if state.changed().await.is_err() {
///         return;
///     }
/// }
/// # }
/// ```
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
        /// The reason
        why: Redial,
    },
    /// IP packets flow
    Up,
    /// The server negotiates anew; sockets wait
    Renegotiating,
    /// Over for good
    Down {
        /// The reason
        reason: TunnelError,
    },
}

impl State {
    /// Returns the reason for the end, if the tunnel is over
    pub(crate) fn reason(&self) -> Option<TunnelError> {
        match self {
            Self::Down { reason } => Some(reason.clone()),
            _ => None,
        }
    }

    /// Returns true if the tunnel is over
    pub const fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }
}

/// The reason why a tunnel is dialled once more
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redial {
    /// The server was recognized as one of this kind, which wants other words from the start on
    Recognized {
        /// The kind's name, see [`Recognition`](crate::quirks::Recognition)
        kind: String,
    },
    /// The server asked for a way to authenticate that is allowed, and for none any more when it was asked for
    /// MS-CHAPv2: it is agreed with at its first asking now
    AsksOnce {
        /// The protocol that it had asked for
        offered: AuthenticationProtocol,
    },
    /// The server has another method of EAP first than MS-CHAPv2; without EAP it may have MS-CHAPv2 all the
    /// same, and is asked for that now
    WithoutEap {
        /// The method that it wanted
        offered: AuthenticationProtocol,
    },
    /// No PPTP server listens at this address, and the name has further addresses
    NotPptp {
        /// The address tried
        address: SocketAddrV4,
    },
}

/// A state by its name: the reason of an end is as long as an advice
pub(crate) enum StateName {
    Connecting(Phase),
    Redialling,
    Up,
    Renegotiating,
    /// The failure's name
    Down(&'static str),
}

impl StateName {
    pub(crate) const fn of(state: &State) -> Self {
        match state {
            State::Connecting { phase } => Self::Connecting(*phase),
            State::Redialling { .. } => Self::Redialling,
            State::Up => Self::Up,
            State::Renegotiating => Self::Renegotiating,
            State::Down { reason } => Self::Down(reason.name()),
        }
    }
}

impl fmt::Debug for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting(phase) => write!(f, "Connecting({phase:?})"),
            Self::Redialling => f.write_str("Redialling"),
            Self::Up => f.write_str("Up"),
            Self::Renegotiating => f.write_str("Renegotiating"),
            Self::Down(name) => write!(f, "Down({name})"),
        }
    }
}

/// The beginning of a name that its owner may have made as long as they like
pub(crate) fn short(name: &str) -> &str {
    name.char_indices().nth(MAX_NAME_CHARS).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}

/// Characters of a name that are told: at most six octets each, escaped
const MAX_NAME_CHARS: usize = 48;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        assert_eq!(short("building 7"), "building 7");
        assert_eq!(short(&"ä".repeat(1000)), "ä".repeat(48));
    }
}
