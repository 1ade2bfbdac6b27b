//! The pause of a site after a failure, which grows with each further one

use std::time::Duration;

use pptp::Class;

/// The pauses of one site between its dials
///
/// The first pause of a run of failures is the library's: [`TunnelError::retry_after`]. Each further failure of the
/// same class doubles it, up to a bound of that class. A tunnel that was up for [`STABLE`] ends the run.
///
/// [`TunnelError::retry_after`]: pptp::TunnelError::retry_after
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// The class of the latest failures, and their number
    run: Option<(Class, u32)>,
    /// The pause after which a server that was busy had room the last time
    learned: Option<Duration>,
    /// The latest pause, if the failure before it was of class busy
    busy_pause: Option<Duration>,
}

/// A failure, as far as pauses are concerned
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) class: Class,
    /// The least time before the next dial; `None` if the library knows none
    pub(crate) retry_after: Option<Duration>,
    /// True if the server has accepted this login before
    pub(crate) was_accepted: bool,
}

impl Backoff {
    /// Returns the pause before the next dial; `None`: no dial before the configuration changes
    ///
    /// `chance` is in 0..1. It lengthens the pause by up to a half, so that sites which failed together do not come
    /// back together.
    pub(crate) fn failed(&mut self, failed: Failed, chance: f64) -> Option<Duration> {
        if failed.class == Class::Configuration {
            return None;
        }
        let number = match self.run {
            Some((class, number)) if class == failed.class => number.saturating_add(1),
            _ => 0,
        };
        self.run = Some((failed.class, number));
        let pause = match failed.class {
            Class::Credentials if failed.was_accepted => known_login_pause(number),
            Class::Busy => self.busy_pause(failed, number),
            class => grown(first_pause(class, failed.retry_after), number, max_pause(class)),
        };
        self.busy_pause = (failed.class == Class::Busy).then_some(pause);
        Some(pause.saturating_add(pause.mul_f64(chance.clamp(0.0, 1.0) / 2.0)))
    }

    /// Notes that a tunnel came up
    ///
    /// A server that had been busy has room again: the pause before this dial was long enough, and is the first one
    /// the next time.
    pub(crate) const fn up(&mut self) {
        if let Some(pause) = self.busy_pause.take() {
            self.learned = Some(pause);
        }
    }

    /// Notes that a tunnel has been up for so long
    pub(crate) fn was_up(&mut self, duration: Duration) {
        if duration >= STABLE {
            self.run = None;
        }
    }

    /// Forgets all failures: the configuration has changed, or the owner asks for a dial
    pub(crate) const fn reset(&mut self) {
        self.run = None;
    }

    /// The number of failures in a row of the latest failure's class
    pub(crate) fn failures(&self) -> u32 {
        self.run.map_or(0, |(_, number)| number.saturating_add(1))
    }

    fn busy_pause(&self, failed: Failed, number: u32) -> Duration {
        let first = first_pause(Class::Busy, failed.retry_after);
        let first = self.learned.map_or(first, |learned| learned.max(first));
        grown(first, number, max_pause(Class::Busy))
    }
}

fn first_pause(class: Class, retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or(match class {
        Class::Credentials => HOUR,
        Class::Operator => TEN_MINUTES,
        Class::Busy => HALF_A_MINUTE,
        Class::OwnDeed | Class::Network | Class::Configuration | Class::Host => SECOND,
    })
}

/// A login that the server has accepted before: its session may still live there, or its RADIUS server is down
fn known_login_pause(number: u32) -> Duration {
    match number {
        0 => Duration::from_mins(1),
        1 => Duration::from_mins(3),
        2 => TEN_MINUTES,
        number => grown(HOUR, number.saturating_sub(3), max_pause(Class::Credentials)),
    }
}

/// `first`, doubled `number` times, `most` at most; a `first` that is longer stays
fn grown(first: Duration, number: u32, most: Duration) -> Duration {
    let factor = 1_u32.checked_shl(number).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(most.max(first))
}

const fn max_pause(class: Class) -> Duration {
    match class {
        Class::Credentials => DAY,
        Class::Operator | Class::Configuration => HOUR,
        Class::OwnDeed | Class::Network | Class::Busy | Class::Host => FIVE_MINUTES,
    }
}

/// The time for which a tunnel must be up before its earlier failures are forgotten
pub(crate) const STABLE: Duration = Duration::from_mins(1);

const SECOND: Duration = Duration::from_secs(1);
const HALF_A_MINUTE: Duration = Duration::from_secs(30);
const FIVE_MINUTES: Duration = Duration::from_mins(5);
const TEN_MINUTES: Duration = Duration::from_mins(10);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(class: Class, seconds: Option<u64>) -> Failed {
        Failed { class, retry_after: seconds.map(Duration::from_secs), was_accepted: false }
    }

    /// The pauses of so many failures in a row, in seconds, without chance
    fn pauses(backoff: &mut Backoff, failed: Failed, count: usize) -> Vec<u64> {
        (0..count).filter_map(|_| backoff.failed(failed, 0.0)).map(|it| it.as_secs()).collect()
    }

    #[test]
    fn each_class_has_its_first_pause_and_its_bound() {
        let minutes = |minutes: u64| minutes * 60;
        for (of, expected) in [
            (failed(Class::Network, Some(1)), vec![1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]),
            (failed(Class::Network, Some(10)), vec![10, 20, 40, 80, 160, 300, 300]),
            (failed(Class::Busy, Some(30)), vec![30, 60, 120, 240, 300, 300]),
            (failed(Class::Operator, Some(600)), [10, 20, 40, 60, 60].map(minutes).to_vec()),
            (
                failed(Class::Credentials, Some(3600)),
                [60, 120, 240, 480, 960, 1440, 1440].map(minutes).to_vec(),
            ),
            (failed(Class::Credentials, None), [60, 120].map(minutes).to_vec()),
            (failed(Class::Host, Some(60)), [1, 2, 4, 5, 5].map(minutes).to_vec()),
            (failed(Class::Configuration, None), vec![]),
        ] {
            let mut backoff = Backoff::default();
            let count = if expected.is_empty() { 3 } else { expected.len() };
            assert_eq!(pauses(&mut backoff, of, count), expected, "{of:?}");
        }
    }

    #[test]
    fn a_login_that_was_accepted_before_waits_minutes_first() {
        let of = Failed { was_accepted: true, ..failed(Class::Credentials, Some(3600)) };
        let seconds = pauses(&mut Backoff::default(), of, 9);
        assert_eq!(seconds, [1, 3, 10, 60, 120, 240, 480, 960, 1440].map(|minutes| minutes * 60));
    }

    #[test]
    fn a_failure_of_another_class_begins_a_run_and_a_minute_up_ends_one() {
        let mut backoff = Backoff::default();
        let network = failed(Class::Network, Some(1));
        assert_eq!(pauses(&mut backoff, network, 3), [1, 2, 4]);
        assert_eq!(backoff.failures(), 3);
        assert_eq!(pauses(&mut backoff, failed(Class::Busy, Some(30)), 1), [30]);
        assert_eq!(pauses(&mut backoff, network, 2), [1, 2]);
        backoff.was_up(Duration::from_secs(59));
        assert_eq!(pauses(&mut backoff, network, 1), [4]);
        backoff.was_up(STABLE);
        assert_eq!(pauses(&mut backoff, network, 1), [1]);
        backoff.reset();
        assert_eq!((backoff.failures(), pauses(&mut backoff, network, 1)), (0, vec![1]));
    }

    #[test]
    fn the_pause_after_which_a_busy_server_had_room_is_the_first_one_the_next_time() {
        let mut backoff = Backoff::default();
        let busy = failed(Class::Busy, Some(30));
        assert_eq!(pauses(&mut backoff, busy, 3), [30, 60, 120]);
        backoff.up();
        backoff.was_up(STABLE);
        assert_eq!(pauses(&mut backoff, busy, 3), [120, 240, 300]);
        // room after a failure of another class teaches nothing
        backoff.failed(failed(Class::Network, Some(1)), 0.0);
        backoff.up();
        backoff.was_up(STABLE);
        assert_eq!(pauses(&mut backoff, busy, 1), [120]);
    }

    #[test]
    fn chance_lengthens_a_pause_by_half_at_most() {
        for (chance, expected) in [(0.0, 10.0), (0.5, 12.5), (1.0, 15.0), (7.0, 15.0), (-1.0, 10.0)]
        {
            let pause = Backoff::default().failed(failed(Class::Network, Some(10)), chance);
            assert!((pause.unwrap().as_secs_f64() - expected).abs() < 1e-6, "{chance}");
        }
    }
}
