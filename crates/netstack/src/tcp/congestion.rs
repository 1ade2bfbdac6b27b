//! Congestion control: cwnd and retransmission
//!
//! The engine's own controllers take each loss for congestion, repair one loss a window and wait a
//! second for the next. This one is for lines that lose packets by themselves.

use super::rtt::{MIN_SHARE, Rtt, WHOLE_WINDOW};
use crate::shared::time::{NEVER, Time};

/// The congestion window of one connection (RFC 5681), as plain numbers
///
/// The differences from RFC 5681 and RFC 9438:
///
/// - **A loss shrinks the window to what the path holds without its queue**: by the least round trip
///   over the last (after TCP Westwood), but not below RFC 9438's 0.7. So a loss at a bottleneck whose
///   queue is full counts as usual, and one on a path with an empty queue changes nothing.
/// - Where many of one window are lost it is congestion all the same: a policer has no queue.
/// - Slow start ends once a queue builds up, before it overflows (after RFC 9406).
/// - All losses of a window are repaired, one each round trip (RFC 6582), and the first of them is
///   tried before the engine's retransmission timer strikes, which waits for a second at least.
#[derive(Debug)]
pub(super) struct Congestion {
    /// SMSS: octets of a full segment
    smss: u32,
    /// cwnd: octets that may be in flight
    cwnd: u32,
    /// ssthresh: the cwnd at which slow start ends
    ssthresh: u32,
    /// Octets acknowledged since cwnd last grew
    bytes_acked: u32,
    /// `FlightSize` when a segment last left
    last_flight_size: u32,
    /// SND.UNA: the first sequence number that is not acknowledged
    unacknowledged: i32,
    /// SND.NXT: the first sequence number that was never sent
    next: i32,
    /// Octets beyond the first hole that have arrived, by the count of dup ACKs
    arrived: u32,
    dup_acks: u32,
    /// RFC 6582's `recover`: losses before it are one event, and cwnd was reduced for them
    recover: i32,
    /// Segments retransmitted to get there; 0 outside of fast recovery
    repairs: u32,
    /// True if the first segment is to be retransmitted
    retransmit_due: bool,
    /// A segment that was sent once: what acknowledges it, and when it left
    timed: Option<(i32, Time)>,
    rtt: Rtt,
    /// The time of the last acknowledgment, or of the last segment sent with `FlightSize` 0
    progress: Time,
    /// The time at which the first segment counts as lost without dup ACKs; [`NEVER`] while RTO is unknown
    due: Time,
}

impl Congestion {
    pub(super) const fn new() -> Self {
        Self {
            smss: DEFAULT_MSS,
            cwnd: INITIAL_WINDOW * DEFAULT_MSS,
            ssthresh: u32::MAX,
            bytes_acked: 0,
            last_flight_size: 0,
            unacknowledged: 0,
            next: 0,
            arrived: 0,
            dup_acks: 0,
            recover: 0,
            repairs: 0,
            retransmit_due: false,
            timed: None,
            rtt: Rtt::NONE,
            progress: 0,
            due: NEVER,
        }
    }

    /// Takes note of a SYN; `sequence` is the number of the first octet behind it
    pub(super) const fn start(&mut self, sequence: i32) {
        (self.unacknowledged, self.next, self.recover) = (sequence, sequence, sequence);
    }

    /// Sets SMSS, which the peer and the path allow
    pub(super) fn set_smss(&mut self, octets: u32) {
        self.smss = octets.max(1);
        self.cwnd = INITIAL_WINDOW.saturating_mul(self.smss);
    }

    /// SND.UNA: the first sequence number that is not acknowledged
    pub(super) const fn unacknowledged(&self) -> i32 {
        self.unacknowledged
    }

    /// Octets beyond SND.UNA that may have been sent: cwnd, inflated by dup ACKs (RFC 5681 §3.2)
    pub(super) fn allowance(&self) -> u32 {
        self.cwnd.saturating_add(self.arrived)
    }

    /// Tells once that the first segment is to be retransmitted now
    pub(super) fn take_retransmit(&mut self) -> bool {
        self.timed = self.timed.filter(|_| !self.retransmit_due);
        std::mem::take(&mut self.retransmit_due) && self.flight_size() > 0
    }

    /// The time at which [`Congestion::check_time`] is due
    pub(super) const fn deadline(&self) -> Time {
        self.due
    }

    /// Takes note of a segment with so many octets
    pub(super) fn on_sent(&mut self, sequence: i32, octets: u32, asked: bool, now: Time) {
        let end = sequence.wrapping_add(i32::try_from(octets).unwrap_or(i32::MAX));
        if self.flight_size() == 0 {
            self.on_first(now);
        }
        if end.wrapping_sub(self.next).is_positive() {
            self.next = end;
            self.timed = self.timed.or(Some((end, now)));
        } else if !asked && now.saturating_sub(self.progress) >= MIN_ENGINE_RTO {
            self.on_timeout(now);
        }
        self.last_flight_size = self.flight_size();
    }

    /// Takes note of an acknowledgment of everything before `number`
    pub(super) fn on_acknowledgment(&mut self, number: i32, duplicate: bool, now: Time) {
        let acknowledged = distance(self.unacknowledged, number);
        if acknowledged > 0 && acknowledged <= self.flight_size() {
            self.on_progress(number, acknowledged, now);
        } else if number == self.unacknowledged && duplicate && self.flight_size() > 0 {
            self.on_dup_ack();
        }
    }

    /// Retransmits the first segment if its acknowledgment is overdue
    pub(super) fn check_time(&mut self, now: Time) {
        if self.due <= now {
            self.due = NEVER;
            self.repair();
            // `FlightSize` is 0 by now, and at least one segment was lost
            self.cwnd = self.cwnd.min(INITIAL_WINDOW.saturating_mul(self.smss));
        }
    }

    fn flight_size(&self) -> u32 {
        distance(self.unacknowledged, self.next)
    }

    /// Restarts cwnd for the first segment after a pause (RFC 5681 §4.1)
    fn on_first(&mut self, now: Time) {
        let idle = now.saturating_sub(self.progress);
        if self.rtt.rto().is_some_and(|rto| idle > rto) {
            self.cwnd = self.cwnd.min(INITIAL_WINDOW.saturating_mul(self.smss));
        }
        self.watch(now);
    }

    fn watch(&mut self, now: Time) {
        self.progress = now;
        self.due = self.rtt.rto().map_or(NEVER, |rto| now.saturating_add(rto));
    }

    fn on_progress(&mut self, number: i32, acknowledged: u32, now: Time) {
        self.unacknowledged = number;
        self.dup_acks = 0;
        if let Some((_, left)) =
            self.timed.filter(|(end, _)| !number.wrapping_sub(*end).is_negative())
        {
            self.timed = None;
            self.rtt.sample(now.saturating_sub(left));
        }
        self.watch(now);
        let repaired = !number.wrapping_sub(self.recover).is_negative();
        if self.repairs == 0 {
            self.arrived = 0;
            self.grow(acknowledged);
        } else if repaired {
            (self.repairs, self.arrived) = (0, 0);
        } else {
            self.arrived = self.arrived.saturating_sub(acknowledged.saturating_sub(self.smss));
            self.repair_next();
        }
        if self.flight_size() == 0 {
            self.due = NEVER;
        }
    }

    fn on_dup_ack(&mut self) {
        self.dup_acks = self.dup_acks.saturating_add(1);
        self.arrived = self.arrived.saturating_add(self.smss).min(self.flight_size());
        let again = self.unacknowledged.wrapping_sub(self.recover).is_negative();
        if self.dup_acks == DUP_ACK_THRESHOLD && self.repairs == 0 && !again {
            self.repair();
        }
    }

    /// Enters fast recovery: one event for everything in flight (RFC 6582 §3.2)
    fn repair(&mut self) {
        if self.repairs == 0 {
            self.shrink(self.rtt.share_without_queue());
            self.recover = self.next;
        }
        self.repairs = self.repairs.max(1);
        self.retransmit_due = true;
    }

    /// Retransmits the next segment after a partial acknowledgment (RFC 6582 §3.2)
    fn repair_next(&mut self) {
        self.repairs = self.repairs.saturating_add(1);
        self.retransmit_due = true;
        let many = self.cwnd.checked_div(self.smss).unwrap_or(0) / MANY_LOSSES;
        if self.repairs == many.max(MIN_LOSSES) {
            self.shrink(MIN_SHARE);
        }
    }

    fn shrink(&mut self, share: u32) {
        if share < WHOLE_WINDOW {
            let cwnd = (self.cwnd / WHOLE_WINDOW).saturating_mul(share);
            self.cwnd = cwnd.max(self.smss.saturating_mul(2));
            self.ssthresh = self.cwnd;
            self.bytes_acked = 0;
        }
    }

    /// Enters slow start after the engine's RTO, when everything is retransmitted (RFC 5681 §3.1)
    fn on_timeout(&mut self, now: Time) {
        self.ssthresh = (self.cwnd / 2).max(self.smss.saturating_mul(2));
        (self.cwnd, self.bytes_acked) = (self.smss, 0);
        (self.repairs, self.arrived, self.dup_acks) = (0, 0, 0);
        (self.recover, self.timed, self.due) = (self.next, None, NEVER);
        self.progress = now;
    }

    /// Grows cwnd: in slow start by the octets acknowledged, then by SMSS each two windows
    ///
    /// That is the growth of RFC 9438 §4.3 for a sender that keeps 0.7 of cwnd after a loss. A cwnd
    /// that was not used does not grow (RFC 9438 §5.8).
    fn grow(&mut self, acknowledged: u32) {
        if self.cwnd >= self.ssthresh {
            self.avoid_congestion(acknowledged);
        } else if self.cwnd < self.last_flight_size.saturating_mul(2) {
            let most = self.smss.saturating_mul(2);
            self.cwnd = self.cwnd.saturating_add(acknowledged.min(most));
            if self.rtt.has_queue() {
                self.ssthresh = self.cwnd;
            }
        }
    }

    fn avoid_congestion(&mut self, acknowledged: u32) {
        if self.cwnd <= self.last_flight_size.saturating_add(self.smss) {
            self.bytes_acked = self.bytes_acked.saturating_add(acknowledged);
        }
        if self.bytes_acked >= self.cwnd.saturating_mul(2) {
            self.bytes_acked = 0;
            self.cwnd = self.cwnd.saturating_add(self.smss);
        }
    }
}

/// Octets from one sequence number to another; 0 if that lies before
fn distance(from: i32, to: i32) -> u32 {
    u32::try_from(to.wrapping_sub(from)).unwrap_or(0)
}

/// The MSS of a peer that does not announce one (RFC 9293 §3.7.1)
pub(super) const DEFAULT_MSS: u32 = 536;

/// The initial window in segments (RFC 6928)
const INITIAL_WINDOW: u32 = 10;

/// dup ACKs that are a loss (RFC 5681 §3.2)
const DUP_ACK_THRESHOLD: u32 = 3;

/// A loss of one segment in so many is congestion, whatever the RTT is
const MANY_LOSSES: u32 = 12;

/// Fewer losses than this are not congestion, however small cwnd is
const MIN_LOSSES: u32 = 4;

/// The shortest RTO of the engine, less a margin
const MIN_ENGINE_RTO: Time = 900_000;

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u32 = 1000;
    const MS: Time = 1_000;

    /// A connection whose round trip was `least` once and is `last` now, with a window full of
    /// segments under way
    fn sender(segments: u32, min: Time, last: Time) -> Congestion {
        let mut sender = Congestion::new();
        sender.start(FIRST);
        sender.set_smss(SEGMENT);
        for took in [min, last, last] {
            sender.rtt.sample(took);
        }
        sender.cwnd = segments * SEGMENT;
        send(&mut sender, segments, 0);
        sender
    }

    /// Begins shortly before sequence numbers wrap
    const FIRST: i32 = i32::MAX - 5_500;

    fn at(smss: u32) -> i32 {
        FIRST.wrapping_add(i32::try_from(smss * SEGMENT).unwrap())
    }

    fn send(sender: &mut Congestion, segments: u32, now: Time) {
        for _ in 0..segments {
            sender.on_sent(sender.next, SEGMENT, false, now);
        }
    }

    /// Gives duplicates of an acknowledgment of so many segments; returns true if the next is retransmitted
    fn dup_acks(sender: &mut Congestion, count: u32, segments: u32) -> bool {
        for _ in 0..count {
            sender.on_acknowledgment(at(segments), true, 0);
        }
        sender.take_retransmit()
    }

    /// Gives an acknowledgment of so many segments; returns true if the next is retransmitted
    fn acknowledge(sender: &mut Congestion, segments: u32, now: Time) -> bool {
        sender.on_acknowledgment(at(segments), false, now);
        sender.take_retransmit()
    }

    #[test]
    fn a_loss_in_front_of_an_empty_queue_leaves_the_window() {
        let mut sender = sender(20, 20 * MS, 20 * MS);
        assert!(!dup_acks(&mut sender, 2, 0));
        assert!(dup_acks(&mut sender, 1, 0), "the third is a loss");
        assert_eq!(sender.allowance(), 23 * SEGMENT, "three have left");
        assert!(!dup_acks(&mut sender, 16, 0), "once");
        assert!(!acknowledge(&mut sender, 20, 20 * MS));
        assert_eq!((sender.allowance(), sender.ssthresh), (20 * SEGMENT, u32::MAX));
    }

    #[test]
    fn a_loss_in_front_of_a_queue_shrinks_the_window_by_it_but_no_more_than_rfc_9438() {
        for (last, kept) in [(25 * MS, 20 * 51 / 64), (28 * MS, 14), (200 * MS, 14)] {
            let mut sender = sender(20, 20 * MS, last);
            assert!(dup_acks(&mut sender, 3, 0));
            assert_eq!(sender.cwnd / SEGMENT, kept, "{last}");
            assert_eq!(sender.ssthresh, sender.cwnd, "slow start is over");
        }
    }

    #[test]
    fn each_round_trip_repairs_a_loss_of_the_same_window() {
        let mut sender = sender(10, 20 * MS, 20 * MS);
        assert!(dup_acks(&mut sender, 8, 0));
        assert!(acknowledge(&mut sender, 4, 20 * MS), "the fifth was lost as well");
        assert_eq!(sender.allowance(), 15 * SEGMENT, "five behind it have arrived");
        assert!(!acknowledge(&mut sender, 10, 40 * MS));
        assert_eq!(sender.allowance(), 10 * SEGMENT);
    }

    #[test]
    fn many_losses_of_one_window_are_congestion() {
        let mut sender = sender(10, 20 * MS, 20 * MS);
        assert!(dup_acks(&mut sender, 3, 0));
        assert!((1..3).all(|smss| acknowledge(&mut sender, smss, 20 * MS)));
        assert_eq!(sender.cwnd / SEGMENT, 10);
        assert!(acknowledge(&mut sender, 3, 40 * MS), "the fourth");
        assert_eq!(sender.cwnd / SEGMENT, 7);
        assert!(acknowledge(&mut sender, 4, 60 * MS));
        assert_eq!(sender.cwnd / SEGMENT, 7, "they are one event");
    }

    #[test]
    fn what_was_sent_before_a_timeout_is_no_loss_again() {
        let mut sender = sender(10, 20 * MS, 20 * MS);
        sender.on_sent(FIRST, SEGMENT, false, MIN_ENGINE_RTO);
        assert_eq!(sender.allowance(), SEGMENT);
        assert_eq!(sender.ssthresh, 5 * SEGMENT);
        assert!(!dup_acks(&mut sender, 9, 0), "the peer had them");
        assert!(!acknowledge(&mut sender, 10, 1_000 * MS));
        assert_eq!(sender.allowance(), 3 * SEGMENT, "slow start");
    }

    #[test]
    fn an_overdue_acknowledgment_is_a_loss_before_a_second_has_passed() {
        let mut sender = sender(20, 20 * MS, 20 * MS);
        let due = sender.deadline();
        assert!((20 * MS + 200 * MS..260 * MS).contains(&due), "{due}");
        sender.check_time(due - 1);
        assert!(!sender.take_retransmit());
        sender.check_time(due);
        assert!(sender.take_retransmit());
        assert_eq!((sender.cwnd / SEGMENT, sender.deadline()), (INITIAL_WINDOW, NEVER));
        sender.on_sent(FIRST, SEGMENT, true, due);
        assert!(!acknowledge(&mut sender, 20, due + 20 * MS));
        assert_eq!(sender.deadline(), NEVER, "nothing is under way");
    }

    #[test]
    fn slow_start_doubles_the_window_until_there_is_a_queue() {
        let mut sender = sender(10, 20 * MS, 20 * MS);
        (1..=5).for_each(|pair| assert!(!acknowledge(&mut sender, 2 * pair, 20 * MS)));
        assert_eq!(sender.cwnd / SEGMENT, 20);
        for _ in 0..2 {
            sender.rtt.sample(25 * MS);
        }
        send(&mut sender, 20, 20 * MS);
        (6..=15).for_each(|pair| assert!(!acknowledge(&mut sender, 2 * pair, 45 * MS)));
        assert_eq!(sender.cwnd / SEGMENT, 22, "a smss every other round trip from now on");
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut sender = sender(4, 20 * MS, 20 * MS);
        sender.cwnd = 10 * SEGMENT;
        assert!(!acknowledge(&mut sender, 4, 20 * MS));
        assert_eq!(sender.cwnd, 10 * SEGMENT);
    }

    #[test]
    fn after_a_pause_the_window_is_the_initial_one() {
        let mut sender = sender(40, 20 * MS, 20 * MS);
        assert!(!acknowledge(&mut sender, 40, 20 * MS));
        send(&mut sender, 1, 60 * MS);
        assert!(sender.cwnd >= 40 * SEGMENT);
        assert!(!acknowledge(&mut sender, 41, 80 * MS));
        send(&mut sender, 1, 5_000 * MS);
        assert_eq!(sender.cwnd, INITIAL_WINDOW * SEGMENT);
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
