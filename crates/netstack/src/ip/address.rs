//! An address of either version of IP

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::Version;

/// An address of either version of IP, in 16 octets
///
/// An IPv4 address is kept as the IPv6 address that stands for it (`::ffff:0:0/96`, RFC 4291 §2.5.5.2). No host on
/// an IPv6 network has such an address, so that the two never mean different hosts. The order is that of
/// [`Ipv4Addr`] among IPv4 addresses and that of [`Ipv6Addr`] among IPv6 addresses.
///
/// It is a number, because octets are copied and compared in memory: a UDP datagram of 200 octets took 8 % longer
/// from socket to socket. It is packed, because the two octets of a port follow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(Rust, packed(2))]
pub(crate) struct Address(u128);

impl Address {
    /// The IPv4 address; `None` if this is an IPv6 address
    pub(crate) fn v4(self) -> Option<Ipv4Addr> {
        let low = u32::try_from(self.0 ^ MAPPED).ok();
        low.map(Ipv4Addr::from_bits)
    }

    pub(crate) fn version(self) -> Version {
        if self.v4().is_some() { Version::V4 } else { Version::V6 }
    }

    /// The 16 octets of its IPv6 form
    pub(crate) const fn mapped_octets(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Returns true if it is 0.0.0.0 or ::
    pub(crate) const fn is_unspecified(self) -> bool {
        matches!(self.0, 0 | MAPPED)
    }

    /// Returns true if it is the address of a group
    pub(crate) const fn is_multicast(self) -> bool {
        self.0 >> 120 == 0xFF || self.0 >> 28 == GROUPS_V4
    }

    /// Returns true if a socket that is bound to this address receives packets to `other`
    pub(crate) fn covers(self, other: Self) -> bool {
        self == other || (self.is_unspecified() && self.version() == other.version())
    }
}

impl From<Ipv4Addr> for Address {
    fn from(address: Ipv4Addr) -> Self {
        Self(MAPPED | u128::from(address.to_bits()))
    }
}

impl From<Ipv6Addr> for Address {
    fn from(address: Ipv6Addr) -> Self {
        Self(address.to_bits())
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        address.v4().map_or_else(|| Self::V6(Ipv6Addr::from_bits(address.0)), Self::V4)
    }
}

/// Prints it as the standard library prints an address
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&IpAddr::from(*self), f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The prefix of IPv4 addresses, and so 0.0.0.0 too
const MAPPED: u128 = 0xFFFF << Ipv4Addr::BITS;

/// The bits of an IPv4 group in front of its last 28 (RFC 1112 §4)
const GROUPS_V4: u128 = (MAPPED | 0xE000_0000) >> 28;

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        hash::{BuildHasher, RandomState},
    };

    use super::*;

    const TEXTS: [&str; 12] = [
        "0.0.0.0",
        "10.0.0.1",
        "192.168.1.255",
        "224.0.0.251",
        "255.255.255.255",
        "::",
        "::1",
        "::fffe:0:1",
        "64:ff9b::a00:1",
        "2001:db8::1",
        "fe80::1",
        "ff02::fb",
    ];

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn both_versions_survive_the_way_in_and_out() {
        assert_eq!(size_of::<Address>(), 16);
        for text in TEXTS {
            let (standard, inner) = (text.parse::<IpAddr>().unwrap(), address(text));
            assert_eq!(IpAddr::from(inner), standard);
            assert_eq!(inner.v4().map(IpAddr::V4), Some(standard).filter(IpAddr::is_ipv4));
            assert_eq!(inner.version() == Version::V4, standard.is_ipv4(), "{text}");
            assert_eq!((inner.to_string(), format!("{inner:?}")), (text.into(), text.into()));
        }
    }

    #[test]
    fn the_octets_are_those_of_the_ipv6_form() {
        for text in TEXTS {
            let form = match text.parse().unwrap() {
                IpAddr::V4(standard) => standard.to_ipv6_mapped(),
                IpAddr::V6(standard) => standard,
            };
            assert_eq!(address(text).mapped_octets(), form.octets(), "{text}");
        }
    }

    #[test]
    fn kinds_are_those_of_the_standard_library() {
        for text in TEXTS {
            let standard = text.parse::<IpAddr>().unwrap();
            assert_eq!(address(text).is_multicast(), standard.is_multicast(), "{text}");
            assert_eq!(address(text).is_unspecified(), standard.is_unspecified(), "{text}");
        }
    }

    #[test]
    fn addresses_of_one_version_have_the_standard_order_and_equal_ones_one_hash() {
        let standard = TEXTS.map(|text| text.parse::<IpAddr>().unwrap());
        let hashes = RandomState::new();
        for one in standard {
            for other in standard {
                let (inner, its) = (Address::from(one), Address::from(other));
                if one.is_ipv4() == other.is_ipv4() {
                    assert_eq!(inner.cmp(&its), one.cmp(&other), "{one} {other}");
                }
                assert_eq!(inner == its, one == other);
                assert_eq!(hashes.hash_one(inner) == hashes.hash_one(its), one == other);
            }
        }
        assert_eq!(standard.map(Address::from).into_iter().collect::<BTreeSet<_>>().len(), 12);
    }

    #[test]
    fn an_unspecified_address_covers_those_of_its_version() {
        let covers = |one: &str, other: &str| address(one).covers(address(other));
        assert!(covers("0.0.0.0", "10.0.0.1") && covers("::", "fe80::1"));
        assert!(covers("10.0.0.1", "10.0.0.1") && covers("fe80::1", "fe80::1"));
        assert!(!covers("0.0.0.0", "fe80::1") && !covers("::", "10.0.0.1"));
        assert!(!covers("10.0.0.1", "10.0.0.2") && !covers("10.0.0.1", "0.0.0.0"));
    }
}
