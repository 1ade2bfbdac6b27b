//! A sign of life of the drivers, for watchdogs

use std::sync::atomic::{AtomicU64, Ordering};

use pptp_packet::panics;
use tokio::sync::watch;

use crate::{Client, ClientError, driver::driver_shared::DriverShared};

impl Client {
    /// Waits until each driver of this client has made a round that began after this call
    ///
    /// A round takes in what has arrived, gives tunnels their turns and sends. An idle driver makes one
    /// for this, at once. So a watchdog learns whether tunnels are served at all: it asks every few
    /// seconds, and a future that is not ready in time says that the runtime is overloaded or blocked.
    ///
    /// The future holds no handle of the client.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(client: pptp::Client) {
    /// # fn feed_the_watchdog() {}
    /// loop {
    ///     match tokio::time::timeout(Duration::from_secs(10), client.beat()).await {
    ///         Ok(Ok(())) => feed_the_watchdog(),
    ///         Ok(Err(stopped)) => return eprintln!("{stopped}"),
    ///         Err(_) => eprintln!("no round of the driver for 10 s"),
    ///     }
    ///     tokio::time::sleep(Duration::from_secs(5)).await;
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::DriverStopped`].
    ///
    /// # Cancel safety
    /// The round is made all the same.
    pub fn beat(&self) -> impl Future<Output = Result<(), ClientError>> + Send + Sync + use<> {
        let asked = self.drivers().map(DriverShared::ask_for_beat).collect::<Vec<_>>();
        async move {
            for (number, mut answered) in asked {
                let answered = answered.wait_for(|latest| *latest >= number).await;
                answered.map_err(|_| ClientError::DriverStopped)?;
            }
            Ok(())
        }
    }
}

/// What a driver has been asked for, and what it has answered
#[derive(Debug)]
pub(crate) struct Beats {
    asked: AtomicU64,
    /// What had been asked when the latest round began
    begun: AtomicU64,
    answered: watch::Receiver<u64>,
}

/// The driver's end of [`Beats`]; when it is dropped, nothing will be answered any more
#[derive(Debug)]
pub(crate) struct Heart(watch::Sender<u64>);

impl Beats {
    pub(crate) fn new() -> (Self, Heart) {
        let (sender, answered) = watch::channel(0);
        (Self { asked: AtomicU64::new(0), begun: AtomicU64::new(0), answered }, Heart(sender))
    }

    /// Asks for a round: its number, and where the latest number that was answered is told
    pub(crate) fn ask(&self) -> (u64, watch::Receiver<u64>) {
        let number = self.asked.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        (number, self.answered.clone())
    }

    /// Whether something was asked since the latest round began
    pub(crate) fn is_wanted(&self) -> bool {
        self.asked.load(Ordering::Acquire) != self.begun.load(Ordering::Acquire)
    }

    /// A round begins, which answers what has been asked up to now
    pub(crate) fn begin_round(&self) -> u64 {
        let asked = self.asked.load(Ordering::Acquire);
        self.begun.store(asked, Ordering::Release);
        asked
    }
}

impl Heart {
    /// A round has ended; costs a comparison where nothing was asked
    ///
    /// Returns whether a waker of what waits for it panicked.
    #[expect(clippy::disallowed_methods, reason = "with no lock held, and panics are caught")]
    pub(crate) fn beat(&self, asked: u64) -> bool {
        *self.0.borrow() != asked && panics(|| _ = self.0.send_replace(asked))
    }
}
