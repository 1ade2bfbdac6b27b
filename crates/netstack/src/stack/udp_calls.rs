//! What UDP sockets ask of the stack

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    task::Poll,
};

use tokio::io::Ready;

use super::{Stack, Ticket, listen::overlap, table::Id, udp::UdpSocket};
use crate::{SocketError, UdpOptions, ip::hop_limit};

impl Stack {
    /// Binds to an address and port, a random port if it is 0
    pub(crate) fn udp_bind(
        &mut self,
        local: SocketAddrV4,
        options: &UdpOptions,
    ) -> io::Result<(Id, SocketAddrV4)> {
        self.check_ended()?;
        self.check_own(*local.ip())?;
        let Self { random, freed, udp, udp_ports, .. } = &mut *self;
        let taken = |port| {
            let local = SocketAddrV4::new(*local.ip(), port);
            let bound = udp_ports.range((port, 0)..=(port, Id::MAX));
            bound.filter_map(|(_, id)| udp.get(*id)).any(|socket| overlap(socket.local, local))
        };
        let port = match local.port() {
            0 => freed.choose(random, taken).ok_or(SocketError::AddressInUse)?,
            port if taken(port) => return Err(SocketError::AddressInUse.into()),
            port => port,
        };
        let local = SocketAddrV4::new(*local.ip(), port);
        let id = self.udp.insert(UdpSocket::new(local, options, self.engine.mtu()));
        self.udp_ports.insert((port, id));
        Ok((id, local))
    }

    pub(crate) fn udp_connect(&mut self, id: Id, peer: SocketAddrV4) -> io::Result<()> {
        self.check_ended()?;
        self.addresses.check_peer(peer)?;
        self.udp(id)?.connect(peer);
        Ok(())
    }

    pub(crate) fn udp_peer(&mut self, id: Id) -> io::Result<SocketAddrV4> {
        self.check_ended()?;
        Ok(self.udp(id)?.peer.ok_or(SocketError::NotConnected)?)
    }

    pub(crate) fn udp_recv(
        &mut self,
        id: Id,
        peek: bool,
        read: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<io::Result<(usize, SocketAddrV4)>> {
        self.check_ended()?;
        self.udp(id)?.recv(peek, read)
    }

    pub(crate) fn udp_send(
        &mut self,
        id: Id,
        payload: &[u8],
        to: Option<SocketAddrV4>,
    ) -> Poll<io::Result<usize>> {
        self.check_ended()?;
        if self.is_held_up(id) {
            return self
                .udp(id)?
                .take_error()
                .map_or(Poll::Pending, |error| Err(error.into()).into());
        }
        let addresses = self.addresses;
        let socket = self.udp(id)?;
        let sent = socket.send(payload, to, &addresses);
        if matches!(sent, Poll::Ready(Ok(_))) {
            let (source, looped) = (socket.source(&addresses), socket.multicast_loop);
            let group = to.or(socket.peer).filter(|to| looped && to.ip().is_multicast());
            if let Some(group) = group {
                self.give_to_udp(source, group, false, payload);
            }
            self.count_held(id, payload.len());
            self.enqueue(Ticket::Udp(id));
            self.ready = true;
        }
        sent
    }

    /// The address and port it is bound to; with a peer, those that datagrams leave from
    pub(crate) fn udp_local(&mut self, id: Id) -> io::Result<SocketAddrV4> {
        self.check_ended()?;
        let addresses = self.addresses;
        let socket = self.udp(id)?;
        Ok(if socket.peer.is_some() { socket.source(&addresses) } else { socket.local })
    }

    pub(crate) fn udp_readiness(&mut self, id: Id) -> io::Result<Ready> {
        self.check_ended()?;
        let held_up = self.is_held_up(id);
        let ready = self.udp(id)?.readiness();
        let waits = held_up && !ready.is_error() && !ready.is_write_closed();
        let readable = ready & (Ready::READABLE | Ready::READ_CLOSED | Ready::ERROR);
        Ok(if waits { readable } else { ready })
    }

    pub(crate) fn udp_take_error(&mut self, id: Id) -> io::Result<Option<io::Error>> {
        self.check_ended()?;
        Ok(self.udp(id)?.take_error().map(Into::into))
    }

    pub(crate) fn udp_poll_readable(&mut self, id: Id) -> Poll<io::Result<()>> {
        self.check_ended()?;
        if self.udp(id)?.is_readable() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    pub(crate) fn udp_poll_writable(&mut self, id: Id) -> Poll<io::Result<()>> {
        self.check_ended()?;
        let held_up = self.is_held_up(id);
        let socket = self.udp(id)?;
        let fails = socket.failed.is_some() || socket.pending_error.is_some();
        let writable = fails || (socket.is_writable() && !held_up);
        if writable { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// What this socket sends is repeated by its user, and waits for no path to open
    pub(crate) fn udp_repeats(&mut self, id: Id) -> io::Result<()> {
        self.check_ended()?;
        self.udp(id)?.repeats = true;
        Ok(())
    }

    pub(crate) fn udp_broadcast(&mut self, id: Id) -> io::Result<bool> {
        self.check_ended()?;
        Ok(self.udp(id)?.broadcast)
    }

    pub(crate) fn udp_set_broadcast(&mut self, id: Id, broadcast: bool) -> io::Result<()> {
        self.check_ended()?;
        self.udp(id)?.broadcast = broadcast;
        Ok(())
    }

    pub(crate) fn udp_ttl(&mut self, id: Id) -> io::Result<u32> {
        self.check_ended()?;
        Ok(self.udp(id)?.ttl.into())
    }

    pub(crate) fn udp_set_ttl(&mut self, id: Id, ttl: u32) -> io::Result<()> {
        self.check_ended()?;
        self.udp(id)?.ttl = hop_limit(ttl)?;
        Ok(())
    }

    pub(crate) fn udp_multicast_ttl(&mut self, id: Id) -> io::Result<u32> {
        self.check_ended()?;
        Ok(self.udp(id)?.multicast_ttl.into())
    }

    pub(crate) fn udp_set_multicast_ttl(&mut self, id: Id, ttl: u32) -> io::Result<()> {
        self.check_ended()?;
        self.udp(id)?.multicast_ttl = u8::try_from(ttl).map_err(|_| SocketError::TimeToLive)?;
        Ok(())
    }

    pub(crate) fn udp_multicast_loop(&mut self, id: Id) -> io::Result<bool> {
        self.check_ended()?;
        Ok(self.udp(id)?.multicast_loop)
    }

    pub(crate) fn udp_set_multicast_loop(&mut self, id: Id, on: bool) -> io::Result<()> {
        self.check_ended()?;
        self.udp(id)?.multicast_loop = on;
        Ok(())
    }

    pub(crate) fn udp_join(&mut self, id: Id, group: Ipv4Addr) -> io::Result<()> {
        self.check_ended()?;
        if !group.is_multicast() {
            return Err(SocketError::MulticastGroup.into());
        }
        if self.udp(id)?.groups.contains(&group) {
            return Err(SocketError::AddressInUse.into());
        }
        self.multicast.join(group, &mut self.engine, self.now)?;
        self.udp(id)?.groups.push(group);
        self.ready = true;
        Ok(())
    }

    pub(crate) fn udp_leave(&mut self, id: Id, group: Ipv4Addr) -> io::Result<()> {
        self.check_ended()?;
        let groups = &mut self.udp(id)?.groups;
        let at = groups.iter().position(|joined| *joined == group);
        groups.swap_remove(at.ok_or(SocketError::AddressNotAvailable)?);
        self.multicast.leave(group, &mut self.engine, self.now);
        self.ready = true;
        Ok(())
    }

    /// The user has let go of a socket: it is freed once what it has sent has left
    pub(crate) fn udp_release(&mut self, id: Id) {
        let Some(socket) = self.udp.get_mut(id) else { return };
        self.udp_ports.remove(&(socket.local.port(), id));
        self.freed.push(socket.local.port());
        socket.dropped = true;
        socket.readers.forget(&mut self.wakes);
        socket.writers.forget(&mut self.wakes);
        for group in std::mem::take(&mut socket.groups) {
            self.multicast.leave(group, &mut self.engine, self.now);
            self.ready = true;
        }
        if !socket.has_egress() {
            self.udp.remove(id);
        }
    }

    fn udp(&mut self, id: Id) -> Result<&mut UdpSocket, SocketError> {
        self.udp.get_mut(id).ok_or(SocketError::NotConnected)
    }
}
