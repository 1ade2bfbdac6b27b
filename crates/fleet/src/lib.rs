//! Supervised PPTP sites: each is dialled, kept up, and dialled again when it is lost
//!
//! A [`Fleet`] has any number of sites with names, on one [`pptp::Client`]. It dials them without storms: so many a
//! second, one at a time for each server, with pauses that grow. It counts refused logins, so that no account is locked.
//! When a server is down, one of its sites tries it; when this machine's network is down, three sites try.
//!
//! | to do | use |
//! |---|---|
//! | add, change and remove sites | [`Fleet::set`], [`Fleet::remove`], [`SiteConfig`] |
//! | change all sites at once, and know before what that would do | [`Fleet::plan`], [`Fleet::apply`] |
//! | use a site's tunnel, also one that is dialled on demand | [`Site::tunnel`], [`Lease`] |
//! | know a site's state, and what changes | [`Site::state`], [`SiteState`], [`Fleet::events`] |
//! | count dials, packets and octets | [`Site::status`], [`Fleet::statuses`], [`SiteStatus`] |
//! | have all figures of all sites, for metrics | [`Fleet::figures`], [`Figures`] |
//! | know that the device behind a site answers | [`SiteConfig::probe`], [`Probe`], [`ProbeStatus`] |
//! | take it down and up by hand | [`Fleet::down`], [`Fleet::up`], [`Fleet::restart`] |
//! | fetch passwords elsewhere | [`SecretSource`] |
//! | remember accepted logins over a restart | [`Fleet::accepted`], [`Accepted`] |
//!
//! What decides is a machine without tasks and clock, in `decide`; a table in its tests has all states and inputs.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod accepted;
mod commands;
mod config;
mod connect;
mod decide;
mod event;
mod failure;
mod figures;
mod fleet;
mod keeper;
mod name;
mod options;
mod plan;
mod probe;
mod registry;
mod secret;
mod site;
mod state;
mod status;
mod supervisor;
mod wanted;

pub use self::{
    accepted::{Accepted, InvalidAccepted},
    commands::Change,
    config::{Difference, SiteConfig},
    connect::{Caller, Connect},
    decide::phase::{HangUp, Reach},
    event::{EventKind, Events, FleetEvent},
    failure::SiteFailure,
    figures::{DurationCounts, FailureKind, Figures, SiteFigures, Totals},
    fleet::Fleet,
    name::{InvalidName, SiteName},
    options::FleetOptions,
    plan::{Applied, Changes, NotApplied, Plan},
    probe::{InvalidProbe, Probe},
    secret::{Fetching, Secret, SecretSource},
    site::{Lease, NotUp, Site},
    state::SiteState,
    status::{
        DialCounts, FleetStatus, LatestFailure, ProbeStatus, RolloutStatus, SiteStatus, Traffic,
    },
};
