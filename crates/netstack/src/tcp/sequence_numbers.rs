//! The sequence numbers of a connection, and the segments that are acceptable by them (RFC 9293 §3.10.7.4, RFC 5961)

use crate::engine::Segment;

/// The variables of RFC 9293 §3.3.1, which the engine keeps to itself
///
/// They decide whether a segment is accepted, before the engine sees it. They take 24 octets of each connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    /// SND.UNA
    unacknowledged: i32,
    /// SND.NXT: the number behind the highest one that was sent
    next: i32,
    /// The number behind the highest one that the engine has in flight, without probes of a closed window
    flight_end: i32,
    /// The number of the first octet that the user has not read
    unread: i32,
    /// MAX.SND.WND (RFC 5961 §5.2): the largest window that the peer ever offered, in octets
    max_window: u32,
    /// SND.WND, in units of `1 << scale` octets
    window: u16,
    /// The peer's window scale (RFC 7323 §2.2)
    scale: u8,
}

/// The receive window of this side
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receive {
    /// RCV.NXT
    pub(super) next: i32,
    /// RCV.WND
    pub(super) window: u32,
}

/// The judgment of a segment
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The segment is processed: its octets, its acknowledgment and its window count
    Accept,
    /// The segment is out of the window: the engine answers it, and nothing in it counts
    Answer,
    /// The segment is dropped, and a challenge ACK leaves (RFC 5961 §7: once a second)
    Challenge,
    /// The segment is dropped without an answer
    Drop,
}

impl Numbers {
    /// The numbers of a connection whose SYN has the number `initial`
    ///
    /// The SYN counts as acknowledged: the engine itself checks the acknowledgment of the handshake.
    pub(super) const fn new(initial: i32) -> Self {
        let first = initial.wrapping_add(1);
        Self {
            unacknowledged: first,
            next: first,
            flight_end: first,
            unread: 0,
            max_window: 0,
            window: 0,
            scale: 0,
        }
    }

    /// SND.UNA
    pub(super) const fn unacknowledged(&self) -> i32 {
        self.unacknowledged
    }

    /// SND.NXT
    pub(super) const fn next(&self) -> i32 {
        self.next
    }

    /// The number of the first octet that the user has not read
    pub(super) const fn unread(&self) -> i32 {
        self.unread
    }

    /// Returns true if the peer's window is closed
    pub(super) const fn is_window_closed(&self) -> bool {
        self.window == 0
    }

    /// Takes note of octets that the user has read
    pub(super) fn on_read(&mut self, octets: usize) {
        self.unread = self.unread.wrapping_add(i32::try_from(octets).unwrap_or(0));
    }

    /// Takes note of the peer's SYN
    pub(super) fn on_syn(&mut self, segment: &Segment) {
        self.unread = segment.sequence.wrapping_add(1);
        self.scale = segment.scale.unwrap_or(0).min(MAX_SCALE);
        // the window of a SYN is not scaled
        self.window = (segment.window >> self.scale).max(segment.window.min(1));
        self.max_window = segment.window.into();
    }

    /// Takes note of a segment of this side, from `sequence` to before `end`
    pub(super) const fn on_sent(&mut self, sequence: i32, end: i32) {
        if end.wrapping_sub(self.next).is_positive() {
            self.next = end;
        }
        // an octet, and a FIN behind the last one, while the engine knows of no window
        let is_closed = self.window == 0 && self.flight_end == self.unacknowledged;
        let is_probe = is_closed && end.wrapping_sub(sequence) <= 2;
        if !is_probe && end.wrapping_sub(self.flight_end).is_positive() {
            self.flight_end = end;
        }
    }

    /// Takes note of an acceptable segment's acknowledgment; returns the window for the engine, in the peer's units
    ///
    /// It is the peer's own; but where that is zero and octets are in flight, it is the smallest one. For
    /// a window of zero the engine stops its retransmission timer and never probes (see
    /// [`Connection::acknowledge`](super::connection::Connection::acknowledge)). With the smallest one it sends the
    /// first octet again, ever more rarely, until the window opens: that is a probe (RFC 9293 §3.8.6.1), of
    /// octets that may be sent beyond a window which shrank (§3.8.6).
    pub(super) fn on_acknowledgment(&mut self, segment: &Segment) -> u16 {
        let number = segment.acknowledgment;
        if number.wrapping_sub(self.unacknowledged).is_negative() {
            return segment.window; // old: the engine does not read it
        }
        self.unacknowledged = number;
        self.window = segment.window;
        let window = u32::from(segment.window) << self.scale;
        self.max_window = self.max_window.max(window);
        if self.flight_end.wrapping_sub(number).is_negative() {
            self.flight_end = number;
        }
        let is_shrunk = self.window == 0 && self.flight_end != number;
        if is_shrunk { 1 } else { segment.window }
    }

    /// Judges a segment of a connection whose handshake is complete
    pub(super) fn judge(&self, segment: &Segment, receive: Receive) -> Verdict {
        if segment.rst {
            return judge_reset(segment, receive);
        }
        if segment.syn {
            return Verdict::Challenge; // RFC 5961 §4.2: whatever its number
        }
        if !segment.acknowledges {
            return Verdict::Drop;
        }
        let number = segment.acknowledgment;
        let is_unsent = number.wrapping_sub(self.next).is_positive();
        let is_ancient = distance(number, self.unacknowledged) > self.max_window;
        if is_unsent || is_ancient {
            return Verdict::Challenge; // RFC 5961 §5.2
        }
        if receive.accepts(segment) { Verdict::Accept } else { Verdict::Answer }
    }
}

/// Judges a RST (RFC 5961 §3.2): it counts with the number that is expected next, and no other
pub(super) const fn judge_reset(segment: &Segment, receive: Receive) -> Verdict {
    if segment.sequence == receive.next {
        Verdict::Accept
    } else if receive.holds(segment.sequence) {
        Verdict::Challenge
    } else {
        Verdict::Drop
    }
}

impl Receive {
    /// Returns true if a sequence number is in the window
    pub(super) const fn holds(self, number: i32) -> bool {
        let offset = number.wrapping_sub(self.next);
        !offset.is_negative() && offset.cast_unsigned() < self.window
    }

    /// Returns true if a segment has a number in the window (RFC 9293 §3.4, table 6)
    fn accepts(self, segment: &Segment) -> bool {
        let first = segment.sequence;
        if segment.octets == 0 {
            return first == self.next || self.holds(first);
        }
        let last = i32::try_from(segment.octets).unwrap_or(0).wrapping_add(first).wrapping_sub(1);
        self.holds(first) || self.holds(last)
    }
}

/// Octets from one sequence number to another; 0 if that lies before
fn distance(from: i32, to: i32) -> u32 {
    u32::try_from(to.wrapping_sub(from)).unwrap_or(0)
}

/// The largest window scale (RFC 7323 §2.3)
const MAX_SCALE: u8 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVE: Receive = Receive { next: i32::MAX - 2, window: 1_000 };
    const FIRST: i32 = i32::MIN + 1;

    /// 5,000 octets are in flight, the last 2,000 unacknowledged, the first from number `FIRST` on
    fn numbers() -> Numbers {
        assert_eq!(size_of::<Numbers>(), 24);
        let mut numbers = Numbers::new(FIRST.wrapping_sub(1));
        numbers.on_syn(&Segment { syn: true, window: 8_000, sequence: 99, ..segment() });
        numbers.on_sent(FIRST, FIRST + 5_000);
        let window = numbers.on_acknowledgment(&Segment { window: 2_000, ..segment() });
        assert_eq!(window, 2_000);
        numbers
    }

    fn segment() -> Segment {
        Segment {
            local: "10.0.0.1:50000".parse().unwrap(),
            peer: "10.0.0.2:80".parse().unwrap(),
            syn: false,
            acknowledges: true,
            fin: false,
            rst: false,
            octets: 0,
            sequence: RECEIVE.next,
            acknowledgment: FIRST + 3_000,
            window: 2_000,
            scale: None,
            most: None,
            sacks: false,
        }
    }

    fn judge(segment: Segment) -> Verdict {
        numbers().judge(&segment, RECEIVE)
    }

    #[test]
    fn a_reset_counts_with_the_expected_number_only() {
        let reset = |offset: i32| {
            let sequence = RECEIVE.next.wrapping_add(offset);
            judge(Segment { rst: true, acknowledges: false, sequence, ..segment() })
        };
        assert_eq!(reset(0), Verdict::Accept);
        assert_eq!([reset(1), reset(999)], [Verdict::Challenge; 2]);
        assert_eq!([reset(1_000), reset(-1), reset(i32::MIN)], [Verdict::Drop; 3]);
    }

    #[test]
    fn a_syn_is_challenged_whatever_its_number() {
        for sequence in [RECEIVE.next, RECEIVE.next.wrapping_add(5), 0] {
            for acknowledges in [false, true] {
                let syn = Segment { syn: true, acknowledges, sequence, ..segment() };
                assert_eq!(judge(syn), Verdict::Challenge);
            }
        }
    }

    #[test]
    fn an_acknowledgment_is_of_what_was_sent_and_not_older_than_a_window() {
        let of =
            |octets| judge(Segment { acknowledgment: FIRST.wrapping_add(octets), ..segment() });
        assert_eq!([of(3_000), of(5_000)], [Verdict::Accept; 2]);
        assert_eq!(of(5_001), Verdict::Challenge, "never sent");
        assert_eq!(of(3_000 - 8_000), Verdict::Accept, "late, by the largest window");
        assert_eq!(of(3_000 - 8_001), Verdict::Challenge);
        assert_eq!(judge(Segment { acknowledges: false, ..segment() }), Verdict::Drop);
    }

    #[test]
    fn octets_count_within_the_window() {
        let of = |offset, octets| {
            judge(Segment { sequence: RECEIVE.next.wrapping_add(offset), octets, ..segment() })
        };
        let inside = [(0, 0), (999, 0), (0, 1), (999, 9), (-1, 2), (-50, 51)];
        assert!(inside.iter().all(|(at, octets)| of(*at, *octets) == Verdict::Accept));
        let outside = [(-1, 0), (1_000, 0), (-1, 1), (-50, 50), (1_000, 1), (i32::MIN, 1)];
        assert!(outside.iter().all(|(at, octets)| of(*at, *octets) == Verdict::Answer));
        let full = Receive { window: 0, ..RECEIVE };
        let judge = |octets| numbers().judge(&Segment { octets, ..segment() }, full);
        assert_eq!((judge(0), judge(1)), (Verdict::Accept, Verdict::Answer));
    }

    #[test]
    fn the_engine_is_told_of_no_closed_window_while_octets_are_in_flight() {
        let mut numbers = numbers();
        let mut tell = |acknowledgment, window| {
            numbers.on_acknowledgment(&Segment { acknowledgment, window, ..segment() })
        };
        assert_eq!(tell(FIRST + 3_000, 0), 1);
        assert_eq!(tell(FIRST + 4_000, 500), 500, "a smaller one is no harm");
        assert_eq!(tell(FIRST + 3_500, 0), 0, "old: the engine does not read it");
        assert_eq!(tell(FIRST + 5_000, 0), 0, "nothing is in flight");
        assert!(numbers.is_window_closed());
    }

    #[test]
    fn a_probe_of_a_closed_window_is_sent_but_not_in_flight() {
        let mut numbers = numbers();
        let closed = Segment { acknowledgment: FIRST + 5_000, window: 0, ..segment() };
        numbers.on_acknowledgment(&closed);
        numbers.on_sent(FIRST + 5_000, FIRST + 5_001);
        assert_eq!(numbers.on_acknowledgment(&closed), 0, "the window stays closed");
        let taken = Segment { acknowledgment: FIRST + 5_001, ..segment() };
        assert_eq!(numbers.judge(&taken, RECEIVE), Verdict::Accept, "the octet was sent");
        assert_eq!(numbers.on_acknowledgment(&taken), 2_000);
    }

    #[test]
    fn the_largest_window_is_remembered_in_octets() {
        let mut numbers = Numbers::new(FIRST.wrapping_sub(1));
        numbers.on_syn(&Segment { syn: true, window: 500, scale: Some(7), ..segment() });
        assert_eq!(numbers.max_window, 500, "a SYN's is not scaled");
        for window in [4, 0] {
            let segment = Segment { acknowledgment: FIRST, window, ..segment() };
            assert_eq!(numbers.on_acknowledgment(&segment), window);
            assert_eq!(numbers.max_window, 512);
        }
    }
}
