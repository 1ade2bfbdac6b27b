//! The wait until nothing is left of a tunnel on the wire

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A future that is ready when nothing is left of a tunnel on the wire
///
/// From [`Connecting::hung_up`](crate::Connecting::hung_up) and
/// [`Tunnel::hung_up`](crate::Tunnel::hung_up). It holds no handle of the tunnel: it neither keeps it
/// up nor hangs it up.
///
/// ```no_run
/// # async fn example(client: pptp::Client, config: pptp::TunnelConfig) -> Result<(), pptp::TunnelError> {
/// let tunnel = client.connect(config.clone()).await?;
/// let hung_up = tunnel.hung_up();
/// let reason = tunnel.closed().await;
/// hung_up.await; // our side is closed: a server that allows one login at a time has been told
/// println!("{reason}");
/// let again = client.connect(config).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping it changes nothing.
#[must_use = "futures do nothing unless they are awaited"]
pub struct HungUp(Pin<Box<WaitForCancellationFutureOwned>>);

impl HungUp {
    /// A future that is ready once `signal` is cancelled
    pub(crate) fn new(signal: CancellationToken) -> Self {
        Self(Box::pin(signal.cancelled_owned()))
    }
}

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
