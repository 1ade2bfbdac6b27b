//! How much a TCP sender may have under way, and when it sends a segment again
//!
//! The engine's own controllers take each loss for congestion, repair one loss a window and wait a
//! second for the next. This one is for lines that lose packets by themselves.

use crate::shared::time::{NEVER, Time};

/// The congestion window of one connection (RFC 5681), as plain numbers
///
/// What differs from RFC 5681 and RFC 9438:
///
/// - **A loss shrinks the window to what the path holds without its queue**: by the least round trip
///   over the last (after TCP Westwood), but not below RFC 9438's 0.7. So a loss at a bottleneck whose
///   queue is full counts as usual, and one on a path with an empty queue changes nothing.
/// - Where many of one window are lost it is congestion all the same: a policer has no queue.
/// - Slow start ends once a queue builds up, before it overflows (after RFC 9406).
/// - All losses of a window are repaired, one each round trip (RFC 6582), and the first of them is
///   tried before the engine's retransmission timer strikes, which waits for a second at least.
#[derive(Debug)]
pub(crate) struct Congestion {
    /// Octets of a full segment
    segment: u32,
    /// Octets that may be under way
    window: u32,
    /// Where slow start ends
    threshold: u32,
    /// Octets acknowledged since the window last grew
    credit: u32,
    /// Octets that were under way when a segment last left
    peak: u32,
    /// The first sequence number that is not acknowledged
    unacknowledged: i32,
    /// The first that was never sent
    next: i32,
    /// Octets beyond the first hole that have arrived, as duplicate acknowledgments tell
    arrived: u32,
    duplicates: u32,
    /// Losses of what was sent before `recover` are one event, and were dealt with
    recover: i32,
    /// Segments sent again to get there; 0 if nothing is being repaired
    repairs: u32,
    /// Whether the first segment is to be sent again
    resends: bool,
    /// A segment that was sent once: what acknowledges it, and when it left
    timed: Option<(i32, Time)>,
    round_trip: RoundTrip,
    /// When something last was acknowledged, or sent with nothing else under way
    progress: Time,
    /// When the first segment counts as lost although nobody said so; [`NEVER`] if that is not known
    due: Time,
}

impl Congestion {
    pub(crate) const fn new() -> Self {
        Self {
            segment: DEFAULT_SEGMENT,
            window: INITIAL * DEFAULT_SEGMENT,
            threshold: u32::MAX,
            credit: 0,
            peak: 0,
            unacknowledged: 0,
            next: 0,
            arrived: 0,
            duplicates: 0,
            recover: 0,
            repairs: 0,
            resends: false,
            timed: None,
            round_trip: RoundTrip::NONE,
            progress: 0,
            due: NEVER,
        }
    }

    /// A SYN leaves: `sequence` is the number of the first octet behind it
    pub(crate) const fn start(&mut self, sequence: i32) {
        (self.unacknowledged, self.next, self.recover) = (sequence, sequence, sequence);
    }

    /// The peer takes segments of so many octets, which the path does as well
    pub(crate) fn set_segment(&mut self, octets: u32) {
        self.segment = octets.max(1);
        self.window = INITIAL.saturating_mul(self.segment);
    }

    /// The first sequence number that is not acknowledged
    pub(crate) const fn unacknowledged(&self) -> i32 {
        self.unacknowledged
    }

    /// Octets from there on that may have been sent
    pub(crate) fn allowance(&self) -> u32 {
        self.window.saturating_add(self.arrived)
    }

    /// Whether the first segment is to be sent again now; tells it once
    pub(crate) fn take_resend(&mut self) -> bool {
        self.timed = self.timed.filter(|_| !self.resends);
        std::mem::take(&mut self.resends) && self.under_way() > 0
    }

    /// When [`Congestion::check_time`] has something to say
    pub(crate) const fn deadline(&self) -> Time {
        self.due
    }

    /// A segment with so many octets leaves
    pub(crate) fn on_sent(&mut self, sequence: i32, octets: u32, asked: bool, now: Time) {
        let end = sequence.wrapping_add(i32::try_from(octets).unwrap_or(i32::MAX));
        if self.under_way() == 0 {
            self.on_first(now);
        }
        if end.wrapping_sub(self.next).is_positive() {
            self.next = end;
            self.timed = self.timed.or(Some((end, now)));
        } else if !asked && now.saturating_sub(self.progress) >= LEAST_TIMEOUT {
            self.on_timeout(now);
        }
        self.peak = self.under_way();
    }

    /// The peer acknowledges everything before `number`
    pub(crate) fn on_acknowledgment(&mut self, number: i32, duplicate: bool, now: Time) {
        let acknowledged = distance(self.unacknowledged, number);
        if acknowledged > 0 && acknowledged <= self.under_way() {
            self.on_progress(number, acknowledged, now);
        } else if number == self.unacknowledged && duplicate && self.under_way() > 0 {
            self.on_duplicate();
        }
    }

    /// Sends the first segment again if its acknowledgment is overdue
    pub(crate) fn check_time(&mut self, now: Time) {
        if self.due <= now {
            self.due = NEVER;
            self.repair();
            // nothing else is under way any more, and what there was came from one loss at least
            self.window = self.window.min(INITIAL.saturating_mul(self.segment));
        }
    }

    fn under_way(&self) -> u32 {
        distance(self.unacknowledged, self.next)
    }

    /// The first segment after a pause, of which the window says nothing any more (RFC 5681 §4.1)
    fn on_first(&mut self, now: Time) {
        let idle = now.saturating_sub(self.progress);
        if self.round_trip.timeout().is_some_and(|timeout| idle > timeout) {
            self.window = self.window.min(INITIAL.saturating_mul(self.segment));
        }
        self.watch(now);
    }

    fn watch(&mut self, now: Time) {
        self.progress = now;
        self.due = self.round_trip.timeout().map_or(NEVER, |timeout| now.saturating_add(timeout));
    }

    fn on_progress(&mut self, number: i32, acknowledged: u32, now: Time) {
        self.unacknowledged = number;
        self.duplicates = 0;
        if let Some((_, left)) =
            self.timed.filter(|(end, _)| !number.wrapping_sub(*end).is_negative())
        {
            self.timed = None;
            self.round_trip.sample(now.saturating_sub(left));
        }
        self.watch(now);
        let repaired = !number.wrapping_sub(self.recover).is_negative();
        if self.repairs == 0 {
            self.arrived = 0;
            self.grow(acknowledged);
        } else if repaired {
            (self.repairs, self.arrived) = (0, 0);
        } else {
            self.arrived = self.arrived.saturating_sub(acknowledged.saturating_sub(self.segment));
            self.repair_next();
        }
        if self.under_way() == 0 {
            self.due = NEVER;
        }
    }

    fn on_duplicate(&mut self) {
        self.duplicates = self.duplicates.saturating_add(1);
        self.arrived = self.arrived.saturating_add(self.segment).min(self.under_way());
        let again = self.unacknowledged.wrapping_sub(self.recover).is_negative();
        if self.duplicates == DUPLICATES && self.repairs == 0 && !again {
            self.repair();
        }
    }

    /// The first segment is lost: one event for all that is under way (RFC 6582 §3.2)
    fn repair(&mut self) {
        if self.repairs == 0 {
            self.shrink(self.round_trip.share_without_queue());
            self.recover = self.next;
        }
        self.repairs = self.repairs.max(1);
        self.resends = true;
    }

    /// What is the first segment now was lost too
    fn repair_next(&mut self) {
        self.repairs = self.repairs.saturating_add(1);
        self.resends = true;
        let many = self.window.checked_div(self.segment).unwrap_or(0) / MANY;
        if self.repairs == many.max(FEW) {
            self.shrink(LEAST_SHARE);
        }
    }

    fn shrink(&mut self, share: u32) {
        if share < WHOLE {
            let window = (self.window / WHOLE).saturating_mul(share);
            self.window = window.max(self.segment.saturating_mul(2));
            self.threshold = self.window;
            self.credit = 0;
        }
    }

    /// The engine's retransmission timer: everything is sent anew, in slow start
    fn on_timeout(&mut self, now: Time) {
        self.threshold = (self.window / 2).max(self.segment.saturating_mul(2));
        (self.window, self.credit) = (self.segment, 0);
        (self.repairs, self.arrived, self.duplicates) = (0, 0, 0);
        (self.recover, self.timed, self.due) = (self.next, None, NEVER);
        self.progress = now;
    }

    /// By what was acknowledged in slow start, then by a segment each two windows
    ///
    /// Which is as much as RFC 9438 §4.3 has for whoever keeps 0.7 after a loss. A window that was not
    /// used does not grow (RFC 9438 §5.8).
    fn grow(&mut self, acknowledged: u32) {
        if self.window >= self.threshold {
            self.grow_slowly(acknowledged);
        } else if self.window < self.peak.saturating_mul(2) {
            let most = self.segment.saturating_mul(2);
            self.window = self.window.saturating_add(acknowledged.min(most));
            if self.round_trip.has_queue() {
                self.threshold = self.window;
            }
        }
    }

    fn grow_slowly(&mut self, acknowledged: u32) {
        if self.window <= self.peak.saturating_add(self.segment) {
            self.credit = self.credit.saturating_add(acknowledged);
        }
        if self.credit >= self.window.saturating_mul(2) {
            self.credit = 0;
            self.window = self.window.saturating_add(self.segment);
        }
    }
}

/// How long a segment's acknowledgment takes, in microseconds
#[derive(Debug, Clone, Copy)]
struct RoundTrip {
    least: u32,
    /// The last two: the lesser is free of what one was held up by
    last: [u32; 2],
    smoothed: u32,
    variation: u32,
}

impl RoundTrip {
    const NONE: Self = Self { least: u32::MAX, last: [u32::MAX; 2], smoothed: 0, variation: 0 };

    /// RFC 6298 §2
    fn sample(&mut self, took: Time) {
        let took = u32::try_from(took).unwrap_or(u32::MAX);
        if self.least == u32::MAX {
            (self.smoothed, self.variation) = (took, took / 2);
        } else {
            let error = self.smoothed.abs_diff(took);
            self.variation = self.variation.saturating_sub(self.variation / 4);
            self.variation = self.variation.saturating_add(error / 4);
            self.smoothed = self.smoothed.saturating_sub(self.smoothed / 8);
            self.smoothed = self.smoothed.saturating_add(took / 8);
        }
        self.least = self.least.min(took).max(1);
        self.last = [took, self.last[0]];
    }

    fn recent(&self) -> u32 {
        self.last[0].min(self.last[1]).max(self.least)
    }

    /// Of a window, what the path holds without its queue, in [`WHOLE`]ths
    fn share_without_queue(&self) -> u32 {
        let whole = self.least.saturating_mul(WHOLE);
        let share = whole.checked_div(self.recent()).unwrap_or(WHOLE);
        share.clamp(LEAST_SHARE, WHOLE)
    }

    /// RFC 9406 §4.2
    fn has_queue(&self) -> bool {
        self.recent() > self.least.saturating_add((self.least / 8).clamp(4_000, 16_000))
    }

    /// RFC 6298's, but with a fifth of a second to spare instead of a second in all
    fn timeout(&self) -> Option<Time> {
        let margin = self.variation.saturating_mul(4).max(SPARE);
        (self.least != u32::MAX).then(|| self.smoothed.saturating_add(margin).into())
    }
}

/// Octets from one sequence number to another; none if that lies before
fn distance(from: i32, to: i32) -> u32 {
    u32::try_from(to.wrapping_sub(from)).unwrap_or(0)
}

/// RFC 9293 §3.7.1, of a peer that does not tell
pub(crate) const DEFAULT_SEGMENT: u32 = 536;

/// Segments at first (RFC 6928)
const INITIAL: u32 = 10;

/// Duplicate acknowledgments that are a loss (RFC 5681 §3.2)
const DUPLICATES: u32 = 3;

/// A whole window
const WHOLE: u32 = 64;

/// RFC 9438 §4.6: 0.7 of it
const LEAST_SHARE: u32 = 45;

/// One of so many lost is congestion, whatever the round trip says
const MANY: u32 = 12;

/// So few losses of a small window are not
const FEW: u32 = 4;

/// The engine's retransmission timer does not strike before
const LEAST_TIMEOUT: Time = 900_000;

/// Longer than acknowledgments are delayed (RFC 9293 §3.8.6.3 allows 500 ms, hosts take 40 to 200)
const SPARE: u32 = 200_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u32 = 1000;
    const MS: Time = 1_000;

    /// A connection whose round trip was `least` once and is `last` now, with a window full of
    /// segments under way
    fn sender(segments: u32, least: Time, last: Time) -> Congestion {
        let mut sender = Congestion::new();
        sender.start(FIRST);
        sender.set_segment(SEGMENT);
        for took in [least, last, last] {
            sender.round_trip.sample(took);
        }
        sender.window = segments * SEGMENT;
        send(&mut sender, segments, 0);
        sender
    }

    /// Begins shortly before sequence numbers wrap
    const FIRST: i32 = i32::MAX - 5_500;

    fn at(segment: u32) -> i32 {
        FIRST.wrapping_add(i32::try_from(segment * SEGMENT).unwrap())
    }

    fn send(sender: &mut Congestion, segments: u32, now: Time) {
        for _ in 0..segments {
            sender.on_sent(sender.next, SEGMENT, false, now);
        }
    }

    /// Duplicates of an acknowledgment of so many segments; whether the next is sent again
    fn duplicates(sender: &mut Congestion, count: u32, segments: u32) -> bool {
        for _ in 0..count {
            sender.on_acknowledgment(at(segments), true, 0);
        }
        sender.take_resend()
    }

    /// An acknowledgment of so many segments; whether the next is sent again
    fn acknowledge(sender: &mut Congestion, segments: u32, now: Time) -> bool {
        sender.on_acknowledgment(at(segments), false, now);
        sender.take_resend()
    }

    #[test]
    fn a_loss_in_front_of_an_empty_queue_leaves_the_window() {
        let mut sender = sender(20, 20 * MS, 20 * MS);
        assert!(!duplicates(&mut sender, 2, 0));
        assert!(duplicates(&mut sender, 1, 0), "the third is a loss");
        assert_eq!(sender.allowance(), 23 * SEGMENT, "three have left");
        assert!(!duplicates(&mut sender, 16, 0), "once");
        assert!(!acknowledge(&mut sender, 20, 20 * MS));
        assert_eq!((sender.allowance(), sender.threshold), (20 * SEGMENT, u32::MAX));
    }

    #[test]
    fn a_loss_in_front_of_a_queue_shrinks_the_window_by_it_but_no_more_than_rfc_9438() {
        for (last, kept) in [(25 * MS, 20 * 51 / 64), (28 * MS, 14), (200 * MS, 14)] {
            let mut sender = sender(20, 20 * MS, last);
            assert!(duplicates(&mut sender, 3, 0));
            assert_eq!(sender.window / SEGMENT, kept, "{last}");
            assert_eq!(sender.threshold, sender.window, "slow start is over");
        }
    }

    #[test]
    fn each_round_trip_repairs_a_loss_of_the_same_window() {
        let mut sender = sender(10, 20 * MS, 20 * MS);
        assert!(duplicates(&mut sender, 8, 0));
        assert!(acknowledge(&mut sender, 4, 20 * MS), "the fifth was lost as well");
        assert_eq!(sender.allowance(), 15 * SEGMENT, "five behind it have arrived");
        assert!(!acknowledge(&mut sender, 10, 40 * MS));
        assert_eq!(sender.allowance(), 10 * SEGMENT);
    }

    #[test]
    fn many_losses_of_one_window_are_congestion() {
        let mut sender = sender(10, 20 * MS, 20 * MS);
        assert!(duplicates(&mut sender, 3, 0));
        assert!((1..3).all(|segment| acknowledge(&mut sender, segment, 20 * MS)));
        assert_eq!(sender.window / SEGMENT, 10);
        assert!(acknowledge(&mut sender, 3, 40 * MS), "the fourth");
        assert_eq!(sender.window / SEGMENT, 7);
        assert!(acknowledge(&mut sender, 4, 60 * MS));
        assert_eq!(sender.window / SEGMENT, 7, "they are one event");
    }

    #[test]
    fn what_was_sent_before_a_timeout_is_no_loss_again() {
        let mut sender = sender(10, 20 * MS, 20 * MS);
        sender.on_sent(FIRST, SEGMENT, false, LEAST_TIMEOUT);
        assert_eq!(sender.allowance(), SEGMENT);
        assert_eq!(sender.threshold, 5 * SEGMENT);
        assert!(!duplicates(&mut sender, 9, 0), "the peer had them");
        assert!(!acknowledge(&mut sender, 10, 1_000 * MS));
        assert_eq!(sender.allowance(), 3 * SEGMENT, "slow start");
    }

    #[test]
    fn an_overdue_acknowledgment_is_a_loss_before_a_second_has_passed() {
        let mut sender = sender(20, 20 * MS, 20 * MS);
        let due = sender.deadline();
        assert!((20 * MS + 200 * MS..260 * MS).contains(&due), "{due}");
        sender.check_time(due - 1);
        assert!(!sender.take_resend());
        sender.check_time(due);
        assert!(sender.take_resend());
        assert_eq!((sender.window / SEGMENT, sender.deadline()), (INITIAL, NEVER));
        sender.on_sent(FIRST, SEGMENT, true, due);
        assert!(!acknowledge(&mut sender, 20, due + 20 * MS));
        assert_eq!(sender.deadline(), NEVER, "nothing is under way");
    }

    #[test]
    fn slow_start_doubles_the_window_until_there_is_a_queue() {
        let mut sender = sender(10, 20 * MS, 20 * MS);
        (1..=5).for_each(|pair| assert!(!acknowledge(&mut sender, 2 * pair, 20 * MS)));
        assert_eq!(sender.window / SEGMENT, 20);
        for _ in 0..2 {
            sender.round_trip.sample(25 * MS);
        }
        send(&mut sender, 20, 20 * MS);
        (6..=15).for_each(|pair| assert!(!acknowledge(&mut sender, 2 * pair, 45 * MS)));
        assert_eq!(sender.window / SEGMENT, 22, "a segment every other round trip from now on");
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut sender = sender(4, 20 * MS, 20 * MS);
        sender.window = 10 * SEGMENT;
        assert!(!acknowledge(&mut sender, 4, 20 * MS));
        assert_eq!(sender.window, 10 * SEGMENT);
    }

    #[test]
    fn after_a_pause_the_window_is_the_initial_one() {
        let mut sender = sender(40, 20 * MS, 20 * MS);
        assert!(!acknowledge(&mut sender, 40, 20 * MS));
        send(&mut sender, 1, 60 * MS);
        assert!(sender.window >= 40 * SEGMENT);
        assert!(!acknowledge(&mut sender, 41, 80 * MS));
        send(&mut sender, 1, 5_000 * MS);
        assert_eq!(sender.window, INITIAL * SEGMENT);
    }

    #[test]
    fn what_acknowledges_nothing_that_was_sent_is_nothing() {
        let mut sender = sender(2, 20 * MS, 20 * MS);
        for number in [at(3), FIRST.wrapping_sub(1), FIRST.wrapping_add(i32::MIN)] {
            sender.on_acknowledgment(number, true, 0);
            assert_eq!(sender.unacknowledged(), FIRST);
        }
    }
}
