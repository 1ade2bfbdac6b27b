//! Clients that are gone, tunnels that are lost, the end of all

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Instant,
};

use super::{
    Relay,
    action::{Action, PeerId},
    connection::Connection,
    from_client::count,
};

impl Relay {
    /// Nobody is at an endpoint of a client any more: its port refused a datagram
    pub fn handle_client_gone(&mut self, now: Instant, endpoint: SocketAddrV4) {
        let ends = |it: &Connection| !it.is_released() && it.has_endpoint(endpoint);
        for channel in self.channels(ends) {
            self.release(channel, now);
        }
        let peers: Vec<_> = self.peers.keys().copied().collect();
        for id in peers {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            self.counters.no_room = add(self.counters.no_room, peer.on_gone(endpoint));
            if peer.client() == Some(endpoint) {
                self.close_if_unused(id);
            }
        }
    }

    /// An inner socket could not be had
    pub fn handle_not_opened(&mut self, now: Instant, peer: PeerId) {
        let Some(mut gone) = self.forget_peer(peer) else { return };
        let waiting = gone.take_waiting().len();
        self.counters.no_room = add(self.counters.no_room, waiting);
        self.on_question_lost(peer, now);
    }

    /// An inner socket is lost, since its tunnel is: each client is told at once
    pub fn handle_lost(&mut self, now: Instant, peer: PeerId) {
        for channel in self.channels(|it| it.peer() == peer) {
            if let Some(lost) = self.connections.remove(&channel)
                && lost.is_open()
            {
                count(&mut self.counters.lost);
                self.tell_client(channel, &lost);
            }
        }
        if let Some(mut lost) = self.forget_peer(peer) {
            let waiting = lost.take_waiting().len();
            self.counters.no_room = add(self.counters.no_room, waiting);
            self.handle_new_tunnel(now);
        }
    }

    /// Another tunnel is there: what the device answered to may not hold in it
    ///
    /// To be called before sockets in it are told. A lost socket tells as much.
    pub fn handle_new_tunnel(&mut self, now: Instant) {
        self.forget_reach();
        // a client may wait for the answer to a question of the tunnel before
        if self.peers.values().any(|it| it.has_waiting() && it.socket().is_some()) {
            self.ask(now);
        }
    }

    /// Lets go of the clients that may not use the relay any more; the device is told in their names
    pub fn retain_clients(&mut self, now: Instant, may_use: impl Fn(Ipv4Addr) -> bool) {
        let is_forbidden = |it: &Connection| !may_use(*it.caller().control.ip());
        for channel in self.channels(|it| !it.is_released() && is_forbidden(it)) {
            self.release(channel, now);
        }
        let forbidden = self.by_client.iter().filter(|(client, _)| !may_use(*client.ip()));
        let forbidden: Vec<_> = forbidden.map(|(_, id)| *id).collect();
        for id in forbidden {
            if let Some(peer) = self.peers.get_mut(&id) {
                let waiting = peer.abandon();
                self.counters.no_room = add(self.counters.no_room, waiting);
            }
            self.close_if_unused(id);
        }
    }

    /// Changes the number of clients at a time; those that are there stay
    pub fn set_max_clients(&mut self, most: usize) {
        self.options.max_clients = most;
    }

    /// Ends all: both sides of each connection are told once, and all inner sockets are closed
    pub fn close(&mut self) {
        for (channel, connection) in std::mem::take(&mut self.connections) {
            if connection.is_open() {
                self.tell_client(channel, &connection);
            }
            if !connection.is_released() {
                self.disconnect(connection.peer(), channel);
            }
        }
        for peer in std::mem::take(&mut self.peers).into_keys() {
            self.actions.push_back(Action::Close { peer });
        }
        self.by_client.clear();
        self.forget_reach();
    }

    /// Tells the device that a client is gone, which frees its place
    pub(super) fn release(&mut self, channel: u8, now: Instant) {
        let Some(connection) = self.connections.get_mut(&channel) else { return };
        if connection.release(now) {
            let peer = connection.peer();
            count(&mut self.counters.released);
            self.disconnect(peer, channel);
        }
    }

    /// Forgets a connection that is over, and its socket if nothing else needs it
    pub(super) fn forget_connection(&mut self, channel: u8) {
        if let Some(connection) = self.connections.remove(&channel) {
            self.close_if_unused(connection.peer());
        }
    }

    /// Returns the channels of some connections
    pub(super) fn channels(&self, which: impl Fn(&Connection) -> bool) -> Vec<u8> {
        let found = self.connections.iter().filter(|(_, connection)| which(connection));
        found.map(|(channel, _)| *channel).collect()
    }
}

/// Adds to a counter
pub(super) fn add(counter: u64, more: usize) -> u64 {
    counter.saturating_add(u64::try_from(more).unwrap_or(u64::MAX))
}
