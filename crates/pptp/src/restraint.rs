//! What is forged may take less than a fifth of the driver's time

use std::time::{Duration, Instant};

/// A budget of time for datagrams that lead to nothing
///
/// A twelfth of the time that passes is earned, [`DEPTH`] saved up at most. A round of the driver is
/// paid for with the time that it took and with [`WAKE`], as far as the datagrams in it led to nothing:
/// they were for no call, or from somebody else, or nothing came out of them. When nothing is left, the
/// driver receives nothing until as much has been earned again, [`LEAST_PAUSE`] at least and twelve
/// times [`MOST_OWED`] at most, since all tunnels wait. What comes meanwhile waits in the socket's buffer
/// and fills whole batches later, which makes each datagram cheaper: so a flood costs its sender more
/// than it costs here, and a good datagram between forged ones comes some milliseconds late.
#[derive(Debug)]
pub(crate) struct Restraint {
    /// What may be spent, in nanoseconds; less than nothing is owed
    balance: i64,
    settled: Instant,
    paused_until: Option<Instant>,
}

impl Restraint {
    /// With everything saved up
    pub(crate) fn new(now: Instant) -> Self {
        Self { balance: nanoseconds(DEPTH), settled: now, paused_until: None }
    }

    /// Pays for a round that took so long, of whose `datagrams` so many were `worthless`; tells
    /// whether a pause begins
    pub(crate) fn spend(
        &mut self,
        now: Instant,
        took: Duration,
        worthless: usize,
        datagrams: usize,
    ) -> bool {
        let earned = nanoseconds(now.saturating_duration_since(self.settled)) / SHARE;
        self.settled = now;
        let [worthless, all] =
            [worthless, datagrams.max(1)].map(|it| i64::try_from(it).unwrap_or(i64::MAX));
        let cost = nanoseconds(took.saturating_add(WAKE)).saturating_mul(worthless) / all;
        let balance = self.balance.saturating_add(earned).min(nanoseconds(DEPTH));
        self.balance = balance.saturating_sub(cost).max(-nanoseconds(MOST_OWED));
        if self.balance >= 0 {
            return false;
        }
        let owed = self.balance.saturating_neg().saturating_mul(SHARE);
        self.pause(now, Duration::from_nanos(owed.unsigned_abs()).max(LEAST_PAUSE));
        true
    }

    /// Begins or prolongs a pause
    pub(crate) fn pause(&mut self, now: Instant, duration: Duration) {
        self.paused_until = now.checked_add(duration);
    }

    /// Until when nothing is to be received
    pub(crate) const fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Ends a pause whose time has come; tells whether there was one
    pub(crate) fn ends_pause(&mut self, now: Instant) -> bool {
        self.paused_until.take_if(|until| *until <= now).is_some()
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(MOST).min(MOST)
}

/// One part in so many
const SHARE: i64 = 12;

/// What a round costs beside the time that it took: the thread's sleep and waking, the runtime, the
/// searches for what there is to do
///
/// 13 µs of the thread's time in a development build beside three other busy threads on two cores, less
/// in a release build. Without it a flood that comes a few datagrams at a time took 20 to 40 % of the
/// thread while its rounds were worth less than a twelfth.
const WAKE: Duration = Duration::from_micros(20);

/// What may be saved up: a crowd of servers that greet at once is none that floods
const DEPTH: Duration = Duration::from_millis(20);

/// What may be owed: one round may take long, when a peer's keys are looked for far ahead, and is then
/// metered by the decryptor
const MOST_OWED: Duration = Duration::from_millis(2);

/// tokio counts whole milliseconds
const LEAST_PAUSE: Duration = Duration::from_millis(1);

/// A day, so that nothing overflows
const MOST: i64 = 86_400 * 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::now;

    const MS: Duration = Duration::from_millis(1);

    /// The time of so many rounds of 1 ms each, and of the pauses between them
    fn share(worthless: usize, rounds: u32) -> f64 {
        let began = now();
        let mut at = began;
        let mut restraint = Restraint::new(at);
        for _ in 0..rounds {
            at = restraint.paused_until().unwrap_or(at) + MS;
            assert!(restraint.paused_until().is_none() || restraint.ends_pause(at));
            restraint.spend(at, MS.saturating_sub(WAKE), worthless, 64);
        }
        (MS * rounds).as_secs_f64() / (at - began).as_secs_f64()
    }

    #[test]
    fn what_leads_to_nothing_takes_a_twelfth_of_the_time() {
        let share = share(64, 10_000);
        assert!((0.083..=0.085).contains(&share), "{share}");
    }

    #[test]
    fn what_leads_to_something_takes_what_it_needs() {
        assert!((0.99..=1.0).contains(&share(0, 10_000)));
        assert!((0.99..=1.0).contains(&share(5, 10_000)), "less than a twelfth of it is worthless");
        let half = share(32, 10_000);
        assert!((0.16..=0.17).contains(&half), "{half}");
    }

    #[test]
    fn rounds_of_no_length_cost_their_wakes() {
        let began = now();
        let mut at = began;
        let mut restraint = Restraint::new(at);
        let mut rounds = 0;
        while at < began + Duration::from_secs(10) {
            at = restraint.paused_until().unwrap_or(at) + Duration::from_micros(1);
            restraint.ends_pause(at);
            restraint.spend(at, Duration::ZERO, 1, 1);
            rounds += 1;
        }
        let a_second = rounds / 10;
        assert!((4_000..=4_300).contains(&a_second), "{a_second}");
    }

    #[test]
    fn a_pause_ends_once_and_not_before_its_time() {
        let began = now();
        let mut restraint = Restraint::new(began);
        assert!(!restraint.ends_pause(began));
        restraint.pause(began, MS);
        assert_eq!(restraint.paused_until(), Some(began + MS));
        assert!(!restraint.ends_pause(began + MS / 2));
        assert!(restraint.ends_pause(began + MS) && !restraint.ends_pause(began + MS));
        assert_eq!(restraint.paused_until(), None);
    }

    #[test]
    fn a_short_crowd_is_let_in() {
        assert!((0.99..=1.0).contains(&share(64, 20)));
        assert!(share(64, 60) < 0.3);
    }
}
