//! smoltcp's view of the one link there is, and of time

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use pptp_packet::Egress;
use smoltcp::{
    iface::{Config, Interface},
    phy::{self, Checksum, Device, DeviceCapabilities, Medium},
    time,
    wire::{HardwareAddress, IpCidr, Ipv4Cidr},
};

use crate::SocketError;

/// Microseconds since the stack was made
pub(super) type Time = u64;

/// No time at all: a deadline that never comes
pub(super) const NEVER: Time = Time::MAX;

pub(super) fn micros(duration: Duration) -> Time {
    Time::try_from(duration.as_micros()).unwrap_or(NEVER)
}

pub(super) fn to_smoltcp(time: Time) -> time::Instant {
    time::Instant::from_micros(i64::try_from(time).unwrap_or(i64::MAX))
}

pub(super) fn from_smoltcp(time: Option<time::Instant>) -> Time {
    time.map_or(NEVER, |at| Time::try_from(at.total_micros()).unwrap_or(0))
}

/// A time to live that a packet can leave with
pub(super) fn hop_limit(ttl: u32) -> Result<u8, SocketError> {
    u8::try_from(ttl).ok().filter(|ttl| *ttl > 0).ok_or(SocketError::TimeToLive)
}

/// The time to live that RFC 1700 recommends
pub(super) const HOP_LIMIT: u8 = 64;

/// Where the stack's time begins
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    epoch: Instant,
    /// What was asked for last: all that is done in one turn is done at one moment
    last: (Instant, Time),
}

impl Clock {
    pub(super) const fn new(epoch: Instant) -> Self {
        Self { epoch, last: (epoch, 0) }
    }

    pub(super) fn time(&mut self, at: Instant) -> Time {
        if self.last.0 != at {
            self.last = (at, micros(at.saturating_duration_since(self.epoch)));
        }
        self.last.1
    }

    pub(super) fn instant(self, at: Time) -> Option<Instant> {
        if at == NEVER { None } else { self.epoch.checked_add(Duration::from_micros(at)) }
    }
}

/// The addresses an interface answers to
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) first: Ipv4Addr,
    pub(super) second: Option<Ipv4Addr>,
    pub(super) prefix_len: u8,
}

impl Addresses {
    pub(super) fn own(&self, address: Ipv4Addr) -> bool {
        address == self.first || self.second == Some(address)
    }

    /// Whether datagrams sent there are meant for everyone on the link
    pub(super) fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        address.is_broadcast() || self.subnet_broadcast() == Some(address)
    }

    /// Whether a datagram that came in was sent to everyone
    ///
    /// Without a known subnet, the broadcast address of any subnet this host may be in: nothing
    /// else than a relayed broadcast is ever sent into a point-to-point link with such a
    /// destination.
    pub(super) fn was_broadcast(&self, address: Ipv4Addr) -> bool {
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

/// An interface with these addresses and a route to everywhere
///
/// smoltcp fixes the MTU when the interface is made: another MTU is another interface, with the
/// same sockets.
pub(super) fn interface(addresses: &Addresses, mtu: usize, seed: u64, now: Time) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut interface = Interface::new(config, &mut Unplugged { mtu }, to_smoltcp(now));
    interface.update_ip_addrs(|list| {
        for address in std::iter::once(addresses.first).chain(addresses.second) {
            // smoltcp's interface holds two addresses, and there are no more than two
            let _ = list.push(IpCidr::Ipv4(Ipv4Cidr::new(address, addresses.prefix_len)));
        }
    });
    let _ = interface.routes_mut().add_default_ipv4_route(addresses.first);
    interface
}

/// The seed of an interface that gives `number` to the next connection as its initial sequence number
///
/// smoltcp draws that number from a generator of its own (`rand.rs`), whose next outputs follow from a few
/// that were seen, and has no other hook. So the generator is made to give it: a state is chosen that the
/// output `number` is taken from, and the steps before it are undone. There are two, for an interface that
/// is made draws an IPv4 identification, again if that is 0.
pub(super) fn seed_for(number: i32) -> u64 {
    let mut seeds = (0..MAX_DRAWS).map(|spare| {
        // of a state that begins with three set bits, bits 22 to 53 are the output; those below are spare
        let second = (0b111 << 61) | (u64::from(number.cast_unsigned()) << 22) | spare;
        let first = step_back(second);
        (first, step_back(first))
    });
    seeds.find(|(first, _)| identification(output(*first)) != 0).map_or(0, |(_, seed)| seed)
}

/// What smoltcp's generator gives in a state
const fn output(state: u64) -> u32 {
    let shift = 29_u64.saturating_sub(state >> 61);
    let [.., a, b, c, d] = (state >> shift).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The IPv4 identification that an interface makes of an output
const fn identification(output: u32) -> u16 {
    let [.., high, low] = (output ^ (output >> 16)).to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// The state before `state`
const fn step_back(state: u64) -> u64 {
    state.wrapping_sub(INCREMENT).wrapping_mul(inverse(MULTIPLIER))
}

/// The inverse of an odd number modulo 2^64, by Newton's method
const fn inverse(odd: u64) -> u64 {
    // right in three bits, and in twice as many after each step
    let mut inverse = odd;
    let mut bits = 3_u32;
    while bits < u64::BITS {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        bits = bits.saturating_mul(2);
    }
    inverse
}

/// The constants of smoltcp's generator
const MULTIPLIER: u64 = 0xBB2E_FCEC_3C39_611D;
const INCREMENT: u64 = 0x7590_EF39;

/// States tried for one number: one in 65,536 gives the identification 0, and 64 in a row do not
const MAX_DRAWS: u64 = 64;

/// A device that lives as long as one call: the packet that came in, and the way out
pub(super) struct Port<'a, E> {
    pub(super) packet: Option<&'a [u8]>,
    pub(super) out: &'a mut E,
    pub(super) sent: &'a mut u64,
    pub(super) mtu: usize,
}

impl<E: Egress> Device for Port<'_, E> {
    type RxToken<'t>
        = Receive<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Transmit<'t, E>
    where
        Self: 't;

    fn receive(&mut self, _: time::Instant) -> Option<(Receive<'_>, Transmit<'_, E>)> {
        let packet = self.packet.take()?;
        Some((Receive(packet), Transmit { out: self.out, sent: self.sent }))
    }

    fn transmit(&mut self, _: time::Instant) -> Option<Transmit<'_, E>> {
        self.out.has_room().then_some(Transmit { out: self.out, sent: self.sent })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}

pub(super) struct Receive<'a>(&'a [u8]);

impl phy::RxToken for Receive<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

pub(super) struct Transmit<'a, E> {
    out: &'a mut E,
    sent: &'a mut u64,
}

impl<E: Egress> phy::TxToken for Transmit<'_, E> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        *self.sent = self.sent.saturating_add(1);
        self.out.compose(len, f)
    }
}

/// What an interface is made from: it asks for nothing but the capabilities
struct Unplugged {
    mtu: usize,
}

impl Device for Unplugged {
    type RxToken<'t> = Receive<'t>;
    type TxToken<'t> = NoTransmit;

    fn receive(&mut self, _: time::Instant) -> Option<(Receive<'_>, NoTransmit)> {
        None
    }

    fn transmit(&mut self, _: time::Instant) -> Option<NoTransmit> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.mtu)
    }
}

enum NoTransmit {}

impl phy::TxToken for NoTransmit {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}

fn capabilities(mtu: usize) -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ip;
    capabilities.max_transmission_unit = mtu;
    // what comes in is verified before the socket is looked for, its header before anything else
    (capabilities.checksum.ipv4, capabilities.checksum.tcp) = (Checksum::Tx, Checksum::Tx);
    capabilities
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

    #[test]
    fn the_generator_gives_the_number_after_the_identification() {
        let step = |state: u64| state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        // two numbers whose first state gives the identification 0 are among 200,000
        let many = (0..200_000).map(|number: i32| number.wrapping_mul(21_475));
        for number in many.chain([0, 1, -1, i32::MIN, i32::MAX, 0x1234_5678]) {
            let first = step(seed_for(number));
            assert_ne!(identification(output(first)), 0, "{number}");
            assert_eq!(output(step(first)), number.cast_unsigned());
        }
        assert_eq!(inverse(MULTIPLIER).wrapping_mul(MULTIPLIER), 1);
    }

    #[test]
    fn time_survives_the_way_to_smoltcp_and_back() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let mut clock = Clock::new(Instant::now());
        let at = clock.instant(1_234_567).unwrap();
        assert_eq!((clock.time(at), clock.time(at)), (1_234_567, 1_234_567));
        assert_eq!(clock.instant(NEVER), None);
        assert_eq!(from_smoltcp(Some(to_smoltcp(42))), 42);
        assert_eq!(from_smoltcp(None), NEVER);
    }
}
