//! The figures of sites, for whoever asks

use tokio::time::Instant;

use super::{Supervisor, entry::Entry, now};
use crate::{
    FailureKind, Figures, SiteFigures, SiteName, SiteStatus,
    decide::phase::Phase,
    status::{LatestFailure, ProbeStatus},
};

impl Supervisor {
    /// The figures of all sites, in the order of their names
    pub(super) fn statuses(&self) -> Vec<(SiteName, SiteStatus)> {
        let ahead = self.scheduler.ahead_of_all();
        let entry = |(name, site)| Some((name, site, self.sites.get(site)?.as_ref()));
        let status = |(name, site, entry): (&SiteName, _, _)| {
            (name.clone(), self.status_of(entry, ahead.get(site).copied()))
        };
        self.by_name.iter().filter_map(entry).map(status).collect()
    }

    /// The figures of a site; `ahead` are those that are dialled before it
    pub(super) fn status_of(&self, entry: &Entry, ahead: Option<usize>) -> SiteStatus {
        let up_since = match entry.machine.phase() {
            Phase::Up { since, .. } => Some(Instant::from_std(*since)),
            _ => None,
        };
        let latest = entry.machine.latest_failure();
        let counters = &entry.counters;
        SiteStatus {
            state: self.state_of(entry),
            failures: entry.machine.failures(),
            latest_failure: latest.map(|(at, failure)| LatestFailure {
                failure: failure.clone(),
                at: Instant::from_std(*at),
            }),
            ahead,
            server_waits_until: self.scheduler.closed_until(&entry.server).map(Instant::from_std),
            leases: entry.shared.leases(),
            up_since,
            inner_address: entry.shared.tunnel().map(|tunnel| tunnel.info().inner_address),
            reached: counters.reached_last(),
            is_flapping: entry.health.is_flapping(),
            probe: entry.health.results().map(ProbeStatus::new),
            dials: counters.dials().clone(),
            traffic: counters.traffic(),
        }
    }

    /// The figures of the fleet and of all sites, of one moment: no tunnel is read for them
    pub(super) fn figures(&self) -> Figures {
        let entries = self.by_name.values().filter_map(|site| self.sites.get(site));
        Figures {
            fleet: self.status(),
            sites: entries.map(|entry| site_figures(entry)).collect(),
            removed: self.removed.clone(),
            phases: self.phases.clone(),
        }
    }
}

fn site_figures(entry: &Entry) -> SiteFigures {
    let (machine, counters) = (&entry.machine, &entry.counters);
    let latest = machine.latest_failure().map(|(_, failure)| FailureKind::of(failure));
    // what is published is up to date: each input of a machine ends with that
    let state = entry.shared.state.borrow();
    let (is_up, own) = (state.is_up(), state.failure().map(FailureKind::of));
    // of a site that is on its way to the next attempt
    let pending = latest.filter(|_| machine.failures() > 0 || counters.has_failed());
    let name = entry.shared.name.clone();
    let mut figures =
        SiteFigures::new(name, state.name(), counters.dials().clone(), counters.parts());
    drop(state);
    figures.is_wanted = machine.is_wanted(now());
    figures.is_up = is_up;
    if let Phase::Up { since, .. } = machine.phase() {
        figures.up_since = Some(Instant::from_std(*since));
    }
    let is_down = figures.is_wanted && figures.up_since.is_none();
    figures.failure = own.or(pending).filter(|_| is_down);
    figures.latest_failure = latest;
    figures.is_flapping = entry.health.is_flapping();
    figures.answers_probe = entry.health.results().map(|results| results.is_ok);
    figures.leases = entry.shared.leases();
    figures
}
