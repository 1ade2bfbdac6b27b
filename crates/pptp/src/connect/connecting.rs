//! The future of a connect

use std::{
    future::Future,
    net::SocketAddrV4,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pptp_driver::Session;
use pptp_tunnel::Peer;
use tokio::sync::watch;

use crate::{
    HungUp, State, Stats, Tunnel, TunnelError, record::FlightRecord, state::Redial,
    summary::debug_as_summary, tunnel_shared::TunnelHandle,
};

/// A connect under way: a future of the [`Tunnel`]
///
/// ```no_run
/// # async fn example(client: pptp::Client, config: pptp::TunnelConfig) -> Result<(), pptp::TunnelError> {
/// let mut connecting = client.connect(config);
/// let tunnel = match (&mut connecting).await {
///     Ok(tunnel) => tunnel,
///     Err(error) => {
///         println!("{error}; the server said of itself: {:?}", connecting.peer());
///         return Err(error);
///     }
/// };
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping it hangs up. A program that awaits `&mut connecting` can go on later, and ask it for more
/// when it has failed.
#[must_use = "a connect that nobody holds is hung up"]
pub struct Connecting {
    handle: Arc<TunnelHandle>,
    state: watch::Receiver<State>,
    connected: Pin<Box<dyn Future<Output = Result<Tunnel, TunnelError>> + Send + Sync>>,
}

impl Connecting {
    pub(crate) fn new(handle: Arc<TunnelHandle>, state: watch::Receiver<State>) -> Self {
        let connected = Box::pin(connected(Arc::clone(&handle), state.clone()));
        Self { handle, state, connected }
    }

    /// The phases as they are reached
    ///
    /// A `watch` holds the latest value: one who looks late may miss a phase;
    /// [`Facts::timeline`](crate::info::Facts::timeline) and [`TunnelError`] have them all.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Returns the messages on the wire so far, also after a failure
    pub fn flight_record(&self) -> FlightRecord {
        self.handle.shared.flight_record()
    }

    /// The server's address, as soon as TCP is open to it
    pub fn server(&self) -> Option<SocketAddrV4> {
        self.handle.shared.dialled().map(|dialled| dialled.server)
    }

    /// Returns the server's own words about itself, if it came so far (RFC 2637 §2.2); also after a failure
    pub fn peer(&self) -> Option<Peer> {
        self.handle.shared.peer()
    }

    /// Returns the reasons for which the server was dialled once more, in order; also after a failure
    pub fn redials(&self) -> Vec<Redial> {
        self.handle.shared.lock().dial.redialled().to_vec()
    }

    /// Waits until nothing is left of the connect, or of its tunnel, on the wire: see [`Tunnel::hung_up`]
    ///
    /// The future outlives this one, and holds no handle: it tells when a server is free again after a
    /// failure, and also after a connect that was dropped.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(client: pptp::Client, config: pptp::TunnelConfig) {
    /// let connecting = client.connect(config);
    /// let hung_up = connecting.hung_up();
    /// if tokio::time::timeout(Duration::from_secs(5), connecting).await.is_err() {
    ///     hung_up.await; // given up, and the server has been told
    /// }
    /// # }
    /// ```
    pub fn hung_up(&self) -> HungUp {
        self.handle.shared.hung_up()
    }

    /// Returns the counts of all that has passed so far; also after a failure
    pub fn stats(&self) -> Stats {
        self.handle.shared.stats()
    }
}

impl Future for Connecting {
    type Output = Result<Tunnel, TunnelError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.connected.as_mut().poll(cx)
    }
}

debug_as_summary! {
    Connecting: self => &self.handle.shared;
}

async fn connected(
    handle: Arc<TunnelHandle>,
    mut state: watch::Receiver<State>,
) -> Result<Tunnel, TunnelError> {
    loop {
        if let State::Down { reason } = &*state.borrow_and_update() {
            return Err(reason.clone());
        }
        let info = handle.shared.lock().negotiated.info().cloned();
        if let Some(info) = info {
            return Ok(Tunnel::new(handle, info));
        }
        // the sender lives as long as our handle
        let _ = state.changed().await;
    }
}
