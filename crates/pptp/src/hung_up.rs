//! Waiting until nothing is left of a tunnel on the wire

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use pptp_packet::panics;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::driver::tunnel_shared::TunnelShared;

/// A future that is ready when nothing is left of a tunnel on the wire
///
/// From [`Connecting::hung_up`](crate::Connecting::hung_up) and
/// [`Tunnel::hung_up`](crate::Tunnel::hung_up). It holds no handle of the tunnel: it neither keeps it
/// up nor hangs it up.
///
/// # Cancel safety
/// Dropping it changes nothing.
#[must_use = "futures do nothing unless they are awaited"]
pub struct HungUp(Pin<Box<WaitForCancellationFutureOwned>>);

impl Future for HungUp {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for HungUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HungUp").finish_non_exhaustive()
    }
}

impl TunnelShared {
    /// Until [`Self::leave`]
    pub(crate) fn hung_up(&self) -> HungUp {
        let inner = &mut *self.lock();
        let signal = inner.hung_up.get_or_insert_with(CancellationToken::new).clone();
        if inner.has_left {
            signal.cancel();
        }
        HungUp(Box::pin(signal.cancelled_owned()))
    }

    /// Nothing is left: the call is cleared, its Call ID given back, and the control connection closed
    ///
    /// Called once, by whatever served the control connection, after it has let go of that.
    pub(crate) fn leave(&self) {
        let signal = {
            let mut inner = self.lock();
            inner.has_left = true;
            inner.hung_up.take()
        };
        // wakers are woken with no lock held, and one that panics is its owner's fault
        let panicked = signal.is_some_and(|signal| panics(|| signal.cancel()));
        self.driver().count_wakes(usize::from(panicked));
        self.driver().count_wakes(usize::from(self.registry.leave(self.number)));
    }
}
