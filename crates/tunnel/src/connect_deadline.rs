//! The deadline of a connect, which stands still while the owner is asked

use std::time::{Duration, Instant};

/// Until when a connect has to be over
#[derive(Debug)]
pub(crate) struct ConnectDeadline {
    at: Instant,
    limit: Duration,
    /// The owner is asked since then
    paused: Option<Instant>,
}

impl ConnectDeadline {
    pub(crate) const fn new((at, limit): (Instant, Duration)) -> Self {
        Self { at, limit, paused: None }
    }

    /// The moment, and how long the connect may take in all; none while the owner thinks
    pub(crate) fn running(&self) -> Option<(Instant, Duration)> {
        self.paused.is_none().then_some((self.at, self.limit))
    }

    /// The owner is asked: its time to think is not the connect's
    pub(crate) fn pause(&mut self, now: Instant) {
        self.paused.get_or_insert(now);
    }

    /// The owner has answered
    pub(crate) fn resume(&mut self, now: Instant) {
        if let Some(since) = self.paused.take() {
            let longer = self.at.checked_add(now.saturating_duration_since(since));
            self.at = longer.unwrap_or(self.at);
        }
    }
}
