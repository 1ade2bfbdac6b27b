//! `[loopback]`: addresses for the sites that have none of their own

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::{IpAddr, Ipv4Addr},
    time::SystemTime,
};

use ipnet::Ipv4Net;
use pptp_fleet::SiteName;

use super::{
    keys::{LoopbackKeys, SiteKeys},
    layers::{Document, EffectiveSite},
    problem::{Place, Problems},
    reader::Found,
};
use crate::{
    deals::{Dealer, Deals},
    settings::Listen,
};

/// What is known of the addresses that were dealt out before
#[derive(Debug, Clone)]
pub struct KnownDeals {
    /// The deals
    pub deals: Deals,
    /// The reason why they are not known
    pub failure: Option<String>,
    /// The time of now: an address is not given to another site at once
    pub now: SystemTime,
}

impl Default for KnownDeals {
    fn default() -> Self {
        Self { deals: Deals::default(), failure: None, now: SystemTime::now() }
    }
}

/// The part `[loopback]` of a configuration
#[derive(Debug)]
pub(super) enum Loopback {
    /// It is not there
    Absent,
    /// Its problem was told
    Wrong,
    /// Addresses are dealt out
    Network { network: Ipv4Net, dealer: Dealer, now: u64 },
}

/// The address of a site's forwards without a place of their own
#[derive(Debug)]
pub(super) enum Address<'a> {
    /// The site's key
    Own(&'a Found<Ipv4Addr>),
    /// One that was dealt out
    Dealt(Ipv4Addr),
    /// There is none
    None,
    /// There is none, and the reason was told
    Told,
}

impl Address<'_> {
    /// Returns the address, if there is one
    pub(super) const fn value(&self) -> Option<Ipv4Addr> {
        match self {
            Self::Own(own) => Some(own.value),
            Self::Dealt(address) => Some(*address),
            Self::None | Self::Told => None,
        }
    }
}

impl Loopback {
    /// Reads it; `known` is asked only if it is there
    pub(super) fn new(
        document: &Document,
        known: impl FnOnce() -> KnownDeals,
        problems: &mut Problems,
    ) -> Self {
        let Some(LoopbackKeys { network, wrong }) =
            document.top.loopback.as_ref().map(|it| &it.value)
        else {
            return Self::Absent;
        };
        let Some(Found { value: network, place }) = network else {
            if let Some(whole) = document.top.loopback.as_ref().filter(|_| wrong.is_empty()) {
                let help = "write network = \"127.64.0.0/16\"".to_owned();
                problems.error(&whole.place, "`network` of [loopback] is missing", help);
            }
            return Self::Wrong;
        };
        let KnownDeals { deals, failure, now } = known();
        warn(document, place, failure, problems);
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let (network, now) = (network.0, since.map_or(0, |since| since.as_secs()));
        let own = own_addresses(document);
        let taken = own.keys().copied().chain(listens(document)).collect::<HashSet<_>>();
        let is_kept = |name: &SiteName, site: &EffectiveSite| {
            let is_taken = || deals.address(name).is_some_and(|it| taken.contains(&it));
            site.keys.address.is_none() && (wants(&site.keys) || !is_taken())
        };
        let sites = document.sites.iter().filter(|(name, site)| is_kept(name, site));
        let sites: BTreeSet<_> = sites.map(|(name, _)| name).collect();
        let dealer = Dealer::new(deals.clone(), network, &sites, &taken, now);
        for (address, holder) in dealer.holders() {
            if let Some(place) = own.get(&address) {
                let message =
                    format!("{address} was dealt out to `{holder}`, and stays its address");
                let help = format!("write another one, or `address = …` in [site.{holder}], too");
                problems.error(place, message, help);
            }
        }
        Self::Network { network, dealer, now }
    }

    /// Returns the address of a site, and deals one out if that is needed
    pub(super) fn address<'s>(
        &mut self,
        name: &SiteName,
        site: &'s EffectiveSite,
        problems: &mut Problems,
    ) -> Address<'s> {
        if let Some(own) = &site.keys.address {
            return Address::Own(own);
        }
        if !wants(&site.keys) {
            return Address::None;
        }
        if site.keys.wrong.contains(&"address") {
            return Address::Told;
        }
        match self {
            Self::Absent => Address::None,
            Self::Wrong => Address::Told,
            Self::Network { network, dealer, now } => {
                if let Some(address) = dealer.deal(name) {
                    return Address::Dealt(address);
                }
                let held = dealer.deals().held(*now);
                tell_full(*network, held, &site.place, problems);
                Address::Told
            }
        }
    }

    /// Returns all deals; `None` without `[loopback]`
    pub(super) fn into_deals(self) -> Option<Deals> {
        match self {
            Self::Network { dealer, .. } => Some(dealer.into_deals()),
            Self::Absent | Self::Wrong => None,
        }
    }
}

/// Warns of addresses that may be others after a restart
fn warn(document: &Document, place: &Place, failure: Option<String>, problems: &mut Problems) {
    if document.top.state.is_none() {
        let message = "without `state` a site may have another address after a restart";
        let help = "write state = \"/var/lib/pptp-connector\" at the top of the file".to_owned();
        problems.warn(place, message, help);
    } else if let Some(failure) = failure {
        let message = format!("the addresses that were dealt out before are not known: {failure}");
        let help = "sites may get others than they had".to_owned();
        problems.warn(place, message, help);
    }
}

fn tell_full(network: Ipv4Net, held: usize, place: &Place, problems: &mut Problems) {
    let mut help =
        "write a larger network in [loopback], or `address = \"127.…\"` for this site".to_owned();
    if held > 0 {
        help = format!("{help}; {held} of its addresses were those of sites until a day ago");
    }
    problems.error(place, format!("{network} has no address left for this site"), help);
}

/// Returns true if a site has a forward that listens at the site's address
fn wants(keys: &SiteKeys) -> bool {
    let forwards = keys.forward.iter().flat_map(|all| &all.value);
    let mut listens = forwards.map(|forward| &forward.value);
    listens.any(|keys| keys.listen.is_none() && !keys.wrong.contains(&"listen"))
}

/// The addresses that sites have of their own, each with a place of its key
fn own_addresses(document: &Document) -> BTreeMap<Ipv4Addr, &Place> {
    let keys = document.sites.values().filter_map(|site| site.keys.address.as_ref());
    keys.map(|address| (address.value, &address.place)).collect()
}

/// The addresses at which forwards and proxies listen by their own keys
fn listens(document: &Document) -> impl Iterator<Item = Ipv4Addr> {
    let sites = document.sites.values().filter_map(|site| site.keys.forward.as_ref());
    let forwards = sites.flat_map(|all| &all.value).filter_map(|it| it.value.listen.as_ref());
    let proxies = document.top.proxy.iter().flat_map(|all| &all.value);
    let proxies = proxies.flat_map(|it| it.value.socks.iter().chain(&it.value.http));
    forwards.chain(proxies).filter_map(|listen| match &listen.value {
        Listen::Ip(address) => match address.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        },
        Listen::Unix(_) => None,
    })
}
