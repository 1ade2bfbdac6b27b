//! The metrics' own listener, and its change by a reload

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock, Weak},
};

use tokio::{net::TcpListener, sync::Mutex, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::lifecycle::Daemon;
use crate::{
    api::MetricsServer,
    settings::MetricsSettings,
    way_in::{self, Failed, ListenKey},
};

/// The metrics' own listener, if there is one
///
/// A change has two phases, as that of the [ways in](crate::way_in::WaysIn).
#[derive(Debug, Default)]
pub(super) struct MetricsListener {
    settings: RwLock<Arc<MetricsSettings>>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    /// The address that was wanted; its port may be 0
    wanted: SocketAddr,
    bound: SocketAddr,
    /// Ends it, also when this is dropped
    stop: DropGuard,
    accepting: JoinHandle<()>,
}

/// A change that is ready to be made
#[derive(Debug)]
pub(super) struct MetricsPlan {
    settings: Arc<MetricsSettings>,
    /// The socket, unless the one that runs stays, or is in the way of it
    bound: Option<TcpListener>,
}

impl MetricsListener {
    /// Returns the settings in force
    pub(super) fn settings(&self) -> Arc<MetricsSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the address, with the port that the system has chosen for port 0
    pub(super) async fn address(&self) -> Option<SocketAddr> {
        self.running.lock().await.as_ref().map(|running| running.bound)
    }

    /// Binds the socket that other settings need, beside the one that runs
    pub(super) async fn prepare(&self, wanted: &MetricsSettings) -> Result<MetricsPlan, Failed> {
        let settings = Arc::new(wanted.clone());
        let running = self.running.lock().await.as_ref().map(|running| running.wanted);
        let bound = match (wanted.listen, running) {
            (Some(wanted), Some(running)) if overlap(wanted, running) => None,
            (Some(wanted), _) => Some(bind(wanted)?),
            (None, _) => None,
        };
        Ok(MetricsPlan { settings, bound })
    }

    /// Makes a change; returns the reason if the listener could not be had, and then the one before is put back
    pub(super) async fn commit(
        &self,
        MetricsPlan { settings, bound }: MetricsPlan,
        daemon: &Weak<Daemon>,
    ) -> Option<Failed> {
        let mut running = self.running.lock().await;
        let wanted = settings.listen;
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        let before = running.as_ref().map(|running| running.wanted);
        if wanted == before {
            return None;
        }
        if let Some(old) = running.take() {
            old.end().await;
        }
        let wanted = wanted?;
        let socket = match bound {
            Some(socket) => Ok(socket),
            None => bind(wanted),
        };
        let failed = match socket {
            Ok(socket) => {
                *running = Running::start(wanted, socket, daemon);
                return None;
            }
            Err(failed) => failed,
        };
        if let Some(before) = before
            && let Ok(socket) = bind(before)
        {
            *running = Running::start(before, socket, daemon);
        }
        Some(failed)
    }

    /// Closes the listener
    pub(super) async fn close(&self) {
        if let Some(running) = self.running.lock().await.take() {
            running.end().await;
        }
    }
}

impl Running {
    /// Starts to serve a socket; `None` if it has no address, which no socket that is bound is without
    fn start(wanted: SocketAddr, socket: TcpListener, daemon: &Weak<Daemon>) -> Option<Self> {
        let bound = socket.local_addr().ok()?;
        let stop = CancellationToken::new();
        let server = MetricsServer::new(Weak::clone(daemon), stop.clone());
        let accepting = tokio::spawn(async move { server.serve(&socket).await });
        Some(Self { wanted, bound, stop: stop.drop_guard(), accepting })
    }

    /// Ends it; its address is free then
    async fn end(self) {
        drop(self.stop);
        // a panic in it frees the address as well
        let _ = self.accepting.await;
    }
}

/// Returns true if two addresses are the same, or cannot be bound at the same time
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one == other || ListenKey::Tcp(one).overlaps(&ListenKey::Tcp(other))
}

fn bind(address: SocketAddr) -> Result<TcpListener, Failed> {
    let bound = way_in::bind_tcp(address).and_then(TcpListener::from_std);
    bound.map_err(|error| Failed {
        way: format!("metrics {address}"),
        key: ListenKey::Tcp(address),
        site: None,
        error: error.to_string(),
        is_tried_again: false,
    })
}
