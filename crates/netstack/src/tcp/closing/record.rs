//! The record of one connection that is over on this side, and its answers

use crate::{engine::Segment, ip::Flow, shared::time::Time};

/// The record of a connection that is over on this side
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    flow: Flow,
    numbers: FinalNumbers,
    /// The time at which it is forgotten
    until: Time,
    /// The time before which no challenge ACK is sent
    quiet_until: Time,
    /// False while the peer's FIN is still to come
    time_wait: bool,
}

impl Record {
    pub(super) const fn new(flow: Flow, numbers: FinalNumbers, time_wait: bool, now: Time) -> Self {
        let wait = if time_wait { TIME_WAIT } else { FIN_WAIT_2 };
        Self { flow, numbers, until: now.saturating_add(wait), quiet_until: now, time_wait }
    }

    /// Judges a segment: the answer, and true if the record is of no more use
    ///
    /// RFC 5961's checks hold here too: a segment that ends the record or moves its number has the number
    /// that is expected, and acknowledges nothing that was not sent.
    pub(super) fn handle(&mut self, segment: &Segment, now: Time) -> (Answer, bool) {
        let FinalNumbers { sent, received, window } = self.numbers;
        let ahead = segment.sequence.wrapping_sub(received);
        let is_in_window = !ahead.is_negative() && ahead.cast_unsigned() < window.max(1);
        if segment.rst {
            let is_exact = segment.sequence == received;
            let answer =
                if is_in_window && !is_exact { self.challenge(now) } else { Answer::Nothing };
            return (answer, is_exact);
        }
        if segment.syn {
            let is_new = self.time_wait && !segment.acknowledges && ahead.is_positive();
            return (if is_new { Answer::Reopens } else { self.challenge(now) }, false);
        }
        let unsent = segment.acknowledgment.wrapping_sub(sent);
        if !segment.acknowledges || unsent.is_positive() || unsent < -MAX_WINDOW {
            return (self.challenge(now), false);
        }
        if segment.fin {
            return (self.handle_fin(segment, now), false);
        }
        if segment.octets == 0 {
            // out of the window it asks whether this side is still there (RFC 9293 §3.8.4)
            let asks = ahead != 0 && !is_in_window;
            return (if asks { self.challenge(now) } else { Answer::Nothing }, false);
        }
        let is_old = !end_of(segment).wrapping_sub(received).is_positive();
        if !self.time_wait && !is_old && (is_in_window || ahead.is_negative()) {
            (Answer::Reset, true)
        } else if self.time_wait && !is_old {
            (Answer::Nothing, false) // behind the FIN
        } else {
            (self.challenge(now), false) // among others where its acknowledgment was lost
        }
    }

    pub(super) fn is_of(&self, flow: &Flow) -> bool {
        self.flow == *flow
    }

    /// The number behind the last one that was sent
    pub(super) const fn sent(&self) -> i32 {
        self.numbers.sent
    }

    /// The time at which it is forgotten
    pub(super) const fn until(&self) -> Time {
        self.until
    }

    /// The peer's FIN, for the first time or again
    fn handle_fin(&mut self, segment: &Segment, now: Time) -> Answer {
        let end = end_of(segment);
        let is_next = !self.time_wait
            && !segment.sequence.wrapping_sub(self.numbers.received).is_positive()
            && end.wrapping_sub(self.numbers.received).is_positive();
        let is_again = self.time_wait && end == self.numbers.received;
        if !is_next && !is_again {
            return self.challenge(now);
        }
        self.numbers.received = end;
        (self.time_wait, self.until) = (true, now.saturating_add(TIME_WAIT));
        Answer::Acknowledgment(self.numbers)
    }

    /// A challenge ACK, once a second (RFC 5961 §7)
    fn challenge(&mut self, now: Time) -> Answer {
        if now < self.quiet_until {
            return Answer::Nothing;
        }
        self.quiet_until = now.saturating_add(CHALLENGE_PAUSE);
        Answer::Acknowledgment(self.numbers)
    }
}

/// The sequence numbers of a connection that is over on this side
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tcp) struct FinalNumbers {
    /// SND.NXT: one above the FIN, which is acknowledged
    pub(in crate::tcp) sent: i32,
    /// RCV.NXT: one above the peer's FIN, if that has come
    pub(in crate::tcp) received: i32,
    /// RCV.WND
    pub(in crate::tcp) window: u32,
}

/// The answer to a segment of a connection that is over
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tcp) enum Answer {
    /// An acknowledgment with the numbers that count
    Acknowledgment(FinalNumbers),
    /// A reset, because the connection has no reader
    Reset,
    Nothing,
    /// The SYN of another connection between the same ports (RFC 9293 §3.10.7.4, TIME-WAIT)
    ///
    /// The record stays until a listener has taken it.
    Reopens,
    /// No answer from here: there is no such connection
    NotOurs,
}

/// The number behind the last sequence number of a segment without a SYN
fn end_of(segment: &Segment) -> i32 {
    let octets = i32::try_from(segment.octets).unwrap_or(0);
    segment.sequence.wrapping_add(octets).wrapping_add(i32::from(segment.fin))
}

/// The time in TIME-WAIT, as the engine has it
pub(super) const TIME_WAIT: Time = 10_000_000;

/// The time to wait for the FIN of the peer of a connection without a user, as Linux has it
pub(super) const FIN_WAIT_2: Time = 60_000_000;

/// The pause between two challenges of one connection, as the engine has it
const CHALLENGE_PAUSE: Time = 1_000_000;

/// The largest window (RFC 7323 §2.3): a late segment acknowledges a number no further back
const MAX_WINDOW: i32 = 1 << 30;
