//! The settings of the program, as plain values
//!
//! The commands `connect` and `demo` make them from arguments. The daemon takes them as they are: none of them can be
//! wrong in itself.
//!
//! | file | content |
//! |---|---|
//! | `site` | a site: how it is dialled, how its hosts are called, its forwards |
//! | `listener` | a place where clients are accepted, and which clients |
//! | `proxy` | a SOCKS or HTTP proxy, and what may be reached through it |
//! | `selector` | a choice of sites |
//! | `rule` | a choice of targets |
//! | `insecure` | the weaker logins and encryptions that a site may agree to |
//! | `api` | who may do what by the control interface, and what may be made through it |
//! | `metrics` | the metrics: where they are told, and of which sites |
//! | `process` | what concerns the whole process: limits, the outer network, the control socket |

mod api;
mod insecure;
mod listener;
mod metrics;
mod process;
mod proxy;
mod rule;
mod selector;
mod site;

use std::collections::BTreeMap;

use pptp_fleet::SiteName;

use crate::deals::Deals;

pub use self::{
    api::{ApiBounds, ApiListener, ApiToken, InvalidServerPattern, Rights, Role, ServerPattern},
    insecure::Insecure,
    listener::{Clients, Listen, UnixSocket},
    metrics::{MetricsSettings, MetricsSites},
    process::{ControlSocket, Limits, Outer},
    proxy::{Login, ProxyKind, ProxySettings},
    rule::{InvalidRule, TargetRule},
    selector::{InvalidSelector, Selector},
    site::{ForwardSettings, Owner, Protocol, SiteSettings},
};

/// The settings of the program
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The sites
    pub sites: BTreeMap<SiteName, SiteSettings>,
    /// The proxies
    pub proxies: Vec<ProxySettings>,
    /// The control socket
    pub control: ControlSocket,
    /// The other listeners of the control interface
    pub api: Vec<ApiListener>,
    /// The bounds of what may be made through the control interface
    pub api_bounds: ApiBounds,
    /// The ports that were chosen for listeners on port 0 and are wanted again, by the listener's line
    pub ports: BTreeMap<String, u16>,
    /// The metrics
    pub metrics: MetricsSettings,
    /// The limits
    pub limits: Limits,
    /// The network that carries the tunnels
    pub outer: Outer,
    /// The addresses that were dealt out to sites; `None` without a network for that
    pub deals: Option<Deals>,
    /// The folder of what outlives the process; without it nothing does
    pub state: Option<std::path::PathBuf>,
}
