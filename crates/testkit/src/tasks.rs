//! The tasks of one server: all end together

use std::future::Future;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Starts tasks that end when the server does; clones are the same tasks
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    ended: CancellationToken,
}

impl Tasks {
    /// Starts a task in the current runtime; it is dropped when the server ends, at any of its
    /// waits
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        self.tracker.spawn(async move {
            ended.run_until_cancelled(task).await;
        });
    }

    /// Ends all tasks
    pub(crate) fn end(&self) {
        self.ended.cancel();
        self.tracker.close();
    }

    /// Waits until all tasks are gone, after [`Self::end`]
    pub(crate) async fn gone(&self) {
        self.tracker.wait().await;
    }
}
