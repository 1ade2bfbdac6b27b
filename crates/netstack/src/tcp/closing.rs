//! Connections that are over on this side: a small record each, without buffers

use pptp_packet::Egress;

use crate::{
    engine::{BareSegment, Control, Segment},
    ip::Flow,
    shared::time::{NEVER, Time},
};

/// The records of connections that are over on this side (RFC 9293 §3.3.2: TIME-WAIT, and FIN-WAIT-2 of a
/// connection that has no user any more)
///
/// The engine keeps a socket with both its buffers for them. This side only needs an answer to the
/// peer's FIN, and the numbers that tell a true FIN from a forged one.
#[derive(Debug, Default)]
pub(super) struct Closing {
    records: Vec<Record>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    flow: Flow,
    numbers: FinalNumbers,
    until: Time,
    /// The time before which no challenge ACK is sent
    quiet_until: Time,
    /// False while the peer's FIN is still to come
    time_wait: bool,
}

/// The sequence numbers of a connection that is over on this side
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FinalNumbers {
    /// SND.NXT: one above the FIN, which is acknowledged
    pub(super) sent: i32,
    /// RCV.NXT: one above the peer's FIN, if that has come
    pub(super) received: i32,
    /// RCV.WND
    pub(super) window: u32,
}

/// The answer to a segment of a connection that is over
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
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

impl Closing {
    pub(super) fn insert(&mut self, flow: Flow, numbers: FinalNumbers, time_wait: bool, now: Time) {
        self.records.retain(|record| record.flow != flow);
        if self.records.len() >= MAX_RECORDS {
            self.records.remove(0);
        }
        let wait = if time_wait { TIME_WAIT } else { FIN_WAIT_2 };
        let until = now.saturating_add(wait);
        self.records.push(Record { flow, numbers, until, quiet_until: now, time_wait });
    }

    pub(super) fn handle(&mut self, segment: &Segment, now: Time) -> Answer {
        let of = |record: &Record| {
            record.flow.local == segment.local && record.flow.peer == segment.peer
        };
        let Some(at) = self.records.iter().position(of) else { return Answer::NotOurs };
        let Some(record) = self.records.get_mut(at) else { return Answer::NotOurs };
        let (answer, is_over) = record.handle(segment, now);
        if is_over {
            self.records.swap_remove(at);
        }
        answer
    }

    /// Forgets a connection; returns the number above which the next one between its ports begins
    pub(super) fn take(&mut self, flow: &Flow) -> Option<i32> {
        let at = self.records.iter().position(|record| record.flow == *flow)?;
        Some(self.records.swap_remove(at).numbers.sent)
    }

    pub(super) fn holds(&self, flow: &Flow) -> bool {
        self.records.iter().any(|record| record.flow == *flow)
    }

    pub(super) fn sweep(&mut self, now: Time) {
        if self.next() <= now {
            self.records.retain(|record| record.until > now);
            if self.records.is_empty() {
                self.records = Vec::new();
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.records = Vec::new();
    }

    /// The time at which the next record is due
    pub(super) fn next(&self) -> Time {
        self.records.iter().map(|record| record.until).min().unwrap_or(NEVER)
    }
}

impl Record {
    /// Judges a segment: the answer, and true if the record is of no more use
    ///
    /// RFC 5961's checks hold here too: a segment that ends the record or moves its number has the number
    /// that is expected, and acknowledges nothing that was not sent.
    fn handle(&mut self, segment: &Segment, now: Time) -> (Answer, bool) {
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

/// The number behind the last sequence number of a segment without a SYN
fn end_of(segment: &Segment) -> i32 {
    let octets = i32::try_from(segment.octets).unwrap_or(0);
    segment.sequence.wrapping_add(octets).wrapping_add(i32::from(segment.fin))
}

/// Composes the answer to a segment
pub(super) fn compose(answer: Answer, segment: &Segment, out: &mut impl Egress) -> bool {
    let (source, destination) = (segment.local, segment.peer);
    let composed = match answer {
        Answer::Acknowledgment(FinalNumbers { sent, received, window }) => BareSegment {
            source,
            destination,
            control: Control::None,
            sequence: sent,
            acknowledgment: Some(received),
            // there is no reader any more: the window only keeps the peer from waiting
            window: u16::try_from(window).unwrap_or(u16::MAX),
        },
        Answer::Reset => BareSegment {
            source,
            destination,
            control: Control::Rst,
            sequence: segment.acknowledgment,
            acknowledgment: None,
            window: 0,
        },
        Answer::Nothing | Answer::Reopens | Answer::NotOurs => return false,
    };
    composed.compose(out);
    true
}

/// The time in TIME-WAIT, as the engine has it
const TIME_WAIT: Time = 10_000_000;

/// The time to wait for the FIN of the peer of a connection without a user, as Linux has it
const FIN_WAIT_2: Time = 60_000_000;

/// The pause between two challenges of one connection, as the engine has it
const CHALLENGE_PAUSE: Time = 1_000_000;

/// The largest window (RFC 7323 §2.3): a late segment acknowledges a number no further back
const MAX_WINDOW: i32 = 1 << 30;

/// The largest number of records; beyond it the oldest one is dropped
const MAX_RECORDS: usize = 128;

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use pptp_packet::VecEgress;

    use super::*;
    use crate::engine::Datagram;

    fn flow() -> Flow {
        Flow { local: "10.0.0.1:50000".parse().unwrap(), peer: "10.0.0.2:80".parse().unwrap() }
    }

    fn segment() -> Segment {
        Segment {
            local: flow().local,
            peer: flow().peer,
            syn: false,
            acknowledges: true,
            fin: false,
            rst: false,
            octets: 0,
            sequence: 1000,
            acknowledgment: -5,
            window: 0,
            scale: None,
            most: None,
            sacks: false,
        }
    }

    /// The peer's next number is 1000
    const NUMBERS: FinalNumbers = FinalNumbers { sent: -5, received: 1000, window: 500 };

    fn closing(time_wait: bool) -> Closing {
        let mut closing = Closing::default();
        closing.insert(flow(), NUMBERS, time_wait, 0);
        closing
    }

    const CHALLENGE: Answer = Answer::Acknowledgment(NUMBERS);

    #[test]
    fn a_fin_is_acknowledged_again_and_again() {
        let mut closing = closing(false);
        let fin = Segment { fin: true, octets: 3, ..segment() };
        let acknowledgment = Answer::Acknowledgment(FinalNumbers { received: 1004, ..NUMBERS });
        assert_eq!(closing.handle(&fin, 0), acknowledgment);
        assert_eq!(closing.handle(&fin, 5), acknowledgment);
        assert_eq!(closing.next(), 5 + TIME_WAIT);
        let mut out = VecEgress::new(1);
        assert!(compose(acknowledgment, &fin, &mut out));
        let answer = Datagram::parse(&out.packets[0]).unwrap().tcp().unwrap();
        assert_eq!((answer.sequence, answer.acknowledgment), (-5, 1004));
        assert!(answer.acknowledges && !answer.rst);
    }

    #[test]
    fn a_fin_with_another_number_moves_nothing() {
        let fin = Segment { fin: true, ..segment() };
        for time_wait in [false, true] {
            for sequence in [998, 1001, 1200, 70_000] {
                let mut closing = closing(time_wait);
                assert_eq!(closing.handle(&Segment { sequence, ..fin }, 0), CHALLENGE);
                assert_eq!(
                    closing.handle(&Segment { sequence, ..fin }, 9),
                    Answer::Nothing,
                    "at once"
                );
                let wait = if time_wait { TIME_WAIT } else { FIN_WAIT_2 };
                assert_eq!(closing.next(), wait);
            }
        }
        let mut closing = closing(true);
        let again = Segment { sequence: 999, ..fin };
        assert_eq!(closing.handle(&again, 5), CHALLENGE, "the FIN itself, once more");
        assert_eq!(closing.next(), 5 + TIME_WAIT);
    }

    #[test]
    fn an_acknowledgment_of_what_was_never_sent_moves_nothing() {
        let fin = Segment { fin: true, ..segment() };
        for acknowledgment in [-4, i32::MAX, i32::MIN] {
            let mut closing = closing(false);
            assert_eq!(closing.handle(&Segment { acknowledgment, ..fin }, 0), CHALLENGE);
            assert_eq!(closing.next(), FIN_WAIT_2);
        }
        assert_eq!(closing(false).handle(&Segment { acknowledges: false, ..fin }, 0), CHALLENGE);
    }

    #[test]
    fn a_reset_ends_with_the_expected_number_only() {
        for time_wait in [false, true] {
            let reset = |sequence| {
                let mut closing = closing(time_wait);
                let segment = Segment { rst: true, acknowledges: false, sequence, ..segment() };
                (closing.handle(&segment, 0), closing.holds(&flow()))
            };
            assert_eq!(reset(1000), (Answer::Nothing, false));
            assert_eq!(reset(1499), (CHALLENGE, true));
            assert_eq!(reset(1500), (Answer::Nothing, true));
            assert_eq!(reset(999), (Answer::Nothing, true));
        }
    }

    #[test]
    fn data_that_nobody_can_read_is_answered_with_a_reset() {
        let mut closing = closing(false);
        let data = Segment { octets: 1, ..segment() };
        assert_eq!(closing.handle(&data, 0), Answer::Reset);
        assert_eq!(closing.handle(&data, 0), Answer::NotOurs, "the record is gone");
        closing.insert(flow(), NUMBERS, true, 0);
        assert_eq!(closing.handle(&data, 0), Answer::Nothing, "data behind the FIN");
    }

    #[test]
    fn a_peer_that_asks_is_answered() {
        let keepalive = Segment { sequence: 999, ..segment() };
        assert_eq!(closing(false).handle(&keepalive, 0), CHALLENGE);
        assert_eq!(closing(false).handle(&segment(), 0), Answer::Nothing);
    }

    #[test]
    fn data_that_came_before_is_acknowledged_once_more() {
        for time_wait in [false, true] {
            let old = Segment { octets: 10, sequence: 990, ..segment() };
            assert_eq!(closing(time_wait).handle(&old, 0), CHALLENGE);
        }
        let beyond = Segment { octets: 10, sequence: 1500, ..segment() };
        assert_eq!(closing(false).handle(&beyond, 0), CHALLENGE, "out of the window");
    }

    #[test]
    fn a_syn_makes_way_for_another_connection() {
        let mut closing = closing(true);
        let syn = Segment { syn: true, acknowledges: false, sequence: 1001, ..segment() };
        assert_eq!(closing.handle(&syn, 0), Answer::Reopens);
        assert_eq!(closing.take(&flow()), Some(-5));
        assert!(!closing.holds(&flow()));
    }

    #[test]
    fn an_old_syn_and_one_before_the_peers_fin_are_challenged() {
        let syn = Segment { syn: true, acknowledges: false, ..segment() };
        for (time_wait, sequence) in [(true, 1000), (true, 5), (false, 1001), (false, 5)] {
            let mut closing = closing(time_wait);
            assert_eq!(closing.handle(&Segment { sequence, ..syn }, 0), CHALLENGE);
            assert!(closing.holds(&flow()));
        }
        let both = Segment { acknowledges: true, sequence: 1001, ..syn };
        assert_eq!(closing(true).handle(&both, 0), CHALLENGE);
    }

    #[test]
    fn challenges_are_a_second_apart() {
        let mut closing = closing(true);
        let syn = Segment { syn: true, acknowledges: false, ..segment() };
        let mut answers = (0..=25).map(|tenth| closing.handle(&syn, tenth * 100_000));
        assert_eq!(answers.by_ref().filter(|answer| *answer == CHALLENGE).count(), 3);
    }

    #[test]
    fn records_are_bounded_and_leave_no_memory() {
        let mut closing = Closing::default();
        for port in 0..1000 {
            let peer = SocketAddrV4::new(*flow().peer.ip(), port);
            closing.insert(Flow { peer, ..flow() }, NUMBERS, true, 0);
        }
        assert_eq!(closing.records.len(), MAX_RECORDS);
        closing.sweep(TIME_WAIT);
        assert_eq!((closing.records.capacity(), closing.next()), (0, NEVER));
    }
}
