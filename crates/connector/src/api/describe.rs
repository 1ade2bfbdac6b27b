//! The objects of sites and tunnels, made of what a fleet knows

use std::collections::BTreeMap;

use pptp::Tunnel;
use pptp_fleet::{Site, SiteState, SiteStatus};
use tokio::time::Instant;

use super::{
    event_log::{EventLog, LoggedEvent},
    view::{EventView, FailureView, SiteView, TunnelView, proven},
    wall::Moment,
};
use crate::directory::SiteFacts;

/// Makes the object of a site; a look at it is no use of it
pub(super) fn site(
    site: &Site,
    facts: &SiteFacts,
    status: Option<&SiteStatus>,
    moment: &Moment,
) -> SiteView {
    let state = site.state().borrow().clone();
    let (mut since, mut next_dial) = (None, None);
    match &state {
        SiteState::Up { since: at } | SiteState::Renegotiating { since: at } => since = Some(*at),
        SiteState::Waiting { until, .. } => next_dial = Some(*until),
        _ => {}
    }
    SiteView {
        name: site.name().to_string(),
        state: state.name().to_owned(),
        detail: state.to_string(),
        owner: facts.owner.name().to_owned(),
        server: facts.server.clone(),
        labels: BTreeMap::clone(&facts.labels),
        since: since.map(|at| moment.date(at)),
        since_seconds: since.map(|at| moment.since(at).as_secs()),
        next_dial: next_dial.map(|at| moment.date(at)),
        next_dial_seconds: next_dial.map(|at| moment.until(at).as_secs()),
        failure: state.failure().map(FailureView::new),
        health: status.map(health).unwrap_or_default(),
        tunnel: site.peek().and_then(|it| it.upgrade()).map(|it| tunnel(&it, moment)),
        more: None,
    }
}

/// Returns the words for the faults of a site that is up
fn health(status: &SiteStatus) -> Vec<String> {
    let is_degraded = status.probe.as_ref().is_some_and(|probe| !probe.ok);
    let words = [("flapping", status.is_flapping), ("degraded", is_degraded)];
    words.into_iter().filter(|(_, is_so)| *is_so).map(|(word, _)| word.to_owned()).collect()
}

/// Makes the object of a tunnel
fn tunnel(tunnel: &Tunnel, moment: &Moment) -> TunnelView {
    let (info, stats, peer) = (tunnel.info(), tunnel.stats(), tunnel.peer().unwrap_or_default());
    let last_received = stats.tunnel.last_received.map(Instant::from_std);
    let trips = [stats.ping().last(), stats.lcp_echo().last(), stats.control_echo().last()];
    let round_trip = trips.into_iter().flatten().next();
    let encryption = info.encryption.as_ref().map(ToString::to_string);
    TunnelView {
        server: info.server.to_string(),
        vendor: peer.vendor,
        firmware: peer.firmware,
        inner_address: info.inner_address.to_string(),
        dns: info.dns.iter().map(ToString::to_string).collect(),
        mtu: info.mtu,
        authentication: info.authentication.to_string(),
        encryption: encryption.unwrap_or_else(|| "none".to_owned()),
        connect_milliseconds: u64::try_from(info.connect_time.as_millis()).unwrap_or(u64::MAX),
        round_trips: info.round_trips,
        proven: proven(stats.reachability()),
        round_trip_milliseconds: round_trip.map(|trip| trip.as_secs_f64() * 1000.0),
        last_received_seconds: last_received.map(|at| moment.since(at).as_secs()),
        octets_received: stats.tunnel.ip_octets_received,
        octets_sent: stats.tunnel.ip_octets_sent,
        packets_received: stats.tunnel.ip_received,
        packets_sent: stats.tunnel.ip_sent,
    }
}

/// Makes the object of an event
pub(super) fn event(log: &EventLog, event: &LoggedEvent, moment: &Moment) -> EventView {
    EventView {
        id: log.id(event.number).to_string(),
        time: moment.date(event.at),
        kind: event.kind.to_owned(),
        site: event.site.as_ref().map(ToString::to_string),
        detail: event.detail.clone(),
        failure: event.failure.clone(),
    }
}
