//! The figures of a fleet and of all its sites, for programs that draw curves of them

use std::{collections::BTreeMap, time::Duration};

use pptp::{
    Class, Stats, Tunnel,
    error::{Layer, Phase},
};
use tokio::time::Instant;

use crate::{
    SiteFailure, SiteName,
    status::{DialCounts, FleetStatus, Traffic},
};

/// The figures of a fleet and of all its sites, of one moment
///
/// What a removed site has counted goes into [`Self::removed`] in the same moment. So the sums over all sites,
/// [`Self::dials`] and [`Self::traffic`], only grow.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Figures {
    /// The figures of the fleet
    pub fleet: FleetStatus,
    /// The sites, in the order of their names
    pub sites: Vec<SiteFigures>,
    /// The sum over the sites that were removed
    pub removed: Totals,
    /// The time that the phases of dials took, of those phases that were completed
    pub phases: BTreeMap<Phase, DurationCounts>,
}

/// The figures of a site, of one moment
///
/// They are for a reader of all sites at once: words in place of whole failures, and a tunnel whose own counters are
/// read by [`Self::stats`], in the reader's time and not in the supervisor's.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SiteFigures {
    /// The name
    pub name: SiteName,
    /// The word for the state: [`SiteState::name`](crate::SiteState::name)
    pub state: &'static str,
    /// True if the site is to be up: its owner or a client wants it, and nobody wants it down
    pub is_wanted: bool,
    /// True if packets pass
    pub is_up: bool,
    /// The time at which its tunnel came up, if there is one
    pub up_since: Option<Instant>,
    /// The failure that keeps it down; of a site that is just tried again the latest one
    pub failure: Option<FailureKind>,
    /// The latest failure, also if the site came up after it
    pub latest_failure: Option<FailureKind>,
    /// True if it came up four times or more within an hour, and not because it was hung up on this side
    pub is_flapping: bool,
    /// The verdict of its probe; `None` before the first one, and without a probe
    pub answers_probe: Option<bool>,
    /// The leases on its tunnel
    pub leases: usize,
    /// The dials
    pub dials: DialCounts,
    /// The traffic of the tunnels that are gone
    past: Traffic,
    tunnel: Option<Tunnel>,
}

/// A failure in words for programs
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct FailureKind {
    /// [`SiteFailure::name`]
    pub name: &'static str,
    /// [`SiteFailure::layer`]
    pub layer: Layer,
    /// [`SiteFailure::class`]
    pub class: Class,
}

/// The sum over several sites
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// The dials; each name of a failure has an entry of its own
    pub dials: DialCounts,
    /// The traffic; without [`Traffic::last_received`]
    pub traffic: Traffic,
}

/// Durations that were counted, by their length
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DurationCounts {
    counts: [u64; Self::BOUNDS.len()],
    longer: u64,
    sum: Duration,
}

impl Figures {
    /// Returns the dials of all sites, those that were removed included
    pub fn dials(&self) -> DialCounts {
        let mut dials = self.removed.dials.clone();
        for site in &self.sites {
            dials.add(&site.dials);
        }
        dials
    }
}

impl SiteFigures {
    pub(crate) fn new(
        name: SiteName,
        state: &'static str,
        dials: DialCounts,
        (past, tunnel): (Traffic, Option<Tunnel>),
    ) -> Self {
        Self {
            name,
            state,
            is_wanted: false,
            is_up: false,
            up_since: None,
            failure: None,
            latest_failure: None,
            is_flapping: false,
            answers_probe: None,
            leases: 0,
            dials,
            past,
            tunnel,
        }
    }

    /// Reads the counters of the site's tunnel, if there is one; locks it for a moment
    pub fn stats(&self) -> Option<Stats> {
        self.tunnel.as_ref().map(Tunnel::stats)
    }

    /// Returns the traffic of all its tunnels, the present one with these counters included
    pub fn traffic(&self, present: Option<&Stats>) -> Traffic {
        present.map_or(self.past, |stats| self.past.plus(&Traffic::of(stats)))
    }
}

impl FailureKind {
    /// Makes the words of a failure
    pub fn of(failure: &SiteFailure) -> Self {
        Self { name: failure.name(), layer: failure.layer(), class: failure.class() }
    }
}

impl Totals {
    /// Adds what a site has counted
    pub(crate) fn add(&mut self, dials: &DialCounts, traffic: &Traffic) {
        self.dials.add(dials);
        self.traffic = Traffic { last_received: None, ..self.traffic.plus(traffic) };
    }
}

impl DurationCounts {
    /// The bounds of the lengths by which durations are counted, each with the bound
    pub const BOUNDS: [Duration; 11] = [
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2500),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(30),
    ];

    /// Counts a duration
    pub fn count(&mut self, duration: Duration) {
        let place = Self::BOUNDS.iter().position(|bound| duration <= *bound);
        let count = match place.and_then(|place| self.counts.get_mut(place)) {
            Some(count) => count,
            None => &mut self.longer,
        };
        *count = count.saturating_add(1);
        self.sum = self.sum.saturating_add(duration);
    }

    /// Returns the bounds, each with the number of durations up to it
    pub fn up_to(&self) -> impl Iterator<Item = (Duration, u64)> {
        let counts = self.counts.iter().scan(0_u64, |sum, count| {
            *sum = sum.saturating_add(*count);
            Some(*sum)
        });
        Self::BOUNDS.into_iter().zip(counts)
    }

    /// Returns the number of all durations
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(self.longer, |sum, count| sum.saturating_add(*count))
    }

    /// Returns the sum of all durations
    pub const fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_up_to_their_bound() {
        let mut counts = DurationCounts::default();
        for millis in [0, 10, 11, 30_000, 30_001] {
            counts.count(Duration::from_millis(millis));
        }
        let up_to: Vec<_> = counts.up_to().map(|(_, count)| count).collect();
        assert_eq!(up_to, [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4]);
        assert_eq!((counts.total(), counts.sum()), (5, Duration::from_millis(60_022)));
        assert!(DurationCounts::BOUNDS.is_sorted());
    }

    #[test]
    fn a_sum_of_sites_keeps_each_name_of_a_failure() {
        const NAMES: [&str; 20] = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q",
            "r", "s", "t",
        ];
        let mut totals = Totals::default();
        for name in NAMES {
            let mut dials = DialCounts { begun: 2, up: 1, ..DialCounts::default() };
            dials.count_failure(name);
            let traffic = Traffic { octets_sent: 7, ..Traffic::default() };
            totals.add(&dials, &traffic);
        }
        assert_eq!((totals.dials.begun, totals.dials.up), (40, 20));
        assert_eq!(totals.dials.failed.len(), NAMES.len());
        assert_eq!(totals.traffic.octets_sent, 140);
    }
}
