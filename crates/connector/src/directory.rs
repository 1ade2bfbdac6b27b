//! The sites by their names, as the ways in see them

use std::{
    collections::BTreeMap,
    io,
    net::Ipv4Addr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use pptp::Tunnel;
use pptp_fleet::{Fleet, Site, SiteName};

use crate::{
    settings::{Owner, SiteSettings},
    target::Host,
};

/// The sites of a fleet, each with what the ways in need to know of it
///
/// A clone is the same directory.
#[derive(Debug, Clone)]
pub struct Directory {
    fleet: Fleet,
    facts: Arc<RwLock<Arc<AllFacts>>>,
}

/// The facts of all sites
type AllFacts = BTreeMap<SiteName, Arc<SiteFacts>>;

/// The facts of a site that the ways in need
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteFacts {
    /// The server, as configured
    pub server: String,
    /// Labels, by which a selector chooses it
    pub labels: Arc<BTreeMap<String, String>>,
    /// Names of its hosts, in lower case
    pub hosts: Arc<BTreeMap<String, Ipv4Addr>>,
    /// The address of its forwards that have no place of their own
    pub address: Option<Ipv4Addr>,
    /// The time that a client waits for the site
    pub wait: Duration,
    /// Who says what it is
    pub owner: Owner,
}

impl Directory {
    /// Makes a directory without sites
    pub fn new(fleet: Fleet) -> Self {
        Self { fleet, facts: Arc::default() }
    }

    /// Replaces what is known of all sites; the fleet itself is not changed
    pub fn replace(&self, sites: &BTreeMap<SiteName, SiteSettings>) {
        let facts = sites.iter().map(|(name, site)| (name.clone(), Arc::new(SiteFacts::of(site))));
        let facts = Arc::new(facts.collect());
        *self.facts.write().unwrap_or_else(PoisonError::into_inner) = facts;
    }

    /// Returns a site and its facts
    pub fn site(&self, name: &str) -> Option<(Site, Arc<SiteFacts>)> {
        let facts = self.all().get(name).map(Arc::clone)?;
        Some((self.fleet.site(name)?, facts))
    }

    /// Returns what is known of all sites, as it is now
    pub fn all(&self) -> Arc<BTreeMap<SiteName, Arc<SiteFacts>>> {
        Arc::clone(&self.facts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the fleet
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }
}

impl SiteFacts {
    /// Returns the addresses of a host: of the site's own names, else of its DNS, never of this machine's
    ///
    /// # Errors
    /// As [`Tunnel::lookup_host`].
    pub async fn resolve(&self, tunnel: &Tunnel, host: &Host) -> io::Result<Vec<Ipv4Addr>> {
        let name = match host {
            Host::Address(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        match self.hosts.get(name) {
            Some(address) => Ok(vec![*address]),
            None => tunnel.lookup_host(name).await,
        }
    }

    fn of(site: &SiteSettings) -> Self {
        Self {
            server: site.dial.server().to_owned(),
            labels: Arc::clone(&site.labels),
            hosts: Arc::clone(&site.hosts),
            address: site.address,
            wait: site.wait,
            owner: site.owner,
        }
    }
}
