//! IPV6CP's option: the interface identifier that makes a link-local address (RFC 5072 §4)

use std::net::Ipv6Addr;

use crate::{
    context::random::Random,
    failure::Failure,
    negotiation::negotiator::{
        Negotiator,
        option_set::{Judgement, OptionSet},
    },
    wire::{
        frame,
        options::{ConfigurationOption, Options, OptionsBuf},
        protocol::Protocol,
    },
};

/// The link-local addresses of both ends, as IPV6CP agreed on them (RFC 5072 §5)
///
/// Addresses of a wider scope come by router advertisements or the DHCP of IPv6, inside the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ipv6Addresses {
    /// Ours
    pub address: Ipv6Addr,
    /// The peer's
    pub peer_address: Ipv6Addr,
}

/// IPV6CP, the same for both roles
#[derive(Debug, Default)]
pub(crate) struct Ipv6cp {
    own: Identifier,
    peer: Identifier,
    /// True if the peer rejects identifiers: there is no address then
    is_rejected: bool,
}

/// Makes the negotiator of IPV6CP if IPv6 is wanted; boxed, since hardly any link wants it
pub(crate) fn negotiator(wanted: bool) -> Option<Box<Negotiator<Ipv6cp>>> {
    wanted.then(|| Box::new(Negotiator::prompted(Ipv6cp::default())))
}

/// An interface identifier of eight octets; zero stands for no identifier
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Identifier(u64);

impl Identifier {
    /// Draws an identifier that is neither zero nor `other`, with the universal bit clear (RFC 5072 §4.1)
    fn other_than(other: Self, random: &mut Random) -> Self {
        let high = u64::from(random.magic());
        let low = u64::from(random.magic());
        let own = Self((high << 32 | low) & !UNIVERSAL);
        if own.0 == 0 || own == other { Self(other.0 & !UNIVERSAL ^ 1) } else { own }
    }

    fn of(option: &ConfigurationOption<'_>) -> Option<Self> {
        (option.kind == INTERFACE_IDENTIFIER).then_some(())?;
        option.value.try_into().ok().map(u64::from_be_bytes).map(Self)
    }

    const fn is_none(self) -> bool {
        self.0 == 0
    }

    fn link_local(self) -> Ipv6Addr {
        Ipv6Addr::from_bits(u128::from(LINK_LOCAL) << 64 | u128::from(self.0))
    }
}

impl Ipv6cp {
    /// Returns the addresses that were agreed on, once IPV6CP is open
    pub(crate) fn addresses(&self) -> Option<Ipv6Addresses> {
        let told = !self.is_rejected && !self.own.is_none() && !self.peer.is_none();
        let (address, peer_address) = (self.own.link_local(), self.peer.link_local());
        told.then_some(Ipv6Addresses { address, peer_address })
    }
}

impl OptionSet for Ipv6cp {
    const PROTOCOL: Protocol = Protocol::Ipv6cp;
    const NUMBER: u16 = frame::IPV6CP;

    /// Keeps the identifier for as long as the link lives: sockets may be bound to its address
    fn restart(&mut self, random: &mut Random) {
        let own = self.own;
        *self = Self { own, ..Self::default() };
        if own.is_none() {
            self.own = Identifier::other_than(own, random);
        }
    }

    fn request(&self) -> OptionsBuf {
        let mut request = OptionsBuf::default();
        if !self.is_rejected {
            request.push(INTERFACE_IDENTIFIER, &self.own.0.to_be_bytes());
        }
        request
    }

    /// Judges the peer's identifier: zero asks for one, and both ends must differ (RFC 5072 §4.1)
    fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        random: &mut Random,
    ) -> Result<Judgement, Failure> {
        Ok(match Identifier::of(option) {
            Some(peer) if !peer.is_none() && peer != self.own => Judgement::Ack,
            Some(_) => {
                Judgement::Nak(Identifier::other_than(self.own, random).0.to_be_bytes().into())
            }
            None => Judgement::Reject,
        })
    }

    fn on_ack_sent(&mut self, request: &Options<'_>) {
        let peer = request.find(INTERFACE_IDENTIFIER).as_ref().and_then(Identifier::of);
        self.peer = peer.unwrap_or_default();
    }

    fn on_nak(&mut self, options: &Options<'_>, random: &mut Random) -> Result<(), Failure> {
        let hint = options.find(INTERFACE_IDENTIFIER).as_ref().and_then(Identifier::of);
        let usable = hint.filter(|hint| !hint.is_none() && *hint != self.peer);
        self.own = usable.unwrap_or_else(|| Identifier::other_than(self.own, random));
        Ok(())
    }

    fn on_reject(&mut self, options: &Options<'_>) -> Result<(), Failure> {
        self.is_rejected |= options.find(INTERFACE_IDENTIFIER).is_some();
        Ok(())
    }
}

/// `FE80::/64` (RFC 4291 §2.5.6)
const LINK_LOCAL: u64 = 0xFE80_0000_0000_0000;

/// The bit that says an identifier is unique all over the world, which a random one is not
const UNIVERSAL: u64 = 0x0200_0000_0000_0000;

const INTERFACE_IDENTIFIER: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv6cp() -> (Ipv6cp, Random) {
        let (mut ipv6cp, mut random) = (Ipv6cp::default(), Random::new([7; 32]));
        ipv6cp.restart(&mut random);
        (ipv6cp, random)
    }

    fn judge(value: &[u8]) -> Judgement {
        let (mut ipv6cp, mut random) = ipv6cp();
        let option = ConfigurationOption { kind: INTERFACE_IDENTIFIER, value };
        ipv6cp.judge(&option, &mut random).unwrap()
    }

    fn list(identifier: u64) -> Vec<u8> {
        [&[1, 10][..], &identifier.to_be_bytes()].concat()
    }

    #[test]
    fn rfc5072_section_4_1_what_is_asked_for_is_judged() {
        assert_eq!(judge(&[1; 8]), Judgement::Ack);
        let Judgement::Nak(suggested) = judge(&[0; 8]) else { panic!("zero asks for one") };
        assert_ne!(suggested, [0; 8]);
        assert_eq!(suggested[0] & 2, 0, "not universal");
        let (mut ipv6cp, mut random) = ipv6cp();
        let own = ipv6cp.own.0.to_be_bytes();
        let option = ConfigurationOption { kind: INTERFACE_IDENTIFIER, value: &own };
        let Judgement::Nak(other) = ipv6cp.judge(&option, &mut random).unwrap() else { panic!() };
        assert_ne!(other, own);
        for length in [0, 1, 2, 7, 9, 253] {
            assert_eq!(judge(&vec![1; length]), Judgement::Reject, "{length} octets");
        }
        let compression = ConfigurationOption { kind: 2, value: &[0, 0x4F] };
        assert_eq!(ipv6cp.judge(&compression, &mut random), Ok(Judgement::Reject));
    }

    #[test]
    fn a_suggestion_is_taken_unless_it_is_the_peers_own_or_none() {
        let (mut ipv6cp, mut random) = ipv6cp();
        ipv6cp.on_ack_sent(&Options::parse(&list(9)).unwrap());
        ipv6cp.on_nak(&Options::parse(&list(5)).unwrap(), &mut random).unwrap();
        assert_eq!(ipv6cp.request().into_vec(), list(5));
        for bad in [0, 9] {
            ipv6cp.on_nak(&Options::parse(&list(bad)).unwrap(), &mut random).unwrap();
            assert!(![0, 5, 9].contains(&ipv6cp.own.0), "another one at random");
        }
        let addresses = ipv6cp.addresses().unwrap();
        assert_eq!(addresses.peer_address, "fe80::9".parse::<Ipv6Addr>().unwrap());
        let own = ipv6cp.own;
        ipv6cp.restart(&mut random);
        assert_eq!((ipv6cp.own, ipv6cp.addresses()), (own, None));
    }

    #[test]
    fn without_an_identifier_at_either_end_there_is_no_address() {
        let (mut ipv6cp, _) = ipv6cp();
        ipv6cp.on_ack_sent(&Options::parse(&[]).unwrap());
        assert_eq!(ipv6cp.addresses(), None);
        ipv6cp.on_ack_sent(&Options::parse(&list(9)).unwrap());
        ipv6cp.on_reject(&Options::parse(&list(1)).unwrap()).unwrap();
        assert!(ipv6cp.request().is_empty());
        assert_eq!(ipv6cp.addresses(), None);
    }
}
