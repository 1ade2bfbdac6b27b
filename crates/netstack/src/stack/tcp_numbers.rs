//! Which segments a connection takes, by their numbers

use smoltcp::{
    socket::tcp::{self, State},
    wire::{TcpRepr, TcpSeqNumber},
};

use super::{
    closing::{FinalNumbers, bare},
    datagram::Segment,
    numbers::{Receive, Verdict, judge_reset},
    steering::{Forged, Sent},
    tcp::{Connection, peer_finished},
};

impl Connection {
    /// Judges a segment before smoltcp sees it
    ///
    /// Before the handshake is complete smoltcp judges itself: a SYN-ACK, an ACK and a RST must there
    /// acknowledge exactly the SYN. Only the RST of a connection that comes in is judged here.
    pub(super) fn judge(&self, segment: &Segment) -> Verdict {
        match self.state() {
            State::SynReceived if segment.rst => judge_reset(segment, self.receive()),
            state if !is_synchronized(state) => Verdict::Accept,
            _ => self.numbers.judge(segment, self.receive()),
        }
    }

    /// Takes note of what an acceptable segment acknowledges, and gives the packet as smoltcp is to see it
    ///
    /// `None` for the packet as it is. It is a copy with another window if the peer's window shrank to 0 below
    /// what is in flight. With a window
    /// of 0 and octets in flight, smoltcp's `Socket::dispatch` answers its retransmission timer by
    /// `self.timer.set_for_idle(cx.now(), self.keep_alive)`, sends nothing ("like zero window"), and the
    /// timer of its probes starts only when the next segment comes in; and where an acknowledgment starts
    /// that timer at once, the probe has no octets, because all were sent, so that it draws no answer.
    pub(super) fn acknowledge(&mut self, segment: &mut Segment, packet: &[u8]) -> Option<Vec<u8>> {
        if segment.rst {
            return None;
        }
        let told = self.numbers.on_acknowledgment(segment);
        if told == segment.window {
            return None;
        }
        segment.window = told;
        Some(with_window(packet, told))
    }

    /// The handshake goes on: smoltcp has taken a SYN, or the acknowledgment of one
    pub(super) fn on_handshake(&mut self, segment: &Segment) {
        if segment.syn {
            self.numbers.on_syn(segment);
        } else if segment.acknowledges && !segment.rst {
            self.numbers.on_acknowledgment(segment);
        }
    }

    /// Composes a segment that makes smoltcp tell the peer which numbers count (RFC 5961 §7)
    ///
    /// Once a second at most for each connection: smoltcp sees to that.
    pub(super) fn challenge(&self) -> Forged {
        let repr = TcpRepr {
            seq_number: TcpSeqNumber(self.receive().next.wrapping_sub(1)),
            ack_number: Some(TcpSeqNumber(self.numbers.unacknowledged())),
            ..bare(self.flow.peer, self.flow.local)
        };
        Forged::of(&repr, self.flow.peer, self.flow.local)
    }

    /// Whether a datagram with this sequence number was our SYN (RFC 5927 §4.1)
    pub(super) fn is_syn(&self, sequence: i32) -> bool {
        self.is_connecting() && self.numbers.unacknowledged().wrapping_sub(1) == sequence
    }

    /// What is remembered of the numbers once the connection is over
    pub(super) fn final_numbers(&self) -> FinalNumbers {
        let Receive { next, window } = self.receive();
        FinalNumbers { sent: self.numbers.next(), received: next, window }
    }

    /// Notes what smoltcp sent
    pub(super) fn count_sent(&mut self, sent: Sent) {
        self.numbers.on_sent(sent.sequence, sent.end());
    }

    /// Whether something is to be sent that the peer has no room for
    ///
    /// It owes an acknowledgment then only for a probe that was sent (RFC 9293 §3.8.6.1: as long as it
    /// answers them, the connection stays).
    pub(super) fn waits_for_window(&self) -> bool {
        self.numbers.is_window_closed() && is_synchronized(self.state()) && self.owes()
    }

    pub(super) fn state(&self) -> State {
        self.socket().map_or(State::Closed, tcp::Socket::state)
    }

    /// What this side takes
    fn receive(&self) -> Receive {
        let (queued, room, state) = self.socket().map_or((0, 0, State::Closed), |socket| {
            let queued = socket.recv_queue();
            (queued, socket.recv_capacity().saturating_sub(queued), socket.state())
        });
        let fin = i32::from(peer_finished(state));
        let queued = i32::try_from(queued).unwrap_or(0);
        Receive {
            next: self.numbers.unread().wrapping_add(queued).wrapping_add(fin),
            window: u32::try_from(room).unwrap_or(u32::MAX),
        }
    }
}

/// Whether the handshake is complete (RFC 9293 §3.3.2)
pub(super) const fn is_synchronized(state: State) -> bool {
    !matches!(state, State::Closed | State::Listen | State::SynSent | State::SynReceived)
}

/// A copy of an IP packet that holds a segment, with another window in it (RFC 9293 §3.1)
///
/// The checksum is not made good: it was verified, and smoltcp does not look at it.
fn with_window(packet: &[u8], window: u16) -> Vec<u8> {
    let mut copy = packet.to_vec();
    let header = copy.first().map_or(0, |first| usize::from(first & 0x0F).saturating_mul(4));
    let field = header.saturating_add(14)..header.saturating_add(16);
    if let Some(field) = copy.get_mut(field) {
        field.copy_from_slice(&window.to_be_bytes());
    }
    copy
}
