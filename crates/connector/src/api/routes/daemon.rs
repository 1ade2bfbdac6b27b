//! The daemon: status, events, problems, reload

use std::{collections::BTreeMap, fmt::Write, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use tokio::{sync::mpsc, time::timeout};

use super::Api;
use crate::api::{
    control::{Control, ReloadError},
    describe,
    event_log::EventId,
    groups::Groups,
    problem::Problem,
    query::{self, EventsQuery},
    stream,
    view::{FailureView, ProblemsView, ReloadView, RolloutView, StatusView},
    wall::{self, Moment},
};

/// The process lives
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// The daemon does its work; says nothing about sites
pub(super) async fn readyz(State(api): State<Arc<Api>>) -> Result<&'static str, Problem> {
    if api.control.is_ready() {
        return Ok("ok\n");
    }
    let (title, detail) = ("Not ready", "the driver or the supervisor has not turned lately");
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", title, detail))
}

/// The daemon and the sum of its sites
pub(super) async fn status(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
) -> Result<Json<StatusView>, Problem> {
    query::none(query.as_deref())?;
    let control = &api.control;
    let as_of = control.events().as_of().to_string();
    let facts = control.facts();
    let fleet = control.directory().fleet();
    let figures = fleet.status().await.ok_or_else(Problem::shut_down)?;
    let mut states = BTreeMap::<_, usize>::new();
    let sites = fleet.sites();
    for site in &sites {
        let count = states.entry(site.state().borrow().name().to_owned()).or_default();
        *count = count.saturating_add(1);
    }
    let uptime = facts.started.and_then(|started| started.elapsed().ok());
    Ok(Json(StatusView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        as_of,
        started: facts.started.map(wall::date),
        uptime_seconds: uptime.unwrap_or_default().as_secs(),
        config: facts.config.map(|path| path.display().to_string()),
        config_read: facts.config_read.map(wall::date),
        running_last_good: facts.is_running_last_good,
        problems_title: facts.problems_title,
        problems: facts.problems,
        sites: sites.len(),
        states,
        dials_under_way: figures.under_way,
        outage: figures.is_outage,
        listeners: control.listeners().await.into_iter().map(Into::into).collect(),
    }))
}

/// The sites that should be up and are not, in groups
pub(super) async fn problems(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
) -> Result<Json<ProblemsView>, Problem> {
    query::none(query.as_deref())?;
    let control = &api.control;
    let as_of = control.events().as_of().to_string();
    let (moment, mut groups) = (Moment::now(), Groups::default());
    for (name, facts) in control.directory().all().iter() {
        let Some(site) = control.directory().fleet().site(name.as_str()) else { continue };
        let state = site.state().borrow().clone();
        let Some(failure) = state.failure() else { continue };
        let next = match &state {
            pptp_fleet::SiteState::Waiting { until, .. } => Some(moment.until(*until).as_secs()),
            _ => None,
        };
        groups.add(name.as_str(), &facts.server, FailureView::new(failure), next);
    }
    let sites = groups.sites();
    let (groups, more_groups) = groups.into_groups();
    Ok(Json(ProblemsView { as_of, sites, groups, more_groups }))
}

/// The events as they come, as server-sent events
pub(super) async fn events(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or("?"));
    let EventsQuery { since } = EventsQuery::parse(query.as_deref(), last)?;
    let place = api.stream_place()?;
    let since = since.unwrap_or_else(|| api.control.events().as_of());
    let (sender, response) = stream::begin("text/event-stream", 1, place);
    let control = Arc::clone(&api.control);
    tokio::spawn(async move { send_events(&*control, &since, &sender).await });
    Ok(response)
}

/// Sends events, and a comment where there are none, until the client is gone
async fn send_events(control: &dyn Control, since: &EventId, sender: &mpsc::Sender<Bytes>) {
    let log = control.events();
    let mut reader = log.reader(Some(since));
    let mut text = ": events\n\n".to_owned();
    loop {
        // waits for a client that is behind: what it misses meanwhile is told by the log
        if sender.send(std::mem::take(&mut text).into()).await.is_err() {
            return;
        }
        tokio::select! {
            () = sender.closed() => return,
            events = timeout(HEARTBEAT, reader.next()) => match events {
                Ok(None) => return,
                Err(_) => text.push_str(": beat\n\n"),
                Ok(Some(events)) => {
                    let moment = Moment::now();
                    for event in events {
                        let view = describe::event(log, &event, &moment);
                        let data = serde_json::to_string(&view).unwrap_or_default();
                        let (id, kind) = (&view.id, &view.kind);
                        // a text takes everything
                        let _ = write!(text, "id: {id}\nevent: {kind}\ndata: {data}\n\n");
                    }
                }
            },
        }
    }
}

/// Reads the configuration again
pub(super) async fn reload(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
) -> Result<Json<ReloadView>, Problem> {
    let options = query::parse_reload(query.as_deref())?;
    // not given up with its client: a plan is applied whole
    let control = Arc::clone(&api.control);
    let reload = tokio::spawn(async move { control.reload(options).await });
    match reload.await {
        Ok(Ok(report)) => Ok(Json(ReloadView::new(&report, options.dry_run))),
        Ok(Err(error)) => Err(refused(error)),
        Err(_) => {
            let (title, detail) = ("A fault of the daemon", "the reload has panicked; see the log");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title, detail))
        }
    }
}

/// Ends the pause of a change that is made site by site
pub(super) async fn continue_rollout(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
) -> Result<Json<RolloutView>, Problem> {
    query::none(query.as_deref())?;
    let left = api.control.continue_rollout().await.ok_or_else(Problem::shut_down)?;
    Ok(Json(RolloutView { left }))
}

fn refused(error: ReloadError) -> Problem {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    match error {
        ReloadError::Problems { problems, count } => {
            let plural = if count == 1 { "" } else { "s" };
            let detail = format!("{count} problem{plural}; nothing was changed");
            let title = "The configuration has problems";
            let problem = Problem::new(status, "configuration", title, detail);
            Problem { errors: problems.into_iter().map(Into::into).collect(), ..problem }
        }
        ReloadError::TooManyRemoved { removes, of } => {
            let detail = format!(
                "it would remove {removes} of {of} sites, and nothing was changed; \
                 if that is right: reload --removes {removes}"
            );
            Problem::new(StatusCode::CONFLICT, "mass-change", "It removes too many sites", detail)
        }
        ReloadError::NeedsRestart(reasons) => {
            let more = reasons.len().saturating_sub(MAX_REASONS);
            let mut shown = reasons.into_iter().take(MAX_REASONS).collect::<Vec<_>>();
            if more > 0 {
                shown.push(format!("and {more} more"));
            }
            let reasons = shown.join("; ");
            let detail = format!("that needs a restart, and nothing was changed: {reasons}");
            Problem::new(StatusCode::CONFLICT, "needs-restart", "It needs a restart", detail)
        }
        ReloadError::Impossible(detail) => {
            Problem::new(StatusCode::CONFLICT, "impossible", "It cannot be reloaded", detail)
        }
    }
}

/// The reasons for a restart that are told
const MAX_REASONS: usize = 10;

/// The time without an event after which a comment is sent
const HEARTBEAT: Duration = Duration::from_secs(15);
