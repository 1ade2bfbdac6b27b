//! The loopback addresses that are dealt out to sites, and stay theirs

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::Ipv4Addr,
};

use ipnet::{Ipv4AddrRange, Ipv4Net};
use pptp_fleet::SiteName;
use serde::{Deserialize, Serialize};

/// The loopback addresses that were dealt out
///
/// A site keeps its address as long as it is configured. The address of a site that was removed waits for it: another
/// site gets it only when the network has no address left that nobody had, and a day after the removal at the earliest.
/// So a program that still has the old address does not reach another building.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deals {
    by_site: BTreeMap<SiteName, Deal>,
}

/// The address of a site
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Deal {
    address: Ipv4Addr,
    /// The seconds since 1970 at which it was found removed; `None`: it is configured
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed: Option<u64>,
}

/// The reason why a text is no table of deals
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDeals {
    /// It is another kind of text
    #[error("it is no table of addresses: {0}")]
    Form(String),
    /// A site that cannot be one
    #[error(transparent)]
    Name(#[from] pptp_fleet::InvalidName),
    /// An address that is there twice
    #[error("{0} is there twice")]
    Twice(Ipv4Addr),
}

impl Deals {
    /// Reads what [`Self::to_text`] has written
    ///
    /// # Errors
    /// The text is no such table.
    pub fn parse(text: &str) -> Result<Self, InvalidDeals> {
        let table = serde_json::from_str::<BTreeMap<String, Deal>>(text);
        let table = table.map_err(|error| InvalidDeals::Form(error.to_string()))?;
        let (mut by_site, mut known) = (BTreeMap::new(), HashSet::new());
        for (name, deal) in table {
            if !known.insert(deal.address) {
                return Err(InvalidDeals::Twice(deal.address));
            }
            by_site.insert(SiteName::new(&name)?, deal);
        }
        Ok(Self { by_site })
    }

    /// Returns the table as text
    pub fn to_text(&self) -> String {
        let table: BTreeMap<_, _> =
            self.by_site.iter().map(|(name, deal)| (name.as_str(), deal)).collect();
        // a map of texts always has a form
        serde_json::to_string(&table).unwrap_or_default()
    }

    /// Returns the address of a site that is configured
    pub fn address(&self, site: &SiteName) -> Option<Ipv4Addr> {
        self.by_site.get(site).filter(|deal| deal.removed.is_none()).map(|deal| deal.address)
    }

    /// Returns the number of addresses that another site cannot have yet, since theirs was removed lately
    pub fn held(&self, now: u64) -> usize {
        self.by_site.values().filter(|deal| deal.is_held(now)).count()
    }
}

impl Deal {
    fn is_held(&self, now: u64) -> bool {
        self.removed.is_some_and(|removed| now.saturating_sub(removed) < HOLD)
    }
}

/// Deals addresses of a network out, one site after the other
#[derive(Debug)]
pub struct Dealer {
    deals: Deals,
    /// The addresses that are a site's, were one's, or are named in the configuration
    used: HashSet<Ipv4Addr>,
    /// The addresses that were not looked at yet
    unused: Ipv4AddrRange,
    /// The sites whose address another may have, the one that was removed first at the end
    free_again: Vec<SiteName>,
}

impl Dealer {
    /// Takes the deals of the past
    ///
    /// `sites` are those that are configured: the others are removed, from now on at the latest. `taken` are addresses that
    /// the configuration names itself. `now` is in seconds since 1970.
    pub fn new(
        mut deals: Deals,
        network: Ipv4Net,
        sites: &BTreeSet<&SiteName>,
        taken: &HashSet<Ipv4Addr>,
        now: u64,
    ) -> Self {
        deals.by_site.retain(|name, deal| {
            deal.removed = match deal.removed {
                _ if sites.contains(name) => None,
                // a clock that went back must not hold an address for years
                removed => Some(removed.unwrap_or(now).min(now)),
            };
            let is_given_up = deal.removed.is_some() && taken.contains(&deal.address);
            is_host(network, deal.address) && !is_given_up
        });
        let mut removed: Vec<_> = deals
            .by_site
            .iter()
            .filter_map(|(name, deal)| Some((deal.removed?, name.clone())))
            .collect();
        removed.sort_by(|one, other| other.cmp(one));
        for (_, name) in removed.drain(MAX_REMOVED.min(removed.len())..) {
            deals.by_site.remove(&name);
        }
        let free = removed.into_iter().filter(|(removed, _)| now.saturating_sub(*removed) >= HOLD);
        let free_again = free.map(|(_, name)| name).collect();
        let used = deals.by_site.values().map(|deal| deal.address).chain(taken.iter().copied());
        Self { used: used.collect(), deals, unused: network.hosts(), free_again }
    }

    /// Returns the addresses of the sites that are configured
    pub fn holders(&self) -> impl Iterator<Item = (Ipv4Addr, &SiteName)> {
        let sites = self.deals.by_site.iter().filter(|(_, deal)| deal.removed.is_none());
        sites.map(|(name, deal)| (deal.address, name))
    }

    /// Returns the address of a site: the one that it had, else another one; `None` if the network is full
    pub fn deal(&mut self, site: &SiteName) -> Option<Ipv4Addr> {
        if let Some(address) = self.deals.address(site) {
            return Some(address);
        }
        let address = self.unused_address().or_else(|| {
            let before = self.free_again.pop()?;
            self.deals.by_site.remove(&before).map(|deal| deal.address)
        })?;
        self.deals.by_site.insert(site.clone(), Deal { address, removed: None });
        Some(address)
    }

    /// Returns the deals so far
    pub const fn deals(&self) -> &Deals {
        &self.deals
    }

    /// Returns all deals
    pub fn into_deals(self) -> Deals {
        self.deals
    }

    fn unused_address(&mut self) -> Option<Ipv4Addr> {
        let address = self.unused.find(|address| !self.used.contains(address))?;
        self.used.insert(address);
        Some(address)
    }
}

/// Returns true if a site may have this address of the network
fn is_host(network: Ipv4Net, address: Ipv4Addr) -> bool {
    // a network of two addresses or one has neither its own nor one for all (RFC 3021)
    let has_edges = network.prefix_len() < 31;
    let is_edge = address == network.network() || address == network.broadcast();
    network.contains(&address) && !(has_edges && is_edge)
}

/// The seconds for which the address of a site that was removed is not given to another
const HOLD: u64 = 24 * 60 * 60;

/// The sites that were removed and whose addresses are remembered
const MAX_REMOVED: usize = 65_536;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    fn name(site: &str) -> SiteName {
        site.parse().unwrap()
    }

    /// Deals addresses of a network out to sites, in this order
    fn deal(
        deals: Deals,
        network: &str,
        sites: &[&str],
        now: u64,
    ) -> (Deals, Vec<Option<Ipv4Addr>>) {
        deal_beside(deals, network, sites, &[], now)
    }

    fn deal_beside(
        deals: Deals,
        network: &str,
        sites: &[&str],
        taken: &[[u8; 4]],
        now: u64,
    ) -> (Deals, Vec<Option<Ipv4Addr>>) {
        let names: Vec<_> = sites.iter().map(|site| name(site)).collect();
        let taken = taken.iter().map(|octets| Ipv4Addr::from(*octets)).collect();
        let all = names.iter().collect();
        let mut dealer = Dealer::new(deals, network.parse().unwrap(), &all, &taken, now);
        let addresses = names.iter().map(|name| dealer.deal(name)).collect();
        (dealer.into_deals(), addresses)
    }

    fn last_octets(addresses: &[Option<Ipv4Addr>]) -> Vec<u8> {
        addresses.iter().map(|address| address.map_or(0, |it| it.octets()[3])).collect()
    }

    #[test]
    fn a_site_keeps_its_address_whoever_comes_and_goes() {
        let (deals, first) = deal(Deals::default(), "127.64.0.0/16", &["b2", "b3"], 0);
        assert_eq!(last_octets(&first), [1, 2]);
        let deals = Deals::parse(&deals.to_text()).unwrap();
        let (deals, second) = deal(deals, "127.64.0.0/16", &["b1", "b2", "b3"], 1);
        assert_eq!(last_octets(&second), [3, 1, 2]);
        let (deals, third) = deal(deals, "127.64.0.0/16", &["b3", "b4"], 2);
        assert_eq!(last_octets(&third), [2, 4], "a removed one's is not given away");
        let (_, back) = deal(deals, "127.64.0.0/16", &["b1", "b2", "b3", "b4"], 1000 * DAY);
        assert_eq!(last_octets(&back), [3, 1, 2, 4], "and is there when it comes back");
    }

    #[test]
    fn a_full_network_gives_what_was_removed_first_and_only_after_a_day() {
        let (deals, all) = deal(Deals::default(), "127.64.0.0/29", &["a", "b", "c", "d", "e"], 0);
        assert_eq!(last_octets(&all), [1, 2, 3, 4, 5]);
        let (deals, _) = deal(deals, "127.64.0.0/29", &["a", "b", "d", "e"], 5);
        let (deals, six) = deal(deals, "127.64.0.0/29", &["b", "d", "e", "f"], 9);
        assert_eq!(last_octets(&six), [2, 4, 5, 6]);
        let sites = ["b", "d", "e", "f", "g", "h"];
        let (deals, none) = deal(deals, "127.64.0.0/29", &sites, 4 + DAY);
        assert_eq!(last_octets(&none), [2, 4, 5, 6, 0, 0], "neither is a day ago");
        assert_eq!(deals.held(4 + DAY), 2);
        let (deals, some) = deal(deals, "127.64.0.0/29", &sites, 5 + DAY);
        assert_eq!(last_octets(&some), [2, 4, 5, 6, 3, 0], "one is");
        let (_, other) = deal(deals, "127.64.0.0/29", &sites, 9 + DAY);
        assert_eq!(last_octets(&other), [2, 4, 5, 6, 3, 1]);
    }

    #[test]
    fn what_the_configuration_names_itself_is_not_dealt_out() {
        let taken = [[127, 64, 0, 1], [127, 64, 0, 3]];
        let network = "127.64.0.0/30";
        let (_, some) = deal_beside(Deals::default(), network, &["a", "b"], &taken, 0);
        assert_eq!(last_octets(&some), [2, 0]);
        let (deals, _) = deal(Deals::default(), network, &["a", "b"], 0);
        let (deals, _) = deal(deals, network, &["b"], 0);
        let (_, some) = deal_beside(deals, network, &["a", "b"], &taken[..1], 0);
        assert_eq!(last_octets(&some), [1, 2], "a deal that stands is the caller's to tell of");
        let (deals, _) = deal(Deals::default(), network, &["a", "b"], 0);
        let (deals, _) = deal_beside(deals, network, &["b"], &taken[..1], 0);
        let (_, some) = deal_beside(deals, network, &["a", "b"], &taken[..1], 2 * DAY);
        assert_eq!(last_octets(&some), [0, 2], "what was named meanwhile is given up");
    }

    #[test]
    fn another_network_has_other_addresses_and_its_edges_are_none() {
        let (deals, _) = deal(Deals::default(), "127.64.0.0/16", &["a", "b"], 0);
        let (deals, moved) = deal(deals, "127.65.0.0/30", &["a", "b", "c"], 0);
        let wanted = [Some([127, 65, 0, 1]), Some([127, 65, 0, 2]), None];
        assert_eq!(moved, wanted.map(|it| it.map(Ipv4Addr::from)));
        let (_, smaller) = deal(deals, "127.65.0.0/31", &["a", "b"], 0);
        let wanted = [Some([127, 65, 0, 1]), Some([127, 65, 0, 0])];
        assert_eq!(smaller, wanted.map(|it| it.map(Ipv4Addr::from)), "one that is there stays");
        let (_, one) = deal(Deals::default(), "127.65.0.7/32", &["a", "b"], 0);
        assert_eq!(last_octets(&one), [7, 0]);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_hold_an_address_for_years() {
        let (deals, _) = deal(Deals::default(), "127.64.0.1/32", &["a"], 0);
        let (deals, _) = deal(deals, "127.64.0.1/32", &[], 5000 * DAY);
        let (deals, _) = deal(deals, "127.64.0.1/32", &["b"], 10 * DAY);
        let (_, some) = deal(deals, "127.64.0.1/32", &["b"], 11 * DAY);
        assert_eq!(last_octets(&some), [1]);
    }

    #[test]
    fn a_table_that_nobody_has_written_is_refused() {
        for (text, told) in [
            ("", "no table of addresses"),
            ("{\"b1\":{\"address\":\"x\"}}", "no table of addresses"),
            ("{\"B 1\":{\"address\":\"127.64.0.1\"}}", "cannot be the name of a site"),
            (
                "{\"b1\":{\"address\":\"127.64.0.1\"},\"b2\":{\"address\":\"127.64.0.1\"}}",
                "127.64.0.1 is there twice",
            ),
        ] {
            let error = Deals::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    proptest! {
        /// Sets of sites, one after the other, hours apart
        #[test]
        fn no_two_sites_have_one_address_and_none_gets_what_another_had_lately(
            days in vec((vec(any::<bool>(), 12), 0..40_u64), 1..30),
        ) {
            let (mut deals, mut now) = (Deals::default(), 0);
            let mut had = BTreeMap::<Ipv4Addr, (String, u64)>::new();
            let mut last = BTreeMap::<String, Ipv4Addr>::new();
            for (there, hours) in days {
                now += hours * 3600;
                let sites: Vec<_> = (0..12).filter(|site| there[*site]).map(|it| format!("b{it}")).collect();
                let names: Vec<_> = sites.iter().map(String::as_str).collect();
                let addresses;
                (deals, addresses) = deal(deals, "127.64.0.0/28", &names, now);
                deals = Deals::parse(&deals.to_text()).unwrap();
                let mut of_now = BTreeMap::new();
                for (site, address) in sites.iter().zip(addresses) {
                    let Some(address) = address else { continue };
                    prop_assert!(of_now.values().all(|other| *other != address), "twice");
                    if let Some(before) = last.get(site) {
                        prop_assert_eq!(*before, address, "it is another one");
                    }
                    if let Some((other, at)) = had.insert(address, (site.clone(), now)) {
                        prop_assert!(other == *site || now - at >= DAY, "{} had it", other);
                    }
                    of_now.insert(site.clone(), address);
                }
                // 14 addresses for 12 sites
                prop_assert!(of_now.len() == sites.len() || deals.held(now) > 0);
                last = of_now;
            }
        }
    }
}
