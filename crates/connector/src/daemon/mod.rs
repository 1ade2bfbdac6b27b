//! The daemon: a fleet, its ways in, and changes of both by a reload
//!
//! | file | content |
//! |---|---|
//! | `lifecycle` | the daemon from its start to its end: the fleet, the ways in and the tasks beside them |
//! | `start` | the configuration that it starts with: its files, or the last good ones |
//! | `reload` | the files are read again, and what has changed is applied |
//! | `change` | changes of the sites that are made through the control interface |
//! | `api_sites` | these sites, as they are in force |
//! | `site_store` | these sites, on the disk |
//! | `apply` | other settings for a daemon that runs |
//! | `addresses` | the addresses that were dealt out, in the folder of the state |
//! | `secrets` | the watch over passwords that were refused or could not be had |
//! | `metrics_listener` | the metrics' own listener, and its change by a reload |
//! | `control` | the daemon, as the control interface sees it |
//! | `service` | the daemon, as the service manager sees it |
//! | `clock` | the watch over the clocks |
//! | `narrate` | lines for people: what happens to the sites |

mod addresses;
mod api_sites;
mod apply;
mod change;
mod clock;
mod control;
mod lifecycle;
mod metrics_listener;
mod narrate;
mod reload;
mod secrets;
mod service;
mod site_store;
mod start;

pub use self::{
    lifecycle::{Daemon, StartError},
    narrate::{Importance, Line, Narrator, UpFacts, narrate, up_facts},
    site_store::{SiteStore, StoreChange, StoreError},
    start::{ConfigurationFile, NoConfiguration, Start},
};
