//! A wiretap on the GRE of a network

use std::{fmt, net::Ipv4Addr};

/// An attacker on the path: see [`Network::wiretap_gre`](crate::Network::wiretap_gre)
pub(super) struct Wiretap(Box<Tap>);

type Tap = dyn FnMut(Ipv4Addr, Ipv4Addr, &[u8]) -> Vec<Vec<u8>> + Send;

impl Wiretap {
    pub(super) fn new(
        tap: impl FnMut(Ipv4Addr, Ipv4Addr, &[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        Self(Box::new(tap))
    }

    pub(super) fn see(&mut self, from: Ipv4Addr, to: Ipv4Addr, gre: &[u8]) -> Vec<Vec<u8>> {
        (self.0)(from, to, gre)
    }
}

impl fmt::Debug for Wiretap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wiretap")
    }
}
