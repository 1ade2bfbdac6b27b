//! A tunnel of a client, held without keeping it up

use std::{
    fmt,
    sync::{Arc, Weak},
};

use pptp_driver::Session;
use tokio::sync::watch;

use crate::{State, Tunnel, tunnel_shared::TunnelHandle};

/// A tunnel of a [`Client`](crate::Client), held without keeping it up
///
/// From [`Client::tunnels`](crate::Client::tunnels) and [`Tunnel::downgrade`]. It is no handle: the tunnel hangs up when the
/// last real one is dropped. Then its name and its end are left here. Cheap to clone.
///
/// ```no_run
/// # async fn example(client: pptp::Client) {
/// for tunnel in client.tunnels() {
///     println!("{}: {:?}", tunnel.name(), *tunnel.state().borrow());
///     if let Some(tunnel) = tunnel.upgrade() {
///         println!("  {:?}", tunnel.stats().ping().smoothed());
///     }
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct WeakTunnel {
    name: String,
    state: watch::Receiver<State>,
    handle: Weak<TunnelHandle>,
}

impl WeakTunnel {
    pub(crate) fn of(handle: &Arc<TunnelHandle>) -> Self {
        let shared = &handle.shared;
        Self {
            name: shared.name.clone(),
            state: shared.state.subscribe(),
            handle: Arc::downgrade(handle),
        }
    }

    /// The tunnel's name, from [`TunnelConfig::name`](crate::TunnelConfig::name)
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the tunnel's state, and each change of it; also after the end
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Returns a handle of the tunnel, which keeps it up like any other
    ///
    /// `None` while it has not been up yet, and once its last handle is gone: what hangs up is not
    /// brought back. A tunnel that has ended and that somebody still holds is returned as it is.
    pub fn upgrade(&self) -> Option<Tunnel> {
        let handle = self.handle.upgrade()?;
        let info = handle.shared.lock().negotiated.info().cloned();
        Some(Tunnel::new(handle, info?))
    }

    /// Begins to hang the tunnel up properly, also while it connects, and does not wait for it
    ///
    /// Its users see [`TunnelFailure::Closed`](crate::error::TunnelFailure::Closed).
    pub fn hang_up(&self) {
        if let Some(handle) = self.handle.upgrade() {
            handle.shared.hang_up();
        }
    }
}

impl fmt::Debug for WeakTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakTunnel").field("name", &self.name).finish_non_exhaustive()
    }
}
