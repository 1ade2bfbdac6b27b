//! Ratios of CPU time that hold on a machine with other work
//!
//! A clock's rate and its neighbours change from one second to the next, so two candidates take
//! turns of a few milliseconds, a ratio is taken of each two turns, and the median of all counts.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

pub use pptp_test_support::median;
use rustix::time::{ClockId, clock_gettime};

/// Two candidates side by side
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// How many times as long `b` takes as `a`: the median over the rounds
    pub ratio: f64,
    /// The median time of one call of `a`, in seconds
    pub a: f64,
    /// The median time of one call of `b`, in seconds
    pub b: f64,
}

/// How many times as long `b` takes as `a`, with the usual number of rounds
pub fn ratio(a: impl FnMut(), b: impl FnMut()) -> Ratio {
    Rounds::default().ratio(a, b)
}

/// How long is measured
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// Turns of each candidate
    pub count: u32,
    /// Thread CPU time that a turn takes at least
    pub turn: Duration,
}

impl Default for Rounds {
    /// 100 rounds of 2 ms, half a second for a ratio; a quarter of that if it should be [quick](be_quick)
    fn default() -> Self {
        let count = if is_quick() { 25 } else { 100 };
        Self { count, turn: Duration::from_millis(2) }
    }
}

/// From now on, measures for a shorter time
pub fn be_quick() {
    QUICK.store(true, Ordering::Relaxed);
}

/// Whether to measure for a shorter time
pub fn is_quick() -> bool {
    QUICK.load(Ordering::Relaxed)
}

static QUICK: AtomicBool = AtomicBool::new(false);

impl Rounds {
    /// How many times as long `b` takes as `a`
    pub fn ratio(self, mut a: impl FnMut(), mut b: impl FnMut()) -> Ratio {
        let calls = (self.calls(&mut a), self.calls(&mut b));
        self.ratio_of_times(|| turn(&mut a, calls.0), || turn(&mut b, calls.1))
    }

    /// How many times as long `b` takes as `a`, for candidates that measure themselves
    ///
    /// Either returns the seconds that it took, and leaves out what it had to prepare.
    pub fn ratio_of_times(self, mut a: impl FnMut() -> f64, mut b: impl FnMut() -> f64) -> Ratio {
        let (mut ratios, mut of_a, mut of_b) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.count {
            let times = (a(), b());
            ratios.push(times.1 / times.0);
            of_a.push(times.0);
            of_b.push(times.1);
        }
        Ratio { ratio: median(ratios), a: median(of_a), b: median(of_b) }
    }

    /// The median time of one call, in seconds
    pub fn time(self, mut f: impl FnMut()) -> f64 {
        let calls = self.calls(&mut f);
        median((0..self.count).map(|_| turn(&mut f, calls)).collect())
    }

    /// How many calls make a turn; warms up, too
    fn calls(self, f: &mut impl FnMut()) -> u32 {
        let mut calls = 1;
        while turn(f, calls) * f64::from(calls) < self.turn.as_secs_f64() {
            calls *= 2;
        }
        calls
    }
}

/// The CPU time that the calling thread has used
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("no thread has used less than nothing")
}

/// Seconds for one call
fn turn(f: &mut impl FnMut(), calls: u32) -> f64 {
    let begin = thread_time();
    for _ in 0..calls {
        f();
    }
    thread_time().saturating_sub(begin).as_secs_f64() / f64::from(calls)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    fn work(times: u32) {
        (0..times).for_each(|n| _ = black_box(n));
    }

    #[test]
    fn four_times_the_work_takes_four_times_as_long() {
        let rounds = Rounds { count: 21, turn: Duration::from_micros(200) };
        let ratio = rounds.ratio(|| work(1000), || work(4000));
        assert!((3.0..5.0).contains(&ratio.ratio), "{ratio:?}");
        assert!((2.0..8.0).contains(&(ratio.b / ratio.a)), "{ratio:?}");
    }

    #[test]
    fn sleep_is_not_measured() {
        let begin = thread_time();
        std::thread::sleep(Duration::from_millis(20));
        assert!(thread_time().saturating_sub(begin) < Duration::from_millis(10));
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(vec![]).is_nan());
    }
}
