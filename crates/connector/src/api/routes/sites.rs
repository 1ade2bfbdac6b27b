//! Sites: lists, `up`, `down`, `restart`

use std::{ops::Bound, sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use pptp_fleet::{NotUp, Site, SiteState};
use tokio::time::{Instant, timeout_at};

use super::Api;
use crate::api::{
    access::Caller,
    describe,
    problem::Problem,
    query::{self, ActQuery, SitesQuery},
    view::{MoreView, SiteView, SitesView},
    wall::Moment,
};

/// A page of sites
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
) -> Result<Json<SitesView>, Problem> {
    let SitesQuery { select, states, after, limit } = SitesQuery::parse(query.as_deref())?;
    let directory = api.control.directory();
    // before the sites: a change that comes after it is in the stream of events
    let as_of = api.control.events().as_of().to_string();
    let version = api.control.sites_version();
    let statuses = directory.fleet().statuses().await.ok_or_else(Problem::shut_down)?;
    let (moment, all) = (Moment::now(), directory.all());
    let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
    let (mut sites, mut next) = (Vec::new(), None);
    for (name, facts) in all.range((begin, Bound::Unbounded)) {
        if !(select.has(name, &facts.labels) && caller.has_site(name, facts)) {
            continue;
        }
        let Some(site) = directory.fleet().site(name.as_str()) else { continue };
        let state = site.state().borrow().name();
        if !states.is_empty() && !states.contains(&state) {
            continue;
        }
        if sites.len() == limit {
            next = sites.last().map(|site: &SiteView| site.name.clone());
            break;
        }
        // in the order of the names
        let place = statuses.binary_search_by(|(other, _)| other.cmp(name)).ok();
        let status = place.and_then(|place| statuses.get(place)).map(|(_, status)| status);
        sites.push(describe::site(&site, facts, status, &moment));
    }
    Ok(Json(SitesView { as_of, version, sites, next }))
}

/// Everything of one site
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
) -> Result<Json<SiteView>, Problem> {
    query::none(query.as_deref())?;
    view(&api, &name, &caller).await.map(Json)
}

/// Makes the object of a site, with all that is known of it
pub(super) async fn view(api: &Api, name: &str, caller: &Caller) -> Result<SiteView, Problem> {
    let as_of = api.control.events().as_of().to_string();
    let (site, facts) = api.site(name, caller)?;
    let status = site.status().await;
    let moment = Moment::now();
    let forwards = api.control.listeners().await.into_iter();
    let forwards = forwards.filter(|listener| listener.site.as_ref() == Some(site.name()));
    let waits = status.as_ref().and_then(|status| status.server_waits_until);
    let hosts = facts.hosts.iter().map(|(name, address)| (name.clone(), address.to_string()));
    let traffic = status.as_ref().map(|status| status.traffic).unwrap_or_default();
    let dials = status.as_ref().map(|status| status.dials.clone()).unwrap_or_default();
    let probe = status.as_ref().and_then(|status| status.probe.as_ref());
    let more = MoreView {
        as_of,
        dials: dials.begun,
        dials_up: dials.up,
        dials_failed: dials
            .failed
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect(),
        probe_error: probe.filter(|probe| !probe.ok).and_then(|probe| probe.last_error.clone()),
        octets: (traffic.octets_received, traffic.octets_sent),
        failures: status.as_ref().map_or(0, |status| status.failures),
        ahead: status.as_ref().and_then(|status| status.ahead),
        server_waits_seconds: waits.map(|at| moment.until(at).as_secs()),
        users: site.leases(),
        hosts: hosts.collect(),
        address: facts.address.map(|address| address.to_string()),
        wait_seconds: facts.wait.as_secs(),
        forwards: forwards.map(Into::into).collect(),
    };
    Ok(SiteView { more: Some(more), ..describe::site(&site, &facts, status.as_ref(), &moment) })
}

/// Wants a site up
pub(super) async fn up(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let (site, wait) = begin(&api, &name, query.as_deref(), &caller)?;
    let fleet = api.control.directory().fleet();
    let is_there = fleet.up(site.name()).await;
    answer((&api, &caller), &site, is_there, wait, Goal::Up).await
}

/// Wants a site down until somebody wants it up
pub(super) async fn down(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let (site, wait) = begin(&api, &name, query.as_deref(), &caller)?;
    let by = pptp_fleet::Caller(caller.short_name().to_owned());
    let is_there = api.control.directory().fleet().down(site.name(), by).await;
    answer((&api, &caller), &site, is_there, wait, Goal::Down).await
}

/// Hangs a site up and dials it again
pub(super) async fn restart(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let (site, wait) = begin(&api, &name, query.as_deref(), &caller)?;
    let is_there = api.control.directory().fleet().restart(site.name()).await;
    answer((&api, &caller), &site, is_there, wait, Goal::Up).await
}

/// Reads a command to a site
fn begin(
    api: &Api,
    name: &str,
    query: Option<&str>,
    caller: &Caller,
) -> Result<(Site, Option<Duration>), Problem> {
    let ActQuery { wait } = ActQuery::parse(query)?;
    let (site, _) = api.site(name, caller)?;
    Ok((site, wait))
}

/// The state that a command is for
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Up,
    Down,
}

async fn answer(
    (api, caller): (&Api, &Caller),
    site: &Site,
    is_there: bool,
    wait: Option<Duration>,
    goal: Goal,
) -> Result<Response, Problem> {
    if !is_there {
        return Err(Problem::no_such_site(site.name().as_str()));
    }
    let Some(wait) = wait else {
        return Ok((StatusCode::ACCEPTED, Json(view(api, site.name().as_str(), caller).await?))
            .into_response());
    };
    reached(site, wait, goal).await?;
    Ok(Json(view(api, site.name().as_str(), caller).await?).into_response())
}

/// Waits for a state, until it is certain that it will not come in time
async fn reached(site: &Site, wait: Duration, goal: Goal) -> Result<(), Problem> {
    let deadline = Instant::now().checked_add(wait).unwrap_or_else(Instant::now);
    let mut states = site.state();
    let mut failed = None;
    loop {
        let state = states.borrow_and_update().clone();
        if state.failure().is_some() {
            failed = Some(state.clone());
        }
        match judge(&state, deadline, goal) {
            Verdict::Reached => return Ok(()),
            Verdict::Never => {
                let error = NotUp::Refused { site: site.name().clone(), state: Box::new(state) };
                return Err(Problem::not_up(&error));
            }
            Verdict::Open => {}
        }
        match timeout_at(deadline, states.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Problem::shut_down()),
            Err(_) => return Err(too_late(site, &state, failed.as_ref(), wait, goal)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Reached,
    Open,
    Never,
}

fn judge(state: &SiteState, deadline: Instant, goal: Goal) -> Verdict {
    match (goal, state) {
        (Goal::Up, SiteState::Up { .. })
        | (Goal::Down, SiteState::Down { .. } | SiteState::Disabled | SiteState::Removed) => {
            Verdict::Reached
        }
        (Goal::Up, SiteState::Waiting { until, .. }) if *until > deadline => Verdict::Never,
        (
            Goal::Up,
            SiteState::Stopped { .. }
            | SiteState::Down { .. }
            | SiteState::Disabled
            | SiteState::Removed,
        ) => Verdict::Never,
        _ => Verdict::Open,
    }
}

/// The site is not up in time; its last failure, if it had one meanwhile, is the reason
fn too_late(
    site: &Site,
    state: &SiteState,
    failed: Option<&SiteState>,
    wait: Duration,
    goal: Goal,
) -> Problem {
    let (name, seconds) = (site.name(), wait.as_secs());
    let goal = if goal == Goal::Up { "up" } else { "down" };
    let mut detail = format!("{name} is not {goal} after {seconds} s; it is {state}");
    if let Some(failed) = failed.filter(|failed| *failed != state) {
        detail.push_str("; its last attempt ended so: ");
        detail.push_str(&failed.to_string());
    }
    let problem = Problem::down(name, failed.unwrap_or(state), detail, true);
    Problem { state: Some(state.name().into()), ..problem }
}
