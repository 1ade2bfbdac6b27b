//! The routes of the control interface
//!
//! | file | routes |
//! |---|---|
//! | `daemon` | the daemon: status, events, problems, reload |
//! | `metrics` | the metrics, and the routes of their own listener |
//! | `sites` | sites: lists, `up`, `down`, `restart` |
//! | `doctor` | the doctor |
//! | `inside` | pings and connections through a site: `ping`, `tcp` |
//! | `records` | flight records and captures |

mod daemon;
mod doctor;
mod inside;
mod metrics;
mod records;
mod sites;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::HttpBody,
    extract::Request,
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use pptp_fleet::{Site, SiteName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use self::metrics::router as metrics_router;
use super::{control::Control, problem::Problem, query::InvalidQuery};
use crate::directory::SiteFacts;

/// The state that all routes share
struct Api {
    control: Arc<dyn Control>,
    /// The places of answers without an end that is known: others find a connection beside them
    streams: Arc<Semaphore>,
    /// The places of connections into sites
    inside: Arc<Semaphore>,
    /// The sites that are examined
    examined: Mutex<BTreeSet<SiteName>>,
}

/// Makes all routes
pub(super) fn router(control: Arc<dyn Control>) -> Router {
    let api = Arc::new(Api::new(control));
    Router::new()
        .route("/livez", get(daemon::livez))
        .route("/readyz", get(daemon::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/status", get(daemon::status))
        .route("/v1/problems", get(daemon::problems))
        .route("/v1/events", get(daemon::events))
        .route("/v1/reload", post(daemon::reload))
        .route("/v1/rollout/continue", post(daemon::continue_rollout))
        .route("/v1/sites", get(sites::list))
        .route("/v1/sites/{site}", get(sites::one))
        .route("/v1/sites/{site}/up", post(sites::up))
        .route("/v1/sites/{site}/down", post(sites::down))
        .route("/v1/sites/{site}/restart", post(sites::restart))
        .route("/v1/sites/{site}/ping", post(inside::ping))
        .route("/v1/sites/{site}/tcp", get(inside::tcp))
        .route("/v1/sites/{site}/doctor", post(doctor::examine))
        .route("/v1/sites/{site}/flight-record", get(records::flight_record))
        .route("/v1/sites/{site}/capture", get(records::capture))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn(check))
        .with_state(api)
}

impl Api {
    fn new(control: Arc<dyn Control>) -> Self {
        Self {
            control,
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            inside: Arc::new(Semaphore::new(MAX_INSIDE)),
            examined: Mutex::default(),
        }
    }

    /// Returns a site and its facts
    fn site(&self, name: &str) -> Result<(Site, Arc<SiteFacts>), Problem> {
        self.control.directory().site(name).ok_or_else(|| Problem::no_such_site(name))
    }

    /// Takes a place for an answer without an end that is known
    fn stream_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.streams).try_acquire_owned();
        place.map_err(|_| {
            Problem::busy(format!(
                "{MAX_STREAMS} streams are open already (events, captures, doctors, pings); close one"
            ))
        })
    }

    /// Takes a place for a connection into a site
    fn inside_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.inside).try_acquire_owned();
        place.map_err(|_| {
            Problem::busy(format!(
                "{MAX_INSIDE} connections into sites are open already; close one"
            ))
        })
    }
}

/// The right to examine a site: one doctor at a time
struct Examination {
    api: Arc<Api>,
    site: SiteName,
}

impl Examination {
    fn begin(api: &Arc<Api>, site: &SiteName) -> Result<Self, Problem> {
        let mut examined = api.examined.lock().unwrap_or_else(PoisonError::into_inner);
        if !examined.insert(site.clone()) {
            let (title, detail) = ("It is under way", format!("{site} is examined already"));
            return Err(Problem::new(StatusCode::CONFLICT, "under-way", title, detail));
        }
        drop(examined);
        Ok(Self { api: Arc::clone(api), site: site.clone() })
    }
}

impl Drop for Examination {
    fn drop(&mut self) {
        let mut examined = self.api.examined.lock().unwrap_or_else(PoisonError::into_inner);
        examined.remove(&self.site);
    }
}

/// Refuses requests that ask for another host, and those with a body
///
/// A page in a browser that was led here by a name of its own (DNS rebinding) sends that name.
async fn check(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if !host.is_some_and(is_own_host) {
        let (title, detail) = ("Another host", "ask for the host `localhost`: `Host: localhost`");
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "host", title, detail)
            .into_response();
    }
    if !request.body().is_end_stream() {
        let detail = "no route takes a body: arguments go behind the `?`";
        return Problem::bad_request(detail).into_response();
    }
    next.run(request).await
}

/// Returns true if a `Host` header, with or without a port, is one of ours
fn is_own_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| own.eq_ignore_ascii_case(name))
}

async fn no_route(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    let detail = format!("there is no route {path}");
    Problem::new(StatusCode::NOT_FOUND, "no-such-route", "No such route", detail)
}

async fn no_method(request: Request) -> Problem {
    let detail = format!("this route has no {}", request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", "No such method", detail)
}

impl From<InvalidQuery> for Problem {
    fn from(error: InvalidQuery) -> Self {
        Self::bad_request(error.to_string())
    }
}

/// Answers without an end that is known, of the server's 32 connections
const MAX_STREAMS: usize = 24;

/// Connections into sites at a time
const MAX_INSIDE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_the_own_host() {
        for host in ["localhost", "LOCALHOST", "localhost:80", "127.0.0.1", "[::1]:9", "[::1]"] {
            assert!(is_own_host(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "localhost:x", "10.0.0.1"] {
            assert!(!is_own_host(host), "{host}");
        }
    }
}
