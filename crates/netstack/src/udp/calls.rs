//! The calls of UDP sockets

use std::{io, task::Poll};

use tokio::io::Ready;

use super::{Udp, socket::UdpSocket};
use crate::{
    SocketError, UdpOptions,
    ip::{Address, Endpoint, hop_limit, overlap},
    shared::{Shared, table::Id},
};

/// The calls of UDP sockets
pub(crate) struct UdpCalls<'a> {
    pub(crate) udp: &'a mut Udp,
    pub(crate) shared: &'a mut Shared,
}

impl UdpCalls<'_> {
    /// Binds to an address and port, a random port if it is 0
    pub(crate) fn bind(
        &mut self,
        local: Endpoint,
        options: &UdpOptions,
    ) -> io::Result<(Id, Endpoint)> {
        self.shared.check_own(local.address())?;
        let (Shared { random, freed, .. }, Udp { sockets, ports, .. }) =
            (&mut *self.shared, &*self.udp);
        let taken = |port| {
            let local = Endpoint::new(local.address(), port);
            let bound = ports.range((port, 0)..=(port, Id::MAX));
            bound.filter_map(|(_, id)| sockets.get(*id)).any(|socket| overlap(socket.local, local))
        };
        let port = match local.port() {
            0 => freed.choose(random, taken).ok_or(SocketError::AddressInUse)?,
            port if taken(port) => return Err(SocketError::AddressInUse.into()),
            port => port,
        };
        let local = Endpoint::new(local.address(), port);
        let id = self.udp.sockets.insert(UdpSocket::new(local, options, self.shared.engine.mtu()));
        self.udp.ports.insert((port, id));
        Ok((id, local))
    }

    pub(crate) fn connect(&mut self, id: Id, peer: Endpoint) -> io::Result<()> {
        self.shared.addresses.check_peer(peer)?;
        self.socket(id)?.connect(peer);
        Ok(())
    }

    pub(crate) fn peer(&mut self, id: Id) -> io::Result<Endpoint> {
        Ok(self.socket(id)?.peer.ok_or(SocketError::NotConnected)?)
    }

    pub(crate) fn recv(
        &mut self,
        id: Id,
        peek: bool,
        read: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<io::Result<(usize, Endpoint)>> {
        self.socket(id)?.recv(peek, read)
    }

    pub(crate) fn send(
        &mut self,
        id: Id,
        payload: &[u8],
        to: Option<Endpoint>,
    ) -> Poll<io::Result<usize>> {
        if self.udp.is_held_up(id) {
            return self
                .socket(id)?
                .take_error()
                .map_or(Poll::Pending, |error| Err(error.into()).into());
        }
        let addresses = self.shared.addresses;
        let socket = self.socket(id)?;
        let sent = socket.send(payload, to, &addresses);
        if matches!(sent, Poll::Ready(Ok(_))) {
            let looped = socket.multicast_loop;
            let group = to.or(socket.peer).filter(|to| looped && to.address().is_multicast());
            if let Some(group) = group {
                let source = socket.source(&addresses);
                self.udp.deliver(source, group, false, payload, self.shared);
            }
            self.udp.count_held(id, payload.len());
            self.udp.enqueue(id, self.shared);
            self.shared.ready = true;
        }
        sent
    }

    /// The address and port that it is bound to; with a peer, those that its datagrams leave from
    pub(crate) fn local(&mut self, id: Id) -> io::Result<Endpoint> {
        let addresses = self.shared.addresses;
        let socket = self.socket(id)?;
        Ok(if socket.peer.is_some() { socket.source(&addresses) } else { socket.local })
    }

    pub(crate) fn readiness(&mut self, id: Id) -> io::Result<Ready> {
        let held_up = self.udp.is_held_up(id);
        let ready = self.socket(id)?.readiness();
        let waits = held_up && !ready.is_error() && !ready.is_write_closed();
        let readable = ready & (Ready::READABLE | Ready::READ_CLOSED | Ready::ERROR);
        Ok(if waits { readable } else { ready })
    }

    pub(crate) fn take_error(&mut self, id: Id) -> io::Result<Option<io::Error>> {
        Ok(self.socket(id)?.take_error().map(Into::into))
    }

    pub(crate) fn poll_readable(&mut self, id: Id) -> Poll<io::Result<()>> {
        if self.socket(id)?.is_readable() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    pub(crate) fn poll_writable(&mut self, id: Id) -> Poll<io::Result<()>> {
        let held_up = self.udp.is_held_up(id);
        let socket = self.socket(id)?;
        let fails = socket.failed.is_some() || socket.pending_error.is_some();
        let writable = fails || (socket.is_writable() && !held_up);
        if writable { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Lets datagrams of this socket leave before the path is open, because its user repeats them
    pub(crate) fn set_repeats(&mut self, id: Id) -> io::Result<()> {
        self.socket(id)?.repeats = true;
        Ok(())
    }

    pub(crate) fn broadcast(&mut self, id: Id) -> io::Result<bool> {
        Ok(self.socket(id)?.broadcast)
    }

    pub(crate) fn set_broadcast(&mut self, id: Id, broadcast: bool) -> io::Result<()> {
        self.socket(id)?.broadcast = broadcast;
        Ok(())
    }

    pub(crate) fn ttl(&mut self, id: Id) -> io::Result<u32> {
        Ok(self.socket(id)?.ttl.into())
    }

    pub(crate) fn set_ttl(&mut self, id: Id, ttl: u32) -> io::Result<()> {
        self.socket(id)?.ttl = hop_limit(ttl)?;
        Ok(())
    }

    pub(crate) fn multicast_ttl(&mut self, id: Id) -> io::Result<u32> {
        Ok(self.socket(id)?.multicast_ttl.into())
    }

    pub(crate) fn set_multicast_ttl(&mut self, id: Id, ttl: u32) -> io::Result<()> {
        self.socket(id)?.multicast_ttl = u8::try_from(ttl).map_err(|_| SocketError::TimeToLive)?;
        Ok(())
    }

    pub(crate) fn multicast_loop(&mut self, id: Id) -> io::Result<bool> {
        Ok(self.socket(id)?.multicast_loop)
    }

    pub(crate) fn set_multicast_loop(&mut self, id: Id, on: bool) -> io::Result<()> {
        self.socket(id)?.multicast_loop = on;
        Ok(())
    }

    pub(crate) fn join(&mut self, id: Id, group: Address) -> io::Result<()> {
        if !group.is_multicast() {
            return Err(SocketError::MulticastGroup.into());
        }
        if self.socket(id)?.groups.contains(&group) {
            return Err(SocketError::AddressInUse.into());
        }
        let Shared { multicast, engine, now, .. } = &mut *self.shared;
        multicast.join(group, engine, *now)?;
        self.socket(id)?.groups.push(group);
        self.shared.ready = true;
        Ok(())
    }

    pub(crate) fn leave(&mut self, id: Id, group: Address) -> io::Result<()> {
        let groups = &mut self.socket(id)?.groups;
        let at = groups.iter().position(|joined| *joined == group);
        groups.swap_remove(at.ok_or(SocketError::AddressNotAvailable)?);
        let Shared { multicast, engine, now, .. } = &mut *self.shared;
        multicast.leave(group, engine, *now);
        self.shared.ready = true;
        Ok(())
    }

    /// Takes a socket back from its user: it is freed once its datagrams have left
    pub(crate) fn release(&mut self, id: Id) {
        let Self { udp, shared } = self;
        let Some(socket) = udp.sockets.get_mut(id) else { return };
        udp.ports.remove(&(socket.local.port(), id));
        shared.freed.push(socket.local.port());
        socket.dropped = true;
        socket.readers.forget(&mut shared.wakes);
        socket.writers.forget(&mut shared.wakes);
        for group in std::mem::take(&mut socket.groups) {
            shared.multicast.leave(group, &mut shared.engine, shared.now);
            shared.ready = true;
        }
        if !socket.has_egress() {
            udp.sockets.remove(id);
        }
    }

    fn socket(&mut self, id: Id) -> Result<&mut UdpSocket, SocketError> {
        self.udp.sockets.get_mut(id).ok_or(SocketError::NotConnected)
    }
}
