//! The rollout of a changed configuration: ten tunnels are dialled anew, and the others once those are up again
//!
//! The table of all states and inputs is in the tests.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use super::{
    dial::SiteId,
    phase::{HangUp, Phase},
};

/// The sites whose tunnels are to be dialled anew, and those that were
///
/// A configuration that is wrong would end good tunnels, one after the other. So [`SAMPLE`] are dialled anew first,
/// chosen by chance, since neighbours often have the same server. The others follow when the sample is up again, and
/// at no time are more than [`SHARE`] of those redialled so far, or the size of the sample, under way. If more than
/// [`SHARE`] are not up within [`MAX_TIME`], the rollout pauses: the others keep their tunnels until somebody has it
/// go on.
///
/// A site leaves it when its tunnel ends for another reason, and when it is not to be redialled any more. No table has
/// more entries than there are sites.
#[derive(Debug, Default)]
pub(crate) struct Rollout {
    stage: Stage,
    places: HashMap<SiteId, Place>,
    /// The sites that keep their tunnels, the next one first
    held: BTreeSet<(Turn, SiteId)>,
    /// The sites that wait for the scheduler, by the time at which others have their turn
    released: BTreeSet<(Instant, SiteId)>,
    /// The sites that were hung up, by the time at which they have to be up
    under_way: BTreeSet<(Instant, SiteId)>,
    /// The sites that were hung up
    redialled: usize,
    /// Those of them that were not up in time
    failed: usize,
    /// A pause that is to be told
    pause: Option<Figures>,
}

/// The stage of a rollout
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// The sample is dialled anew
    #[default]
    Sample,
    /// The sample was good: the others follow
    Rolling,
    /// Too many failed: nothing is hung up
    Paused,
}

/// The place of a site in a rollout
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Held(Turn),
    Released { until: Instant, turn: Turn },
    UnderWay { until: Instant },
}

/// The turn of a site: those that had one go behind the others, and chance decides between equal ones
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    before: u32,
    chance: u32,
}

/// The state of a site's tunnel, as far as a rollout is concerned
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redial {
    /// It is up, and is to be dialled anew
    Wanted,
    /// It is being hung up for that
    HungUp,
    /// There is none, and the site is being dialled, or will be
    Dialling,
    /// It is up, and has the configuration that it is to have
    Done,
    /// The site is down on purpose, or gone
    Off,
}

/// Task of the supervisor
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The site may wish for its redial
    Release(SiteId),
    /// It may not any more
    Hold(SiteId),
}

/// The numbers of a rollout's sites
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Those that were hung up
    pub(crate) redialled: usize,
    /// Those of them that were not up again in time
    pub(crate) failed: usize,
    /// Those that keep their tunnels
    pub(crate) left: usize,
}

impl Redial {
    /// The state of a site in this phase
    pub(crate) const fn of(phase: &Phase) -> Self {
        match phase {
            Phase::Up { redials: true, .. } => Self::Wanted,
            Phase::Up { .. } => Self::Done,
            Phase::HangingUp { why: HangUp::Config, .. } => Self::HungUp,
            Phase::HangingUp { why: HangUp::Restart | HangUp::Failed, .. }
            | Phase::Queued { .. }
            | Phase::Fetching { .. }
            | Phase::Dialling
            | Phase::Waiting { .. }
            | Phase::Stopped { .. } => Self::Dialling,
            Phase::HangingUp { .. } | Phase::Resting | Phase::Gone => Self::Off,
        }
    }
}

impl Rollout {
    /// Begins with a sample again, since the configuration is another; those under way are not counted any more
    ///
    /// It ends a pause. Returns the number of sites that have been waiting for that, or `None` without a pause.
    pub(crate) fn handle_plan(&mut self) -> Option<usize> {
        let left = (self.stage == Stage::Paused).then(|| self.left());
        self.begin();
        left
    }

    /// Ends a pause, and begins with a sample of the sites that are left; returns their number
    pub(crate) fn handle_continue(&mut self) -> Option<usize> {
        let left = (self.stage == Stage::Paused).then(|| self.left())?;
        self.begin();
        Some(left)
    }

    /// Takes the state of a site's tunnel; `chance` decides when its turn comes
    pub(crate) fn handle_site(&mut self, now: Instant, site: SiteId, redial: Redial, chance: u32) {
        let before = self.places.get(&site).copied();
        match (before, redial) {
            (None | Some(Place::UnderWay { .. }), Redial::Wanted) => {
                self.put(site, Place::Held(Turn { before: 0, chance }));
            }
            (Some(Place::Held(_) | Place::Released { .. }), Redial::HungUp) => {
                self.redialled = self.redialled.saturating_add(1);
                self.put(site, Place::UnderWay { until: later(now) });
            }
            (Some(Place::UnderWay { .. }), Redial::Off) => {
                // nobody will know how it would have ended
                self.redialled = self.redialled.saturating_sub(1);
                self.take(site);
            }
            (None, _)
            | (Some(Place::Held(_) | Place::Released { .. }), Redial::Wanted)
            | (Some(Place::UnderWay { .. }), Redial::HungUp | Redial::Dialling) => return,
            // its own end, another change, or up in time
            (Some(_), Redial::Dialling | Redial::Done | Redial::Off) => self.take(site),
        }
        self.settle();
    }

    /// Notes which sites were not up in time
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, site)) = self.under_way.first().copied().filter(|(at, _)| *at <= now) {
            self.take(site);
            self.failed = self.failed.saturating_add(1);
            self.settle();
        }
    }

    /// Returns what the supervisor has to do next
    pub(crate) fn poll_step(&mut self, now: Instant) -> Option<Step> {
        let allowed = self.allowed();
        if self.released.len() > allowed {
            let site = self.released.last().map(|(_, site)| *site)?;
            return Some(self.hold(site, 0));
        }
        // one whose server or login has to wait must not hold up all others
        if let Some(site) = self.overdue().filter(|(at, _)| *at <= now).map(|(_, site)| site) {
            return Some(self.hold(site, 1));
        }
        let (turn, site) = self.held.first().copied().filter(|_| self.released.len() < allowed)?;
        self.put(site, Place::Released { until: later(now), turn });
        Some(Step::Release(site))
    }

    /// Returns a pause that has begun
    pub(crate) const fn poll_pause(&mut self) -> Option<Figures> {
        self.pause.take()
    }

    /// Returns the time of the next [`Self::handle_timeout`] and [`Self::poll_step`]
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let of = |first: Option<(Instant, SiteId)>| first.map(|(at, _)| at);
        [of(self.under_way.first().copied()), of(self.overdue())].into_iter().flatten().min()
    }

    /// Returns true if a site may wish for its redial
    pub(crate) fn is_released(&self, site: SiteId) -> bool {
        matches!(self.places.get(&site), Some(Place::Released { .. }))
    }

    /// Returns true if a site waits for its turn
    #[cfg(test)]
    pub(crate) fn is_held(&self, site: SiteId) -> bool {
        matches!(self.places.get(&site), Some(Place::Held(_)))
    }

    /// Returns true if nothing is hung up until somebody has it go on
    pub(crate) fn is_paused(&self) -> bool {
        self.stage == Stage::Paused
    }

    /// Returns the numbers of its sites since it began last
    pub(crate) fn figures(&self) -> Figures {
        Figures { redialled: self.redialled, failed: self.failed, left: self.left() }
    }

    /// Returns true if no site is in it
    pub(crate) fn is_over(&self) -> bool {
        self.places.is_empty()
    }

    /// The number of entries of each table
    #[cfg(test)]
    pub(crate) fn table_sizes(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("places", self.places.len()),
            ("held", self.held.len()),
            ("released", self.released.len()),
            ("under way", self.under_way.len()),
        ]
    }

    /// The sites that have not had their turn
    fn left(&self) -> usize {
        self.held.len().saturating_add(self.released.len())
    }

    /// The number of sites that may wait for the scheduler
    fn allowed(&self) -> usize {
        match self.stage {
            Stage::Sample => SAMPLE.saturating_sub(self.redialled),
            Stage::Rolling => {
                let most = self.redialled.checked_div(SHARE).unwrap_or_default().max(SAMPLE);
                most.saturating_sub(self.under_way.len())
            }
            Stage::Paused => 0,
        }
    }

    /// The first site that has waited for the scheduler for long, if others wait for their turn
    fn overdue(&self) -> Option<(Instant, SiteId)> {
        self.released.first().copied().filter(|_| !self.held.is_empty())
    }

    fn begin(&mut self) {
        while let Some((_, site)) = self.under_way.first().copied() {
            self.take(site);
        }
        (self.stage, self.redialled, self.failed) = (Stage::Sample, 0, 0);
        self.pause = None;
    }

    /// Decides how it goes on after a change
    fn settle(&mut self) {
        let is_bad = |failed: usize| failed.saturating_mul(SHARE) > self.redialled;
        let may_fail = self.under_way.len().saturating_add(self.failed);
        if self.places.is_empty() {
            *self = Self::default();
        } else if self.left() == 0 {
            // nothing is left that could be kept
            if self.stage == Stage::Paused {
                (self.stage, self.pause) = (Stage::Sample, None);
            }
        } else if self.stage != Stage::Paused && is_bad(self.failed) {
            self.stage = Stage::Paused;
            self.pause = Some(self.figures());
        } else if self.stage == Stage::Sample && self.redialled >= SAMPLE && !is_bad(may_fail) {
            self.stage = Stage::Rolling;
        }
    }

    /// Takes a release back
    fn hold(&mut self, site: SiteId, turns: u32) -> Step {
        if let Some(Place::Released { turn: Turn { before, chance }, .. }) = self.places.get(&site)
        {
            let turn = Turn { before: before.saturating_add(turns), chance: *chance };
            self.put(site, Place::Held(turn));
        }
        Step::Hold(site)
    }

    fn put(&mut self, site: SiteId, place: Place) {
        self.take(site);
        match place {
            Place::Held(turn) => _ = self.held.insert((turn, site)),
            Place::Released { until, .. } => _ = self.released.insert((until, site)),
            Place::UnderWay { until } => _ = self.under_way.insert((until, site)),
        }
        self.places.insert(site, place);
    }

    fn take(&mut self, site: SiteId) {
        match self.places.remove(&site) {
            None => {}
            Some(Place::Held(turn)) => _ = self.held.remove(&(turn, site)),
            Some(Place::Released { until, .. }) => _ = self.released.remove(&(until, site)),
            Some(Place::UnderWay { until }) => _ = self.under_way.remove(&(until, site)),
        }
    }
}

/// The time at which a site that was released or hung up now has had long enough
fn later(now: Instant) -> Instant {
    now.checked_add(MAX_TIME).unwrap_or(now)
}

/// The sites that are dialled anew first
const SAMPLE: usize = 10;

/// One in so many of those redialled may fail
const SHARE: usize = 5;

/// The time within which a site has to be up again
const MAX_TIME: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
