//! What may be spent on frames that may be forged

use std::time::{Duration, Instant};

/// A token bucket of key changes
///
/// A key change takes 0.75 µs (Zen 3). Whoever forges frames can ask for thousands of them
/// with each, so work that may lead nowhere is paid from here, and what turned out to be needed is
/// given back. The bucket is deep, 32 seconds of its income: a true outage is followed in one go.
#[derive(Debug)]
pub(crate) struct Meter {
    tokens: u64,
    refilled: Option<Instant>,
}

impl Meter {
    pub(crate) const fn new() -> Self {
        Self { tokens: DEPTH, refilled: None }
    }

    /// What may be spent now
    pub(crate) fn tokens(&mut self, now: Instant) -> u64 {
        let since = *self.refilled.get_or_insert(now);
        let micros = u64::try_from(now.saturating_duration_since(since).as_micros());
        let income = micros.unwrap_or(u64::MAX).saturating_mul(PER_SECOND) / 1_000_000;
        // What was not enough for a whole token counts next time.
        let paid = Duration::from_nanos(income.saturating_mul(1_000_000_000) / PER_SECOND);
        self.refilled = since.checked_add(paid);
        self.earn(income);
        self.tokens
    }

    /// What a pursuit may spend on a frame, to be settled by [`give_back`](Self::give_back)
    pub(crate) fn take_allowance(&mut self, now: Instant) -> u64 {
        let saved = self.tokens(now).saturating_sub(RESERVE).min(PER_FRAME);
        self.spend(saved);
        saved.saturating_add(PER_AGREEING_FRAME)
    }

    /// Takes back what was `left` of an allowance; what comes for free was spent first
    pub(crate) fn give_back(&mut self, allowance: u64, left: u64) {
        self.earn(left.min(allowance.saturating_sub(PER_AGREEING_FRAME)));
    }

    pub(crate) fn spend(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_sub(tokens);
    }

    pub(crate) fn earn(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens).min(DEPTH);
    }
}

const PER_SECOND: u64 = 4096;
const DEPTH: u64 = 32 * PER_SECOND;

/// What a pursuit leaves for gaps near by
const RESERVE: u64 = 1024;
/// What a pursuit may take for one frame: 12 ms
const PER_FRAME: u64 = 16_384;
/// What a pursuit has for each frame even if nothing is saved
///
/// More than one: else it would never catch up with a peer that sends faster than the meter earns.
const PER_AGREEING_FRAME: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::epoch;

    #[test]
    fn earns_4096_a_second_however_often_it_is_asked() {
        let mut now = epoch();
        let mut meter = Meter::new();
        let saved = meter.tokens(now);
        meter.spend(saved);
        for _ in 0..10_000 {
            now += Duration::from_micros(100);
            meter.tokens(now);
        }
        assert_eq!(meter.tokens(now), 4096);
    }

    #[test]
    fn saves_for_32_seconds() {
        let now = epoch();
        let mut meter = Meter::new();
        assert_eq!(meter.tokens(now), DEPTH);
        meter.spend(DEPTH);
        assert_eq!(meter.tokens(now + Duration::from_secs(31)), 31 * PER_SECOND);
        assert_eq!(meter.tokens(now + Duration::from_hours(1)), DEPTH);
        assert_eq!(meter.tokens(now), DEPTH, "time does not run backwards");
    }

    #[test]
    fn a_pursuit_leaves_a_reserve_and_has_a_little_for_free() {
        let now = epoch();
        let mut meter = Meter::new();
        assert_eq!(meter.take_allowance(now), PER_FRAME + PER_AGREEING_FRAME);
        meter.give_back(PER_FRAME + PER_AGREEING_FRAME, PER_FRAME);
        assert_eq!(meter.tokens(now), DEPTH, "the free ones were spent first");
        while meter.take_allowance(now) > PER_AGREEING_FRAME {}
        assert_eq!(meter.tokens(now), RESERVE);
        meter.give_back(PER_AGREEING_FRAME, 1);
        assert_eq!(meter.tokens(now), RESERVE);
    }
}
