//! Duplicate acknowledgments that wait, because the missing segment may only be late

use std::collections::VecDeque;

use pptp_packet::Egress;

use crate::{engine::Segment, ip::header_len, shared::time::Time};

/// A gap in the octets that a connection has received, and the duplicate ACKs that wait
///
/// Each segment behind a gap is answered by a duplicate acknowledgment, and three of them are a loss
/// to the sender, which sends again and halves its window (RFC 5681 §3.2). But the datagrams of a
/// tunnel overtake each other by a few positions, and with each one of fifty held up for 1 to 3 ms a
/// sender of RFC 5681 gets along at 57 % of its speed, as measured in memory over 20 Mbit/s. So these
/// acknowledgments wait for a moment. If the segment comes, they are never sent; if it does not, they
/// all leave, and later ones leave at once.
#[derive(Debug)]
pub(super) struct DelayedDupAcks {
    /// The acknowledgment number, at which the missing octets begin
    missing: i32,
    /// The time at which the gap counts as a loss
    until: Time,
    /// IP packets, the oldest first
    held: VecDeque<Vec<u8>>,
}

impl DelayedDupAcks {
    /// Takes the reply to a segment; returns it if it is to be sent at once
    pub(super) fn hold(
        gap: &mut Option<Box<Self>>,
        segment: &Segment,
        reply: Vec<u8>,
        now: Time,
    ) -> Option<Vec<u8>> {
        let Some(acknowledgment) = acknowledgment(&reply) else { return Some(reply) };
        if gap.as_ref().is_some_and(|gap| gap.missing != acknowledgment) {
            *gap = None;
        }
        let is_behind_gap =
            segment.octets > 0 && segment.sequence.wrapping_sub(acknowledgment).is_positive();
        if !is_behind_gap {
            return Some(reply);
        }
        let gap = gap.get_or_insert_with(|| {
            let until = now.saturating_add(PATIENCE);
            Box::new(Self { missing: acknowledgment, until, held: VecDeque::new() })
        });
        if gap.held.is_empty() && gap.until <= now {
            return Some(reply);
        }
        gap.held.push_back(reply);
        if gap.held.len() >= MAX_DELAYED {
            gap.until = now;
        }
        None
    }

    /// The time at which [`DelayedDupAcks::take_due`] has a packet, if no segment comes before
    pub(super) fn deadline(&self) -> Option<Time> {
        (!self.held.is_empty()).then_some(self.until)
    }

    /// The next acknowledgment that has waited long enough
    pub(super) fn take_due(&mut self, now: Time) -> Option<Vec<u8>> {
        if self.until <= now { self.held.pop_front() } else { None }
    }
}

/// An [`Egress`] for the engine's immediate reply to a segment
#[derive(Debug, Default)]
pub(super) struct Reply(pub(super) Option<Vec<u8>>);

impl Egress for Reply {
    fn has_room(&self) -> bool {
        self.0.is_none()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut packet = vec![0; len];
        let filled = fill(&mut packet);
        self.0 = Some(packet);
        filled
    }
}

/// Returns the acknowledgment number of a packet of ours that is only an ACK
fn acknowledgment(packet: &[u8]) -> Option<i32> {
    let tcp = packet.get(header_len(packet)?..)?;
    match tcp {
        [_, _, _, _, _, _, _, _, a, b, c, d, _, ACK, ..] => {
            Some(i32::from_be_bytes([*a, *b, *c, *d]))
        }
        _ => None,
    }
}

/// TCP's control bits with no other set (RFC 9293 §3.1)
const ACK: u8 = 0x10;

/// The time that a segment may be late, in microseconds
///
/// It is longer than datagrams overtake each other by, and short beside a round trip, which is the time
/// that the detection of a loss takes anyway.
const PATIENCE: Time = 4_000;

/// The largest number of acknowledgments that wait: a segment so far back is lost
const MAX_DELAYED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply of the stack that acknowledges this number, with these control bits
    fn reply(acknowledgment: i32, bits: u8) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = 0x45;
        packet[28..32].copy_from_slice(&acknowledgment.to_be_bytes());
        packet[33] = bits;
        packet
    }

    fn segment(sequence: i32) -> Segment {
        let end = "127.0.0.1:1".parse().unwrap();
        Segment {
            local: end,
            peer: end,
            syn: false,
            acknowledges: true,
            fin: false,
            rst: false,
            octets: 100,
            sequence,
            acknowledgment: 0,
            window: 0,
            scale: None,
            most: None,
            sacks: false,
        }
    }

    /// Replies `acknowledgment` to a segment at `sequence`; returns true if that leaves at once
    fn hold(
        gap: &mut Option<Box<DelayedDupAcks>>,
        sequence: i32,
        acknowledgment: i32,
        now: Time,
    ) -> bool {
        DelayedDupAcks::hold(gap, &segment(sequence), reply(acknowledgment, ACK), now).is_some()
    }

    fn due(gap: &mut Option<Box<DelayedDupAcks>>, now: Time) -> usize {
        std::iter::from_fn(|| gap.as_mut().and_then(|gap| gap.take_due(now))).count()
    }

    #[test]
    fn what_is_said_of_a_segment_that_was_only_late_is_never_sent() {
        let mut gap = None;
        assert!(!hold(&mut gap, 200, 100, 0));
        assert!(!hold(&mut gap, 300, 100, 1_000));
        assert_eq!(gap.as_ref().and_then(|gap| gap.deadline()), Some(PATIENCE));
        assert!(hold(&mut gap, 100, 400, 2_000), "the late segment is acknowledged with the rest");
        assert!(gap.is_none());
    }

    #[test]
    fn a_loss_is_told_with_all_its_duplicates_and_then_without_delay() {
        let mut gap = None;
        for sequence in [200, 300, 400] {
            assert!(!hold(&mut gap, sequence, 100, 0));
        }
        assert_eq!(due(&mut gap, PATIENCE - 1), 0);
        assert_eq!(due(&mut gap, PATIENCE), 3);
        assert_eq!(gap.as_ref().and_then(|gap| gap.deadline()), None);
        assert!(hold(&mut gap, 500, 100, PATIENCE + 1));
        assert!(!hold(&mut gap, 700, 600, PATIENCE + 2), "the next gap is another one");
    }

    #[test]
    fn order_is_kept_where_some_still_wait() {
        let mut gap = None;
        assert!(!hold(&mut gap, 200, 100, 0));
        assert!(!hold(&mut gap, 300, 100, PATIENCE), "the first has not left yet");
        assert_eq!(due(&mut gap, PATIENCE), 2);
    }

    #[test]
    fn no_more_wait_than_frames_are_passed_on_a_path() {
        let mut gap = None;
        let most = i32::try_from(MAX_DELAYED).unwrap();
        assert!((1..=most).all(|number| !hold(&mut gap, 100 + 100 * number, 100, 0)));
        assert_eq!(due(&mut gap, 0), MAX_DELAYED);
        assert!(hold(&mut gap, 9_000, 100, 0));
    }

    #[test]
    fn all_else_leaves_at_once() {
        let mut gap = None;
        assert!(hold(&mut gap, 100, 300, 0), "a segment that had come before");
        let reset = reply(0, 0x14);
        assert!(DelayedDupAcks::hold(&mut gap, &segment(200), reset, 0).is_some());
        let probe = Segment { octets: 0, ..segment(200) };
        assert!(DelayedDupAcks::hold(&mut gap, &probe, reply(100, ACK), 0).is_some());
        assert!(gap.is_none());
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut gap = None;
        assert!(!hold(&mut gap, i32::MIN + 50, i32::MAX - 50, 0));
    }
}
