//! Our sequence numbers and the window that the peer gives them (RFC 2637 sections 4.2 and 4.4)

use std::time::{Duration, Instant};

use pptp_packet::Counter;

use crate::round_trip::RoundTrip;

/// The sending side of a session
#[derive(Debug)]
pub(crate) struct Transmit {
    /// The next sequence number
    next: u32,
    /// The lowest number that was never acknowledged
    unacknowledged: u32,
    /// The number from which the window counts: past `unacknowledged` after a time-out
    window_start: u32,
    window: u16,
    /// The window that the peer offered; 0 if it offered none
    offered: u16,
    /// Numbers acknowledged since the window last grew
    acknowledged: u16,
    /// Time-outs since the last acknowledgment
    silent_timeouts: u8,
    /// True if the peer has ever acknowledged anything
    has_acknowledged: bool,
    /// The time at which the window became full last
    full_since: Option<Instant>,
    timeout_at: Option<Instant>,
    /// The number being timed, and when it was sent
    timed: Option<(u32, Instant)>,
    round_trip: RoundTrip,
}

impl Transmit {
    pub(crate) const fn new(offered: u16) -> Self {
        Self {
            next: 0,
            unacknowledged: 0,
            window_start: 0,
            window: first_window(offered),
            offered,
            acknowledged: 0,
            silent_timeouts: 0,
            has_acknowledged: false,
            full_since: None,
            timeout_at: None,
            timed: None,
            round_trip: RoundTrip::new(),
        }
    }

    /// The state in which `next` is the next number, and all numbers before it are acknowledged
    #[cfg(any(test, feature = "server"))]
    pub(crate) const fn starting_at(offered: u16, next: u32) -> Self {
        Self { next, unacknowledged: next, window_start: next, ..Self::new(offered) }
    }

    /// The window that the peer named
    #[cfg(feature = "server")]
    pub(crate) const fn offered(&self) -> u16 {
        self.offered
    }

    /// The number of a datagram that is sent now
    pub(crate) fn take_sequence(&mut self, now: Instant) -> u32 {
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        self.forget_the_oldest();
        if self.expects_acknowledgments() {
            if self.timed.is_none() {
                self.timed = Some((sequence, now));
            }
            if self.timeout_at.is_none() {
                self.timeout_at = now.checked_add(self.round_trip.timeout());
            }
            if self.outstanding() == u32::from(self.window) {
                self.full_since = Some(now);
            }
        }
        sequence
    }

    /// Takes an acknowledgment; returns false if its number was never sent or is acknowledged
    /// already
    pub(crate) fn handle_acknowledgment(&mut self, now: Instant, acknowledgment: u32) -> bool {
        let sent = self.next.wrapping_sub(self.unacknowledged);
        let index = acknowledgment.wrapping_sub(self.unacknowledged);
        if index >= sent {
            return false;
        }
        self.measure(now, acknowledgment);
        self.grow(index.saturating_add(1));
        self.unacknowledged = acknowledgment.wrapping_add(1);
        if self.unacknowledged.wrapping_sub(self.window_start).cast_signed().is_positive() {
            self.window_start = self.unacknowledged;
        }
        self.timeout_at = match self.outstanding() {
            0 => None,
            _ => now.checked_add(self.round_trip.timeout()),
        };
        true
    }

    /// Handles an adaptive time-out; returns true if one has passed at `now`
    ///
    /// All outstanding datagrams count as acknowledged then, because GRE never retransmits.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.timeout_at.is_none_or(|at| at > now) {
            return false;
        }
        self.timeout_at = None;
        self.timed = None;
        self.window_start = self.next;
        self.window = self.window.div_ceil(2);
        self.acknowledged = 0;
        self.round_trip.back_off();
        self.silent_timeouts.increment();
        true
    }

    /// The end of the pause before the next datagram, if there is one. There is never a pause if
    /// the peer offered no window, because a window of 0 never became full.
    pub(crate) fn may_send(&self, now: Instant) -> Option<Instant> {
        let full = self.outstanding() >= self.window.into();
        if !full || !self.expects_acknowledgments() {
            return None;
        }
        let pause = self.round_trip.timeout().min(MAX_PAUSE);
        self.full_since?.checked_add(pause).filter(|until| now < *until)
    }

    pub(crate) const fn timeout_at(&self) -> Option<Instant> {
        self.timeout_at
    }

    pub(crate) const fn round_trip(&self) -> &RoundTrip {
        &self.round_trip
    }

    pub(crate) const fn peer_never_acknowledges(&self) -> bool {
        !self.has_acknowledged && self.silent_timeouts >= SILENT_TIMEOUTS
    }

    /// Returns true if the peer acknowledges: only then a full window and a time-out have a meaning
    const fn expects_acknowledgments(&self) -> bool {
        self.silent_timeouts < SILENT_TIMEOUTS
    }

    /// Datagrams in the window
    const fn outstanding(&self) -> u32 {
        self.next.wrapping_sub(self.window_start)
    }

    fn measure(&mut self, now: Instant, acknowledgment: u32) {
        if let Some((sequence, sent)) = self.timed
            && acknowledgment.wrapping_sub(sequence).cast_signed() >= 0
        {
            self.round_trip.measure(now.saturating_duration_since(sent));
            self.timed = None;
        }
    }

    /// Grows the window by one for each full window that was acknowledged
    ///
    /// Time-outs before the first acknowledgment mean that the first estimate was too short. Three
    /// time-outs in a row mean that the peer did not acknowledge for a while. In both cases the
    /// window starts again from its first size.
    fn grow(&mut self, count: u32) {
        if !self.has_acknowledged || !self.expects_acknowledgments() {
            self.window = first_window(self.offered);
        }
        self.has_acknowledged = true;
        self.silent_timeouts = 0;
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        self.acknowledged = self.acknowledged.saturating_add(count);
        if self.acknowledged >= self.window {
            self.acknowledged = 0;
            self.window = self.window.saturating_add(1).min(self.offered);
        }
    }

    /// Keeps the numbers that were never acknowledged within half the number space, in which they
    /// can be compared
    fn forget_the_oldest(&mut self) {
        for start in [&mut self.unacknowledged, &mut self.window_start] {
            if self.next.wrapping_sub(*start) > u32::MAX / 2 {
                *start = start.wrapping_add(1);
            }
        }
    }
}

/// Half of what the peer offers, at least one
const fn first_window(offered: u16) -> u16 {
    offered.div_ceil(2)
}

/// The longest pause that a full window asks for: peers that acknowledge only when they have
/// something to send would stall a one-way upload
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// Time-outs in a row after which the peer is taken for one that does not acknowledge
const SILENT_TIMEOUTS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::start;

    #[test]
    fn what_is_never_acknowledged_does_not_outgrow_what_can_be_compared() {
        let half = 0x8000_0000;
        let mut transmit = Transmit::starting_at(64, half);
        transmit.unacknowledged = 0;
        for sequence in half..half + 3 {
            assert_eq!(transmit.take_sequence(start()), sequence);
        }
        assert_eq!(transmit.next - transmit.unacknowledged, half, "one is forgotten for one sent");
    }

    #[test]
    fn the_oldest_of_what_can_be_compared_may_still_be_acknowledged() {
        let mut transmit = Transmit::starting_at(64, u32::MAX / 2 - 1);
        transmit.unacknowledged = 0;
        transmit.take_sequence(start());
        assert!(transmit.handle_acknowledgment(start(), 0));
    }
}
