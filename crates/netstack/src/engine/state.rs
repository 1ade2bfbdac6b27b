//! The states of a TCP connection (RFC 9293 §3.3.2)

use smoltcp::socket::tcp;

/// The state of a TCP connection (RFC 9293 §3.3.2)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    Listen,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

/// The order of the variants is smoltcp's, so that this costs no branch
impl From<tcp::State> for State {
    fn from(state: tcp::State) -> Self {
        match state {
            tcp::State::Closed => Self::Closed,
            tcp::State::Listen => Self::Listen,
            tcp::State::SynSent => Self::SynSent,
            tcp::State::SynReceived => Self::SynReceived,
            tcp::State::Established => Self::Established,
            tcp::State::FinWait1 => Self::FinWait1,
            tcp::State::FinWait2 => Self::FinWait2,
            tcp::State::CloseWait => Self::CloseWait,
            tcp::State::Closing => Self::Closing,
            tcp::State::LastAck => Self::LastAck,
            tcp::State::TimeWait => Self::TimeWait,
        }
    }
}

impl State {
    /// Returns true if the handshake is complete
    pub(crate) const fn is_synchronized(self) -> bool {
        !matches!(self, Self::Closed | Self::Listen | Self::SynSent | Self::SynReceived)
    }

    /// Returns true if the peer's FIN has come
    pub(crate) const fn peer_finished(self) -> bool {
        matches!(self, Self::CloseWait | Self::LastAck | Self::Closing | Self::TimeWait)
    }

    /// Returns true if the FIN of this side is queued or was sent
    pub(crate) const fn finished(self) -> bool {
        matches!(
            self,
            Self::FinWait1 | Self::FinWait2 | Self::LastAck | Self::Closing | Self::TimeWait
        )
    }
}
