//! The options of UDP sockets

use std::{io, net::Ipv4Addr};

use super::UdpSocket;

impl UdpSocket {
    /// The number of routers that a datagram to one host may pass (RFC 791 §3.2)
    pub fn ttl(&self) -> io::Result<u32> {
        self.with(|stack, id| stack.udp()?.ttl(id))
    }

    /// Sets the number of routers that a datagram to one host may pass; `InvalidInput` unless it is 1 to 255
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.with(|stack, id| stack.udp()?.set_ttl(id, ttl))
    }

    /// Returns true if datagrams may be sent to a broadcast address
    pub fn broadcast(&self) -> io::Result<bool> {
        self.with(|stack, id| stack.udp()?.broadcast(id))
    }

    /// Sets whether datagrams may be sent to a broadcast address
    ///
    /// That is 255.255.255.255 and, if the stack knows its subnet, the subnet's broadcast address.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.with(|stack, id| stack.udp()?.set_broadcast(id, on))
    }

    /// Joins a multicast group (RFC 1112), and reports it to the routers (RFC 2236)
    ///
    /// A stack has one interface, so `interface` does not matter. Sending to a group needs no
    /// joining.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no group, or if the stack holds eight groups already; `AddrInUse` if
    /// this socket has joined it.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, _interface: Ipv4Addr) -> io::Result<()> {
        self.with(|stack, id| stack.udp()?.join(id, group.into()))
    }

    /// Leaves a multicast group that this socket has joined
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, _interface: Ipv4Addr) -> io::Result<()> {
        self.with(|stack, id| stack.udp()?.leave(id, group.into()))
    }

    /// Returns true if the sockets of this stack receive the datagrams that this one sends to their groups
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.with(|stack, id| stack.udp()?.multicast_loop(id))
    }

    /// Sets whether the sockets of this stack receive the datagrams that this one sends to their groups
    ///
    /// They do by default; this one too, if it is a member.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.with(|stack, id| stack.udp()?.set_multicast_loop(id, on))
    }

    /// The number of routers that a datagram to a group may pass
    ///
    /// 64, and not 1 as of the kernel's sockets: behind a tunnel the next network begins with a
    /// router.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.with(|stack, id| stack.udp()?.multicast_ttl(id))
    }

    /// Sets the number of routers that a datagram to a group may pass; `InvalidInput` above 255
    ///
    /// With 0 it does not leave this stack.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.with(|stack, id| stack.udp()?.set_multicast_ttl(id, ttl))
    }
}
