//! The calls of TCP sockets

use std::{
    io::{self, IoSlice, IoSliceMut},
    task::Poll,
    time::Duration,
};

use tokio::io::Ready;

use super::{
    Tcp,
    connection::{Cause, Connection, Holder},
    listener::Listener,
};
use crate::{
    SocketError, TcpOptions,
    engine::TcpEngine,
    ip::{Endpoint, Flow, HOP_LIMIT, hop_limit, overlap},
    shared::{Shared, table::Id, time::micros},
};

/// The calls of TCP sockets
pub(crate) struct TcpCalls<'a> {
    pub(crate) tcp: &'a mut Tcp,
    pub(crate) shared: &'a mut Shared,
}

impl TcpCalls<'_> {
    /// Starts a connection to `peer`
    pub(crate) fn connect(&mut self, peer: Endpoint, options: &TcpOptions) -> io::Result<Id> {
        self.shared.addresses.check_peer(peer)?;
        let to = peer.address();
        if to.is_multicast() || self.shared.addresses.is_broadcast(to) {
            return Err(SocketError::NetworkUnreachable.into());
        }
        let address =
            options.local_address.map_or_else(|| self.shared.addresses.source(), Into::into);
        if !self.shared.addresses.own(address) {
            return Err(SocketError::AddressNotAvailable.into());
        }
        let flow = |port| Flow { local: Endpoint::new(address, port), peer };
        let (Shared { random, freed, .. }, Tcp { flows, connections, closing, listeners, .. }) =
            (&mut *self.shared, &*self.tcp);
        let taken = |port| {
            flows.get(&flow(port), connections).is_some()
                || closing.holds(&flow(port))
                || listeners.iter().any(|(_, listener)| overlap(listener.local, flow(port).local))
        };
        let flow = flow(freed.choose(random, taken).ok_or(SocketError::AddressNotAvailable)?);
        let initial = self.tcp.initial.number(&flow, self.shared.now);
        let mut connection = Connection::new(flow, Holder::User, options, initial, self.shared.now);
        let Shared { engine, addresses, now, .. } = &*self.shared;
        let mut engine = engine.with_initial_number(initial, addresses, *now);
        connection.connect(&mut engine)?;
        let id = self.tcp.connections.insert(connection);
        self.tcp.flows.insert(id, &self.tcp.connections);
        self.tcp.schedule(id, self.shared);
        Ok(id)
    }

    /// Both ends of a connection, for as long as it has a user
    pub(crate) fn flow(&mut self, id: Id) -> io::Result<Flow> {
        Ok(self.connection(id)?.flow)
    }

    pub(crate) fn poll_connected(&self, id: Id) -> Poll<io::Result<()>> {
        let connected = self.tcp.connections.get(id).map(Connection::poll_connected);
        connected.unwrap_or(Poll::Ready(Err(SocketError::NotConnected))).map_err(Into::into)
    }

    pub(crate) fn read(&mut self, id: Id, into: &mut [u8], peek: bool) -> Poll<io::Result<usize>> {
        let read = self.connection(id)?.read(into, peek);
        if !peek && matches!(read, Poll::Ready(Ok(1..))) {
            self.tcp.schedule(id, self.shared);
        }
        read
    }

    /// Reads as [`Self::read`] does, into one buffer after the other while they are filled
    pub(crate) fn read_vectored(
        &mut self,
        id: Id,
        into: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut total = 0_usize;
        for buffer in into.iter_mut().filter(|buffer| !buffer.is_empty()) {
            match self.read(id, buffer, false) {
                Poll::Ready(Ok(count)) => {
                    total = total.saturating_add(count);
                    if count < buffer.len() {
                        break;
                    }
                }
                _ if total > 0 => break,
                nothing => return nothing,
            }
        }
        Poll::Ready(Ok(total))
    }

    pub(crate) fn readiness(&mut self, id: Id) -> io::Result<Ready> {
        Ok(self.connection(id)?.readiness())
    }

    pub(crate) fn error(&mut self, id: Id) -> io::Result<Option<io::Error>> {
        Ok(self.connection(id)?.failed().err().map(Into::into))
    }

    pub(crate) fn write(&mut self, id: Id, octets: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = self.connection(id)?.write(octets);
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.tcp.schedule(id, self.shared);
        }
        written
    }

    pub(crate) fn poll_readable(&mut self, id: Id) -> Poll<io::Result<()>> {
        if self.connection(id)?.is_readable() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    pub(crate) fn poll_writable(&mut self, id: Id) -> Poll<io::Result<()>> {
        if self.connection(id)?.is_writable() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    pub(crate) fn shut_down(&mut self, id: Id) -> io::Result<()> {
        self.connection(id)?.shut_down();
        self.tcp.schedule(id, self.shared);
        Ok(())
    }

    /// Resets the connection
    pub(crate) fn abort(&mut self, id: Id) {
        if let Some(connection) = self.tcp.connections.get_mut(id) {
            connection.abort(SocketError::Aborted);
            connection.readers.wake(&mut self.shared.wakes);
            connection.writers.wake(&mut self.shared.wakes);
            self.tcp.schedule(id, self.shared);
        }
    }

    /// Takes a connection back from its user: its written octets are flushed, then it is freed
    pub(crate) fn release(&mut self, id: Id) {
        let Some(connection) = self.tcp.connections.get_mut(id) else { return };
        connection.readers.forget(&mut self.shared.wakes);
        connection.writers.forget(&mut self.shared.wakes);
        self.let_go(id);
    }

    pub(crate) fn nodelay(&mut self, id: Id) -> io::Result<bool> {
        Ok(self.connection(id)?.socket().is_some_and(TcpEngine::nodelay))
    }

    pub(crate) fn set_nodelay(&mut self, id: Id, nodelay: bool) -> io::Result<()> {
        if let Some(socket) = self.connection(id)?.socket_mut() {
            socket.set_nodelay(nodelay);
        }
        self.tcp.schedule(id, self.shared);
        Ok(())
    }

    pub(crate) fn keepalive(&mut self, id: Id) -> io::Result<Option<Duration>> {
        let socket = self.connection(id)?.socket();
        Ok(socket.and_then(TcpEngine::keepalive).map(Duration::from_micros))
    }

    pub(crate) fn set_keepalive(&mut self, id: Id, every: Option<Duration>) -> io::Result<()> {
        self.connection(id)?.set_keepalive(every);
        self.tcp.schedule(id, self.shared);
        Ok(())
    }

    pub(crate) fn linger(&mut self, id: Id) -> io::Result<Option<Duration>> {
        Ok(self.connection(id)?.linger().map(Duration::from_micros))
    }

    pub(crate) fn set_linger(&mut self, id: Id, linger: Option<Duration>) -> io::Result<()> {
        self.connection(id)?.set_linger(linger.map(micros));
        Ok(())
    }

    pub(crate) fn ttl(&mut self, id: Id) -> io::Result<u32> {
        let socket = self.connection(id)?.socket();
        Ok(socket.and_then(TcpEngine::hop_limit).unwrap_or(HOP_LIMIT).into())
    }

    pub(crate) fn set_ttl(&mut self, id: Id, ttl: u32) -> io::Result<()> {
        let ttl = hop_limit(ttl)?;
        if let Some(socket) = self.connection(id)?.socket_mut() {
            socket.set_hop_limit(ttl);
        }
        Ok(())
    }

    /// Listens on an address and port, a random port if it is 0
    pub(crate) fn listen(
        &mut self,
        local: Endpoint,
        backlog: usize,
        options: TcpOptions,
    ) -> io::Result<(Id, Endpoint)> {
        let (Shared { random, freed, .. }, Tcp { listeners, .. }) = (&mut *self.shared, &*self.tcp);
        let taken = |port| {
            let local = Endpoint::new(local.address(), port);
            listeners.iter().any(|(_, listener)| overlap(listener.local, local))
        };
        let port = match local.port() {
            0 => freed.choose(random, taken).ok_or(SocketError::AddressInUse)?,
            port if taken(port) => return Err(SocketError::AddressInUse.into()),
            port => port,
        };
        self.shared.check_own(local.address())?;
        let local = Endpoint::new(local.address(), port);
        let id = self.tcp.listeners.insert(Listener::new(local, backlog, options));
        self.shared.ready = true;
        Ok((id, local))
    }

    /// Takes the oldest connection whose handshake is complete
    pub(crate) fn accept(&mut self, id: Id) -> Poll<io::Result<(Id, Flow)>> {
        let listener = self.tcp.listeners.get_mut(id).ok_or(SocketError::NotConnected)?;
        let Some(accepted) = listener.accepted.pop_front() else {
            return listener.failed.map_or(Poll::Pending, |error| Poll::Ready(Err(error.into())));
        };
        listener.waiting = listener.waiting.saturating_sub(1);
        let connection = self.connection(accepted)?;
        connection.holder = Holder::User;
        Poll::Ready(Ok((accepted, connection.flow)))
    }

    /// Stops listening; connections that were not accepted are reset
    pub(crate) fn stop_listening(&mut self, id: Id) {
        let connections = self.tcp.connections.iter();
        let waiting = connections.filter(|(_, it)| it.holder == Holder::Backlog(id));
        for id in waiting.map(|(id, _)| id).collect::<Vec<_>>() {
            if let Some(connection) = self.tcp.connections.get_mut(id) {
                connection.set_linger(Some(0));
            }
            self.let_go(id);
        }
        if let Some(mut listener) = self.tcp.listeners.remove(id) {
            self.shared.freed.push(listener.local.port());
            listener.acceptors.forget(&mut self.shared.wakes);
        }
    }

    fn let_go(&mut self, id: Id) {
        let Some(connection) = self.tcp.connections.get_mut(id) else { return };
        if let Holder::Backlog(listener) = connection.holder
            && let Some(listener) = self.tcp.listeners.get_mut(listener)
        {
            listener.waiting = listener.waiting.saturating_sub(1);
            listener.accepted.retain(|accepted| *accepted != id);
        }
        if connection.let_go() {
            self.tcp.remove(id, self.shared);
            return;
        }
        self.tcp.update(id, Cause::Turn, self.shared);
        self.tcp.enqueue(id, self.shared);
        self.shared.ready = true;
    }

    fn connection(&mut self, id: Id) -> Result<&mut Connection, SocketError> {
        self.tcp.connections.get_mut(id).ok_or(SocketError::NotConnected)
    }
}
