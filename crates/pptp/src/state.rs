use pptp_tunnel::{Phase, TunnelError};

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
    /// Whether the tunnel is over
    pub const fn is_down(&self) -> bool {
        matches!(self, Self::Down { .. })
    }
}
