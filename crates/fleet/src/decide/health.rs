//! The health of a site that is up: facts beside its state, on which nothing is dialled

mod flapping;
mod probing;

use std::{collections::VecDeque, time::Instant};

use self::{flapping::Flapping, probing::Probing};
use super::phase::{HangUp, Phase};

pub(crate) use self::probing::{MAX_PROBE_TIME, Results};

/// The health of a site, as a machine
///
/// Phases, results of probes and `now` go in. Facts, probes to be begun and the next deadline come out.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// The time at which the present tunnel came up
    up_since: Option<Instant>,
    /// The latest tunnel was hung up on this side
    is_own_end: bool,
    flapping: Flapping,
    /// Packets pass
    is_passing: bool,
    probing: Option<Box<Probing>>,
    /// The number of the latest probe
    latest_probe: u64,
    /// A probe is to be begun
    is_wanted: bool,
    facts: VecDeque<Fact>,
}

/// A fact of a site's health that is new
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// It came up several times within an hour
    FlappingBegan,
    /// It has not done so any more
    FlappingEnded,
    /// Several probes in a row have failed; the last one for this reason
    ProbeFailed(String),
    /// A probe was answered after that
    ProbeAnswered,
}

impl Health {
    /// Makes the health of a site that was added, with a probe or without
    pub(crate) fn new(has_probe: bool) -> Self {
        let probing = has_probe.then(Box::default);
        Self { probing, ..Self::default() }
    }

    pub(crate) const fn is_flapping(&self) -> bool {
        self.flapping.is_on()
    }

    /// The results of the probes; `None` before the first one
    pub(crate) fn results(&self) -> Option<&Results> {
        self.probing.as_ref()?.results()
    }

    /// Takes another probe, or none: what the one before has shown is forgotten
    pub(crate) fn handle_probe(&mut self, now: Instant, has_probe: bool) {
        self.probing = has_probe.then(Box::default);
        self.is_wanted = false;
        if let Some(probing) = self.probing.as_mut().filter(|_| self.is_passing) {
            probing.start(now);
        }
    }

    /// Takes the phase of the site; to be called after each change of it
    pub(crate) fn handle_phase(&mut self, now: Instant, phase: &Phase) {
        match phase {
            Phase::Up { since, .. } if self.up_since != Some(*since) => {
                self.up_since = Some(*since);
                // what this side does on purpose is no flapping: idle time, restart, another configuration
                if !std::mem::take(&mut self.is_own_end) {
                    self.facts.extend(self.flapping.handle_up(now));
                }
            }
            Phase::Up { .. } => {}
            Phase::HangingUp { why, .. } => {
                let was_up = self.up_since.take().is_some();
                self.is_own_end |= was_up && *why != HangUp::Failed;
            }
            _ => self.up_since = None,
        }
        let is_passing = matches!(phase, Phase::Up { is_renegotiating: false, .. });
        let was_passing = std::mem::replace(&mut self.is_passing, is_passing);
        match &mut self.probing {
            Some(probing) if is_passing && !was_passing => probing.start(now),
            Some(probing) if was_passing && !is_passing => {
                probing.stop();
                self.is_wanted = false;
            }
            _ => {}
        }
    }

    /// Takes the result of a probe; one that is not under way any more says nothing
    pub(crate) fn handle_result(&mut self, now: Instant, probe: u64, result: Result<(), String>) {
        if let Some(probing) = self.probing.as_mut().filter(|_| probe == self.latest_probe) {
            self.facts.extend(probing.handle_result(now, result));
        }
    }

    /// Notes that the probe that was wanted has begun; it may have waited for those of other sites
    pub(crate) fn handle_begun(&mut self, now: Instant, probe: u64) {
        if let Some(probing) = self.probing.as_mut().filter(|_| probe == self.latest_probe) {
            probing.handle_begun(now);
        }
    }

    /// Takes the steps whose time has come, if any; `last_received` says when something came through the tunnel
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        last_received: impl FnOnce() -> Option<Instant>,
    ) {
        self.facts.extend(self.flapping.handle_timeout(now));
        let Some(probing) = &mut self.probing else { return };
        if probing.is_overdue(now) {
            self.facts.extend(probing.handle_result(now, Err("no answer".to_owned())));
        } else if probing.is_due(now, last_received) {
            self.latest_probe = self.latest_probe.wrapping_add(1);
            self.is_wanted = true;
        }
    }

    /// Returns the number of the probe that is to be begun; the answers are [`Self::handle_begun`] and
    /// [`Self::handle_result`]
    pub(crate) fn poll_probe(&mut self) -> Option<u64> {
        std::mem::take(&mut self.is_wanted).then_some(self.latest_probe)
    }

    /// Returns the next fact that is new
    pub(crate) fn poll_fact(&mut self) -> Option<Fact> {
        self.facts.pop_front()
    }

    /// Returns the time of the next [`Self::handle_timeout`]
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let probing = self.probing.as_ref().and_then(|probing| probing.poll_timeout());
        [self.flapping.ends_at(), probing].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
