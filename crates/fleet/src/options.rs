//! The options of a fleet

use std::time::Duration;

use crate::{Accepted, decide::dial::DialLimits};

/// The options of a fleet
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FleetOptions {
    /// Dials a second, on the average; 50 by default
    pub dial_rate: u32,
    /// Dials that may begin at the same time; 20 by default
    pub dial_burst: u32,
    /// Dials that are under way at the same time; 128 by default
    pub dials_under_way: usize,
    /// The seed of the pauses' chance; the system's randomness without it
    pub seed: Option<u64>,
    pub(crate) accepted: Option<Accepted>,
}

impl Default for FleetOptions {
    fn default() -> Self {
        Self { dial_rate: 50, dial_burst: 20, dials_under_way: 128, seed: None, accepted: None }
    }
}

impl FleetOptions {
    /// Sets the logins that an earlier fleet has seen accepted: [`Fleet::accepted`](crate::Fleet::accepted)
    #[must_use]
    pub fn accepted(mut self, accepted: Accepted) -> Self {
        self.accepted = Some(accepted);
        self
    }

    pub(crate) fn limits(&self) -> DialLimits {
        let second = Duration::from_secs(1);
        DialLimits {
            interval: second.checked_div(self.dial_rate.max(1)).unwrap_or(second),
            burst: self.dial_burst.max(1),
            under_way: self.dials_under_way.max(1),
        }
    }
}
