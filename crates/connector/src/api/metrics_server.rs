//! The connections of the metrics' own listener

use std::sync::{Arc, Weak};

use tokio::{net::TcpListener, sync::Semaphore, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    control::Control,
    routes,
    server::{PAUSE_AFTER_ERROR, connection},
    stall::Stall,
};

/// The connections of the metrics' own listener, eight at a time; further ones are closed
///
/// They have places of their own: when clients have taken all others, the metrics tell of it. The daemon is not held by
/// it, and with the daemon it ends.
#[derive(Debug)]
pub struct MetricsServer<C> {
    control: Weak<C>,
    places: Arc<Semaphore>,
    stop: CancellationToken,
}

impl<C: Control> MetricsServer<C> {
    /// Makes a server without connections, which ends all of them at `stop`
    pub fn new(control: Weak<C>, stop: CancellationToken) -> Self {
        Self { control, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)), stop }
    }

    /// Accepts the connections of a socket until the server is stopped, or the daemon is gone
    ///
    /// A client that the settings do not allow is closed without a word.
    pub async fn serve(&self, socket: &TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            let Some(control) = self.control.upgrade() else { return };
            match accepted {
                Ok((stream, address)) => {
                    let place = Arc::clone(&self.places).try_acquire_owned();
                    let may_use = control.metrics().clients.may_use(Some(address.ip()));
                    let (Ok(place), true) = (place, may_use) else { continue };
                    let (router, stop) = (routes::metrics_router(control), self.stop.clone());
                    tokio::spawn(connection(Stall::new(stream), router, place, stop));
                }
                Err(error) => {
                    tracing::warn!("the listener of metrics cannot accept: {error}");
                    drop(control);
                    sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }
}

/// The connections at a time
const MAX_CONNECTIONS: usize = 8;
