//! IPCP's options: our address, the peer's, and DNS servers (RFC 1332 §3, RFC 1877 §1)

use std::net::Ipv4Addr;

use pptp_packet::Counter;

use crate::{
    config::AddressRequest,
    context::random::Random,
    failure::Failure,
    negotiation::{
        negotiator::option_set::{Judgement, MAX_FAILURE, OptionSet},
        role_options::{AddressFacts, AddressOptions},
    },
    wire::{
        frame,
        options::{ConfigurationOption, Options, OptionsBuf},
        protocol::Protocol,
    },
};

pub(crate) const IP_ADDRESS: u8 = 3;
pub(crate) const PRIMARY_DNS: u8 = 129;
pub(crate) const SECONDARY_DNS: u8 = 131;
const DNS_OPTIONS: [u8; 2] = [PRIMARY_DNS, SECONDARY_DNS];

/// IPCP of the side that is given its address
#[derive(Debug)]
pub(crate) struct Ipcp {
    address: Ipv4Addr,
    peer_address: Option<Ipv4Addr>,
    /// The DNS servers, in the order of [`DNS_OPTIONS`]
    dns: [Dns; 2],
    /// Configure-Naks of our address
    address_naks: u8,
    /// Configure-Naks of DNS options that were asked for
    dns_naks: u8,
}

/// One DNS server, primary or secondary
#[derive(Clone, Copy, Debug)]
struct Dns {
    /// True if this option is part of our Configure-Request
    wanted: bool,
    address: Ipv4Addr,
}

impl Dns {
    fn new(wanted: Option<Ipv4Addr>) -> Self {
        Self { wanted: wanted.is_some(), address: wanted.unwrap_or(Ipv4Addr::UNSPECIFIED) }
    }

    fn request(self) -> Option<Ipv4Addr> {
        self.wanted.then_some(self.address)
    }
}

impl Ipcp {
    pub(crate) fn new(request: AddressRequest) -> Self {
        let primary = Dns::new(request.primary_dns);
        let secondary = Dns::new(request.secondary_dns);
        let address = request.address;
        Self {
            address,
            peer_address: None,
            dns: [primary, secondary],
            address_naks: 0,
            dns_naks: 0,
        }
    }

    /// The value that is asked for now
    fn address_request(&self) -> AddressRequest {
        let [primary_dns, secondary_dns] = self.dns.map(Dns::request);
        AddressRequest { address: self.address, primary_dns, secondary_dns }
    }

    fn each_dns(&self) -> impl Iterator<Item = (u8, Dns)> {
        DNS_OPTIONS.into_iter().zip(self.dns)
    }

    fn each_dns_mut(&mut self) -> impl Iterator<Item = (u8, &mut Dns)> {
        DNS_OPTIONS.into_iter().zip(&mut self.dns)
    }

    /// Takes the address of the server's Nak; fails after [`MAX_FAILURE`] Naks
    fn nak_address(&mut self, address: Ipv4Addr) -> Result<(), Failure> {
        self.address_naks.increment();
        let is_last = self.address_naks >= MAX_FAILURE && address != self.address;
        if is_last || self.address_naks > MAX_FAILURE {
            return Err(Failure::NoAddress);
        }
        self.address = address;
        Ok(())
    }

    /// Stops asking for DNS servers, since a link without them is better than none
    ///
    /// The values so far are dropped: some servers Nak with the same values again and again, since
    /// they do not know their DNS servers yet, and the values are placeholders.
    fn give_up_dns(&mut self) {
        for dns in self.dns.iter_mut().filter(|dns| dns.wanted) {
            (dns.wanted, dns.address) = (false, Ipv4Addr::UNSPECIFIED);
        }
    }

    /// Returns true if the server asks for another value of a DNS option that is in our request
    fn concerns_dns(&self, naks: &Options<'_>) -> bool {
        let has_value = |kind| naks.find(kind).is_some_and(|option| address(&option).is_some());
        self.each_dns().any(|(kind, dns)| dns.wanted && has_value(kind))
    }
}

impl OptionSet for Ipcp {
    const PROTOCOL: Protocol = Protocol::Ipcp;
    const NUMBER: u16 = frame::IPCP;

    /// Asks for the values of the last negotiation: if the server agrees, sockets live on, and a
    /// round trip is saved
    fn restart(&mut self, _: &mut Random) {
        *self = Self::new(self.address_request());
    }

    fn request(&self) -> OptionsBuf {
        let mut request = OptionsBuf::default();
        request.push(IP_ADDRESS, &self.address.octets());
        for (kind, dns) in self.each_dns().filter(|(_, dns)| dns.wanted) {
            request.push(kind, &dns.address.octets());
        }
        request
    }

    /// Takes any address of the peer, which is only a label; rejects header compression, which is
    /// of no use under MPPE
    fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        _: &mut Random,
    ) -> Result<Judgement, Failure> {
        Ok(match (option.kind, address(option)) {
            (IP_ADDRESS, Some(address)) if !address.is_unspecified() => Judgement::Ack,
            // A server without an address asks us for one: we have none to give.
            _ => Judgement::Reject,
        })
    }

    fn on_ack_sent(&mut self, request: &Options<'_>) {
        self.peer_address = request.find(IP_ADDRESS).and_then(|option| address(&option));
    }

    fn on_ack(&mut self) -> Result<(), Failure> {
        if is_usable(self.address) { Ok(()) } else { Err(Failure::NoAddress) }
    }

    /// Takes the values of the server's Nak; DNS servers also if they were not asked for
    ///
    /// DNS is given up when a Nak changes nothing of our request, or at the third Nak of it.
    fn on_nak(&mut self, options: &Options<'_>, _: &mut Random) -> Result<(), Failure> {
        let (before, concerns_dns) = (self.request(), self.concerns_dns(options));
        for option in options {
            let Some(address) = address(&option) else { continue };
            if option.kind == IP_ADDRESS {
                self.nak_address(address)?;
            }
            for (_, dns) in self.each_dns_mut().filter(|(kind, _)| *kind == option.kind) {
                dns.address = address;
            }
        }
        if concerns_dns {
            self.dns_naks.increment();
            let is_fruitless = self.request().as_slice() == before.as_slice();
            if is_fruitless || self.dns_naks >= MAX_DNS_NAKS {
                self.give_up_dns();
            }
        }
        Ok(())
    }

    fn on_reject(&mut self, options: &Options<'_>) -> Result<(), Failure> {
        if options.find(IP_ADDRESS).is_some() {
            return Err(Failure::NoAddress);
        }
        for (kind, dns) in self.each_dns_mut() {
            dns.wanted &= options.find(kind).is_none();
        }
        Ok(())
    }
}

impl AddressOptions for Ipcp {
    fn address(&self) -> Ipv4Addr {
        self.address
    }

    fn facts(&self) -> AddressFacts {
        let dns = self.dns.iter().map(|dns| dns.address);
        let mut dns: Vec<_> = dns.filter(|address| is_usable(*address)).collect();
        // pppd with one DNS server gives it as primary and as secondary
        dns.dedup();
        AddressFacts {
            inner_address: self.address,
            peer_address: self.peer_address,
            dns,
            request: self.address_request(),
        }
    }
}

pub(crate) fn address(option: &ConfigurationOption<'_>) -> Option<Ipv4Addr> {
    option.u32().map(Ipv4Addr::from_bits)
}

/// Returns true if a host can have this address
fn is_usable(address: Ipv4Addr) -> bool {
    !(address.is_unspecified()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_loopback())
}

/// Configure-Naks of a DNS option after which no more is asked for: one for zeros, and one that corrects the first
const MAX_DNS_NAKS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 200);
    const DNS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

    fn list(options: &[(u8, Ipv4Addr)]) -> Vec<u8> {
        let mut list = OptionsBuf::default();
        for (kind, address) in options {
            list.push(*kind, &address.octets());
        }
        list.into_vec()
    }

    fn nak(ipcp: &mut Ipcp, options: &[(u8, Ipv4Addr)]) -> Result<(), Failure> {
        ipcp.on_nak(&Options::parse(&list(options)).unwrap(), &mut Random::new([0; 32]))
    }

    #[test]
    fn rfc1332_section_3_3_zeros_are_asked_and_values_taken() {
        let mut ipcp = Ipcp::new(AddressRequest::default());
        let zero = Ipv4Addr::UNSPECIFIED;
        assert_eq!(ipcp.request().into_vec(), list(&[(3, zero), (129, zero), (131, zero)]));
        nak(&mut ipcp, &[(3, GIVEN), (129, DNS)]).unwrap();
        assert_eq!(ipcp.request().into_vec(), list(&[(3, GIVEN), (129, DNS), (131, zero)]));
        ipcp.on_ack().unwrap();
        let request = AddressRequest {
            address: GIVEN,
            primary_dns: Some(DNS),
            secondary_dns: Some(Ipv4Addr::UNSPECIFIED),
        };
        let expected =
            AddressFacts { inner_address: GIVEN, peer_address: None, dns: vec![DNS], request };
        assert_eq!(ipcp.facts(), expected);
        ipcp.restart(&mut Random::new([0; 32]));
        assert_eq!(ipcp.address_request(), request, "a renegotiation asks for what there was");
    }

    #[test]
    fn a_dns_server_that_is_given_twice_is_told_once() {
        let mut ipcp = Ipcp::new(AddressRequest::default());
        nak(&mut ipcp, &[(3, GIVEN), (129, DNS), (131, DNS)]).unwrap();
        assert_eq!(ipcp.facts().dns, [DNS]);
    }

    #[test]
    fn rejected_dns_is_left_out_and_a_hint_is_kept() {
        let mut ipcp = Ipcp::new(AddressRequest::default());
        ipcp.on_reject(&Options::parse(&list(&[(131, DNS)])).unwrap()).unwrap();
        assert_eq!(ipcp.request().into_vec().len(), 12);
        let mut silent =
            Ipcp::new(AddressRequest { address: GIVEN, primary_dns: None, secondary_dns: None });
        assert_eq!(silent.request().into_vec(), list(&[(3, GIVEN)]));
        nak(&mut silent, &[(129, DNS)]).unwrap();
        assert_eq!(silent.request().into_vec(), list(&[(3, GIVEN)]), "not asked for");
        assert_eq!(silent.facts().dns, [DNS]);
    }

    #[test]
    fn an_address_no_host_can_have_is_none() {
        for octets in [[0; 4], [255; 4], [224, 0, 0, 5], [127, 0, 0, 1]] {
            let mut ipcp =
                Ipcp::new(AddressRequest { address: octets.into(), ..Default::default() });
            assert_eq!(ipcp.on_ack(), Err(Failure::NoAddress), "{octets:?}");
        }
        let rejected = Ipcp::new(AddressRequest::default())
            .on_reject(&Options::parse(&list(&[(3, GIVEN)])).unwrap());
        assert_eq!(rejected, Err(Failure::NoAddress));
    }

    #[test]
    fn endless_naks_end_it_but_for_dns_only_dns_is_given_up() {
        let mut ipcp = Ipcp::new(AddressRequest::default());
        let mut results = (1..=9_u8).map(|n| nak(&mut ipcp, &[(3, Ipv4Addr::new(10, 0, 0, n))]));
        assert_eq!(results.position(|result| result == Err(Failure::NoAddress)), Some(4));

        let mut ipcp = Ipcp::new(AddressRequest { address: GIVEN, ..Default::default() });
        for _ in 0..5 {
            nak(&mut ipcp, &[(3, GIVEN), (129, Ipv4Addr::UNSPECIFIED)]).unwrap();
        }
        assert_eq!(ipcp.request().into_vec(), list(&[(3, GIVEN)]));
        assert_eq!(nak(&mut ipcp, &[(3, GIVEN)]), Err(Failure::NoAddress));
    }

    /// A server whose own DNS servers are not known yet says so by the same values again
    #[test]
    fn a_nak_of_dns_that_changes_nothing_takes_dns_out_and_the_address_still_comes() {
        let placeholders = [(129, [10, 11, 12, 13].into()), (131, [10, 11, 12, 14].into())];
        let mut ipcp = Ipcp::new(AddressRequest::default());
        nak(&mut ipcp, &placeholders).unwrap();
        let zero = (3, Ipv4Addr::UNSPECIFIED);
        assert_eq!(ipcp.request().into_vec(), list(&[&[zero][..], &placeholders].concat()));
        nak(&mut ipcp, &placeholders).unwrap();
        assert_eq!(ipcp.request().into_vec(), list(&[zero]));
        assert_eq!(ipcp.facts().dns, [] as [Ipv4Addr; 0], "placeholders are not believed");
        nak(&mut ipcp, &[(3, GIVEN)]).unwrap();
        assert_eq!((ipcp.on_ack(), ipcp.facts().inner_address), (Ok(()), GIVEN));
    }

    #[test]
    fn the_third_nak_of_dns_takes_it_out_though_each_has_other_values() {
        let mut ipcp = Ipcp::new(AddressRequest { address: GIVEN, ..Default::default() });
        for n in 1..=3 {
            assert!(ipcp.request().into_vec().len() > 6, "Nak {n}");
            nak(&mut ipcp, &[(129, Ipv4Addr::new(10, 0, 0, n))]).unwrap();
        }
        assert_eq!(ipcp.request().into_vec(), list(&[(3, GIVEN)]));
    }

    /// Naks of DNS do not count as Naks of the address
    #[test]
    fn an_address_that_comes_in_the_fifth_nak_is_taken() {
        let mut ipcp = Ipcp::new(AddressRequest::default());
        for n in 1..=4 {
            nak(&mut ipcp, &[(129, Ipv4Addr::new(10, 0, 0, n))]).unwrap();
        }
        assert_eq!(nak(&mut ipcp, &[(3, GIVEN), (129, DNS)]), Ok(()));
        assert_eq!((ipcp.on_ack(), ipcp.facts().inner_address), (Ok(()), GIVEN));
    }

    #[test]
    fn the_option_table_of_the_servers_request() {
        let table: [(u8, &[u8], Judgement); 6] = [
            (3, &[10, 0, 0, 1], Judgement::Ack),
            (3, &[0; 4], Judgement::Reject),
            (3, &[10], Judgement::Reject),
            (1, &[0; 8], Judgement::Reject),
            (2, &[0x00, 0x2D, 15, 1], Judgement::Reject),
            (129, &[0; 4], Judgement::Reject),
        ];
        for (kind, value, expected) in table {
            let option = ConfigurationOption { kind, value };
            let verdict =
                Ipcp::new(AddressRequest::default()).judge(&option, &mut Random::new([0; 32]));
            assert_eq!(verdict, Ok(expected), "option {kind} {value:02x?}");
        }
    }
}
