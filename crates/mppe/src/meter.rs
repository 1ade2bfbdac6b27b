//! The budget for key changes that forged frames may cause

use std::time::{Duration, Instant};

/// A token bucket of key changes
///
/// A key change takes 0.75 µs (Zen 3), and one forged frame can ask for thousands. So key changes
/// that may be useless are paid from here, and the useful ones are given back. The bucket is deep,
/// 32 seconds of its income, so that a real outage is followed at once.
#[derive(Debug)]
pub(crate) struct Meter {
    tokens: u64,
    refilled: Option<Instant>,
}

impl Meter {
    pub(crate) const fn new() -> Self {
        Self { tokens: DEPTH, refilled: None }
    }

    /// The tokens that may be spent now
    pub(crate) fn tokens(&mut self, now: Instant) -> u64 {
        let since = *self.refilled.get_or_insert(now);
        let micros = u64::try_from(now.saturating_duration_since(since).as_micros());
        let income = micros.unwrap_or(u64::MAX).saturating_mul(PER_SECOND) / 1_000_000;
        // the time that gave no whole token counts next time
        let paid = Duration::from_nanos(income.saturating_mul(1_000_000_000) / PER_SECOND);
        self.refilled = since.checked_add(paid);
        self.earn(income);
        self.tokens
    }

    /// Takes the tokens that a pursuit may spend on a frame; [`give_back`](Self::give_back) returns
    /// the rest
    pub(crate) fn take_allowance(&mut self, now: Instant) -> u64 {
        let saved = self.tokens(now).saturating_sub(RESERVE).min(PER_FRAME);
        self.spend(saved);
        saved.saturating_add(FREE_PER_FRAME)
    }

    /// Takes back the `left` tokens of an allowance; the free tokens are counted as spent first
    pub(crate) fn give_back(&mut self, allowance: u64, left: u64) {
        self.earn(left.min(allowance.saturating_sub(FREE_PER_FRAME)));
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

/// Tokens that a pursuit leaves for small gaps
const RESERVE: u64 = 1024;
/// Tokens that a pursuit may take for one frame: 12 ms
const PER_FRAME: u64 = 16_384;
/// Free tokens that a pursuit has for each frame, even if no token is saved
///
/// More than one: otherwise it would never catch up with a peer that sends faster than the meter
/// earns.
const FREE_PER_FRAME: u64 = 4;

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
        assert_eq!(meter.take_allowance(now), PER_FRAME + FREE_PER_FRAME);
        meter.give_back(PER_FRAME + FREE_PER_FRAME, PER_FRAME);
        assert_eq!(meter.tokens(now), DEPTH, "the free ones were spent first");
        while meter.take_allowance(now) > FREE_PER_FRAME {}
        assert_eq!(meter.tokens(now), RESERVE);
        meter.give_back(FREE_PER_FRAME, 1);
        assert_eq!(meter.tokens(now), RESERVE);
    }
}
