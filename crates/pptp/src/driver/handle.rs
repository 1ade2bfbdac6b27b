//! The handle that keeps a driver running

use std::{fmt, sync::Arc};

use tokio::runtime;

use crate::driver::driver_shared::DriverShared;

/// A handle that keeps a driver running: held by clients and by tunnels that have not ended
pub(crate) struct DriverHandle<T> {
    shared: Arc<DriverShared<T>>,
    /// The runtime of the driver, and of the tunnels' control tasks
    runtime: runtime::Handle,
}

impl<T> DriverHandle<T> {
    pub(super) const fn new(shared: Arc<DriverShared<T>>, runtime: runtime::Handle) -> Self {
        Self { shared, runtime }
    }

    pub(crate) fn shared(&self) -> &DriverShared<T> {
        &self.shared
    }

    pub(crate) const fn runtime(&self) -> &runtime::Handle {
        &self.runtime
    }
}

/// Tells nothing of its tunnels: each would print this again
impl<T> fmt::Debug for DriverHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverHandle").finish_non_exhaustive()
    }
}

impl<T> Drop for DriverHandle<T> {
    fn drop(&mut self) {
        self.shared.close();
    }
}
