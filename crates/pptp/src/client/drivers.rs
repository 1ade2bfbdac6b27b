//! The start of a driver, and the drivers of this process that further clients may share

use std::sync::{Arc, Mutex, PoisonError, Weak};

use pptp_driver::{DriverHandle, Randomness};
use pptp_gre_socket::{GreSocket, RawSocket, Shard, SocketOptions};
use tokio::runtime;

use crate::{ClientError, tunnel_shared::TunnelShared};

/// Starts a driver on the current runtime, for the socket that `open` makes
pub(crate) fn start_driver<S: GreSocket, E: Into<ClientError>>(
    shard: Shard,
    randomness: Randomness,
    open: impl FnOnce() -> Result<S, E>,
) -> Result<Arc<DriverHandle<TunnelShared>>, ClientError> {
    let runtime = runtime::Handle::try_current().map_err(|_| ClientError::NoRuntime)?;
    let socket = open().map_err(Into::into)?;
    let (handle, driver) = DriverHandle::new(shard, randomness, socket, runtime.clone());
    runtime.spawn(driver.run());
    Ok(handle)
}

/// Returns the driver for `options` on the current runtime, which all such clients share
pub(super) fn shared_driver(
    options: &SocketOptions,
) -> Result<Arc<DriverHandle<TunnelShared>>, ClientError> {
    let runtime = runtime::Handle::try_current().map_err(|_| ClientError::NoRuntime)?.id();
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.retain(|r| r.handle.strong_count() > 0);
    let same = running.iter().find(|r| r.runtime == runtime && r.options == *options);
    if let Some(handle) = same.and_then(|r| r.handle.upgrade()) {
        return Ok(handle);
    }
    let open = || RawSocket::open(options);
    let handle = start_driver(options.shard, Randomness::System, open)?;
    let weak = Arc::downgrade(&handle);
    running.push(Running { runtime, options: options.clone(), handle: weak });
    Ok(handle)
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
