//! All routes of the control interface, each with its role
//!
//! The router, the document of `OpenAPI` and the check of roles come of this table: what is not in it is not there.

use std::{fmt, sync::Arc};

use axum::routing::{MethodRouter, delete, get, post, put};

use super::{Api, daemon, doctor, inside, metrics, owned, records, sites};
use crate::{api::openapi, settings::Role};

/// A route: a method of a path
pub(in crate::api) struct Route {
    pub(in crate::api) method: &'static str,
    pub(in crate::api) path: &'static str,
    /// The role that it wants; `None`: everybody may ask
    pub(in crate::api) role: Option<Role>,
    /// True if it concerns all sites: a caller that may see some only may not use it
    pub(in crate::api) wants_all_sites: bool,
    /// The purpose, for people
    pub(in crate::api) about: &'static str,
    pub(in crate::api) parameters: &'static [Parameter],
    pub(in crate::api) body: Option<Body>,
    /// The status of success, the type of the answer, and the name of its schema
    pub(in crate::api) answer: (u16, &'static str, Option<&'static str>),
    pub(in crate::api) handler: fn() -> MethodRouter<Arc<Api>>,
}

/// A part of a request beside its path: a key of the query, or a header
pub(in crate::api) struct Parameter {
    pub(in crate::api) name: &'static str,
    pub(in crate::api) is_header: bool,
    pub(in crate::api) is_required: bool,
    /// Its type in JSON Schema
    pub(in crate::api) kind: &'static str,
    pub(in crate::api) about: &'static str,
}

/// The body of a request
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Body {
    /// The keys of one site
    Site,
    /// The keys of all sites: `{"sites": {"b17": {…}}}`
    Sites,
}

impl Route {
    /// Returns true if the log says who has used it
    pub(in crate::api) fn is_logged(&self) -> bool {
        self.role.is_some_and(|role| role != Role::Read)
    }

    const fn new(
        (method, path): (&'static str, &'static str),
        role: Role,
        about: &'static str,
        schema: &'static str,
        handler: fn() -> MethodRouter<Arc<Api>>,
    ) -> Self {
        Self {
            method,
            path,
            role: Some(role),
            wants_all_sites: false,
            about,
            parameters: &[],
            body: None,
            answer: (200, JSON, Some(schema)),
            handler,
        }
    }

    const fn open(
        path: &'static str,
        about: &'static str,
        handler: fn() -> MethodRouter<Arc<Api>>,
    ) -> Self {
        let route = Self::new(("GET", path), Role::Read, about, "", handler);
        Self { role: None, answer: (200, "text/plain", None), ..route }
    }

    const fn with(self, parameters: &'static [Parameter]) -> Self {
        Self { parameters, ..self }
    }

    const fn body(self, body: Body) -> Self {
        Self { body: Some(body), ..self }
    }

    const fn for_all_sites(self) -> Self {
        Self { wants_all_sites: true, ..self }
    }

    const fn answers(self, status: u16, kind: &'static str, schema: Option<&'static str>) -> Self {
        Self { answer: (status, kind, schema), ..self }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Parameter {
    const fn query(name: &'static str, kind: &'static str, about: &'static str) -> Self {
        Self { name, is_header: false, is_required: false, kind, about }
    }

    const fn header(name: &'static str, about: &'static str) -> Self {
        Self { name, is_header: true, is_required: false, kind: "string", about }
    }

    const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }
}

/// All routes
pub(in crate::api) static ROUTES: &[Route] = &[
    Route::open("/livez", "The process lives", || get(daemon::livez)),
    Route::open("/readyz", "The daemon does its work; says nothing about sites", || {
        get(daemon::readyz)
    }),
    Route::new(
        ("GET", "/metrics"),
        Role::Read,
        "The figures for Prometheus, as text or as OpenMetrics, by `Accept`",
        "",
        || get(metrics::metrics),
    )
    .for_all_sites()
    .answers(200, "text/plain", None),
    Route::new(
        ("GET", "/v1/openapi.json"),
        Role::Read,
        "This document",
        "",
        || get(openapi::document),
    )
    .answers(200, JSON, None),
    Route::new(
        ("GET", "/v1/status"),
        Role::Read,
        "The daemon and the sum of its sites",
        "StatusView",
        || get(daemon::status),
    ),
    Route::new(
        ("GET", "/v1/problems"),
        Role::Read,
        "The sites that should be up and are not, in groups of one server and one failure",
        "ProblemsView",
        || get(daemon::problems),
    ),
    Route::new(
        ("GET", "/v1/events"),
        Role::Read,
        "The events as they come: server-sent events, whose data is an EventView; a comment each 15 s without one",
        "EventView",
        || get(daemon::events),
    )
    .with(&[
        Parameter::query("since", "string", "The event behind which the stream begins: `as_of` of a list"),
        Parameter::query("select", "string", SELECT),
        Parameter::header("Last-Event-ID", "The event that was seen last; it comes before `since`"),
    ])
    .answers(200, "text/event-stream", Some("EventView")),
    Route::new(
        ("GET", "/v1/key"),
        Role::Read,
        "The public key with which passwords are sealed, and the form of what is sealed",
        "KeyView",
        || get(daemon::key),
    ),
    Route::new(
        ("POST", "/v1/reload"),
        Role::Admin,
        "Reads the files again, and applies what has changed",
        "ReloadView",
        || post(daemon::reload),
    )
    .with(CHANGE)
    .for_all_sites(),
    Route::new(
        ("POST", "/v1/rollout/continue"),
        Role::Admin,
        "Ends the pause of a change that is made site by site",
        "RolloutView",
        || post(daemon::continue_rollout),
    )
    .for_all_sites(),
    Route::new(("GET", "/v1/sites"), Role::Read, "A page of sites", "SitesView", || {
        get(sites::list)
    })
    .with(&[
        Parameter::query("select", "string", SELECT),
        Parameter::query("state", "string", "A state; it may be there several times"),
        Parameter::query("after", "string", "The name behind which the page begins: `next` of the page before"),
        Parameter::query("limit", "integer", "The number of sites, 500 at most"),
    ]),
    Route::new(
        ("PUT", "/v1/sites"),
        Role::Admin,
        "Makes the set of sites that are made through the API this one: new ones are made, others are removed",
        "ChangedView",
        || put(owned::put_all),
    )
    .with(&[
        Parameter::header("If-Match", VERSION).required(),
        Parameter::query("dry_run", "boolean", DRY_RUN),
        Parameter::query("removes", "integer", REMOVES),
    ])
    .body(Body::Sites),
    Route::new(("GET", "/v1/sites/{site}"), Role::Read, "All of one site", "SiteView", || {
        get(sites::one)
    }),
    Route::new(
        ("PUT", "/v1/sites/{site}"),
        Role::Admin,
        "Makes a site, or replaces one that was made through the API; answers 201 if it is new",
        "ChangedView",
        || put(owned::put_one),
    )
    .with(ONE)
    .body(Body::Site),
    Route::new(
        ("DELETE", "/v1/sites/{site}"),
        Role::Admin,
        "Removes a site that was made through the API; its tunnel is hung up",
        "ChangedView",
        || delete(owned::delete_one),
    )
    .with(ONE),
    Route::new(
        ("POST", "/v1/sites/{site}/up"),
        Role::Operate,
        "Wants a site up, and dials it now",
        "SiteView",
        || post(sites::up),
    )
    .with(WAIT)
    .answers(202, JSON, Some("SiteView")),
    Route::new(
        ("POST", "/v1/sites/{site}/down"),
        Role::Operate,
        "Wants a site down until somebody wants it up",
        "SiteView",
        || post(sites::down),
    )
    .with(WAIT)
    .answers(202, JSON, Some("SiteView")),
    Route::new(
        ("POST", "/v1/sites/{site}/restart"),
        Role::Operate,
        "Hangs a site up and dials it again",
        "SiteView",
        || post(sites::restart),
    )
    .with(WAIT)
    .answers(202, JSON, Some("SiteView")),
    Route::new(
        ("POST", "/v1/sites/{site}/ping"),
        Role::Reach,
        "Pings a host behind a site; an answer a line",
        "PingView",
        || post(inside::ping),
    )
    .with(&[
        Parameter::query("to", "string", "The host").required(),
        Parameter::query("count", "integer", "The number of pings, 100 at most"),
    ])
    .answers(200, LINES, Some("PingView")),
    Route::new(
        ("GET", "/v1/sites/{site}/tcp"),
        Role::Reach,
        "Connects to a target behind a site: `Connection: upgrade`, `Upgrade: tcp`; octets both ways after 101",
        "",
        || get(inside::tcp),
    )
    .with(&[Parameter::query("to", "string", "The target: host:port").required()])
    .answers(101, "", None),
    Route::new(
        ("POST", "/v1/sites/{site}/doctor"),
        Role::Operate,
        "Looks at each layer of a site; a finding a line. With `target` it wants the role reach as well",
        "FindingView",
        || post(doctor::examine),
    )
    .with(&[Parameter::query("target", "string", "A target behind the tunnel, such as tcp:192.168.1.3:80")])
    .answers(200, LINES, Some("FindingView")),
    Route::new(
        ("GET", "/v1/sites/{site}/flight-record"),
        Role::Operate,
        "What was said on the wire, without secrets",
        "",
        || get(records::flight_record),
    )
    .answers(200, PCAPNG, None),
    Route::new(
        ("GET", "/v1/sites/{site}/capture"),
        Role::Admin,
        "The packets inside of a site's tunnel as they pass, in the clear",
        "",
        || get(records::capture),
    )
    .with(&[Parameter::query("snap", "integer", "The octets that are kept of each packet")])
    .answers(200, PCAPNG, None),
];

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const PCAPNG: &str = "application/x-pcapng";

const SELECT: &str = "A choice of sites: *, a name, or @label=value; it may be there several times";
const VERSION: &str = "The version of the set that the caller knows: `version` of GET /v1/sites";
const DRY_RUN: &str = "True: nothing is changed, and only told";
const REMOVES: &str =
    "The number of sites that may be removed, if it is more than 10 and more than a fifth";

/// The parts of a change
const CHANGE: &[Parameter] = &[
    Parameter::query("dry_run", "boolean", DRY_RUN),
    Parameter::query("removes", "integer", REMOVES),
];

/// The parts of a change of one site
const ONE: &[Parameter] =
    &[Parameter::header("If-Match", VERSION), Parameter::query("dry_run", "boolean", DRY_RUN)];

/// The parts of `up`, `down` and `restart`
const WAIT: &[Parameter] = &[Parameter::query(
    "wait",
    "integer",
    "The seconds to wait for the state that is wanted; without it the answer comes at once",
)];
