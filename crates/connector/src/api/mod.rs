//! The control interface: HTTP and JSON on unix sockets and ports of TCP
//!
//! | file | content |
//! |---|---|
//! | `control` | the daemon as the control interface sees it |
//! | `server` | connections: their number, their times |
//! | `access` | who calls, and what it may do |
//! | `stall` | the end of a connection whose client reads nothing |
//! | `routes` | the routes |
//! | `openapi` | the document that describes the routes |
//! | `query` | the queries of requests |
//! | `problem` | errors |
//! | `view`, `change_view` | the JSON objects |
//! | `metrics`, `metrics_server` | figures for Prometheus, and their own listener |
//! | `describe` | the objects of sites and tunnels, made of what a fleet knows |
//! | `groups` | sites that are not up, in groups |
//! | `event_log` | the events since the start of the daemon |
//! | `stream` | answers without an end that is known |
//! | `wall` | times of the calendar |
//!
//! Each program that may open the control socket may do everything. Other listeners have roles. No route returns a
//! secret.

mod access;
mod change_view;
mod control;
mod describe;
mod event_log;
mod groups;
pub mod metrics;
mod metrics_server;
mod openapi;
mod problem;
pub mod query;
mod routes;
mod server;
mod stall;
mod stream;
pub mod view;
mod wall;

pub(crate) use self::wall::date;
pub use self::{
    control::{
        BoxFuture, Control, DaemonFacts, ListenerCounts, ListenerStatus, Reading, ReloadError,
        ReloadOptions, ReloadProblem, ReloadReport, SiteChange, SitesChanged, SitesRefused,
        SitesWanted,
    },
    event_log::{EventId, EventLog, InvalidId, LoggedEvent, Reader},
    metrics_server::MetricsServer,
    problem::Problem,
    server::{Door, Peer, Server},
};
