//! The time of a stack

use std::time::{Duration, Instant};

/// Microseconds since the stack was made
pub(crate) type Time = u64;

/// A deadline that never comes
pub(crate) const NEVER: Time = Time::MAX;

pub(crate) fn micros(duration: Duration) -> Time {
    Time::try_from(duration.as_micros()).unwrap_or(NEVER)
}

/// The clock of a stack: the instant at which its time begins
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    epoch: Instant,
    /// The last conversion, kept because a turn asks for one moment many times
    last: (Instant, Time),
}

impl Clock {
    pub(crate) const fn new(epoch: Instant) -> Self {
        Self { epoch, last: (epoch, 0) }
    }

    pub(crate) fn time(&mut self, at: Instant) -> Time {
        if self.last.0 != at {
            self.last = (at, micros(at.saturating_duration_since(self.epoch)));
        }
        self.last.1
    }

    pub(crate) fn instant(self, at: Time) -> Option<Instant> {
        if at == NEVER { None } else { self.epoch.checked_add(Duration::from_micros(at)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_survives_the_way_to_an_instant_and_back() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let mut clock = Clock::new(Instant::now());
        let at = clock.instant(1_234_567).unwrap();
        assert_eq!((clock.time(at), clock.time(at)), (1_234_567, 1_234_567));
        assert_eq!(clock.instant(NEVER), None);
    }
}
