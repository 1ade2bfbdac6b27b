//! The addresses a stack answers to

use std::net::{Ipv4Addr, SocketAddrV4};

/// The addresses an interface answers to
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) first: Ipv4Addr,
    pub(crate) second: Option<Ipv4Addr>,
    pub(crate) prefix_len: u8,
}

impl Addresses {
    pub(crate) fn own(&self, address: Ipv4Addr) -> bool {
        address == self.first || self.second == Some(address)
    }

    /// Tells whether datagrams to this address are for every host on the link
    pub(crate) fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        address.is_broadcast() || self.subnet_broadcast() == Some(address)
    }

    /// Tells whether a datagram that came in was a broadcast
    ///
    /// Without a known subnet, that is the broadcast address of any subnet this host may be in: only a
    /// relayed broadcast is ever sent into a point-to-point link with such a destination.
    pub(crate) fn was_broadcast(&self, address: Ipv4Addr) -> bool {
        if self.own(address) {
            return false;
        }
        self.is_broadcast(address)
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

/// Tells whether two sockets on these addresses would get each other's packets
pub(crate) fn overlap(a: SocketAddrV4, b: SocketAddrV4) -> bool {
    a.port() == b.port() && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 234);

    #[test]
    fn without_a_subnet_any_broadcast_address_of_the_host_is_heard() {
        let addresses = Addresses { first: OWN, second: None, prefix_len: 32 };
        for heard in ["255.255.255.255", "192.168.1.255", "192.168.255.255", "192.168.1.239"] {
            assert!(addresses.was_broadcast(heard.parse().unwrap()), "{heard}");
        }
        for other in ["192.168.1.234", "192.168.1.3", "192.168.2.255"] {
            assert!(!addresses.was_broadcast(other.parse().unwrap()), "{other}");
        }
        assert!(!addresses.is_broadcast(Ipv4Addr::new(192, 168, 1, 255)), "not known to be one");
    }

    #[test]
    fn with_a_subnet_its_broadcast_address_alone_is_heard() {
        let addresses = Addresses { first: OWN, second: None, prefix_len: 24 };
        assert!(addresses.is_broadcast(Ipv4Addr::new(192, 168, 1, 255)));
        assert!(!addresses.was_broadcast(Ipv4Addr::new(192, 168, 255, 255)));
    }
}
