//! What happened in a run, and what should not have

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
