//! The signs of life that a driver is asked for, for watchdogs

use std::sync::atomic::{AtomicU64, Ordering};

use pptp_packet::panics;
use tokio::sync::watch;

/// The rounds that a driver was asked for, and those that it has made
#[derive(Debug)]
pub(crate) struct Beats {
    asked: AtomicU64,
    /// The value of `asked` when the latest round began
    begun: AtomicU64,
    answered: watch::Receiver<u64>,
}

/// The driver's end of [`Beats`]; once it is dropped, no beat is answered any more
#[derive(Debug)]
pub(crate) struct Heart(watch::Sender<u64>);

impl Beats {
    pub(crate) fn new() -> (Self, Heart) {
        let (sender, answered) = watch::channel(0);
        (Self { asked: AtomicU64::new(0), begun: AtomicU64::new(0), answered }, Heart(sender))
    }

    /// Asks for a round; returns its number, and the latest number that was answered
    pub(crate) fn ask(&self) -> (u64, watch::Receiver<u64>) {
        let number = self.asked.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        (number, self.answered.clone())
    }

    /// Returns true if a round was asked for since the latest one began
    pub(crate) fn is_wanted(&self) -> bool {
        self.asked.load(Ordering::Acquire) != self.begun.load(Ordering::Acquire)
    }

    /// Begins a round, which answers all that was asked up to now
    pub(crate) fn begin_round(&self) -> u64 {
        let asked = self.asked.load(Ordering::Acquire);
        self.begun.store(asked, Ordering::Release);
        asked
    }
}

impl Heart {
    /// Ends a round; costs a comparison where nothing was asked
    ///
    /// Returns true if the waker of a waiting task panicked.
    #[expect(clippy::disallowed_methods, reason = "with no lock held, and panics are caught")]
    pub(crate) fn beat(&self, asked: u64) -> bool {
        *self.0.borrow() != asked && panics(|| _ = self.0.send_replace(asked))
    }
}
