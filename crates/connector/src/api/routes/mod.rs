//! The routes of the control interface
//!
//! | file | routes |
//! |---|---|
//! | `table` | all routes, each with its role: the router and the OpenAPI document come of it |
//! | `daemon` | the daemon: status, events, problems, reload, key |
//! | `metrics` | the metrics, and the routes of their own listener |
//! | `sites` | sites: lists, `up`, `down`, `restart` |
//! | `owned` | sites that are made through the API |
//! | `doctor` | the doctor |
//! | `inside` | pings and connections through a site: `ping`, `tcp` |
//! | `records` | flight records and captures |

mod daemon;
mod doctor;
mod inside;
mod metrics;
mod owned;
mod records;
mod sites;
mod table;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::HttpBody,
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use pptp_fleet::{Site, SiteName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use self::metrics::router as metrics_router;
pub(super) use self::table::{Body, Parameter, ROUTES, Route};
use super::{
    access::{self, Caller},
    control::Control,
    problem::Problem,
    query::InvalidQuery,
};
use crate::directory::SiteFacts;

/// The state that all routes share
pub(super) struct Api {
    control: Arc<dyn Control>,
    /// The places of connections into sites
    inside: Arc<Semaphore>,
    /// The places of bodies with all sites
    sets: Arc<Semaphore>,
    /// The sites that are examined
    examined: Mutex<BTreeSet<SiteName>>,
}

/// Makes all routes of the table
pub(super) fn router(control: Arc<dyn Control>) -> Router {
    let api = Arc::new(Api::new(control));
    let routes = ROUTES.iter().fold(Router::new(), |router, route| {
        let mut handler = (route.handler)();
        if route.body.is_none() {
            handler = handler.route_layer(middleware::from_fn(refuse_body));
        }
        let authorize = middleware::from_fn_with_state(route, access::authorize);
        router.route(route.path, handler.route_layer(authorize))
    });
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn(access::enter))
        .with_state(api)
}

impl Api {
    fn new(control: Arc<dyn Control>) -> Self {
        Self {
            control,
            inside: Arc::new(Semaphore::new(MAX_INSIDE)),
            sets: Arc::new(Semaphore::new(MAX_SETS)),
            examined: Mutex::default(),
        }
    }

    /// Returns a site and its facts, if it is there for the caller
    fn site(&self, name: &str, caller: &Caller) -> Result<(Site, Arc<SiteFacts>), Problem> {
        let found = self.control.directory().site(name);
        let found = found.filter(|(site, facts)| caller.has_site(site.name(), facts));
        found.ok_or_else(|| Problem::no_such_site(name))
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

/// Takes a place for an answer without an end that is known
fn stream_place(caller: &Caller) -> Result<OwnedSemaphorePermit, Problem> {
    let place = Arc::clone(&caller.streams).try_acquire_owned();
    place.map_err(|_| {
        Problem::busy(format!(
            "{MAX_STREAMS} streams are open already (events, captures, doctors, pings); close one"
        ))
    })
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

/// Refuses a body where none is taken
async fn refuse_body(request: Request, next: Next) -> Response {
    if !request.body().is_end_stream() {
        let detail = "this route takes no body: arguments go behind the `?`";
        return Problem::bad_request(detail).into_response();
    }
    next.run(request).await
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

/// Answers without an end that is known, of the 32 connections of a listener
pub(super) const MAX_STREAMS: usize = 24;

/// Connections into sites at a time
const MAX_INSIDE: usize = 256;

/// Bodies with all sites at a time
const MAX_SETS: usize = 2;
