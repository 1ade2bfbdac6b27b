//! One trial: a test body with a runtime of its own, a limit, and the lab's log when it fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::lab::{Journal, Lab};

/// How a trial ends; any error that can be printed fails it.
pub type Outcome = Result<(), Failed>;

/// No trial may hang the run; the slowest takes a quarter of this on two busy cores.
const LIMIT: Duration = Duration::from_mins(5);
/// This many lines of the lab's log are shown with a failure.
const LOG_LINES: usize = 60;

/// A trial called `name` in the lab of this run.
///
/// Whatever the body left running on its runtime is ended with it. If it fails or panics, the report
/// has what the lab logged since the trial began.
pub fn trial<F>(name: &str, body: F) -> Trial
where
    F: AsyncFnOnce(&Lab) -> Outcome + Send + 'static,
{
    Trial::test(name, move || {
        let lab = Lab::new();
        let journal = lab.journal();
        let outcome = catch_unwind(AssertUnwindSafe(|| limited(&lab, body)));
        let failed = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failed)) => failed.message().unwrap_or("failed").to_owned(),
            Err(panic) => panicked(panic.as_ref()),
        };
        // the servers' last lines are on their way
        std::thread::sleep(Duration::from_millis(500));
        Err(report(&failed, &journal))
    })
}

fn limited<F: AsyncFnOnce(&Lab) -> Outcome>(lab: &Lab, body: F) -> Outcome {
    let runtime = Runtime::new()?;
    let outcome = runtime.block_on(async { timeout(LIMIT, body(lab)).await });
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome.unwrap_or_else(|_| Err(format!("not done within {LIMIT:?}").into()))
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
