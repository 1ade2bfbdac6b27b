//! A fleet in a network in memory, which the tests of a fleet share

use std::{net::Ipv4Addr, time::Duration};

use pptp::Client;
use pptp_fleet::{Fleet, FleetOptions, SiteName};
use pptp_testkit::memory;

/// A fleet without a site, and the network of its client
pub(crate) struct World {
    pub(crate) network: memory::Network,
    pub(crate) fleet: Fleet,
}

impl World {
    pub(crate) fn new() -> Self {
        let network = memory::Network::new(0);
        network.set_latency(Duration::from_millis(10));
        let host = network.host(Ipv4Addr::new(10, 99, 1, 1));
        let client = Client::builder().memory(host).build().unwrap();
        let mut options = FleetOptions::default();
        options.seed = Some(7);
        Self { network, fleet: Fleet::new(client, &options) }
    }
}

pub(crate) fn name(name: &str) -> SiteName {
    name.parse().unwrap()
}
