use pptp_tunnel::{Phase, TunnelError};

/// Where a tunnel stands
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum State {
    /// On the way up
    Connecting {
        /// The phase reached last
        phase: Phase,
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
