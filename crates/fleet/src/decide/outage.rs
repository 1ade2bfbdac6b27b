//! An outage of this machine or of its network: many servers fail together

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use pptp::Class;

use super::{
    backoff::{Backoff, Failed},
    dial::ServerKey,
};

/// The outage of this machine or of its network, if there is one
///
/// Its list has as many entries as servers may fail within [`SPAN`] at the rate of dials, and never more than servers
/// are up, with [`MIN_SERVERS`]: as many more begin an outage.
///
/// When [`MIN_SERVERS`] fail within [`SPAN`], none is reached meanwhile, and no more than as many have a tunnel that
/// is up, they are not all down: the fault is here. Then no more than [`SCOUTS`] dials are under way, with pauses, and
/// everything else waits. The first server that is reached ends it.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// The servers that failed within [`SPAN`], each once, with the time
    failed: VecDeque<(Instant, ServerKey)>,
    is_on: bool,
    backoff: Backoff,
    /// The time of the next scouts
    next: Option<Instant>,
    /// Scouts that have failed since
    scouts_failed: usize,
}

impl Outage {
    /// Notes that a server failed while `up` others have a tunnel that is up
    pub(crate) fn server_failed(
        &mut self,
        now: Instant,
        server: &ServerKey,
        up: usize,
        chance: f64,
    ) {
        if self.is_on {
            self.scout_failed(now, chance);
            return;
        }
        self.failed.retain(|(at, of)| of != server && now.saturating_duration_since(*at) < SPAN);
        self.failed.push_back((now, Arc::clone(server)));
        let failed = self.failed.len();
        if failed >= MIN_SERVERS && failed >= up {
            self.begin(now, chance);
        }
    }

    /// Notes a failure that is this machine's beyond doubt
    pub(crate) fn host_failed(&mut self, now: Instant, chance: f64) {
        if self.is_on { self.scout_failed(now, chance) } else { self.begin(now, chance) }
    }

    /// Notes that a server was reached
    pub(crate) fn reached(&mut self) {
        self.failed.clear();
        if self.is_on {
            *self = Self::default();
        }
    }

    /// Returns the number of dials that may be under way
    pub(crate) const fn max_under_way(&self) -> usize {
        if self.is_on { SCOUTS } else { usize::MAX }
    }

    /// Returns the time of the next scouts, while they have to wait
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        self.next.filter(|next| *next > now)
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.is_on
    }

    #[cfg(test)]
    pub(super) fn failed_together(&self) -> usize {
        self.failed.len()
    }

    fn begin(&mut self, now: Instant, chance: f64) {
        self.failed.clear();
        self.is_on = true;
        self.pause(now, chance);
    }

    /// A round of scouts has failed when as many dials have failed as may be under way
    fn scout_failed(&mut self, now: Instant, chance: f64) {
        self.scouts_failed = self.scouts_failed.saturating_add(1);
        if self.scouts_failed >= SCOUTS {
            self.pause(now, chance);
        }
    }

    fn pause(&mut self, now: Instant, chance: f64) {
        self.scouts_failed = 0;
        let failed =
            Failed { class: Class::Host, retry_after: Some(FIRST_PAUSE), was_accepted: false };
        let pause = self.backoff.failed(failed, chance).unwrap_or(FIRST_PAUSE).min(MAX_PAUSE);
        self.next = now.checked_add(pause);
    }
}

/// The time within which servers have to fail, to fail together
const SPAN: Duration = Duration::from_secs(10);

/// The number of servers that have to fail together: two that fail are two that fail
const MIN_SERVERS: usize = 4;

/// Dials that are under way during an outage
const SCOUTS: usize = 3;

const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// An uplink that is back is to be noticed within this time
const MAX_PAUSE: Duration = Duration::from_secs(30);
