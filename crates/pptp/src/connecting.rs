use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

use pptp_tunnel::TunnelError;
use tokio::sync::watch;

use crate::{State, Tunnel, shared::Handle};

/// A connect under way: await it for the [`Tunnel`]
///
/// Dropping it, or the future made of it, hangs up.
#[derive(Debug)]
#[must_use = "a connect that nobody holds is hung up"]
pub struct Connecting {
    handle: Arc<Handle>,
    state: watch::Receiver<State>,
}

impl Connecting {
    pub(crate) const fn new(handle: Arc<Handle>, state: watch::Receiver<State>) -> Self {
        Self { handle, state }
    }

    /// The phases as they are reached
    ///
    /// A `watch` holds the latest value: one who looks late may miss a phase;
    /// [`Info::ladder`](crate::Info::ladder) and [`TunnelError`] have them all.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    async fn connected(mut self) -> Result<Tunnel, TunnelError> {
        loop {
            if let State::Down { reason } = &*self.state.borrow_and_update() {
                return Err(reason.clone());
            }
            let info = self.handle.shared.lock().info.clone();
            if let Some(info) = info {
                return Ok(Tunnel::new(self.handle, info));
            }
            // the sender lives as long as our handle
            let _ = self.state.changed().await;
        }
    }
}

impl IntoFuture for Connecting {
    type Output = Result<Tunnel, TunnelError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.connected())
    }
}
