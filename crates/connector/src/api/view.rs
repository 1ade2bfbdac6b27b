//! The JSON objects of the control interface
//!
//! No object has a place for a secret. New members may come at any time. A member keeps its meaning.

use std::collections::BTreeMap;

use pptp::{Reachability, doctor::Finding, error::Layer};
use pptp_fleet::SiteFailure;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use super::change_view::{ChangedView, KeyView};
use super::control::{ListenerStatus, ReloadProblem, ReloadReport};

/// The daemon and the sum of its sites: `GET /v1/status`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// The version of the daemon
    pub version: String,
    /// The latest event: a stream of events from here on misses nothing
    pub as_of: String,
    /// The time at which the daemon was started
    pub started: Option<String>,
    /// The seconds since then
    pub uptime_seconds: u64,
    /// The file of the configuration
    pub config: Option<String>,
    /// The time at which the configuration in force was read
    pub config_read: Option<String>,
    /// True if the files have problems, and the last good configuration is in force
    pub running_last_good: bool,
    /// The line above the problems
    #[serde(default)]
    pub problems_title: String,
    /// The problems of the files, or the parts that are not in force, each in one line
    pub problems: Vec<String>,
    /// The number of sites
    pub sites: usize,
    /// The number of sites in each state
    pub states: BTreeMap<String, usize>,
    /// The dials that are under way
    pub dials_under_way: usize,
    /// True if this machine or its network is out of order, as far as known
    pub outage: bool,
    /// The listeners
    pub listeners: Vec<ListenerView>,
}

/// A listener of a way in
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerView {
    /// Its kind: `tcp`, `udp`, `knx`, `socks`, `http`
    pub kind: String,
    /// Its place: `127.0.0.1:1080`, `unix:/run/a.sock`
    pub listen: String,
    /// True if other machines can reach it
    pub off_host: bool,
    /// The site, if it leads to one alone
    pub site: Option<String>,
    /// The target, if it leads to one alone
    pub target: Option<String>,
    /// The connections, or the UDP clients, that it has now
    pub clients: usize,
    /// The requests that would have changed a KNX device without a login, and were dropped
    #[serde(default)]
    pub dropped_services: u64,
    /// The reason why it is not open, if so: it is tried again
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A page of sites: `GET /v1/sites`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SitesView {
    /// The latest event: a stream of events from here on misses nothing
    pub as_of: String,
    /// The version of the set of sites that were made through the API: `If-Match` of `PUT /v1/sites`
    #[serde(default)]
    pub version: String,
    /// The sites, in the order of their names
    pub sites: Vec<SiteView>,
    /// The name to ask the next page with, as `after`; `None`: there is no other
    pub next: Option<String>,
}

/// A site
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SiteView {
    /// Its name
    pub name: String,
    /// The word for its state
    pub state: String,
    /// The state in one line, without times
    pub detail: String,
    /// Who says what it is: `file`, `api`, `command-line`
    #[serde(default)]
    pub owner: String,
    /// The server, as configured
    pub server: String,
    /// The labels
    pub labels: BTreeMap<String, String>,
    /// The time at which it came up, if it is up
    pub since: Option<String>,
    /// The seconds since then
    pub since_seconds: Option<u64>,
    /// The time of the next dial, if it waits
    pub next_dial: Option<String>,
    /// The seconds until then
    pub next_dial_seconds: Option<u64>,
    /// The failure that keeps it down
    pub failure: Option<FailureView>,
    /// Faults of a site that is up: `flapping`, `degraded`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<String>,
    /// The tunnel, if there is one
    pub tunnel: Option<TunnelView>,
    /// More, in the answer about one site
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<MoreView>,
}

/// The members that only the answer about one site has
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MoreView {
    /// The latest event: a stream of events from here on misses nothing
    #[serde(default)]
    pub as_of: String,
    /// Failures in a row of the latest failure's class
    pub failures: u32,
    /// The sites that are dialled before this one at the latest
    pub ahead: Option<usize>,
    /// Dials that were begun
    #[serde(default)]
    pub dials: u64,
    /// Dials that led to a tunnel
    #[serde(default)]
    pub dials_up: u64,
    /// Dials that failed, by the failure's name
    #[serde(default)]
    pub dials_failed: BTreeMap<String, u64>,
    /// The latest failure of its probe, if it does not answer
    #[serde(default)]
    pub probe_error: Option<String>,
    /// Octets of IP packets over all its tunnels: received, sent
    #[serde(default)]
    pub octets: (u64, u64),
    /// The seconds until its server is tried again, by this site or another, if the server failed
    pub server_waits_seconds: Option<u64>,
    /// The users of its tunnel
    pub users: usize,
    /// The names of its hosts
    pub hosts: BTreeMap<String, String>,
    /// The loopback address of its forwards that have none of their own: its key, or one that was dealt out
    #[serde(default)]
    pub address: Option<String>,
    /// The seconds that a client waits for it
    pub wait_seconds: u64,
    /// Its forwards
    pub forwards: Vec<ListenerView>,
}

/// A tunnel
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TunnelView {
    /// The server's outer address and port
    pub server: String,
    /// The server's own words about itself: vendor and host name
    pub vendor: String,
    /// Its firmware's number
    pub firmware: u16,
    /// Our inner address
    pub inner_address: String,
    /// The servers of names behind it
    pub dns: Vec<String>,
    /// The largest packet
    pub mtu: u16,
    /// The login's protocol
    pub authentication: String,
    /// The encryption; `none` if there is none
    pub encryption: String,
    /// The milliseconds that the connect took
    pub connect_milliseconds: u64,
    /// The round trips that the connect took
    pub round_trips: u16,
    /// True if an answer has proven that packets pass; `None`: not known yet
    pub proven: Option<bool>,
    /// The latest round trip of a ping or an echo, in milliseconds
    pub round_trip_milliseconds: Option<f64>,
    /// The seconds since the server was heard last
    pub last_received_seconds: Option<u64>,
    /// Octets of IP packets that were received
    pub octets_received: u64,
    /// Octets of IP packets that were sent
    pub octets_sent: u64,
    /// IP packets that were received
    pub packets_received: u64,
    /// IP packets that were sent
    pub packets_sent: u64,
}

/// A failure
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureView {
    /// One word
    pub name: String,
    /// The class: who has to act
    pub class: String,
    /// The layer
    pub layer: String,
    /// The failure in words
    pub message: String,
    /// The advice
    pub advice: Option<String>,
}

impl FailureView {
    /// Makes the object of a failure
    pub fn new(failure: &SiteFailure) -> Self {
        let message = match failure {
            SiteFailure::Tunnel(error) => error.told(),
            other => other.to_string(),
        };
        Self {
            name: failure.name().to_owned(),
            class: failure.class().name().to_owned(),
            layer: layer_of(failure).name().to_owned(),
            message,
            advice: failure.advice(),
        }
    }
}

/// Returns the layer at which a site failed
pub fn layer_of(failure: &SiteFailure) -> Layer {
    failure.layer()
}

/// Sites that are not up, in groups: `GET /v1/problems`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProblemsView {
    /// The latest event: a stream of events from here on misses nothing
    pub as_of: String,
    /// The sites that should be up and are not
    pub sites: usize,
    /// The groups, the largest first
    pub groups: Vec<GroupView>,
    /// The groups that are left out, because there are too many
    pub more_groups: usize,
}

/// Sites with one server and one failure
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupView {
    /// The server, as configured
    pub server: String,
    /// The failure
    pub failure: FailureView,
    /// The number of sites
    pub count: usize,
    /// The names of the first of them
    pub sites: Vec<String>,
    /// The least number of seconds until one of them is dialled; `None`: none is
    pub next_dial_seconds: Option<u64>,
}

/// An event, as the data of a stream
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Its name, with which a stream goes on behind it
    pub id: String,
    /// The time at which it happened
    pub time: String,
    /// The word for it
    pub kind: String,
    /// The site, if it is about one
    pub site: Option<String>,
    /// One line for people
    pub detail: String,
    /// The failure, if there is one
    pub failure: Option<FailureView>,
}

/// One answer to a ping, or none
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PingView {
    /// Its place among the pings, from 1 on
    pub number: u32,
    /// The address that was asked
    pub address: String,
    /// The milliseconds until the answer
    pub milliseconds: Option<f64>,
    /// The reason why there is none
    pub error: Option<String>,
}

/// A finding of the doctor
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// The step
    pub step: String,
    /// The step's layer
    pub layer: String,
    /// The verdict: `passed`, `warned`, `failed`, `skipped`
    pub verdict: String,
    /// The milliseconds that it took
    pub milliseconds: u64,
    /// The observation
    pub seen: String,
    /// The advice
    pub advice: Option<String>,
    /// The name of the failure behind it
    pub failure: Option<String>,
}

impl FindingView {
    /// Makes the object of a finding
    pub fn new(finding: &Finding) -> Self {
        Self {
            step: finding.step.name().to_owned(),
            layer: finding.layer().name().to_owned(),
            verdict: finding.verdict.name().to_owned(),
            milliseconds: u64::try_from(finding.took.as_millis()).unwrap_or(u64::MAX),
            seen: finding.seen.clone(),
            advice: finding.advice.clone(),
            failure: finding.error.as_ref().map(|error| error.name().to_owned()),
        }
    }
}

/// The effect of a reload: `POST /v1/reload`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReloadView {
    /// True if nothing was changed, and it is only told
    pub dry_run: bool,
    /// The sites that are new
    pub added: Vec<String>,
    /// The sites that are changed and keep their tunnels
    pub changed: Vec<String>,
    /// The sites that are dialled anew
    pub redialled: Vec<RedialView>,
    /// The sites that are gone
    pub removed: Vec<String>,
    /// The changes of listeners
    pub listeners: Vec<String>,
    /// Remarks about the configuration
    pub warnings: Vec<String>,
    /// The changes that could not be applied
    pub failures: Vec<String>,
}

/// A change that is made site by site
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutView {
    /// The sites that have yet to be dialled anew
    pub left: usize,
}

/// A site that is dialled anew
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RedialView {
    /// The site
    pub site: String,
    /// The names of the options that are the reason
    pub options: Vec<String>,
}

impl ReloadView {
    /// Makes the object of a report
    pub fn new(report: &ReloadReport, dry_run: bool) -> Self {
        let names =
            |names: &[pptp_fleet::SiteName]| names.iter().map(ToString::to_string).collect();
        let redialled = report
            .redialled
            .iter()
            .map(|(site, options)| RedialView { site: site.to_string(), options: options.clone() });
        Self {
            dry_run,
            added: names(&report.added),
            changed: names(&report.changed),
            redialled: redialled.collect(),
            removed: names(&report.removed),
            listeners: report.listeners.clone(),
            warnings: report.warnings.clone(),
            failures: report.failures.clone(),
        }
    }
}

/// A problem of a configuration
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigProblemView {
    /// The file
    pub file: Option<String>,
    /// The line, from 1 on
    pub line: Option<usize>,
    /// The column, from 1 on
    pub column: Option<usize>,
    /// The place in the request, as a JSON pointer
    #[serde(default)]
    pub pointer: Option<String>,
    /// The problem, in one line
    pub message: String,
    /// The remedy
    pub help: Option<String>,
    /// The problem with its lines and carets, as a terminal shows it
    pub rendered: String,
}

impl From<ReloadProblem> for ConfigProblemView {
    fn from(problem: ReloadProblem) -> Self {
        let ReloadProblem { file, line, column, pointer, message, help, rendered } = problem;
        Self { file, line, column, pointer, message, help, rendered }
    }
}

impl From<ListenerStatus> for ListenerView {
    fn from(status: ListenerStatus) -> Self {
        Self {
            kind: status.kind,
            listen: status.listen.to_string(),
            off_host: !status.listen.is_local(),
            site: status.site.map(|site| site.to_string()),
            target: status.target.map(|target| target.to_string()),
            clients: status.clients,
            dropped_services: status.dropped_services,
            error: status.error,
        }
    }
}

/// Returns what is known about packets that pass
pub const fn proven(reachability: Reachability) -> Option<bool> {
    match reachability {
        Reachability::Proven(_) => Some(true),
        Reachability::Unproven => Some(false),
        _ => None,
    }
}
