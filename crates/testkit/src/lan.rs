//! The building's network: its addresses and their owners

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::Ipv4Addr,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The building's router and DNS server, as its clients see it
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// The building's device, with all the other services
pub const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 3);

/// An address of the building that drops all packets to it, as a firewall may do
///
/// For every other address without a host the router answers "host unreachable".
pub const BLACK_HOLE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 254);

pub(crate) const PREFIX_LEN: u8 = 24;

pub(crate) const NETMASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);

/// Octets of the largest IP packet in the building's network, Ethernet's
pub(crate) const MTU: usize = 1500;

/// Addresses for clients: 192.168.1.20 to 192.168.1.219
pub(crate) const MAX_ADDRESSES: usize = 200;

const BROADCAST: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 255);

const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);

/// The addresses for clients, and the calls that have them; clones are the same addresses
///
/// An address that was given back is the last to be given out again, so that packets under way to
/// an old client do not meet a new one. The address of an added host is no client's.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Mutex<Leases>>);

#[derive(Debug)]
struct Leases {
    /// All addresses for clients
    range: Range<Ipv4Addr>,
    free: VecDeque<Ipv4Addr>,
    taken: BTreeMap<Ipv4Addr, u16>,
}

impl Leases {
    fn give_back(&mut self, address: Ipv4Addr) {
        if self.taken.remove(&address).is_some() {
            self.free.push_back(address);
        }
    }
}

impl Pool {
    /// The first `count` addresses
    pub(crate) fn new(count: usize) -> Self {
        let free: VecDeque<_> =
            (u32::from(FIRST_ADDRESS)..).map(Ipv4Addr::from).take(count).collect();
        let range = Range {
            start: FIRST_ADDRESS,
            end: free
                .back()
                .map_or(FIRST_ADDRESS, |last| Ipv4Addr::from(u32::from(*last).saturating_add(1))),
        };
        let leases = Leases { range, free, taken: BTreeMap::new() };
        Self(Arc::new(Mutex::new(leases)))
    }

    /// Gives an address to a call, unless all are taken
    pub(crate) fn take(&self, call_id: u16) -> Option<Ipv4Addr> {
        let mut leases = self.lock();
        let address = leases.free.pop_front()?;
        leases.taken.insert(address, call_id);
        Some(address)
    }

    /// Keeps an address for a host; false if a call has it
    pub(crate) fn reserve(&self, address: Ipv4Addr) -> bool {
        let mut leases = self.lock();
        leases.free.retain(|free| *free != address);
        !leases.taken.contains_key(&address)
    }

    /// Gives an address that was kept for a host back to the clients, if it is one of theirs
    pub(crate) fn release(&self, address: Ipv4Addr) {
        let mut leases = self.lock();
        let is_free = leases.free.contains(&address) || leases.taken.contains_key(&address);
        if leases.range.contains(&address) && !is_free {
            leases.free.push_back(address);
        }
    }

    /// Takes back all addresses of a call
    pub(crate) fn give_back_all(&self, call_id: u16) {
        let mut leases = self.lock();
        let of_call = leases.taken.iter().filter(|(_, call)| **call == call_id);
        for address in of_call.map(|(address, _)| *address).collect::<Vec<_>>() {
            leases.give_back(address);
        }
    }

    /// The call that has this address
    pub(crate) fn call(&self, address: Ipv4Addr) -> Option<u16> {
        self.lock().taken.get(&address).copied()
    }

    fn lock(&self) -> MutexGuard<'_, Leases> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The destination of an IP packet (RFC 791 §3.1)
pub(crate) fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    let (header, _) = packet.split_first_chunk::<20>()?;
    let [first, .., a, b, c, d] = *header;
    (first >> 4 == 4).then_some(Ipv4Addr::new(a, b, c, d))
}

/// Checks that a host can be added at this address: it is that of one host, and of none that is always there
pub(crate) fn may_be_added(address: Ipv4Addr) -> Result<(), io::ErrorKind> {
    let no_host = is_everyone(address)
        || address.is_loopback()
        || matches!(address.octets(), [0 | 240.., ..] | [192, 168, 1, 0]);
    if no_host {
        return Err(io::ErrorKind::InvalidInput);
    }
    if is_taken(address) { Err(io::ErrorKind::AddrInUse) } else { Ok(()) }
}

/// Returns true if hosts of the building take packets for this destination
pub(crate) fn is_taken(destination: Ipv4Addr) -> bool {
    [ROUTER, DEVICE, BLACK_HOLE].contains(&destination) || is_everyone(destination)
}

/// Returns true if this destination is all hosts, or a group of hosts
pub(crate) fn is_everyone(destination: Ipv4Addr) -> bool {
    destination.is_multicast() || destination.is_broadcast() || destination == BROADCAST
}

/// Returns true if a packet for this destination leaves the router again, for another host
pub(crate) fn is_host(destination: Ipv4Addr) -> bool {
    destination != ROUTER && !is_everyone(destination)
}

/// Returns true if a router may not send a packet on: its time to live is 1, or 0 (RFC 1812 §5.3.1)
pub(crate) fn has_expired(packet: &[u8]) -> bool {
    packet.get(8).is_some_and(|time_to_live| *time_to_live <= 1)
}

/// Returns true if a packet is an ICMP echo request to the router (RFC 792)
pub(crate) fn is_ping_of_router(packet: &[u8]) -> bool {
    let header = packet.first().map_or(0, |first| usize::from(first & 0x0F).saturating_mul(4));
    let is_echo_request = packet.get(9) == Some(&1) && packet.get(header) == Some(&8);
    is_echo_request && destination(packet) == Some(ROUTER)
}

/// Returns true if a packet is about group memberships (RFC 2236), which stay on their own link
pub(crate) fn is_igmp(packet: &[u8]) -> bool {
    packet.get(9) == Some(&2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_given_out_once_and_rest_longest() {
        let pool = Pool::new(2);
        assert_eq!(pool.take(7), Some(FIRST_ADDRESS));
        let second = pool.take(8).unwrap();
        assert_eq!(pool.take(9), None);
        assert_eq!(pool.call(second), Some(8));
        pool.give_back_all(8);
        pool.give_back_all(8);
        pool.give_back_all(7);
        assert_eq!(pool.call(second), None);
        assert_eq!(pool.take(9), Some(second));
        assert_eq!(pool.take(10), Some(FIRST_ADDRESS));
        assert_eq!(pool.take(11), None, "an address given back twice is there once");
    }

    #[test]
    fn an_address_that_is_reserved_for_a_host_is_given_to_no_client() {
        let pool = Pool::new(3);
        let second = Ipv4Addr::new(192, 168, 1, 21);
        assert!(pool.reserve(second));
        assert_eq!(pool.take(7), Some(FIRST_ADDRESS));
        assert_eq!(pool.take(8), Some(Ipv4Addr::new(192, 168, 1, 22)));
        assert_eq!(pool.take(9), None);
        assert!(!pool.reserve(FIRST_ADDRESS), "a call has it");
        pool.give_back_all(7);
        assert_eq!(pool.take(9), Some(FIRST_ADDRESS), "and gives it back for the next");
        for address in [second, second, FIRST_ADDRESS, DEVICE] {
            pool.release(address);
        }
        assert_eq!((pool.take(10), pool.take(11)), (Some(second), None), "a client's, once");
    }

    #[test]
    fn a_host_may_be_at_any_address_of_one_host() {
        for address in [[192, 168, 1, 2], [192, 168, 1, 50], [10, 0, 0, 1], [172, 16, 5, 9]] {
            assert_eq!(may_be_added(address.into()), Ok(()), "{address:?}");
        }
        for address in [ROUTER, DEVICE, BLACK_HOLE] {
            assert_eq!(may_be_added(address), Err(io::ErrorKind::AddrInUse), "{address}");
        }
        for address in [
            [0, 0, 0, 0],
            [0, 1, 2, 3],
            [127, 0, 0, 1],
            [224, 0, 23, 12],
            [240, 0, 0, 1],
            [255, 255, 255, 255],
            [192, 168, 1, 0],
            [192, 168, 1, 255],
        ] {
            assert_eq!(may_be_added(address.into()), Err(io::ErrorKind::InvalidInput));
        }
    }

    #[test]
    fn the_pool_ends_where_it_says() {
        let pool = Pool::new(MAX_ADDRESSES);
        let all: Vec<_> = std::iter::from_fn(|| pool.take(1)).collect();
        assert_eq!(all.last(), Some(&Ipv4Addr::new(192, 168, 1, 219)));
    }

    #[test]
    fn the_router_is_pinged_by_echo_requests_to_its_own_address_only() {
        let mut packet = [0; 28];
        (packet[0], packet[9], packet[20]) = (0x45, 1, 8);
        packet[16..20].copy_from_slice(&ROUTER.octets());
        assert!(is_ping_of_router(&packet) && has_expired(&packet));
        for (at, other) in [(9, 17), (20, 0), (19, 3)] {
            let mut another = packet;
            another[at] = other;
            assert!(!is_ping_of_router(&another), "octet {at}");
        }
        packet[8] = 2;
        assert!(!has_expired(&packet));
        assert!(is_host(DEVICE) && is_host(BLACK_HOLE) && !is_host(ROUTER) && !is_host(BROADCAST));
    }

    #[test]
    fn only_whole_ipv4_headers_have_a_destination() {
        let mut packet = [0; 20];
        packet[0] = 0x45;
        packet[16..].copy_from_slice(&DEVICE.octets());
        assert_eq!(destination(&packet), Some(DEVICE));
        assert_eq!(destination(&packet[..19]), None);
        packet[0] = 0x60;
        assert_eq!(destination(&packet), None);
    }
}
