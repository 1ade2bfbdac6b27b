//! The watch over the clocks: a machine that slept has tunnels that may be dead, and pauses that are long over

use std::time::Duration;

use pptp_fleet::Fleet;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

/// Compares the clock that stands still while the machine sleeps with the one that goes on
#[derive(Debug, Default)]
struct SleepWatch {
    /// The time that the machine has slept since its start, as far as known
    slept: Option<Duration>,
}

impl SleepWatch {
    /// Takes both clocks; returns true if the machine has slept since the call before
    fn has_slept(&mut self, with_sleep: Duration, without_sleep: Duration) -> bool {
        let slept = with_sleep.saturating_sub(without_sleep);
        let before = self.slept.replace(slept).unwrap_or(slept);
        slept.saturating_sub(before) > MIN_SLEEP
    }
}

/// Tells the fleet when the machine has slept; never ends by itself
pub(super) async fn watch(fleet: Fleet) {
    let mut watch = SleepWatch::default();
    loop {
        let (without_sleep, with_sleep) = (read(ClockId::Monotonic), read(ClockId::Boottime));
        if watch.has_slept(with_sleep, without_sleep) {
            tracing::warn!("this machine was asleep: all tunnels are looked at");
            fleet.clock_jumped().await;
        }
        sleep(INTERVAL).await;
    }
}

fn read(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

/// The shortest sleep that is told: a shorter one is a busy machine
const MIN_SLEEP: Duration = Duration::from_secs(5);

/// The time between two looks at the clocks
const INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_difference_that_grows_by_more_than_five_seconds_is_a_sleep() {
        let seconds = Duration::from_secs;
        let mut watch = SleepWatch::default();
        assert!(!watch.has_slept(seconds(1000), seconds(100)), "it slept before the start");
        assert!(!watch.has_slept(seconds(1005), seconds(105)));
        assert!(!watch.has_slept(seconds(1015), seconds(110)), "five seconds are no sleep");
        assert!(watch.has_slept(seconds(1026), seconds(115)));
        assert!(!watch.has_slept(seconds(1031), seconds(120)), "told once");
    }

    #[test]
    fn the_system_has_both_clocks() {
        let without_sleep = read(ClockId::Monotonic);
        assert!(without_sleep > Duration::ZERO);
        assert!(read(ClockId::Boottime) >= without_sleep);
    }
}
