//! The figures of sites, for whoever asks

use tokio::time::Instant;

use super::{Supervisor, entry::Entry};
use crate::{
    SiteName, SiteStatus,
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
}
