//! What is forged may take less than a fifth of the driver's time

use std::time::{Duration, Instant};

/// A budget of time for datagrams that lead to nothing
///
/// A twelfth of the time that passes is earned, [`DEPTH`] saved up at most: with what it costs to be
/// woken, before and after a round is measured, that comes to less than a fifth (8 to 17 % of the
/// thread's time, at 170,000 forged datagrams a second through a raw socket). A round of the driver is
/// paid for with the time that it took, as far as the datagrams in it led to nothing: they were for no
/// call, or from somebody else, or nothing came out of them. When nothing is left, the driver receives
/// nothing until as much has been earned again, [`LEAST_PAUSE`] at least and twelve times [`MOST_OWED`]
/// at most, since all tunnels wait. What comes meanwhile waits in the socket's buffer and fills whole
/// batches later, which makes each datagram cheaper: so a flood costs its sender more than it costs
/// here, and a good datagram between forged ones comes some milliseconds late.
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
        let cost = nanoseconds(took).saturating_mul(worthless) / all;
        let balance = self.balance.saturating_add(earned).min(nanoseconds(DEPTH));
        self.balance = balance.saturating_sub(cost).max(-nanoseconds(MOST_OWED));
        if self.balance >= 0 {
            return false;
        }
        let owed = self.balance.saturating_neg().saturating_mul(SHARE);
        let pause = Duration::from_nanos(owed.unsigned_abs()).max(LEAST_PAUSE);
        self.paused_until = now.checked_add(pause);
        true
    }

    /// Until when nothing is to be received, if that is after `now`
    pub(crate) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(MOST).min(MOST)
}

/// One part in so many
const SHARE: i64 = 12;

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
            at = restraint.paused_until(at).unwrap_or(at) + MS;
            restraint.spend(at, MS, worthless, 64);
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
    fn a_short_crowd_is_let_in() {
        assert!((0.99..=1.0).contains(&share(64, 20)));
        assert!(share(64, 60) < 0.3);
    }
}
