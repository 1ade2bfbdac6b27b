//! The redials of sites whose configuration has changed: they wait for their turn

use std::time::Instant as StdInstant;

use rand::RngExt;

use super::{Supervisor, entry::Entry, now};
use crate::{
    EventKind, RolloutStatus,
    decide::{
        dial::{SiteId, Urgency},
        rollout::{Figures, Redial, Step},
    },
};

impl Supervisor {
    /// Goes on with the rollout
    pub(super) fn roll(&mut self, now: StdInstant) {
        // the sample is one of all sites of a plan
        if self.applying.is_some() {
            return;
        }
        self.rollout.handle_timeout(now);
        if let Some(Figures { redialled, failed, left }) = self.rollout.poll_pause() {
            self.tell(EventKind::RolloutPaused { redialled, failed, left });
        }
        while let Some(step) = self.rollout.poll_step(now) {
            match step {
                Step::Release(site) => {
                    if let Some(entry) = self.sites.get(&site) {
                        self.scheduler.wish(now, site, &entry.server, Urgency::Start);
                    }
                }
                Step::Hold(site) => _ = self.scheduler.withdraw(site),
            }
        }
    }

    /// The rollout for its owner
    pub(super) fn rollout_status(&self) -> Option<RolloutStatus> {
        if self.rollout.is_over() {
            return None;
        }
        let Figures { redialled, failed, left } = self.rollout.figures();
        Some(RolloutStatus { redialled, failed, left, is_paused: self.rollout.is_paused() })
    }

    /// Returns true if a site may wish for a dial: a tunnel that is up is dialled anew when its turn comes
    pub(super) fn may_wish(&self, site: SiteId, entry: &Entry) -> bool {
        Redial::of(entry.machine.phase()) != Redial::Wanted || self.rollout.is_released(site)
    }

    /// Tells the rollout what became of a site
    pub(super) fn tell_rollout(&mut self, site: SiteId, entry: &Entry) {
        let redial = Redial::of(entry.machine.phase());
        let chance = if redial == Redial::Wanted { self.rng.random() } else { 0 };
        self.rollout.handle_site(now(), site, redial, chance);
    }
}
