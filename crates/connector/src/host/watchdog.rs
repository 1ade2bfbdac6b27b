//! The feeder of the service manager's watchdog

use std::{env, future::Future, time::Duration};

use tokio::time::{sleep, timeout};

/// The watchdog that the service manager has set on this process
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchdog {
    /// The time after which it ends a process that was silent
    patience: Duration,
}

impl Watchdog {
    /// Returns the watchdog of this process, from `WATCHDOG_USEC` and `WATCHDOG_PID`
    pub fn of_process() -> Option<Self> {
        let variable = |name| env::var(name).ok();
        Self::find(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
            std::process::id(),
        )
    }

    /// A watchdog with this patience
    pub const fn of(patience: Duration) -> Self {
        Self { patience }
    }

    /// Returns the watchdog by the values of both variables; one for another process is none
    fn find(microseconds: Option<&str>, of: Option<&str>, process: u32) -> Option<Self> {
        let patience = Duration::from_micros(microseconds?.parse().ok()?);
        let is_ours = of.is_none_or(|of| of.parse() == Ok(process));
        (is_ours && !patience.is_zero()).then_some(Self { patience })
    }

    /// Returns the time between two signs of life: a third of the patience
    fn interval(self) -> Duration {
        self.patience.checked_div(3).unwrap_or(self.patience)
    }
}

/// Feeds a watchdog as long as beats are answered
///
/// `beat` answers once the driver and the supervisor have both turned, and false if one of them is gone for good: then
/// the watchdog starves. So it does while an answer is missing. `feed` gives the sign of life.
///
/// Returns when a beat was answered by false.
pub async fn feed<B: Future<Output = bool>>(
    watchdog: Watchdog,
    mut beat: impl FnMut() -> B,
    mut feed: impl FnMut(),
) {
    let interval = watchdog.interval();
    loop {
        let answer = beat();
        tokio::pin!(answer);
        let mut is_told = false;
        let is_alive = loop {
            match timeout(interval, &mut answer).await {
                Ok(is_alive) => break is_alive,
                Err(_) if is_told => {}
                Err(_) => {
                    is_told = true;
                    tracing::error!(
                        "the driver or the supervisor has not turned for {} s: the watchdog is not fed",
                        interval.as_secs()
                    );
                }
            }
        };
        if !is_alive {
            return;
        }
        feed();
        sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        future::pending,
    };

    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(2);

    fn watchdog() -> Watchdog {
        Watchdog::find(Some("120000000"), None, 7).expect("it is set")
    }

    #[test]
    fn a_watchdog_is_that_of_the_process_that_it_names() {
        let some = Some(Watchdog { patience: PATIENCE });
        for (microseconds, of, found) in [
            (Some("120000000"), Some("7"), some),
            (Some("120000000"), None, some),
            (Some("120000000"), Some("8"), None),
            (Some("120000000"), Some("x"), None),
            (Some("0"), None, None),
            (Some("soon"), None, None),
            (None, Some("7"), None),
        ] {
            assert_eq!(Watchdog::find(microseconds, of, 7), found, "{microseconds:?} {of:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn beats_that_are_answered_feed_it_three_times_within_its_patience() {
        let began = Instant::now();
        let fed = RefCell::new(Vec::new());
        let feeding =
            feed(watchdog(), || async { true }, || fed.borrow_mut().push(began.elapsed()));
        timeout(Duration::from_secs(119), feeding).await.unwrap_err();
        assert_eq!(*fed.borrow(), [0, 40, 80].map(Duration::from_secs));
    }

    #[tokio::test(start_paused = true)]
    async fn a_beat_that_is_not_answered_starves_it_and_a_late_answer_feeds_it_again() {
        let (asked, fed) = (Cell::new(0), Cell::new(0));
        let count = |counter: &Cell<u32>| counter.set(counter.get() + 1);
        let beat = || {
            count(&asked);
            let number = asked.get();
            async move {
                match number {
                    1 => true,
                    2 => {
                        sleep(PATIENCE * 2).await;
                        true
                    }
                    _ => pending().await,
                }
            }
        };
        let feeding = feed(watchdog(), beat, || count(&fed));
        tokio::pin!(feeding);
        timeout(PATIENCE * 2, &mut feeding).await.unwrap_err();
        assert_eq!((asked.get(), fed.get()), (2, 1), "it is asked once, and waited for");
        timeout(PATIENCE, &mut feeding).await.unwrap_err();
        assert_eq!((asked.get(), fed.get()), (3, 2));
        timeout(PATIENCE * 10, &mut feeding).await.unwrap_err();
        assert_eq!((asked.get(), fed.get()), (3, 2), "a beat that is never answered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_is_gone_ends_it() {
        let fed = Cell::new(0);
        feed(watchdog(), || async { false }, || fed.set(fed.get() + 1)).await;
        assert_eq!(fed.get(), 0);
    }
}
