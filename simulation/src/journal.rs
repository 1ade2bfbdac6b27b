//! What happened in a run, and what should not have

use std::ops::AddAssign;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A run's notes; clones are the same
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    began: Instant,
    pages: Arc<Mutex<Pages>>,
}

/// What is written in a [`Journal`]
#[derive(Debug, Default)]
pub(crate) struct Pages {
    /// What happened, and when
    pub(crate) notes: Vec<(Duration, String)>,
    /// What must not happen
    pub(crate) violations: Vec<String>,
    /// When the server lost its calls
    pub(crate) losses: Vec<Instant>,
    /// Tunnels that came up
    pub(crate) up: u32,
    /// Errands that were done
    pub(crate) done: u32,
    pub(crate) tally: Tally,
}

/// What became of tunnels through which nothing passed
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Ended because nothing passed, rightly
    pub found: u32,
    /// The longest time in which users of those sent and nothing came
    pub longest: Duration,
    /// Silent for more than 20 s: nothing of this server was ever proven, and it does not complain
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

    /// When a moment was, in the time of the notes
    pub(crate) fn moment(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.began)
    }
}
