//! The samples of all sites together

use std::collections::BTreeMap;

use pptp::error::Phase;
use pptp_fleet::{DialCounts, FailureKind, Figures, SiteState};

use super::{catalogue::fleet, site::Rows, text::Text};

/// Writes the samples of all sites together
pub(super) fn write(figures: &Figures, rows: &Rows<'_>, text: &mut Text) {
    write_counts(figures, text);
    write_failing(figures, text);
    write_health(figures, text);
    write_servers(rows, text);
    write_dials(figures, text);
    let rollout = figures.fleet.rollout.unwrap_or_default();
    text.single(fleet::PAUSED, rollout.is_paused);
    text.single(fleet::LEFT, rollout.left);
    let traffic = rows.traffic();
    text.single(fleet::RECEIVED, traffic.octets_received);
    text.single(fleet::SENT, traffic.octets_sent);
    text.single(fleet::PACKETS_RECEIVED, traffic.packets_received);
    text.single(fleet::PACKETS_SENT, traffic.packets_sent);
}

fn write_counts(figures: &Figures, text: &mut Text) {
    // each state has a series, so that a curve does not end where it is 0
    let mut states: BTreeMap<_, _> = SiteState::NAMES.iter().map(|name| (*name, 0_usize)).collect();
    for site in &figures.sites {
        let count = states.entry(site.state).or_default();
        *count = count.saturating_add(1);
    }
    let mut samples = text.family(fleet::STATES);
    for (state, count) in states {
        samples.add(&[("state", state)], count);
    }
    let wanted = figures.sites.iter().filter(|site| site.is_wanted);
    text.single(fleet::WANTED, wanted.clone().count());
    text.single(fleet::DOWN, wanted.filter(|site| !site.is_up).count());
}

fn write_failing(figures: &Figures, text: &mut Text) {
    let mut failing = BTreeMap::<FailureKind, usize>::new();
    for failure in figures.sites.iter().filter_map(|site| site.failure) {
        let count = failing.entry(failure).or_default();
        *count = count.saturating_add(1);
    }
    let mut samples = text.family(fleet::FAILING);
    for (failure, count) in failing {
        samples.add(&failure_labels(&failure), count);
    }
}

fn write_health(figures: &Figures, text: &mut Text) {
    let flapping = figures.sites.iter().filter(|site| site.is_flapping);
    text.single(fleet::FLAPPING, flapping.count());
    let degraded = figures.sites.iter().filter(|site| site.answers_probe == Some(false));
    text.single(fleet::DEGRADED, degraded.count());
}

fn write_servers(rows: &Rows<'_>, text: &mut Text) {
    let servers = rows.servers();
    let mut samples = text.family(fleet::SERVER_SITES);
    for (server, (wanted, _)) in &servers {
        samples.add(&[("server", server)], *wanted);
    }
    let mut samples = text.family(fleet::SERVER_DOWN);
    for (server, (_, down)) in &servers {
        samples.add(&[("server", server)], *down);
    }
}

fn write_dials(figures: &Figures, text: &mut Text) {
    let mut samples = text.family(fleet::QUEUE);
    for (urgency, count) in figures.fleet.queue {
        samples.add(&[("urgency", urgency)], count);
    }
    text.single(fleet::UNDER_WAY, figures.fleet.under_way);
    let mut samples = text.family(fleet::DIALS);
    let dials = figures.dials();
    for (result, count) in results(&dials) {
        samples.add(&[("result", result)], count);
    }
    let mut samples = text.family(fleet::PHASES);
    for (phase, counts) in &figures.phases {
        samples.durations(("phase", phase_name(*phase)), counts);
    }
}

/// Returns the results of dials, each with its count
pub(super) fn results(dials: &DialCounts) -> impl Iterator<Item = (&'static str, u64)> {
    let failed = dials.failed.iter().map(|(name, count)| (*name, *count));
    [("ok", dials.up), ("given-up", dials.given_up)].into_iter().chain(failed)
}

/// Returns the labels of a failure
pub(super) const fn failure_labels(failure: &FailureKind) -> [(&'static str, &'static str); 3] {
    [("failure", failure.name), ("layer", failure.layer.name()), ("class", failure.class.name())]
}

/// Returns a word for a phase of a dial
const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve => "name",
        Phase::TcpConnect => "tcp",
        Phase::ControlConnection => "control",
        Phase::Call => "call",
        Phase::LinkControl => "link",
        Phase::Authentication => "authentication",
        Phase::Network => "network",
        _ => "other",
    }
}
