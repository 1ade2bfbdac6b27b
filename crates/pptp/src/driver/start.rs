//! The start of a driver, and the drivers of this process that further clients may share

use std::sync::{Arc, Mutex, PoisonError, Weak, atomic::Ordering};

use pptp_gre_socket::{GreSocket, RawSocket, Shard, SocketOptions};
use tokio::runtime;

use crate::{
    ClientError,
    driver::{
        Driver,
        driver_shared::{DriverShared, Randomness},
        handle::DriverHandle,
        tunnel_shared::TunnelShared,
    },
};

impl DriverHandle<TunnelShared> {
    /// Starts a driver on the current runtime, for the socket that `open` makes
    pub(crate) fn start<S: GreSocket, E: Into<ClientError>>(
        shard: Shard,
        randomness: Randomness,
        open: impl FnOnce() -> Result<S, E>,
    ) -> Result<Arc<Self>, ClientError> {
        let runtime = runtime::Handle::try_current().map_err(|_| ClientError::NoRuntime)?;
        let socket = open().map_err(Into::into)?;
        let (shared, heart) = DriverShared::new(shard, randomness);
        let shared = Arc::new(shared);
        shared.counters().receive_buffer.store(socket.receive_buffer(), Ordering::Relaxed);
        runtime.spawn(Driver::new(Arc::clone(&shared), socket, heart).run());
        Ok(Arc::new(Self::new(shared, runtime)))
    }

    /// Returns the driver for `options` on the current runtime, which all such clients share
    pub(crate) fn for_options(options: &SocketOptions) -> Result<Arc<Self>, ClientError> {
        let runtime = runtime::Handle::try_current().map_err(|_| ClientError::NoRuntime)?.id();
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|r| r.handle.strong_count() > 0);
        let same = running.iter().find(|r| r.runtime == runtime && r.options == *options);
        if let Some(handle) = same.and_then(|r| r.handle.upgrade()) {
            return Ok(handle);
        }
        let open = || RawSocket::open(options);
        let handle = Self::start(options.shard, Randomness::System, open)?;
        let weak = Arc::downgrade(&handle);
        running.push(Running { runtime, options: options.clone(), handle: weak });
        Ok(handle)
    }
}

/// Drivers of this process, so that clients with the same options share one raw socket
///
/// The kernel walks all raw sockets of a host for each packet; a second one would cost every packet.
static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

/// A driver that further clients with the same options may share
struct Running {
    /// A driver ends with its runtime, so another runtime needs another driver
    runtime: runtime::Id,
    options: SocketOptions,
    handle: Weak<DriverHandle<TunnelShared>>,
}
