//! The metrics: where they are told, and of which sites

use std::net::SocketAddr;

use super::Clients;

/// The settings of the metrics
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsSettings {
    /// The address of their own listener, if they have one; the control interface has them anyway
    pub listen: Option<SocketAddr>,
    /// The scrapers that may use it
    pub clients: Clients,
    /// Names under which scrapers ask for it, beside addresses and `localhost`
    pub hosts: Vec<String>,
    /// The sites that have series of their own
    pub sites: MetricsSites,
    /// The labels of sites that become labels of `pptp_site_info`
    pub labels: Vec<String>,
}

/// The sites that have series of their own
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetricsSites {
    /// All
    #[default]
    All,
    /// Those that are down and are to be up, that flap, or whose device does not answer
    Problems,
    /// None: there are sums alone
    None,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            listen: None,
            clients: Clients::All,
            hosts: Vec::new(),
            sites: MetricsSites::All,
            labels: Vec::new(),
        }
    }
}
