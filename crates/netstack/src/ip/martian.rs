//! Addresses that no packet on the wire may have ("martians", RFC 1122 §3.2.1.3, RFC 1812 §5.3.7)

use std::net::Ipv4Addr;

use super::{Address, Addresses, Endpoint, IPV4_HEADER};
use crate::SocketError;

/// The address that makes a packet a martian
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Martian {
    Source,
    Destination,
}

impl Addresses {
    /// The address of an IPv4 packet that came in which is one that it cannot have
    ///
    /// Asked before anything else is read of the packet, so that no fragment of such a datagram is kept.
    pub(crate) fn martian(&self, packet: &[u8]) -> Option<Martian> {
        let &[version_ihl, .., s0, s1, s2, s3, d0, d1, d2, d3] =
            packet.first_chunk::<IPV4_HEADER>()?;
        if version_ihl >> 4 != 4 {
            return None;
        }
        if self.is_martian_source(Ipv4Addr::new(s0, s1, s2, s3)) {
            return Some(Martian::Source);
        }
        let destination = Ipv4Addr::new(d0, d1, d2, d3);
        (!is_sendable(destination)).then_some(Martian::Destination)
    }

    /// Returns true if a packet that came in claims a source that no other host can have
    ///
    /// 0/8, 127/8, 240/4 with the limited broadcast address, a group, this host itself, or everyone in its subnet.
    /// A subnet that is not known has no broadcast address here: another host may have it.
    pub(super) fn is_martian_source(&self, source: Ipv4Addr) -> bool {
        !is_sendable(source)
            || source.is_multicast()
            || self.own_v4(source)
            || self.is_broadcast_v4(source)
    }

    /// Fails if no packet from here can get there, or if its port is 0
    pub(crate) fn check_peer(&self, peer: Endpoint) -> Result<(), SocketError> {
        let address = self.check_v4(peer.address())?;
        if peer.port() == 0 {
            return Err(SocketError::PortZero { address });
        }
        Ok(())
    }

    /// Fails if no packet from here can get there: an invalid address, or this host's own
    ///
    /// A packet to an address of this host would come back with it as its source, if it came back.
    pub(crate) fn check_destination(&self, address: Address) -> Result<(), SocketError> {
        self.check_v4(address).map(drop)
    }

    fn check_v4(&self, address: Address) -> Result<Ipv4Addr, SocketError> {
        let address = address.v4().ok_or(SocketError::Ipv6)?;
        if self.own_v4(address) {
            return Err(SocketError::OwnAddress { address });
        }
        check_sendable(address)?;
        Ok(address)
    }
}

/// Fails if no packet may have this address as its destination: 0/8, 127/8, and 240/4 but for 255.255.255.255
pub(crate) fn check_sendable(address: Ipv4Addr) -> Result<(), SocketError> {
    if is_sendable(address) {
        return Ok(());
    }
    Err(match address.octets() {
        [0, ..] => SocketError::ThisNetwork { address },
        [127, ..] => SocketError::Loopback { address },
        _ => SocketError::ReservedAddress { address },
    })
}

/// Returns true if a packet may have this address as its destination
///
/// Asked about each packet that comes in, so it makes no error.
const fn is_sendable(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    !matches!(first, 0 | 127 | 240..=255) || address.is_broadcast()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESSES: Addresses = Addresses {
        first: Ipv4Addr::new(192, 168, 1, 200),
        second: Some(Ipv4Addr::new(192, 168, 1, 201)),
        prefix_len: 24,
    };

    #[test]
    fn sources_that_no_other_host_can_have() {
        for (text, is_martian) in [
            ("0.0.0.0", true),
            ("0.0.0.1", true),
            ("0.255.255.255", true),
            ("1.0.0.0", false),
            ("126.255.255.255", false),
            ("127.0.0.0", true),
            ("127.0.0.1", true),
            ("127.255.255.255", true),
            ("128.0.0.0", false),
            ("192.168.1.199", false),
            ("192.168.1.200", true),
            ("192.168.1.201", true),
            ("192.168.1.255", true),
            ("192.168.2.255", false),
            ("223.255.255.255", false),
            ("224.0.0.0", true),
            ("239.255.255.255", true),
            ("240.0.0.0", true),
            ("255.255.255.254", true),
            ("255.255.255.255", true),
        ] {
            let source = text.parse().unwrap();
            assert_eq!(ADDRESSES.is_martian_source(source), is_martian, "{text}");
        }
    }

    #[test]
    fn destinations_that_no_packet_can_reach() {
        let check = |text: &str| {
            let address = text.parse::<Ipv4Addr>().unwrap();
            ADDRESSES.check_destination(address.into())
        };
        for text in ["192.168.1.1", "192.168.1.255", "224.0.0.251", "255.255.255.255", "8.8.8.8"] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        let address = |text: &str| text.parse().unwrap();
        let [zero, loopback, reserved, own] =
            ["0.1.2.3", "127.1.2.3", "240.0.0.1", "192.168.1.201"].map(address);
        assert_eq!(check("0.1.2.3"), Err(SocketError::ThisNetwork { address: zero }));
        assert_eq!(check("127.1.2.3"), Err(SocketError::Loopback { address: loopback }));
        assert_eq!(check("240.0.0.1"), Err(SocketError::ReservedAddress { address: reserved }));
        assert_eq!(check("192.168.1.201"), Err(SocketError::OwnAddress { address: own }));
    }

    #[test]
    fn ipv6_is_turned_away() {
        let peer = "[fe80::1]:80".parse::<Endpoint>().unwrap();
        assert_eq!(ADDRESSES.check_peer(peer), Err(SocketError::Ipv6));
        assert_eq!(ADDRESSES.check_destination(peer.address()), Err(SocketError::Ipv6));
    }
}
