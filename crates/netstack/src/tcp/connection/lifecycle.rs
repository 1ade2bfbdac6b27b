//! The transitions of a connection and its end

use pptp_packet::Wakers;

use super::{Connection, Holder, unread::Unread};
use crate::{
    SocketError,
    engine::{State, TcpEngine},
    shared::time::NEVER,
    tcp::closing::FinalNumbers,
};

/// The end of a connection
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// The error; `None` if both sides have finished properly
    pub(super) error: Option<SocketError>,
    /// True if the peer's FIN had come, so that its data is complete
    pub(super) peer_finished: bool,
}

/// The cause for which a connection is updated
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Segment { rst: bool },
    Turn,
}

/// The transition that an update of a connection has found
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transition {
    Lives,
    /// The three-way handshake is complete
    Established,
    /// The connection needs no buffers any more; if it is kept, its user may still read
    Retired {
        kept: bool,
        time_wait: Option<FinalNumbers>,
    },
    /// The connection has no user, and the peer may still send its FIN
    HalfClosed(FinalNumbers),
    /// The connection is over and is removed
    Gone,
}

impl Connection {
    /// Ends the connection with a reset; `error` is what its user gets from now on
    pub(crate) fn abort(&mut self, error: SocketError) {
        self.finish(error);
        if let Some(socket) = self.socket_mut() {
            socket.abort();
        }
    }

    /// Takes the connection back from its user: flushes and sends a FIN, or resets if it may not linger
    ///
    /// Returns true if the connection is over.
    pub(crate) fn let_go(&mut self) -> bool {
        self.holder = Holder::None { until: NEVER };
        let resets = self.linger == 0;
        let Some(socket) = self.socket_mut() else { return true };
        if matches!(socket.state(), State::SynSent | State::Listen) {
            return true;
        }
        if resets {
            socket.abort();
        } else {
            socket.close();
        }
        false
    }

    /// Frees the buffers at once; every call gives `end` from now on
    pub(crate) fn kill(&mut self, error: SocketError) {
        self.finish(error);
        (self.socket, self.dup_acks, self.unread) = (None, None, None);
    }

    /// Returns true if the connection was dropped or shut down and the peer has not acknowledged all of it
    pub(crate) fn is_parting(&self) -> bool {
        let parts = |socket: &TcpEngine| {
            matches!(socket.state(), State::FinWait1 | State::Closing | State::LastAck)
        };
        matches!(self.holder, Holder::None { .. }) || self.socket().is_some_and(parts)
    }

    /// Finds the transition that the engine's state tells of, and wakes the tasks that wait for it
    pub(crate) fn update(&mut self, cause: Cause, wakes: &mut Wakers) -> Transition {
        let transition = self.classify(cause);
        if !self.readers.is_empty() && self.is_readable() {
            self.readers.wake(wakes);
        }
        if !self.writers.is_empty() && self.may_wake_writers() {
            self.writers.wake(wakes);
        }
        transition
    }

    fn classify(&mut self, cause: Cause) -> Transition {
        let is_dropped = matches!(self.holder, Holder::None { .. });
        let Some(socket) = self.socket_mut() else { return Transition::Lives };
        if is_dropped && socket.can_recv() {
            // there is no reader; the window stays open until the written octets are flushed
            let discarded = socket.discard_received();
            self.numbers.on_read(discarded);
        }
        let Some(socket) = self.socket() else { return Transition::Lives };
        let (state, reset_due) = (socket.state(), socket.has_peer());
        let was = std::mem::replace(&mut self.was, state);
        match state {
            State::Closed => {
                let error = match (was, cause) {
                    (State::SynSent, _) => Some(SocketError::Refused),
                    (_, Cause::Segment { rst: true }) => Some(SocketError::Reset),
                    (_, Cause::Segment { rst: false }) => None,
                    (_, Cause::Turn) => Some(SocketError::Aborted),
                };
                let end = End { error, peer_finished: was.peer_finished() };
                self.end.get_or_insert(end);
                if reset_due { Transition::Lives } else { self.retire(None) }
            }
            State::TimeWait => {
                self.end.get_or_insert(End { error: None, peer_finished: true });
                self.retire(Some(self.final_numbers()))
            }
            State::FinWait2 if is_dropped => Transition::HalfClosed(self.final_numbers()),
            State::Listen => Transition::Gone,
            State::SynSent | State::SynReceived => Transition::Lives,
            _ if self.established => Transition::Lives,
            _ => {
                self.established = true;
                Transition::Established
            }
        }
    }

    /// Records the end, if it is the first to come
    fn finish(&mut self, error: SocketError) {
        let peer_finished = self.was.peer_finished();
        self.end.get_or_insert(End { error: Some(error), peer_finished });
    }

    /// Frees the buffers, but for octets that are still to be read
    fn retire(&mut self, time_wait: Option<FinalNumbers>) -> Transition {
        let kept = match self.holder {
            Holder::User => true,
            Holder::Backlog(_) => self.established,
            Holder::None { .. } => false,
        };
        if let Some(socket) = self.socket_mut()
            && kept
        {
            let mut octets = vec![0; socket.recv_queue()];
            socket.peek(&mut octets);
            self.unread = Unread::new(octets);
        }
        (self.socket, self.dup_acks) = (None, None);
        Transition::Retired { kept, time_wait }
    }
}
