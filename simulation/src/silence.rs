//! The time in which a tunnel's user has sent and nothing has come back

use std::time::Duration;

use tokio::time::Instant;

/// The time in which users have sent and nothing has come
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Silence {
    received: u64,
    since: Option<Instant>,
    is_told: bool,
    /// True if it was counted as one of a lossy path
    is_lossy: bool,
}

impl Silence {
    /// Notes the number of packets that have come in so far
    pub(crate) const fn heard(&mut self, received: u64, is_up: bool) {
        if received != self.received || !is_up {
            *self = Self { received, since: None, is_told: false, is_lossy: false };
        }
    }

    /// Notes that the user has sent something
    pub(crate) fn asked(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// Returns true once: it is to be counted as one of a lossy path
    pub(crate) const fn count_in_loss(&mut self) -> bool {
        !std::mem::replace(&mut self.is_lossy, true)
    }

    /// Returns true once: it is to be reported
    pub(crate) const fn report(&mut self) -> bool {
        !std::mem::replace(&mut self.is_told, true)
    }

    /// The time for which it has lasted since `earliest`, or since it began
    pub(crate) fn lasts(&self, earliest: Instant) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.max(earliest).elapsed())
    }
}
