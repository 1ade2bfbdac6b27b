//! Numbered events of a fleet

use std::collections::VecDeque;

use tokio::{sync::broadcast, time::Instant};

use crate::{SiteName, SiteState};

/// Something that happened in a fleet
#[derive(Debug, Clone, PartialEq)]
pub struct FleetEvent {
    /// Its number; the next event has the next one
    pub number: u64,
    /// The time at which it happened
    pub at: Instant,
    /// What happened
    pub kind: EventKind,
}

/// The kinds of events
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// A site has another state, or another failure
    Site {
        /// The site
        name: SiteName,
        /// Its state
        state: SiteState,
    },
    /// A site has come up four times or more within an hour, and not because it was hung up on this side
    FlappingBegan {
        /// The site
        name: SiteName,
    },
    /// It has come up less often than that in the last hour; not told of a site that is removed before
    FlappingEnded {
        /// The site
        name: SiteName,
    },
    /// The device behind a site has not answered three probes in a row; the line may be the reason, whose tunnel then
    /// ends by itself
    ProbeFailed {
        /// The site
        name: SiteName,
        /// The failure of the last one
        error: String,
    },
    /// It has answered after that; not told of a site that is removed, or has another probe, before
    ProbeAnswered {
        /// The site
        name: SiteName,
    },
    /// Many servers fail together: this machine or its network is out of order, and only some sites are tried
    OutageBegan,
    /// A server was reached after that
    OutageEnded,
    /// Too many sites did not come up again with their changed configuration: the others keep their tunnels
    ///
    /// It lasts until [`Fleet::continue_rollout`](crate::Fleet::continue_rollout) or the next
    /// [`Fleet::apply`](crate::Fleet::apply).
    RolloutPaused {
        /// Sites that were hung up for it
        redialled: usize,
        /// Those of them that were not up again within a minute
        failed: usize,
        /// Sites that keep their tunnels, and the configuration of these
        left: usize,
    },
    /// So many events were lost, because their reader was too slow
    Gap {
        /// The number of events that are missing before the next
        missed: u64,
    },
}

/// A reader of a fleet's events, from the moment at which it was made
///
/// A reader that is too slow is told so by [`EventKind::Gap`]; nothing is hidden.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<FleetEvent>,
    /// The number of the next event
    next: u64,
    waiting: VecDeque<FleetEvent>,
}

impl Events {
    pub(crate) const fn new(receiver: broadcast::Receiver<FleetEvent>, next: u64) -> Self {
        Self { receiver, next, waiting: VecDeque::new() }
    }

    /// Waits for the next event; `None` once the fleet is gone
    ///
    /// # Cancel safety
    /// No event is lost.
    pub async fn next(&mut self) -> Option<FleetEvent> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.next = event.number.wrapping_add(1);
                return Some(event);
            }
            match self.receiver.recv().await {
                Ok(event) if event.number == self.next => self.waiting.push_back(event),
                Ok(event) => {
                    let missed = event.number.saturating_sub(self.next);
                    let kind = EventKind::Gap { missed };
                    let number = event.number.saturating_sub(1);
                    self.waiting.push_back(FleetEvent { number, at: event.at, kind });
                    self.waiting.push_back(event);
                }
                // the number of the next event tells how many were lost
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
