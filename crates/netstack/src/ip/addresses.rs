//! The addresses a stack answers to

use std::net::Ipv4Addr;

use super::{Address, Endpoint};

/// The addresses an interface answers to
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) first: Ipv4Addr,
    pub(crate) second: Option<Ipv4Addr>,
    pub(crate) prefix_len: u8,
}

impl Addresses {
    /// The address that packets leave from, unless their socket has one of its own
    pub(crate) fn source(&self) -> Address {
        self.first.into()
    }

    pub(crate) fn own(&self, address: Address) -> bool {
        address.v4().is_some_and(|address| self.own_v4(address))
    }

    pub(super) fn own_v4(&self, address: Ipv4Addr) -> bool {
        address == self.first || self.second == Some(address)
    }

    /// Returns true if datagrams to this address are for every host on the link; IPv6 has no such address
    pub(crate) fn is_broadcast(&self, address: Address) -> bool {
        address.v4().is_some_and(|address| self.is_broadcast_v4(address))
    }

    pub(super) fn is_broadcast_v4(&self, address: Ipv4Addr) -> bool {
        address.is_broadcast() || self.subnet_broadcast() == Some(address)
    }

    /// Returns true if a datagram that came in was a broadcast
    ///
    /// Without a known subnet, that is the broadcast address of any subnet this host may be in: only a
    /// relayed broadcast is ever sent into a point-to-point link with such a destination.
    pub(crate) fn was_broadcast(&self, address: Address) -> bool {
        address.v4().is_some_and(|address| self.was_broadcast_v4(address))
    }

    fn was_broadcast_v4(&self, address: Ipv4Addr) -> bool {
        if self.own_v4(address) {
            return false;
        }
        self.is_broadcast_v4(address)
            || (self.prefix_len == 32
                && (8..=30).any(|prefix_len| broadcast(self.first, prefix_len) == address))
    }

    fn subnet_broadcast(&self) -> Option<Ipv4Addr> {
        (self.prefix_len < 31).then(|| broadcast(self.first, self.prefix_len))
    }
}

fn broadcast(address: Ipv4Addr, prefix_len: u8) -> Ipv4Addr {
    let host = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
    Ipv4Addr::from_bits(address.to_bits() | host)
}

/// Returns true if two sockets on these addresses would get each other's packets
pub(crate) fn overlap(a: Endpoint, b: Endpoint) -> bool {
    a.port() == b.port() && (a.address().covers(b.address()) || b.address().covers(a.address()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 234);

    fn was_broadcast(addresses: &Addresses, text: &str) -> bool {
        addresses.was_broadcast(text.parse::<Ipv4Addr>().unwrap().into())
    }

    #[test]
    fn without_a_subnet_any_broadcast_address_of_the_host_is_heard() {
        let addresses = Addresses { first: OWN, second: None, prefix_len: 32 };
        for heard in ["255.255.255.255", "192.168.1.255", "192.168.255.255", "192.168.1.239"] {
            assert!(was_broadcast(&addresses, heard), "{heard}");
        }
        for other in ["192.168.1.234", "192.168.1.3", "192.168.2.255"] {
            assert!(!was_broadcast(&addresses, other), "{other}");
        }
        assert!(
            !addresses.is_broadcast(Ipv4Addr::new(192, 168, 1, 255).into()),
            "not known to be one"
        );
    }

    #[test]
    fn with_a_subnet_its_broadcast_address_alone_is_heard() {
        let addresses = Addresses { first: OWN, second: None, prefix_len: 24 };
        assert!(addresses.is_broadcast(Ipv4Addr::new(192, 168, 1, 255).into()));
        assert!(!was_broadcast(&addresses, "192.168.255.255"));
    }

    #[test]
    fn an_ipv6_address_is_neither_the_hosts_nor_a_broadcast() {
        let addresses = Addresses { first: OWN, second: None, prefix_len: 24 };
        for other in ["::", "::1", "::c0a8:1ea", "ff02::1"] {
            let other = other.parse::<std::net::Ipv6Addr>().unwrap().into();
            assert!(!addresses.own(other) && !addresses.is_broadcast(other));
            assert!(!addresses.was_broadcast(other));
        }
        assert!(addresses.own(OWN.into()) && addresses.source() == OWN.into());
    }

    #[test]
    fn sockets_overlap_on_one_port_of_one_version() {
        let overlaps = |one: &str, other: &str| {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(overlap(one, other), overlap(other, one));
            overlap(one, other)
        };
        assert!(overlaps("10.0.0.1:7", "10.0.0.1:7") && overlaps("0.0.0.0:7", "10.0.0.1:7"));
        assert!(overlaps("[fe80::1]:7", "[fe80::1]:7") && overlaps("[::]:7", "[fe80::1]:7"));
        assert!(!overlaps("10.0.0.1:7", "10.0.0.1:8") && !overlaps("10.0.0.1:7", "10.0.0.2:7"));
        assert!(!overlaps("[::]:7", "0.0.0.0:7") && !overlaps("[::]:7", "10.0.0.1:7"));
    }
}
