//! Congestion control: losses, and their repair within a congestion window
//!
//! The engine's own controllers take each loss for congestion, repair one loss a window and wait a
//! second for the next. This one is for lines that lose packets by themselves.

#[cfg(test)]
mod tests;
mod window;

pub(super) use self::window::DEFAULT_MSS;
use self::window::Window;
use super::rtt::{MIN_SHARE, Rtt};
use crate::shared::time::{NEVER, Time};

/// The congestion control of one connection (RFC 5681), as plain numbers
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
    window: Window,
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
            window: Window::new(),
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
        self.window.set_smss(octets);
    }

    /// SND.UNA: the first sequence number that is not acknowledged
    pub(super) const fn unacknowledged(&self) -> i32 {
        self.unacknowledged
    }

    /// Octets beyond SND.UNA that may have been sent: cwnd, inflated by dup ACKs (RFC 5681 §3.2)
    pub(super) fn allowance(&self) -> u32 {
        self.window.cwnd().saturating_add(self.arrived)
    }

    /// Returns true once if the first segment is to be retransmitted now
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
        self.window.on_sent(self.flight_size());
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
            self.window.restart();
        }
    }

    fn flight_size(&self) -> u32 {
        distance(self.unacknowledged, self.next)
    }

    /// Restarts cwnd for the first segment after a pause (RFC 5681 §4.1)
    fn on_first(&mut self, now: Time) {
        let idle = now.saturating_sub(self.progress);
        if self.rtt.rto().is_some_and(|rto| idle > rto) {
            self.window.restart();
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
            self.window.grow(acknowledged, &self.rtt);
        } else if repaired {
            (self.repairs, self.arrived) = (0, 0);
        } else {
            let beyond = acknowledged.saturating_sub(self.window.smss());
            self.arrived = self.arrived.saturating_sub(beyond);
            self.repair_next();
        }
        if self.flight_size() == 0 {
            self.due = NEVER;
        }
    }

    fn on_dup_ack(&mut self) {
        self.dup_acks = self.dup_acks.saturating_add(1);
        self.arrived = self.arrived.saturating_add(self.window.smss()).min(self.flight_size());
        let again = self.unacknowledged.wrapping_sub(self.recover).is_negative();
        if self.dup_acks == DUP_ACK_THRESHOLD && self.repairs == 0 && !again {
            self.repair();
        }
    }

    /// Enters fast recovery: one event for everything in flight (RFC 6582 §3.2)
    fn repair(&mut self) {
        if self.repairs == 0 {
            self.window.shrink(self.rtt.share_without_queue());
            self.recover = self.next;
        }
        self.repairs = self.repairs.max(1);
        self.retransmit_due = true;
    }

    /// Retransmits the next segment after a partial acknowledgment (RFC 6582 §3.2)
    fn repair_next(&mut self) {
        self.repairs = self.repairs.saturating_add(1);
        self.retransmit_due = true;
        let segments = self.window.cwnd().checked_div(self.window.smss()).unwrap_or(0);
        let many = segments / MANY_LOSSES;
        if self.repairs == many.max(MIN_LOSSES) {
            self.window.shrink(MIN_SHARE);
        }
    }

    /// Enters slow start after the engine's RTO, when everything is retransmitted (RFC 5681 §3.1)
    fn on_timeout(&mut self, now: Time) {
        self.window.on_timeout();
        (self.repairs, self.arrived, self.dup_acks) = (0, 0, 0);
        (self.recover, self.timed, self.due) = (self.next, None, NEVER);
        self.progress = now;
    }
}

/// Octets from one sequence number to another; 0 if that lies before
fn distance(from: i32, to: i32) -> u32 {
    u32::try_from(to.wrapping_sub(from)).unwrap_or(0)
}

/// dup ACKs that are a loss (RFC 5681 §3.2)
const DUP_ACK_THRESHOLD: u32 = 3;

/// A loss of one segment in so many is congestion, whatever the RTT is
const MANY_LOSSES: u32 = 12;

/// Fewer losses than this are not congestion, however small cwnd is
const MIN_LOSSES: u32 = 4;

/// The shortest RTO of the engine, less a margin
const MIN_ENGINE_RTO: Time = 900_000;
