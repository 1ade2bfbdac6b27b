//! The addresses that a link had when it was up for the first time

use std::net::Ipv4Addr;

use crate::{
    config::AddressRequest,
    failure::{Assigned, Failure},
    negotiation::role_options::AddressFacts,
};

/// The addresses of the first time that the link was up, and the request for the next dial
///
/// IPCP is in the clear. An attacker who is on the path after that can answer its requests before
/// the server does; so another address or DNS server is not taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PinnedAddresses {
    address: Ipv4Addr,
    dns: [Option<Ipv4Addr>; 2],
    /// The request of the first time that the link was up after the latest login, which confirmed
    /// it
    pub(crate) request: AddressRequest,
}

impl PinnedAddresses {
    pub(crate) fn new(facts: &AddressFacts) -> Self {
        let mut dns = facts.dns.iter().copied();
        Self { address: facts.inner_address, dns: [dns.next(), dns.next()], request: facts.request }
    }

    /// Returns an error that names the first value that differs from the first time
    ///
    /// A DNS server that is missing is no difference: a server may reject the option when it is
    /// asked again.
    pub(crate) fn check(&self, facts: &AddressFacts) -> Result<(), Failure> {
        let changed = |assigned, old, new| Err(Failure::AddressChanged { assigned, old, new });
        if facts.inner_address != self.address {
            return changed(Assigned::InnerAddress, Some(self.address), facts.inner_address);
        }
        let other = facts.dns.iter().find(|server| !self.dns.contains(&Some(**server)));
        other.map_or(Ok(()), |other| {
            let [first, _] = self.dns;
            changed(Assigned::DnsServer, first, *other)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, 1, last)
    }

    fn facts(address: u8, dns: &[u8]) -> AddressFacts {
        AddressFacts {
            inner_address: ip(address),
            peer_address: None,
            dns: dns.iter().map(|last| ip(*last)).collect(),
            request: AddressRequest::default(),
        }
    }

    #[test]
    fn another_address_or_dns_server_is_told_with_the_old_one() {
        let pinned = PinnedAddresses::new(&facts(20, &[1, 2]));
        for same in [&[1, 2][..], &[2, 1], &[1], &[2], &[]] {
            assert_eq!(pinned.check(&facts(20, same)), Ok(()), "{same:?}");
        }
        let (assigned, old) = (Assigned::InnerAddress, Some(ip(20)));
        let failure = Failure::AddressChanged { assigned, old, new: ip(99) };
        assert_eq!(pinned.check(&facts(99, &[1, 2])), Err(failure.clone()));
        let text = failure.to_string();
        assert!(text.contains("192.168.1.99") && text.contains("192.168.1.20"), "{text}");
        let (assigned, old) = (Assigned::DnsServer, Some(ip(1)));
        let failure = Failure::AddressChanged { assigned, old, new: ip(6) };
        assert_eq!(pinned.check(&facts(20, &[1, 6])), Err(failure));
        let none = PinnedAddresses::new(&facts(20, &[])).check(&facts(20, &[6]));
        assert_eq!(none, Err(Failure::AddressChanged { assigned, old: None, new: ip(6) }));
    }
}
