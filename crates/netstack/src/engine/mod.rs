//! The engine: the only folder that names smoltcp
//!
//! The rest of the crate knows four things of it. An [`Engine`] is the interface: it answers packets
//! that no socket takes, and speaks for multicast groups. A [`TcpEngine`] is the state machine of one
//! TCP connection. [`Datagram`], [`Segment`] and [`Fragment`] are parsed packets.
//! [`BareSegment`], [`IpHeader`] and [`EchoRequest`] compose packets. Another engine replaces the
//! files of this folder and no other.

mod compose;
mod datagram;
mod datagram_ring;
mod fragment;
mod initial_number;
mod port;
mod state;
mod tcp;
#[cfg(test)]
pub(crate) mod testing;

use pptp_packet::Egress;
use smoltcp::{
    iface::{Config, Interface, SocketSet},
    time::Instant,
    wire::{HardwareAddress, IpAddress, IpCidr, IpEndpoint, Ipv4Cidr},
};

use self::port::{Port, Unplugged};
pub(crate) use self::{
    compose::{BareSegment, Control, EchoRequest, IpHeader, compose_udp, udp_checksum},
    datagram::{Datagram, Protocol, Segment, Unusable},
    datagram_ring::DatagramRing,
    fragment::{Fragment, Key, complete_header},
    state::State,
    tcp::TcpEngine,
};
use crate::{
    SocketError,
    ip::{Address, Addresses, Endpoint},
    shared::time::{NEVER, Time},
};

/// The interface of a stack: smoltcp's, without a socket
pub(crate) struct Engine {
    interface: Interface,
    /// The empty set of sockets, for packets that no socket takes
    no_sockets: SocketSet<'static>,
    mtu: usize,
}

impl Engine {
    /// An interface with these addresses and a route to everywhere
    ///
    /// smoltcp fixes the MTU when the interface is made: another MTU is another interface, with the
    /// same sockets.
    pub(crate) fn new(addresses: &Addresses, mtu: usize, seed: u64, now: Time) -> Self {
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
        Self { interface, no_sockets: SocketSet::new(Vec::new()), mtu }
    }

    /// An engine of the same MTU whose next connection has the initial sequence number `number`
    pub(crate) fn with_initial_number(
        &self,
        number: i32,
        addresses: &Addresses,
        now: Time,
    ) -> Self {
        Self::new(addresses, self.mtu, initial_number::seed_for(number), now)
    }

    /// Octets of the largest IP packet
    pub(crate) const fn mtu(&self) -> usize {
        self.mtu
    }

    /// Answers a packet that no socket takes: a reset, an echo reply, port or protocol unreachable
    ///
    /// `sent` counts the packets that are composed.
    pub(crate) fn answer(
        &mut self,
        packet: &[u8],
        now: Time,
        sent: &mut u64,
        out: &mut impl Egress,
    ) {
        let mut port = Port { packet: Some(packet), out, sent, mtu: self.mtu };
        self.interface.poll_ingress_single(to_smoltcp(now), &mut port, &mut self.no_sockets);
    }

    /// Composes the reports of multicast groups that are due (IGMP version 2, RFC 2236)
    pub(crate) fn multicast_egress(&mut self, now: Time, sent: &mut u64, out: &mut impl Egress) {
        let mut port = Port { packet: None, out, sent, mtu: self.mtu };
        self.interface.poll_egress(to_smoltcp(now), &mut port, &mut self.no_sockets);
    }

    /// Joins a multicast group
    pub(crate) fn join(&mut self, group: Address) -> Result<(), SocketError> {
        let group = ip_address(group).ok_or(SocketError::Ipv6)?;
        self.interface.join_multicast_group(group).map_err(|_| SocketError::MulticastGroup)
    }

    /// Leaves a multicast group, if it was joined
    pub(crate) fn leave(&mut self, group: Address) {
        if let Some(group) = ip_address(group) {
            let _ = self.interface.leave_multicast_group(group);
        }
    }
}

/// smoltcp's form of an address; `None` for IPv6, which it is built without
fn ip_address(address: Address) -> Option<IpAddress> {
    address.v4().map(IpAddress::Ipv4)
}

fn ip_endpoint(endpoint: Endpoint) -> Option<IpEndpoint> {
    Some(IpEndpoint::new(ip_address(endpoint.address())?, endpoint.port()))
}

fn to_smoltcp(time: Time) -> Instant {
    Instant::from_micros(i64::try_from(time).unwrap_or(i64::MAX))
}

fn from_smoltcp(time: Option<Instant>) -> Time {
    time.map_or(NEVER, |at| Time::try_from(at.total_micros()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_survives_the_way_to_smoltcp_and_back() {
        assert_eq!(from_smoltcp(Some(to_smoltcp(42))), 42);
        assert_eq!(from_smoltcp(None), NEVER);
    }
}
