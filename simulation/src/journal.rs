//! The notes of a run, with its violations

use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The notes of a run; clones share them
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    began: Instant,
    pages: Arc<Mutex<Pages>>,
}

/// Contents of a [`Journal`]
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// Notes with their times
    pub(crate) notes: Vec<(Duration, String)>,
    /// Violations of the promises
    pub(crate) violations: Vec<String>,
    /// The times at which the server lost its calls
    pub(crate) losses: Vec<Instant>,
    /// Tunnels that came up
    pub(crate) up: u32,
    /// Jobs that were done
    pub(crate) done: u32,
    pub(crate) tally: Tally,
}

/// Counts of tunnels through which no packet passed
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Ended rightly, because no packet passed
    pub found: u32,
    /// The longest time in which users of those sent and received nothing
    pub longest: Duration,
    /// Silent for more than 20 s: this server has never answered a proof, and does not complain
    pub silent_unproven: u32,
    /// Silent for more than 20 s: the server answers no LCP echo, so the echo policy decides
    pub silent_without_echoes: u32,
    /// Silent for more than 20 s: the path loses or damages so much that proofs take longer
    pub silent_in_loss: u32,
    /// Living tunnels that lost all echoes of their policy on a path that loses datagrams
    pub lost_echoes: u32,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.found += other.found;
        self.longest = self.longest.max(other.longest);
        self.silent_unproven += other.silent_unproven;
        self.silent_without_echoes += other.silent_without_echoes;
        self.silent_in_loss += other.silent_in_loss;
        self.lost_echoes += other.lost_echoes;
    }
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), pages: Arc::default() }
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        self.pages().notes.push((self.began.elapsed(), text.into()));
    }

    pub(crate) fn violation(&self, text: impl Into<String>) {
        let text = text.into();
        self.note(format!("VIOLATION: {text}"));
        let at = self.began.elapsed();
        self.pages().violations.push(format!("{text} (at {at:?})"));
    }

    pub(crate) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Converts a time to the time of the notes
    pub(crate) fn moment(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.began)
    }
}
