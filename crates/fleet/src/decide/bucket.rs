//! A token bucket: the rate of dials

use std::time::{Duration, Instant};

/// A token bucket
///
/// It gives `burst` tokens at once at most, and one each `interval` on the average.
#[derive(Debug)]
pub(crate) struct Bucket {
    interval: Duration,
    /// The time that `burst` tokens take
    depth: Duration,
    /// The time at which the bucket is full; the tokens that are missing lie between now and then
    full_at: Instant,
}

impl Bucket {
    /// Makes a full bucket
    pub(crate) fn new(now: Instant, interval: Duration, burst: u32) -> Self {
        Self { interval, depth: interval.saturating_mul(burst.max(1)), full_at: now }
    }

    /// Takes a token, if there is one
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.next(now).is_some() {
            return false;
        }
        let since = self.full_at.max(now);
        self.full_at = since.checked_add(self.interval).unwrap_or(since);
        true
    }

    /// Returns the time at which a token will be there; `None` if there is one
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        let room = self.depth.saturating_sub(self.interval);
        let missing = self.full_at.saturating_duration_since(now);
        let wait = missing.checked_sub(room).filter(|wait| !wait.is_zero())?;
        now.checked_add(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let begin = tokio::time::Instant::now().into_std();
        let mut bucket = Bucket::new(begin, Duration::from_millis(20), 5);
        assert_eq!((0..100).filter(|_| bucket.take(begin)).count(), 5);
        assert_eq!(bucket.next(begin), Some(begin + Duration::from_millis(20)));
        let mut now = begin;
        for _ in 0..50 {
            assert!(!bucket.take(now));
            now = bucket.next(now).unwrap();
            assert!(bucket.take(now), "the time that was told is the time");
        }
        assert_eq!(now, begin + Duration::from_secs(1));
        assert_eq!((0..100).filter(|_| bucket.take(now + Duration::from_hours(1))).count(), 5);
    }
}
