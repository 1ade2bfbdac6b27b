//! The life of the carrier under a link

use std::time::Instant;

/// The latest sign of life of the carrier, by its own signalling
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carrier {
    heard: Option<Instant>,
}

impl Carrier {
    /// A carrier that has not been heard
    pub(crate) const NEW: Self = Self { heard: None };

    /// Notes a sign of life of the carrier
    pub(crate) const fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// Returns true if it was heard later than the link itself
    pub(crate) fn was_heard_after(&self, link: Option<Instant>) -> bool {
        self.heard.is_some_and(|heard| link.is_none_or(|link| heard > link))
    }
}
