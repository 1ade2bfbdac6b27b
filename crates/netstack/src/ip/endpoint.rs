//! An address and a port, of either version of IP

use std::{
    fmt,
    net::{SocketAddr, SocketAddrV4},
};

use super::Address;

/// An address and a port, in 18 octets
///
/// A key of a flow has two of them for each connection, and a [`SocketAddr`] takes 32 octets: its flow label and
/// its scope are not kept, because a stack has one link. The order is by address and then by port.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Endpoint {
    address: Address,
    port: u16,
}

impl Endpoint {
    pub(crate) const fn new(address: Address, port: u16) -> Self {
        Self { address, port }
    }

    pub(crate) const fn address(&self) -> Address {
        self.address
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }
}

impl From<SocketAddrV4> for Endpoint {
    fn from(address: SocketAddrV4) -> Self {
        Self::new((*address.ip()).into(), address.port())
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip().into(), address.port())
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint.address.into(), endpoint.port)
    }
}

/// Prints it as the standard library prints an address and a port
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&SocketAddr::from(*self), f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads the text of a test
#[cfg(test)]
impl std::str::FromStr for Endpoint {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<SocketAddr>().map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    const TEXTS: [&str; 6] = [
        "0.0.0.0:0",
        "10.0.0.1:80",
        "10.0.0.1:81",
        "10.0.0.2:7",
        "[fe80::1]:443",
        "[fe80::1]:65535",
    ];

    #[test]
    fn both_versions_survive_the_way_in_and_out() {
        assert_eq!(size_of::<Endpoint>(), 18);
        for text in TEXTS {
            let standard = text.parse::<SocketAddr>().unwrap();
            let endpoint = text.parse::<Endpoint>().unwrap();
            assert_eq!(SocketAddr::from(endpoint), standard);
            assert_eq!(
                (endpoint.address(), endpoint.port()),
                (standard.ip().into(), standard.port())
            );
            assert_eq!((endpoint.to_string(), format!("{endpoint:?}")), (text.into(), text.into()));
            if let SocketAddr::V4(standard) = standard {
                assert_eq!(Endpoint::from(standard), endpoint);
            }
        }
    }

    #[test]
    fn the_order_is_by_address_and_then_by_port() {
        let endpoints = TEXTS.map(|text| text.parse::<Endpoint>().unwrap());
        let (v4, v6) = endpoints.split_at(4);
        assert!(v4.is_sorted_by(|one, next| one < next) && v6.is_sorted_by(|one, next| one < next));
        let hashes = RandomState::new();
        for (at, one) in endpoints.iter().enumerate() {
            for (other_at, other) in endpoints.iter().enumerate() {
                assert_eq!(one == other, at == other_at);
                assert_eq!(hashes.hash_one(one) == hashes.hash_one(other), at == other_at);
            }
        }
    }
}
