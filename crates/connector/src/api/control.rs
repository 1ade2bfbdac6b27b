//! The daemon as the control interface sees it

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc, time::SystemTime};

use pptp::{doctor::Doctor, stats::ClientStats};
use pptp_fleet::SiteName;

use super::{event_log::EventLog, metrics::Exporter};
use crate::{
    directory::Directory,
    settings::{Listen, MetricsSettings},
    target::Target,
};

/// A future of the daemon
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The daemon as the control interface sees it
pub trait Control: Send + Sync + 'static {
    /// Returns the sites, and their fleet
    fn directory(&self) -> &Directory;

    /// Returns the events since the start of the daemon
    fn events(&self) -> &EventLog;

    /// Returns the facts about the daemon itself
    fn facts(&self) -> DaemonFacts;

    /// Returns the listeners of the ways in
    fn listeners(&self) -> BoxFuture<'_, Vec<ListenerStatus>>;

    /// Reads the configuration again, and applies it unless `dry_run` is set
    fn reload(&self, options: ReloadOptions) -> BoxFuture<'_, Result<ReloadReport, ReloadError>>;

    /// Ends the pause of a change that is made site by site; returns the number of sites that are left
    ///
    /// `None` if the daemon is being shut down.
    fn continue_rollout(&self) -> BoxFuture<'_, Option<usize>>;

    /// Makes a doctor that dials a site with its own configuration and password
    ///
    /// To be called only while the site itself is not dialled. The error is the reason for people.
    fn doctor<'a>(&'a self, site: &'a SiteName) -> BoxFuture<'a, Result<Doctor, String>>;

    /// Returns true if the driver and the supervisor turned lately, and a configuration is in force
    fn is_ready(&self) -> bool;

    /// Returns the settings of the metrics
    fn metrics(&self) -> Arc<MetricsSettings>;

    /// Returns the scrapes, of which there is one at a time
    fn exporter(&self) -> &Exporter;

    /// Returns the figures of the sockets that all tunnels share
    fn client_stats(&self) -> ClientStats;
}

/// Facts about the daemon itself
#[derive(Debug, Clone, Default)]
pub struct DaemonFacts {
    /// The time at which it was started
    pub started: Option<SystemTime>,
    /// The file of its configuration
    pub config: Option<PathBuf>,
    /// The time at which the configuration in force was read
    pub config_read: Option<SystemTime>,
    /// The latest reading of the files, at the start or by a reload
    pub last_reading: Option<Reading>,
    /// True if the files have problems, and the last good configuration is in force
    pub is_running_last_good: bool,
    /// The line above the problems
    pub problems_title: String,
    /// The problems of the files, or the parts that are not in force, each in one line
    pub problems: Vec<String>,
}

/// A reading of the files
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The time
    pub at: SystemTime,
    /// True if the files came into force, without a problem
    pub is_in_force: bool,
}

/// A listener of a way in
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerStatus {
    /// Its kind: `tcp`, `udp`, `knx`, `socks`, `http`
    pub kind: String,
    /// Its place, with the port that it has got
    pub listen: Listen,
    /// The site, if it leads to one alone
    pub site: Option<SiteName>,
    /// The target, if it leads to one alone
    pub target: Option<Target>,
    /// The connections, or the UDP clients, that it has now
    pub clients: usize,
    /// Its counters
    pub counts: ListenerCounts,
    /// The requests that would have changed a KNX device without a login, and were dropped
    pub dropped_services: u64,
    /// The reason why it is not open, and tried again
    pub error: Option<String>,
}

/// The counters of a listener since it was opened
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerCounts {
    /// The most clients at a time
    pub max_clients: usize,
    /// Clients that were accepted
    pub accepted: u64,
    /// Clients that were refused, by the word for the reason
    pub refused: Vec<(&'static str, u64)>,
    /// Octets of clients that went to sites, and those of sites that went to clients
    pub octets: (u64, u64),
    /// Datagrams that were dropped
    pub datagrams_dropped: u64,
}

/// The options of a reload
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReloadOptions {
    /// The number of sites that may be removed, if it is more than the guard against mass changes allows
    pub removes: Option<usize>,
    /// True if nothing is to be changed, and only told
    pub dry_run: bool,
}

/// The effect of a reload
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// The sites that are new
    pub added: Vec<SiteName>,
    /// The sites that are changed and keep their tunnels
    pub changed: Vec<SiteName>,
    /// The sites that are dialled anew, with the names of the options that are the reason
    pub redialled: Vec<(SiteName, Vec<String>)>,
    /// The sites that are gone
    pub removed: Vec<SiteName>,
    /// The changes of listeners, each in one line
    pub listeners: Vec<String>,
    /// Remarks about the configuration, each in one line
    pub warnings: Vec<String>,
    /// The changes that could not be applied, each in one line: listeners whose address is taken
    pub failures: Vec<String>,
}

/// The reason why a reload changed nothing
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadError {
    /// The files have problems
    Problems {
        /// The problems in the order of the files, without an end beyond a bound of the daemon's
        problems: Vec<ReloadProblem>,
        /// The number of all
        count: usize,
    },
    /// It would remove more sites than the guard against mass changes allows
    TooManyRemoved {
        /// The sites that it would remove
        removes: usize,
        /// The sites that there are
        of: usize,
    },
    /// It needs what only a restart can give, each in one line
    NeedsRestart(Vec<String>),
    /// The daemon has no configuration file, or is being shut down
    Impossible(String),
}

/// A problem of a configuration
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadProblem {
    /// The file
    pub file: Option<String>,
    /// The line, from 1 on
    pub line: Option<usize>,
    /// The column, from 1 on
    pub column: Option<usize>,
    /// The problem, in one line
    pub message: String,
    /// The remedy
    pub help: Option<String>,
    /// The problem with its lines and carets, as a terminal shows it
    pub rendered: String,
}
