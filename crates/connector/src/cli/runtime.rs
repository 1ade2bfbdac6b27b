//! The runtime, whose threads are made last

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

use super::{client::Failure, exit::Exit, log::WaitingLog};

/// Begins the thread of the log and a runtime of many threads, and runs a future on it
///
/// The threads have what the process has at this moment: what it has given up, they do not have.
///
/// # Errors
/// The system gives no threads.
pub(super) fn block_on<F: Future>(log: &mut WaitingLog, future: F) -> Result<F::Output, Failure> {
    let begun = log.begin();
    begun
        .map_err(|error| Failure::new(Exit::Program, format!("no thread for the log: {error}")))?;
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(no_runtime)?;
    let output = runtime.block_on(future);
    // a read of standard input that still waits must not hold the program
    runtime.shutdown_background();
    Ok(output)
}

/// Runs the future of a preparation on a runtime with this thread alone, beside those of calls that block
///
/// `None` of the future leaves calls that hang behind. Else all threads have ended when this returns.
///
/// # Errors
/// The system gives no runtime.
pub(super) fn prepare<T, F>(future: F) -> Result<Option<T>, Failure>
where
    F: Future<Output = Option<T>>,
{
    let runtime: Runtime =
        Builder::new_current_thread().enable_all().build().map_err(no_runtime)?;
    let prepared = runtime.block_on(future);
    if prepared.is_none() {
        runtime.shutdown_background();
    }
    Ok(prepared)
}

#[expect(clippy::needless_pass_by_value, reason = "an error is mapped by it")]
fn no_runtime(error: std::io::Error) -> Failure {
    Failure::new(Exit::Program, format!("no runtime: {error}"))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        future::{pending, ready},
        thread,
        time::Duration,
    };

    use tokio::task::spawn_blocking;

    use super::*;

    /// The threads of this process with a name
    fn threads_called(name: &str) -> usize {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let name = format!("{name}\n");
        let names =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|it| *it == name).count()
    }

    #[test]
    fn a_preparation_leaves_no_thread_behind_and_one_that_was_ended_holds_nobody() {
        let name = "prepares";
        let prepared = prepare(async {
            let thread = spawn_blocking(move || {
                rustix::thread::set_name(c"prepares").unwrap();
                threads_called(name)
            });
            Some(thread.await.unwrap())
        });
        assert_eq!(prepared.ok().flatten(), Some(1));
        assert_eq!(threads_called(name), 0);

        let (end, ended) = std::sync::mpsc::channel::<()>();
        let prepared = prepare(async {
            let hangs = spawn_blocking(move || ended.recv());
            tokio::select! {
                biased;
                () = ready(()) => None,
                _ = hangs => Some(()),
            }
        });
        assert!(matches!(prepared, Ok(None)));
        drop(end);
    }

    #[test]
    fn a_future_runs_and_what_it_has_spawned_is_left() {
        let mut log = WaitingLog::new(std::io::sink());
        let output = block_on(&mut log, async {
            spawn_blocking(|| thread::sleep(Duration::from_mins(10)));
            tokio::spawn(pending::<()>());
            7
        });
        assert_eq!(output.ok(), Some(7));
    }
}
