//! The samples of each site

use std::collections::BTreeMap;

use pptp::Stats;
use pptp_fleet::{Figures, SiteFigures, SiteName, Traffic};
use tokio::time::Instant;

use super::{
    catalogue::site,
    family::Family,
    fleet::{failure_labels, results},
    snapshot::{Snapshot, seconds},
    text::{Text, Value},
};
use crate::{api::wall::Moment, directory::SiteFacts, settings::MetricsSites};

/// The sites with what their tunnels have counted
pub(super) struct Rows<'s> {
    all: Vec<Row<'s>>,
    removed: Traffic,
    choice: MetricsSites,
    moment: Moment,
}

/// A site with what its tunnel has counted
struct Row<'s> {
    figures: &'s SiteFigures,
    facts: Option<&'s SiteFacts>,
    traffic: Traffic,
    trips: [(&'static str, Option<f64>); 3],
}

impl<'s> Rows<'s> {
    /// Reads the tunnels, one after another
    pub(super) fn read(figures: &'s Figures, snapshot: &'s Snapshot) -> Self {
        let row = |site: &'s SiteFigures| {
            let stats = site.stats();
            Row {
                figures: site,
                facts: snapshot.sites.get(&site.name).map(AsRef::as_ref),
                traffic: site.traffic(stats.as_ref()),
                trips: trips(stats.as_ref()),
            }
        };
        Self {
            all: figures.sites.iter().map(row).collect(),
            removed: figures.removed.traffic,
            choice: snapshot.settings.sites,
            moment: snapshot.moment,
        }
    }

    /// Returns the traffic of all sites, those that were removed included
    pub(super) fn traffic(&self) -> Traffic {
        self.all.iter().fold(self.removed, |sum, row| sum.plus(&row.traffic))
    }

    /// Returns the number of sites that are to be up, and of those that are not, of each server with several
    pub(super) fn servers(&self) -> BTreeMap<&str, (usize, usize)> {
        let mut servers = BTreeMap::<&str, (usize, usize)>::new();
        if self.choice == MetricsSites::None {
            return servers;
        }
        for row in self.all.iter().filter(|row| row.figures.is_wanted) {
            let Some(facts) = row.facts else { continue };
            let (wanted, down) = servers.entry(&facts.server).or_default();
            *wanted = wanted.saturating_add(1);
            *down = down.saturating_add(usize::from(!row.figures.is_up));
        }
        let are_all = self.choice == MetricsSites::All;
        servers.retain(|_, (wanted, down)| *wanted > 1 && (are_all || *down > 0));
        servers
    }

    /// Returns true if this site has series of its own
    pub(super) fn shows(&self, name: &SiteName) -> bool {
        match self.choice {
            MetricsSites::All => true,
            MetricsSites::None => false,
            MetricsSites::Problems => {
                // in the order of the names
                let place = self.all.binary_search_by(|row| row.figures.name.cmp(name));
                place.ok().and_then(|place| self.all.get(place)).is_some_and(Row::has_problem)
            }
        }
    }

    /// Writes the samples of the sites that have series of their own
    pub(super) fn write(&self, labels: &[String], text: &mut Text) {
        let has_problem = |row: &&Row<'_>| self.choice == MetricsSites::All || row.has_problem();
        let rows = self.all.iter().filter(|_| self.choice != MetricsSites::None);
        let rows: Vec<_> = rows.filter(has_problem).collect();
        write_infos(&rows, labels, text);
        self.write_states(&rows, text);
        write_dials(&rows, text);
        write_traffic(&rows, text);
    }

    fn write_states(&self, rows: &[&Row<'_>], text: &mut Text) {
        let date = |at: Instant| seconds(self.moment.wall(at));
        write(rows, site::UP_SINCE, text, |row| row.figures.up_since.map(date));
        write(rows, site::LAST_RECEIVED, text, |row| row.traffic.last_received.map(date));
        let mut samples = text.family(site::RTT);
        for row in rows {
            for (signal, trip) in row.trips {
                if let Some(trip) = trip {
                    samples.add(&[("site", row.name()), ("signal", signal)], trip);
                }
            }
        }
        write(rows, site::USERS, text, |row| Some(row.figures.leases));
    }
}

impl Row<'_> {
    fn name(&self) -> &str {
        self.figures.name.as_str()
    }

    /// Returns true if it is down and is to be up, or up and not in order
    const fn has_problem(&self) -> bool {
        let site = self.figures;
        (site.is_wanted && !site.is_up)
            || site.is_flapping
            || matches!(site.answers_probe, Some(false))
    }
}

/// The latest round trips by the signal, in seconds
fn trips(stats: Option<&Stats>) -> [(&'static str, Option<f64>); 3] {
    let control = stats.and_then(|stats| stats.control_echo().last());
    let link = stats.and_then(|stats| stats.lcp_echo().last());
    let ping = stats.and_then(|stats| stats.ping().last());
    [("control", control), ("link", link), ("ping", ping)]
        .map(|(signal, trip)| (signal, trip.map(|trip| trip.as_secs_f64())))
}

fn write_infos(rows: &[&Row<'_>], labels: &[String], text: &mut Text) {
    let mut samples = text.family(site::INFO);
    for row in rows {
        let server = row.facts.map_or("", |facts| &facts.server);
        let mut all = vec![("site", row.name()), ("server", server)];
        all.extend(labels.iter().map(|label| {
            let value = row.facts.and_then(|facts| facts.labels.get(label));
            (label.as_str(), value.map_or("", String::as_str))
        }));
        samples.add(&all, true);
    }
    write(rows, site::WANTED, text, |row| Some(row.figures.is_wanted));
    write(rows, site::UP, text, |row| Some(row.figures.is_up));
    write(rows, site::FLAPPING, text, |row| Some(row.figures.is_flapping));
    write(rows, site::DEGRADED, text, |row| row.figures.answers_probe.map(|answers| !answers));
    let mut samples = text.family(site::LAST_FAILURE);
    for row in rows {
        if let Some(failure) = &row.figures.latest_failure {
            let [name, layer, class] = failure_labels(failure);
            samples.add(&[("site", row.name()), name, layer, class], true);
        }
    }
}

fn write_dials(rows: &[&Row<'_>], text: &mut Text) {
    write(rows, site::UPS, text, |row| Some(row.figures.dials.up));
    let mut samples = text.family(site::DIALS);
    for row in rows {
        for (result, count) in results(&row.figures.dials).filter(|(_, count)| *count > 0) {
            samples.add(&[("site", row.name()), ("result", result)], count);
        }
    }
}

fn write_traffic(rows: &[&Row<'_>], text: &mut Text) {
    write(rows, site::RECEIVED, text, |row| Some(row.traffic.octets_received));
    write(rows, site::SENT, text, |row| Some(row.traffic.octets_sent));
    write(rows, site::PACKETS_RECEIVED, text, |row| Some(row.traffic.packets_received));
    write(rows, site::PACKETS_SENT, text, |row| Some(row.traffic.packets_sent));
    write(rows, site::PASSED_OVER, text, |row| Some(row.traffic.frames_passed_over));
    write(rows, site::LATE, text, |row| Some(row.traffic.frames_late));
    write(rows, site::DUPLICATE, text, |row| Some(row.traffic.frames_duplicate));
}

/// Writes a metric whose one label is the site
fn write<V: Into<Value>>(
    rows: &[&Row<'_>],
    family: Family,
    text: &mut Text,
    value: impl Fn(&Row<'_>) -> Option<V>,
) {
    let mut samples = text.family(family);
    for row in rows {
        if let Some(value) = value(row) {
            samples.add(&[("site", row.name())], value);
        }
    }
}
