//! One trial: a test body with a runtime of its own, a limit, and the lab's log when it fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::lab::{Building, Journal, Lab};

/// How a trial ends; any error that can be printed fails it.
pub type Outcome = Result<(), Failed>;

/// No trial may hang the run; the slowest takes a quarter of this on two busy cores.
const LIMIT: Duration = Duration::from_mins(5);
/// This many lines of the lab's log are shown with a failure.
const LOG_LINES: usize = 60;

/// A trial called `name` that has the lab of this run to itself
///
/// Whatever the body left running on its runtime is ended with it. If it fails or panics, the report
/// has what the lab logged since the trial began.
pub fn trial<F>(name: &str, body: F) -> Trial
where
    F: AsyncFnOnce(&Lab) -> Outcome + Send + 'static,
{
    trial_within(LIMIT, name, body)
}

/// A trial that has the lab to itself and may take as long as `limit`
pub fn trial_within<F>(limit: Duration, name: &str, body: F) -> Trial
where
    F: AsyncFnOnce(&Lab) -> Outcome + Send + 'static,
{
    let known_as = name.to_owned();
    Trial::test(name, move || {
        let _alone = WHOLE_LAB.write().unwrap_or_else(PoisonError::into_inner);
        run(&known_as, limit, body)
    })
}

/// A trial that runs beside others of its kind, and has `buildings` to itself
///
/// For those that mostly wait, and disturb nothing but these buildings.
pub fn trial_beside<F>(buildings: &'static [Building], name: &str, body: F) -> Trial
where
    F: AsyncFnOnce(&Lab) -> Outcome + Send + 'static,
{
    let known_as = name.to_owned();
    Trial::test(name, move || {
        let _beside = WHOLE_LAB.read().unwrap_or_else(PoisonError::into_inner);
        let _taken = Taken::wait_for(buildings);
        run(&known_as, LIMIT, body)
    })
}

/// Held for writing by a trial that has the lab to itself, for reading by those that share it
static WHOLE_LAB: RwLock<()> = RwLock::new(());

/// The buildings that trials beside each other have taken
static TAKEN: Mutex<Vec<Building>> = Mutex::new(Vec::new());
static RETURNED: Condvar = Condvar::new();

/// Buildings that no other trial uses until this is dropped
struct Taken(&'static [Building]);

impl Taken {
    /// All of them at once, so that no two trials wait for each other
    fn wait_for(buildings: &'static [Building]) -> Self {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let is_one_taken =
            |taken: &mut Vec<Building>| taken.iter().any(|building| buildings.contains(building));
        let free = RETURNED.wait_while(taken, is_one_taken);
        free.unwrap_or_else(PoisonError::into_inner).extend(buildings);
        Self(buildings)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|building| !self.0.contains(building));
        RETURNED.notify_all();
    }
}

fn run<F: AsyncFnOnce(&Lab) -> Outcome>(name: &str, limit: Duration, body: F) -> Outcome {
    let lab = Lab::new();
    let journal = lab.journal();
    let began = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| limited(&lab, limit, body)));
    println!("  {:3} s  {name}", began.elapsed().as_secs());
    let failed = match outcome {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(failed)) => failed.message().unwrap_or("failed").to_owned(),
        Err(panic) => panicked(panic.as_ref()),
    };
    // the servers' last lines are on their way
    std::thread::sleep(Duration::from_millis(500));
    Err(report(&failed, &journal))
}

fn limited<F: AsyncFnOnce(&Lab) -> Outcome>(lab: &Lab, limit: Duration, body: F) -> Outcome {
    let runtime = Runtime::new()?;
    let outcome = runtime.block_on(async { timeout(limit, body(lab)).await });
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome.unwrap_or_else(|_| Err(format!("not done within {limit:?}").into()))
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    format!("panicked: {text}")
}

fn report(failed: &str, journal: &Journal) -> Failed {
    format!("{failed}\nthe lab's log since the trial began, its end:\n{}", journal.tail(LOG_LINES))
        .into()
}
