//! A rate limiter, and a window of the latest sequence numbers

use std::time::{Duration, Instant};

use pptp_packet::Counter;

/// A rate limiter: an event may happen only so often in a period
#[derive(Debug)]
pub(crate) struct Rate {
    most: u8,
    seconds: u8,
    since: Option<Instant>,
    taken: u8,
}

impl Rate {
    /// A limiter that allows `most` events in `seconds`
    pub(crate) const fn new((most, seconds): (u8, u8)) -> Self {
        Self { most, seconds, since: None, taken: 0 }
    }

    /// Returns true if it may happen once more, now
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.renew(now);
        self.take_another()
    }

    /// Begins another period, if the last one is over
    pub(crate) fn renew(&mut self, now: Instant) {
        let period = Duration::from_secs(self.seconds.into());
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= period) {
            self.since = Some(now);
            self.taken = 0;
        }
    }

    /// Returns true if it may happen once more in the period that was begun last
    pub(crate) fn take_another(&mut self) -> bool {
        if self.taken >= self.most {
            return false;
        }
        self.taken.increment();
        true
    }
}

/// A window that notes which of the last 64 sequence numbers came in
#[derive(Debug)]
pub(crate) struct ReplayWindow {
    highest: u32,
    /// Bit 0 is the highest, bit 1 the one before it
    seen: u64,
}

impl ReplayWindow {
    pub(crate) const fn new() -> Self {
        Self { highest: 0, seen: 0 }
    }

    /// Returns true if this sequence number came in before; one too old to know is taken for new
    pub(crate) fn contains(&self, sequence: u32) -> bool {
        let behind = self.highest.wrapping_sub(sequence);
        self.seen.checked_shr(behind).is_some_and(|seen| seen & 1 == 1)
    }

    pub(crate) fn insert(&mut self, sequence: u32) {
        let behind = self.highest.wrapping_sub(sequence);
        if self.seen == 0 || behind > u32::MAX / 2 {
            let ahead = sequence.wrapping_sub(self.highest);
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = sequence;
        } else {
            self.seen |= 1_u64.checked_shl(behind).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::epoch;

    #[test]
    fn so_many_in_a_period() {
        let (mut rate, now) = (Rate::new((3, 2)), epoch());
        let taken = (0..40).filter(|n| rate.take(now + *n * Duration::from_millis(100))).count();
        assert_eq!(taken, 6);
    }

    proptest! {
        #[test]
        fn a_number_is_known_again_while_it_is_recent(
            base: u32, offsets in proptest::collection::vec(0..60_u32, 1..50),
        ) {
            let mut window = ReplayWindow::new();
            let mut seen = std::collections::HashSet::new();
            for offset in offsets {
                let sequence = base.wrapping_add(offset);
                prop_assert_eq!(window.contains(sequence), !seen.insert(sequence));
                window.insert(sequence);
            }
        }
    }

    #[test]
    fn what_is_too_old_to_know_is_taken_for_new() {
        let mut window = ReplayWindow::new();
        assert!(!window.contains(0));
        window.insert(0);
        window.insert(64);
        assert!(!window.contains(0));
        assert!(window.contains(64));
    }
}
