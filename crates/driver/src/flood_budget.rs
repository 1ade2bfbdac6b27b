//! The bound on the time that forged datagrams take: less than a fifth of the driver's

use std::time::{Duration, Instant};

/// A budget of time for useless datagrams
///
/// A datagram is useless if it is for no call, or comes from another sender, or nothing comes out of it.
/// The budget grows by a twelfth of the time that passes, up to [`MAX_SAVED`]. Each round of the driver costs
/// its time and [`ROUND_COST`], in proportion to the useless datagrams in it. When the budget is used up, the
/// driver stops receiving until the debt is earned back: [`MIN_PAUSE`] at least, and twelve times
/// [`MAX_DEBT`] at most, since all tunnels wait. Datagrams that arrive meanwhile wait in the socket's
/// buffer. They fill whole batches later, which makes each datagram cheaper. So a flood costs its sender
/// more than it costs here, and a good datagram between forged ones comes some milliseconds late.
#[derive(Debug)]
pub(crate) struct FloodBudget {
    /// The time that may be spent, in nanoseconds; a debt if negative
    balance: i64,
    settled: Instant,
    paused_until: Option<Instant>,
}

impl FloodBudget {
    /// A full budget
    pub(crate) fn new(now: Instant) -> Self {
        Self { balance: nanoseconds(MAX_SAVED), settled: now, paused_until: None }
    }

    /// Pays for a round that took `took` and had `useless` ones among its `datagrams`
    ///
    /// Returns true if a pause begins.
    pub(crate) fn spend(
        &mut self,
        now: Instant,
        took: Duration,
        useless: usize,
        datagrams: usize,
    ) -> bool {
        let earned = nanoseconds(now.saturating_duration_since(self.settled)) / EARNED_SHARE;
        self.settled = now;
        let [useless, all] =
            [useless, datagrams.max(1)].map(|it| i64::try_from(it).unwrap_or(i64::MAX));
        let cost = nanoseconds(took.saturating_add(ROUND_COST)).saturating_mul(useless) / all;
        let balance = self.balance.saturating_add(earned).min(nanoseconds(MAX_SAVED));
        self.balance = balance.saturating_sub(cost).max(-nanoseconds(MAX_DEBT));
        if self.balance >= 0 {
            return false;
        }
        let owed = self.balance.saturating_neg().saturating_mul(EARNED_SHARE);
        self.pause(now, Duration::from_nanos(owed.unsigned_abs()).max(MIN_PAUSE));
        true
    }

    /// Begins or prolongs a pause
    pub(crate) fn pause(&mut self, now: Instant, duration: Duration) {
        self.paused_until = now.checked_add(duration);
    }

    /// The end of the pause, while there is one
    pub(crate) const fn paused_until(&self) -> Option<Instant> {
        self.paused_until
    }

    /// Ends a pause whose time is over; returns whether there was one
    pub(crate) fn ends_pause(&mut self, now: Instant) -> bool {
        self.paused_until.take_if(|until| *until <= now).is_some()
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(MAX_NANOSECONDS).min(MAX_NANOSECONDS)
}

/// The share of the time that is earned: one part in 12
const EARNED_SHARE: i64 = 12;

/// The cost of a round beside the time that it took: the thread's sleep and waking, the runtime, the
/// search for work
///
/// 13 µs of the thread's time in a development build beside three other busy threads on two cores, less
/// in a release build. Without it a flood that comes a few datagrams at a time took 20 to 40 % of the
/// thread while its rounds were worth less than a twelfth.
const ROUND_COST: Duration = Duration::from_micros(20);

/// The most that can be saved up: many servers that greet at once are no flood
const MAX_SAVED: Duration = Duration::from_millis(20);

/// The largest debt: one round may take long, when a peer's keys are searched far ahead, which the
/// decryptor limits itself
const MAX_DEBT: Duration = Duration::from_millis(2);

/// The shortest pause: tokio counts whole milliseconds
const MIN_PAUSE: Duration = Duration::from_millis(1);

/// The longest time that is counted: a day, so that nothing overflows
const MAX_NANOSECONDS: i64 = 86_400 * 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    const MS: Duration = Duration::from_millis(1);

    /// The share of the time that `rounds` rounds of 1 ms take, with the pauses between them
    fn share(useless: usize, rounds: u32) -> f64 {
        let began = now();
        let mut at = began;
        let mut budget = FloodBudget::new(at);
        for _ in 0..rounds {
            at = budget.paused_until().unwrap_or(at) + MS;
            assert!(budget.paused_until().is_none() || budget.ends_pause(at));
            budget.spend(at, MS.saturating_sub(ROUND_COST), useless, 64);
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
        assert!((0.99..=1.0).contains(&share(5, 10_000)), "less than a twelfth of it is useless");
        let half = share(32, 10_000);
        assert!((0.16..=0.17).contains(&half), "{half}");
    }

    #[test]
    fn rounds_of_no_length_cost_their_wakes() {
        let began = now();
        let mut at = began;
        let mut budget = FloodBudget::new(at);
        let mut rounds = 0;
        while at < began + Duration::from_secs(10) {
            at = budget.paused_until().unwrap_or(at) + Duration::from_micros(1);
            budget.ends_pause(at);
            budget.spend(at, Duration::ZERO, 1, 1);
            rounds += 1;
        }
        let a_second = rounds / 10;
        assert!((4_000..=4_300).contains(&a_second), "{a_second}");
    }

    #[test]
    fn a_pause_ends_once_and_not_before_its_time() {
        let began = now();
        let mut budget = FloodBudget::new(began);
        assert!(!budget.ends_pause(began));
        budget.pause(began, MS);
        assert_eq!(budget.paused_until(), Some(began + MS));
        assert!(!budget.ends_pause(began + MS / 2));
        assert!(budget.ends_pause(began + MS) && !budget.ends_pause(began + MS));
        assert_eq!(budget.paused_until(), None);
    }

    #[test]
    fn a_short_crowd_is_let_in() {
        assert!((0.99..=1.0).contains(&share(64, 20)));
        assert!(share(64, 60) < 0.3);
    }
}
