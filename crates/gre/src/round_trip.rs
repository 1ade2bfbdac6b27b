//! Round-trip time and the adaptive acknowledgment time-out (RFC 2637 section 4.4)

use std::time::Duration;

/// An estimate of the time from a datagram to its acknowledgment; all in microseconds
#[derive(Debug)]
pub(crate) struct RoundTrip {
    smoothed: u32,
    deviation: u32,
    measured: bool,
}

impl RoundTrip {
    pub(crate) const fn new() -> Self {
        Self { smoothed: FIRST_GUESS, deviation: 0, measured: false }
    }

    /// Takes a measurement into the estimate
    pub(crate) fn measure(&mut self, sample: Duration) {
        let sample = i64::from(micros(sample));
        let difference = sample.saturating_sub(self.smoothed.into());
        let excess = difference.saturating_abs().saturating_sub(self.deviation.into());
        self.deviation = shift(self.deviation, excess, BETA_DIVISOR);
        self.smoothed = shift(self.smoothed, difference, ALPHA_DIVISOR);
        self.measured = true;
    }

    /// Lengthens the time-out after an acknowledgment that did not come in time
    pub(crate) fn back_off(&mut self) {
        self.smoothed = self.smoothed.saturating_mul(DELTA).min(MAX_TIMEOUT);
    }

    /// The time to wait for an acknowledgment
    pub(crate) fn timeout(&self) -> Duration {
        let timeout = self.smoothed.saturating_add(self.deviation.saturating_mul(CHI));
        Duration::from_micros(timeout.clamp(MIN_TIMEOUT, MAX_TIMEOUT).into())
    }

    /// The estimate, once there was a measurement
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.measured.then(|| Duration::from_micros(self.smoothed.into()))
    }
}

/// Returns `value + change / divisor`, within the limits of an estimate
fn shift(value: u32, change: i64, divisor: i64) -> u32 {
    let part = change.checked_div(divisor).unwrap_or(0);
    u32::try_from(i64::from(value).saturating_add(part).max(0)).unwrap_or(MAX_TIMEOUT)
}

/// Returns a sample in microseconds, limited to the longest time-out
fn micros(sample: Duration) -> u32 {
    u32::try_from(sample.as_micros()).unwrap_or(MAX_TIMEOUT).min(MAX_TIMEOUT)
}

/// First guess of the round-trip time, before anything was measured, in microseconds
const FIRST_GUESS: u32 = 100_000;

/// The RFC leaves the bounds of the time-out open; these are FreeBSD's, in microseconds
const MIN_TIMEOUT: u32 = 12_000;
const MAX_TIMEOUT: u32 = 10_000_000;

/// The RFC's gains: alpha 1/8, beta 1/4, chi 4, delta 2
const ALPHA_DIVISOR: i64 = 8;
const BETA_DIVISOR: i64 = 4;
const CHI: u32 = 4;
const DELTA: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn rfc2637_section_4_4_formulas() {
        let mut trip = RoundTrip::new();
        assert_eq!((trip.smoothed(), trip.timeout()), (None, ms(100)));
        trip.measure(ms(180));
        // difference 80: deviation 80/4 = 20, smoothed 100 + 80/8 = 110, time-out 110 + 4 * 20
        assert_eq!((trip.smoothed(), trip.timeout()), (Some(ms(110)), ms(190)));
        trip.measure(ms(30));
        // difference -80: deviation 20 + (80 - 20)/4 = 35, smoothed 110 - 80/8 = 100
        assert_eq!((trip.smoothed(), trip.timeout()), (Some(ms(100)), ms(240)));
        trip.back_off();
        assert_eq!(trip.timeout(), ms(340));
    }

    #[test]
    fn the_timeout_stays_within_its_bounds() {
        let mut trip = RoundTrip::new();
        for _ in 0..200 {
            trip.measure(Duration::ZERO);
        }
        assert_eq!(trip.timeout(), ms(12));
        for _ in 0..40 {
            trip.measure(Duration::MAX);
            trip.back_off();
        }
        assert_eq!(trip.timeout(), Duration::from_secs(10));
    }
}
