//! Tunnels of a site that come up again and again

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::Fact;

/// Tunnels that come up again and again: at least [`MIN_UPS`] within [`SPAN`]
#[derive(Debug, Default)]
pub(super) struct Flapping {
    /// The latest ups, the oldest first, [`MIN_UPS`] at most
    ups: VecDeque<Instant>,
    is_on: bool,
}

impl Flapping {
    pub(super) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Notes that a tunnel came up
    pub(super) fn handle_up(&mut self, now: Instant) -> Option<Fact> {
        if self.ups.len() >= MIN_UPS {
            self.ups.pop_front();
        }
        self.ups.push_back(now);
        let was_on = self.is_on;
        self.is_on = self.ups.len() >= MIN_UPS && self.oldest_ends_at() > Some(now);
        match (was_on, self.is_on) {
            (false, true) => Some(Fact::FlappingBegan),
            (true, false) => Some(Fact::FlappingEnded),
            _ => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Fact> {
        let is_over = self.ends_at().is_some_and(|at| at <= now);
        self.is_on &= !is_over;
        is_over.then_some(Fact::FlappingEnded)
    }

    /// The time at which there are too few ups within the span, unless there are more
    pub(super) fn ends_at(&self) -> Option<Instant> {
        self.oldest_ends_at().filter(|_| self.is_on)
    }

    /// The number of ups that are kept
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.ups.len()
    }

    fn oldest_ends_at(&self) -> Option<Instant> {
        self.ups.front().and_then(|oldest| oldest.checked_add(SPAN))
    }
}

/// The ups that make a site flap
pub(super) const MIN_UPS: usize = 4;

/// The time within which they count
pub(super) const SPAN: Duration = Duration::from_hours(1);
