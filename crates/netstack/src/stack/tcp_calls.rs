//! What TCP sockets ask of the stack

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddrV4},
    task::Poll,
    time::Duration,
};

use tokio::io::Ready;

use super::{
    Stack, Ticket,
    listen::{Listener, overlap},
    table::Id,
    tcp::{Connection, Flow, Keeper},
};
use crate::{
    SocketError, TcpOptions,
    engine::TcpEngine,
    ip::{HOP_LIMIT, hop_limit},
    shared::time::{NEVER, micros},
};

impl Stack {
    /// Starts a connection to `peer`
    pub(crate) fn tcp_connect(
        &mut self,
        peer: SocketAddrV4,
        options: &TcpOptions,
    ) -> io::Result<(Id, Flow)> {
        self.check_ended()?;
        self.addresses.check_peer(peer)?;
        if peer.ip().is_multicast() || self.addresses.is_broadcast(*peer.ip()) {
            return Err(SocketError::NetworkUnreachable.into());
        }
        let address = options.local_address.unwrap_or(self.addresses.first);
        if !self.addresses.own(address) {
            return Err(SocketError::AddressNotAvailable.into());
        }
        let flow = |port| Flow { local: SocketAddrV4::new(address, port), peer };
        let Self { random, freed, flows, closing, listeners, .. } = &mut *self;
        let taken = |port| {
            flows.contains_key(&flow(port))
                || closing.holds(&flow(port))
                || listeners.iter().any(|(_, listener)| overlap(listener.local, flow(port).local))
        };
        let flow = flow(freed.choose(random, taken).ok_or(SocketError::AddressNotAvailable)?);
        let initial = self.initial.number(&flow, self.now);
        let mut connection = Connection::new(flow, Keeper::User, options, initial, self.now);
        let mut engine = self.engine.with_initial_number(initial, &self.addresses, self.now);
        connection.connect(&mut engine)?;
        let id = self.connections.insert(connection);
        self.flows.insert(flow, id);
        self.schedule(id);
        Ok((id, flow))
    }

    pub(crate) fn tcp_poll_connected(&self, id: Id) -> Poll<io::Result<()>> {
        self.check_ended()?;
        let connected = self.connections.get(id).map(Connection::poll_connected);
        connected.unwrap_or(Poll::Ready(Err(SocketError::NotConnected))).map_err(Into::into)
    }

    pub(crate) fn tcp_read(
        &mut self,
        id: Id,
        into: &mut [u8],
        peek: bool,
    ) -> Poll<io::Result<usize>> {
        self.check_ended()?;
        let read = self.connection(id)?.read(into, peek);
        if !peek && matches!(read, Poll::Ready(Ok(1..))) {
            self.schedule(id);
        }
        read
    }

    /// As [`Stack::tcp_read`], into one buffer after the other while they are filled
    pub(crate) fn tcp_read_vectored(
        &mut self,
        id: Id,
        into: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut total = 0_usize;
        for buffer in into.iter_mut().filter(|buffer| !buffer.is_empty()) {
            match self.tcp_read(id, buffer, false) {
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

    pub(crate) fn tcp_readiness(&mut self, id: Id) -> io::Result<Ready> {
        self.check_ended()?;
        Ok(self.connection(id)?.readiness())
    }

    pub(crate) fn tcp_error(&mut self, id: Id) -> io::Result<Option<io::Error>> {
        self.check_ended()?;
        Ok(self.connection(id)?.failed().err().map(Into::into))
    }

    pub(crate) fn tcp_write(&mut self, id: Id, octets: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.check_ended()?;
        let written = self.connection(id)?.write(octets);
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.schedule(id);
        }
        written
    }

    pub(crate) fn tcp_poll_readable(&mut self, id: Id) -> Poll<io::Result<()>> {
        self.check_ended()?;
        if self.connection(id)?.is_readable() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    pub(crate) fn tcp_poll_writable(&mut self, id: Id) -> Poll<io::Result<()>> {
        self.check_ended()?;
        if self.connection(id)?.is_writable() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    pub(crate) fn tcp_shut_down(&mut self, id: Id) -> io::Result<()> {
        self.check_ended()?;
        self.connection(id)?.shut_down();
        self.schedule(id);
        Ok(())
    }

    /// Resets the connection
    pub(crate) fn tcp_abort(&mut self, id: Id) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.abort(SocketError::Aborted);
            connection.readers.wake(&mut self.wakes);
            connection.writers.wake(&mut self.wakes);
            self.schedule(id);
        }
    }

    /// The user has let go of a connection: what is written is flushed, then it is freed
    pub(crate) fn tcp_release(&mut self, id: Id) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.readers.forget(&mut self.wakes);
        connection.writers.forget(&mut self.wakes);
        self.let_go(id);
    }

    pub(crate) fn tcp_nodelay(&mut self, id: Id) -> io::Result<bool> {
        self.check_ended()?;
        Ok(self.connection(id)?.socket().is_some_and(TcpEngine::nodelay))
    }

    pub(crate) fn tcp_set_nodelay(&mut self, id: Id, nodelay: bool) -> io::Result<()> {
        self.check_ended()?;
        if let Some(socket) = self.connection(id)?.socket_mut() {
            socket.set_nodelay(nodelay);
        }
        self.schedule(id);
        Ok(())
    }

    pub(crate) fn tcp_keepalive(&mut self, id: Id) -> io::Result<Option<Duration>> {
        self.check_ended()?;
        let socket = self.connection(id)?.socket();
        Ok(socket.and_then(TcpEngine::keepalive).map(Duration::from_micros))
    }

    pub(crate) fn tcp_set_keepalive(&mut self, id: Id, every: Option<Duration>) -> io::Result<()> {
        self.check_ended()?;
        self.connection(id)?.set_keepalive(every);
        self.schedule(id);
        Ok(())
    }

    pub(crate) fn tcp_linger(&mut self, id: Id) -> io::Result<Option<Duration>> {
        self.check_ended()?;
        Ok(self.connection(id)?.linger().map(Duration::from_micros))
    }

    pub(crate) fn tcp_set_linger(&mut self, id: Id, linger: Option<Duration>) -> io::Result<()> {
        self.check_ended()?;
        self.connection(id)?.set_linger(linger.map(micros));
        Ok(())
    }

    pub(crate) fn tcp_ttl(&mut self, id: Id) -> io::Result<u32> {
        self.check_ended()?;
        let socket = self.connection(id)?.socket();
        Ok(socket.and_then(TcpEngine::hop_limit).unwrap_or(HOP_LIMIT).into())
    }

    pub(crate) fn tcp_set_ttl(&mut self, id: Id, ttl: u32) -> io::Result<()> {
        self.check_ended()?;
        let ttl = hop_limit(ttl)?;
        if let Some(socket) = self.connection(id)?.socket_mut() {
            socket.set_hop_limit(ttl);
        }
        Ok(())
    }

    /// Listens on an address and port, a random port if it is 0
    pub(crate) fn tcp_listen(
        &mut self,
        local: SocketAddrV4,
        backlog: usize,
        options: TcpOptions,
    ) -> io::Result<(Id, SocketAddrV4)> {
        self.check_ended()?;
        let Self { random, freed, listeners, .. } = &mut *self;
        let taken = |port| {
            let local = SocketAddrV4::new(*local.ip(), port);
            listeners.iter().any(|(_, listener)| overlap(listener.local, local))
        };
        let port = match local.port() {
            0 => freed.choose(random, taken).ok_or(SocketError::AddressInUse)?,
            port if taken(port) => return Err(SocketError::AddressInUse.into()),
            port => port,
        };
        self.check_own(*local.ip())?;
        let local = SocketAddrV4::new(*local.ip(), port);
        let id = self.listeners.insert(Listener::new(local, backlog, options));
        self.ready = true;
        Ok((id, local))
    }

    /// Takes the oldest connection whose handshake is complete
    pub(crate) fn tcp_accept(&mut self, id: Id) -> Poll<io::Result<(Id, Flow)>> {
        self.check_ended()?;
        let listener = self.listeners.get_mut(id).ok_or(SocketError::NotConnected)?;
        let Some(accepted) = listener.accepted.pop_front() else {
            return listener.failed.map_or(Poll::Pending, |error| Poll::Ready(Err(error.into())));
        };
        listener.waiting = listener.waiting.saturating_sub(1);
        let connection = self.connection(accepted)?;
        connection.keeper = Keeper::User;
        Poll::Ready(Ok((accepted, connection.flow)))
    }

    /// Stops listening; what was not accepted is reset
    pub(crate) fn tcp_stop_listening(&mut self, id: Id) {
        let connections = self.connections.iter();
        let waiting = connections.filter(|(_, it)| it.keeper == Keeper::Backlog(id));
        for id in waiting.map(|(id, _)| id).collect::<Vec<_>>() {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.set_linger(Some(0));
            }
            self.let_go(id);
        }
        if let Some(mut listener) = self.listeners.remove(id) {
            self.freed.push(listener.local.port());
            listener.acceptors.forget(&mut self.wakes);
        }
    }

    pub(super) fn check_own(&self, address: Ipv4Addr) -> Result<(), SocketError> {
        if address.is_unspecified() || self.addresses.own(address) {
            Ok(())
        } else {
            Err(SocketError::AddressNotAvailable)
        }
    }

    /// The handshake of a connection that came in is complete
    pub(super) fn hand_to_listener(&mut self, id: Id) {
        let Some(connection) = self.connections.get(id) else { return };
        if let Keeper::Backlog(listener) = connection.keeper
            && let Some(listener) = self.listeners.get_mut(listener)
        {
            listener.accepted.push_back(id);
            listener.acceptors.wake(&mut self.wakes);
        }
    }

    /// Ends a connection without a word to the peer
    pub(super) fn fail_connection(&mut self, id: Id, error: SocketError) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.kill(error);
        connection.readers.wake(&mut self.wakes);
        connection.writers.wake(&mut self.wakes);
        self.flows.remove(&connection.flow);
        let gone = match connection.keeper {
            Keeper::User => false,
            Keeper::Backlog(_) => !connection.is_established(),
            Keeper::Nobody { .. } => true,
        };
        if gone {
            self.remove_connection(id);
        } else {
            self.schedule(id);
        }
    }

    pub(super) fn remove_connection(&mut self, id: Id) {
        let Some(connection) = self.connections.remove(id) else { return };
        self.freed.push(connection.flow.local.port());
        if let Keeper::Backlog(listener) = connection.keeper
            && let Some(listener) = self.listeners.get_mut(listener)
        {
            listener.waiting = listener.waiting.saturating_sub(1);
            listener.accepted.retain(|accepted| *accepted != id);
        }
        if self.flows.get(&connection.flow) == Some(&id) {
            self.flows.remove(&connection.flow);
        }
        if connection.queued {
            self.queue.retain(|ticket| *ticket != Ticket::Tcp(id));
        }
        self.set_deadline(id, NEVER);
        if self.connections.is_empty() {
            self.deadlines = Vec::new();
        }
        debug_assert!(
            connection.readers.is_empty() && connection.writers.is_empty(),
            "wakers are not dropped under the lock"
        );
    }

    fn let_go(&mut self, id: Id) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if let Keeper::Backlog(listener) = connection.keeper
            && let Some(listener) = self.listeners.get_mut(listener)
        {
            listener.waiting = listener.waiting.saturating_sub(1);
            listener.accepted.retain(|accepted| *accepted != id);
        }
        if connection.let_go() {
            self.remove_connection(id);
            return;
        }
        self.look(id, super::Cause::Turn);
        self.enqueue(Ticket::Tcp(id));
        self.ready = true;
    }

    fn connection(&mut self, id: Id) -> Result<&mut Connection, SocketError> {
        self.connections.get_mut(id).ok_or(SocketError::NotConnected)
    }
}
