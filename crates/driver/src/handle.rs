//! The handle that keeps a driver running

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use pptp_gre_socket::{GreSocket, Shard};
use tokio::runtime;

use crate::{Driver, DriverShared, Randomness, Session};

/// A handle that keeps a driver running: held by its owners and by sessions that have not ended
pub struct DriverHandle<T> {
    shared: Arc<DriverShared<T>>,
    /// The runtime of the driver, and of the sessions' own tasks
    runtime: runtime::Handle,
}

impl<T: Session> DriverHandle<T> {
    /// Makes a driver with this socket, and the handle that keeps it running
    ///
    /// The caller spawns [`Driver::run`] on `runtime`.
    pub fn new<S: GreSocket>(
        shard: Shard,
        randomness: Randomness,
        socket: S,
        runtime: runtime::Handle,
    ) -> (Arc<Self>, Driver<S, T>) {
        let (shared, heart) = DriverShared::new(shard, randomness);
        let shared = Arc::new(shared);
        shared.counters().receive_buffer.store(socket.receive_buffer(), Ordering::Relaxed);
        let driver = Driver::new(Arc::clone(&shared), socket, heart);
        (Arc::new(Self { shared, runtime }), driver)
    }
}

impl<T> DriverHandle<T> {
    /// Returns the state that the driver shares
    pub fn shared(&self) -> &DriverShared<T> {
        &self.shared
    }

    /// Returns the runtime of the driver
    pub const fn runtime(&self) -> &runtime::Handle {
        &self.runtime
    }
}

/// Prints nothing of its sessions: each would print this again
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
