//! The acceptance of segments by their numbers

use super::Connection;
use crate::{
    engine::{BareSegment, Control, Segment, State, TcpEngine},
    ip::header_len,
    tcp::{
        ack_injector::{Sent, SyntheticSegment},
        closing::FinalNumbers,
        sequence_numbers::{Receive, Verdict, judge_reset},
    },
};

impl Connection {
    /// Judges a segment before the engine sees it
    ///
    /// Before the handshake is complete the engine judges itself: a SYN-ACK, an ACK and a RST must there
    /// acknowledge exactly the SYN. Only the RST of a connection that comes in is judged here.
    pub(crate) fn judge(&self, segment: &Segment) -> Verdict {
        match self.state() {
            State::SynReceived if segment.rst => judge_reset(segment, self.receive()),
            state if !state.is_synchronized() => Verdict::Accept,
            _ => self.numbers.judge(segment, self.receive()),
        }
    }

    /// Notes the acknowledgment of an acceptable segment, and returns the packet as the engine is to see it
    ///
    /// `None` stands for the packet as it is. It is a copy with another window if the peer's window shrank to 0
    /// below the octets in flight. With a window of 0 and octets in flight, the engine's
    /// `Socket::dispatch` answers its retransmission timer by
    /// `self.timer.set_for_idle(cx.now(), self.keep_alive)`, sends nothing ("like zero window"), and the
    /// timer of its probes starts only when the next segment comes in; and where an acknowledgment starts
    /// that timer at once, the probe has no octets, because all were sent, so that it draws no answer.
    pub(crate) fn acknowledge(&mut self, segment: &mut Segment, packet: &[u8]) -> Option<Vec<u8>> {
        if segment.rst {
            return None;
        }
        let window = self.numbers.on_acknowledgment(segment);
        if window == segment.window {
            return None;
        }
        segment.window = window;
        Some(with_window(packet, window))
    }

    /// Takes note of a SYN, or the acknowledgment of one, that the engine has taken
    pub(crate) fn on_handshake(&mut self, segment: &Segment) {
        if segment.syn {
            self.numbers.on_syn(segment);
        } else if segment.acknowledges && !segment.rst {
            self.numbers.on_acknowledgment(segment);
        }
    }

    /// Composes a segment that makes the engine send a challenge ACK (RFC 5961 §7)
    ///
    /// The engine sends one a second at most for each connection.
    pub(crate) fn challenge(&self) -> SyntheticSegment {
        SyntheticSegment::of(&BareSegment {
            source: self.flow.peer,
            destination: self.flow.local,
            control: Control::None,
            sequence: self.receive().next.wrapping_sub(1),
            acknowledgment: Some(self.numbers.unacknowledged()),
            window: 0,
        })
    }

    /// Returns true if a datagram with this sequence number was our SYN (RFC 5927 §4.1)
    pub(crate) fn is_syn(&self, sequence: i32) -> bool {
        self.is_connecting() && self.numbers.unacknowledged().wrapping_sub(1) == sequence
    }

    /// The numbers that are remembered once the connection is over
    pub(super) fn final_numbers(&self) -> FinalNumbers {
        let Receive { next, window } = self.receive();
        FinalNumbers { sent: self.numbers.next(), received: next, window }
    }

    /// Takes note of a segment that the engine has sent
    pub(super) fn count_sent(&mut self, sent: Sent) {
        self.numbers.on_sent(sent.sequence, sent.end());
    }

    /// Returns true if there are octets to send and the peer has no room for them
    ///
    /// It owes an acknowledgment then only for a probe that was sent (RFC 9293 §3.8.6.1: as long as it
    /// answers them, the connection stays).
    pub(super) fn waits_for_window(&self) -> bool {
        self.numbers.is_window_closed() && self.state().is_synchronized() && self.owes()
    }

    pub(crate) fn state(&self) -> State {
        self.socket().map_or(State::Closed, TcpEngine::state)
    }

    /// The receive window
    fn receive(&self) -> Receive {
        let (queued, room, state) = self.socket().map_or((0, 0, State::Closed), |socket| {
            let queued = socket.recv_queue();
            (queued, socket.recv_capacity().saturating_sub(queued), socket.state())
        });
        let fin = i32::from(state.peer_finished());
        let queued = i32::try_from(queued).unwrap_or(0);
        Receive {
            next: self.numbers.unread().wrapping_add(queued).wrapping_add(fin),
            window: u32::try_from(room).unwrap_or(u32::MAX),
        }
    }
}

/// A copy of an IP packet that holds a segment, with another window in it (RFC 9293 §3.1)
///
/// The checksum is not made good: it was verified, and the engine does not look at it.
fn with_window(packet: &[u8], window: u16) -> Vec<u8> {
    let mut copy = packet.to_vec();
    let header = header_len(packet).unwrap_or(0);
    let field = header.saturating_add(14)..header.saturating_add(16);
    if let Some(field) = copy.get_mut(field) {
        field.copy_from_slice(&window.to_be_bytes());
    }
    copy
}
