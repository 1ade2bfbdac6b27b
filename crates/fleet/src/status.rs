//! The figures of a fleet and of a site

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
};

use tokio::time::Instant;

use crate::{SiteFailure, SiteState, decide::health::Results};

/// Figures of a fleet
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetStatus {
    /// Sites, those that are being removed included
    pub sites: usize,
    /// Sites whose packets pass
    pub up: usize,
    /// Sites that wait for a dial
    pub waiting: usize,
    /// The same by the word for their urgency, the most urgent first
    pub queue: [(&'static str, usize); 5],
    /// Dials under way
    pub under_way: usize,
    /// True if this machine or its network is out of order, as far as known
    pub is_outage: bool,
    /// The change of configuration for which tunnels are dialled anew, if there is one
    pub rollout: Option<RolloutStatus>,
}

/// A change of configuration that has not reached all tunnels
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RolloutStatus {
    /// Sites that were hung up for it, since the latest plan or the end of the latest pause
    pub redialled: usize,
    /// Those of them that were not up again within a minute
    pub failed: usize,
    /// Sites that keep their tunnels, and the configuration of these, until their turn comes
    pub left: usize,
    /// True if no turn comes: [`EventKind::RolloutPaused`](crate::EventKind::RolloutPaused)
    pub is_paused: bool,
}

/// A site's state, and what the supervisor knows beside it
///
/// Counters are over all dials and tunnels of the site since it was added. They only grow.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SiteStatus {
    /// The state
    pub state: SiteState,
    /// Failures in a row of the latest failure's class
    pub failures: u32,
    /// The latest failure, also if the site came up after it
    pub latest_failure: Option<LatestFailure>,
    /// The number of sites that are dialled before this one at the latest, if it waits for a dial
    pub ahead: Option<usize>,
    /// The time at which its server is tried again, by this site or another, if the server failed
    pub server_waits_until: Option<Instant>,
    /// The leases on its tunnel
    pub leases: usize,
    /// The time at which its tunnel came up, if there is one
    pub up_since: Option<Instant>,
    /// Our address in the remote network, if there is a tunnel
    pub inner_address: Option<Ipv4Addr>,
    /// The server's outer address that was reached last
    pub reached: Option<SocketAddrV4>,
    /// True if it came up four times or more within an hour, and not because it was hung up on this side
    pub is_flapping: bool,
    /// The results of its probe; `None` before the first one, and without a probe
    pub probe: Option<ProbeStatus>,
    /// The dials
    pub dials: DialCounts,
    /// The traffic of all its tunnels
    pub traffic: Traffic,
}

/// The results of a site's probe
///
/// They are kept while the site is not up, and forgotten when it gets another probe.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProbeStatus {
    /// False after three failures in a row, until an answer comes: the site is degraded
    pub ok: bool,
    /// The time since which that is so
    pub since: Instant,
    /// The latest failure, also if an answer came after it
    pub last_error: Option<String>,
    /// Failures in a row
    pub failures: u32,
}

/// A failure, and its time
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LatestFailure {
    /// The failure
    pub failure: SiteFailure,
    /// The time
    pub at: Instant,
}

/// The dials of a site, and their results
///
/// One that is under way is counted as begun alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DialCounts {
    /// Dials that were begun
    pub begun: u64,
    /// Dials that led to a tunnel
    pub up: u64,
    /// Dials that were given up on this side
    pub given_up: u64,
    /// Dials that failed, by [`SiteFailure::name`]; the 17th name and later ones are counted as [`Self::OTHERS`]
    pub failed: BTreeMap<&'static str, u64>,
}

/// The traffic of a site's tunnels: IP packets inside of them
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// IP packets received
    pub packets_received: u64,
    /// IP packets sent
    pub packets_sent: u64,
    /// Octets of the IP packets received
    pub octets_received: u64,
    /// Octets of the IP packets sent
    pub octets_sent: u64,
    /// Sequence numbers of GRE that were passed over: frames that were lost, and those that came late
    pub frames_passed_over: u64,
    /// GRE frames that came after a later one
    pub frames_late: u64,
    /// GRE frames that came twice
    pub frames_duplicate: u64,
    /// The time at which the server was last heard over GRE: a packet, or an answer of PPP
    pub last_received: Option<Instant>,
}

impl ProbeStatus {
    pub(crate) fn new(results: &Results) -> Self {
        Self {
            ok: results.is_ok,
            since: Instant::from_std(results.since),
            last_error: results.last_error.clone(),
            failures: results.failures,
        }
    }
}

impl DialCounts {
    /// The name for failures beyond those that have an entry of their own
    pub const OTHERS: &'static str = "Others";

    /// Counts a dial that failed
    pub(crate) fn count_failure(&mut self, name: &'static str) {
        let has_room = self.failed.len() < MAX_NAMES || self.failed.contains_key(name);
        let name = if has_room { name } else { Self::OTHERS };
        let count = self.failed.entry(name).or_default();
        *count = count.saturating_add(1);
    }

    /// Adds the dials of another site; each name of a failure keeps an entry of its own
    pub(crate) fn add(&mut self, other: &Self) {
        self.begun = self.begun.saturating_add(other.begun);
        self.up = self.up.saturating_add(other.up);
        self.given_up = self.given_up.saturating_add(other.given_up);
        for (name, count) in &other.failed {
            let sum = self.failed.entry(name).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
}

impl Traffic {
    /// The traffic of one tunnel
    pub(crate) fn of(stats: &pptp::Stats) -> Self {
        let stats = &stats.tunnel;
        Self {
            packets_received: stats.ip_received,
            packets_sent: stats.ip_sent,
            octets_received: stats.ip_octets_received,
            octets_sent: stats.ip_octets_sent,
            // a frame that comes late is missing no more: the sum only grows
            frames_passed_over: stats.gre.missing.saturating_add(stats.gre.late.into()),
            frames_late: stats.gre.late.into(),
            frames_duplicate: stats.gre.duplicates.into(),
            last_received: stats.last_received.map(Instant::from_std),
        }
    }

    /// The sum with the traffic of a later tunnel
    #[must_use]
    pub fn plus(&self, later: &Self) -> Self {
        let passed_over = self.frames_passed_over.saturating_add(later.frames_passed_over);
        Self {
            frames_passed_over: passed_over,
            frames_late: self.frames_late.saturating_add(later.frames_late),
            frames_duplicate: self.frames_duplicate.saturating_add(later.frames_duplicate),
            packets_received: self.packets_received.saturating_add(later.packets_received),
            packets_sent: self.packets_sent.saturating_add(later.packets_sent),
            octets_received: self.octets_received.saturating_add(later.octets_received),
            octets_sent: self.octets_sent.saturating_add(later.octets_sent),
            last_received: later.last_received.or(self.last_received),
        }
    }
}

/// Names of failures that are counted apart for each site
const MAX_NAMES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_seventeen_names_are_kept() {
        const NAMES: [&str; 20] = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q",
            "r", "s", "t",
        ];
        let mut dials = DialCounts::default();
        for name in NAMES.into_iter().chain(NAMES) {
            dials.count_failure(name);
        }
        assert_eq!(dials.failed.len(), 17);
        assert_eq!((dials.failed["a"], dials.failed["p"]), (2, 2));
        assert_eq!(dials.failed[DialCounts::OTHERS], 8);
    }
}
