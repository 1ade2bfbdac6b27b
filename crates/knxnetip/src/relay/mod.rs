//! A relay between the clients of one forward and one device, as a state machine
//!
//! | file | content |
//! |---|---|
//! | `options` | the options of a relay |
//! | `action` | the outputs: sockets to open and to close, datagrams to send |
//! | `counters` | the counters |
//! | `caller` | the place where a client wants its answers |
//! | `peer` | a client that has an inner socket |
//! | `connection` | a connection of a client with the device |
//! | `reach` | the form of our own endpoint that the device answers to |
//! | `from_client`, `from_device` | the ways of a frame |
//! | `ends` | clients that are gone, tunnels that are lost, the end of all |
//! | `time` | deadlines |

mod action;
mod caller;
mod connection;
mod counters;
mod ends;
mod from_client;
mod from_device;
mod options;
mod peer;
mod reach;
mod time;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddrV4,
};

pub use self::{
    action::{Action, PeerId},
    counters::Counters,
    options::{Endpoint, Options},
};
use self::{connection::Connection, peer::Peer, reach::Reach};

/// A relay between clients and one device
///
/// It stands where a forward listens. Each client that begins something gets an *inner socket* in the network of the
/// device, so the device sees distinct ports. The relay has no socket itself: it asks its owner for them by
/// [`Action`]s, which the owner takes with [`Self::poll_action`] after each input, until there is none.
///
/// - Towards the device an endpoint is that of the inner socket, or zeros ("route back"); see [`Endpoint`].
/// - Towards a client an endpoint is the address to which the client sends; zeros if the client used zeros.
/// - A client's endpoint is the source of its datagrams, with the port of an HPAI that names that address. A device's
///   endpoint is its address, with the HPAI's port. So nobody can point answers at a third host.
/// - A frame with a channel belongs to its connection whatever port of the client's address it comes from.
/// - A client that is gone, or silent for 120 s, is disconnected in its name: its place in the device is free.
/// - When an inner socket is lost, its clients are told by a `DISCONNECT_REQUEST`.
/// - A frame whose endpoint cannot be read is dropped, since it would lead past the relay. A frame of an unknown service
///   passes as it is; so does `SECURE_WRAPPER`.
///
/// All tables are bounded: clients by [`Options::max_clients`], connections by the 256 channels, frames that wait by 16
/// and 16 KiB for each client. The actions of one input are at most two for each client and each connection.
#[derive(Debug)]
pub struct Relay {
    options: Options,
    /// The clients, and the sockets that ask the device about our endpoint
    peers: BTreeMap<PeerId, Peer>,
    by_client: BTreeMap<SocketAddrV4, PeerId>,
    /// The connections by their channels, which the device gives
    connections: BTreeMap<u8, Connection>,
    reach: Reach,
    actions: VecDeque<Action>,
    counters: Counters,
    next_peer: PeerId,
}

impl Relay {
    /// Makes a relay without clients
    pub fn new(options: Options) -> Self {
        Self {
            reach: Reach::new(options.endpoint),
            options,
            peers: BTreeMap::new(),
            by_client: BTreeMap::new(),
            connections: BTreeMap::new(),
            actions: VecDeque::new(),
            counters: Counters::default(),
            next_peer: PeerId::FIRST,
        }
    }

    /// Returns the next action; they are to be done in their order
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns the counters
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns the number of clients that have, or wait for, an inner socket
    pub fn clients(&self) -> usize {
        self.by_client.len()
    }

    /// Returns the number of connections of clients with the device
    pub fn connections(&self) -> usize {
        self.connections.values().filter(|connection| connection.is_open()).count()
    }

    /// Returns true if there is neither a client nor a connection nor a question under way
    pub fn is_idle(&self) -> bool {
        self.peers.is_empty() && self.connections.is_empty()
    }

    /// Closes the socket of a peer that has nothing under way
    fn close_if_unused(&mut self, id: PeerId) {
        let has_connection = self.connections.values().any(|it| it.peer() == id);
        if !has_connection && self.peers.get(&id).is_some_and(Peer::has_nothing_under_way) {
            self.close_peer(id);
        }
    }

    fn close_peer(&mut self, id: PeerId) {
        if self.forget_peer(id).is_some() {
            self.actions.push_back(Action::Close { peer: id });
        }
    }

    /// Forgets a peer whose socket is gone, or goes
    fn forget_peer(&mut self, id: PeerId) -> Option<Peer> {
        let peer = self.peers.remove(&id)?;
        if let Some(client) = peer.client() {
            self.by_client.remove(&client);
        }
        Some(peer)
    }

    fn add_peer(&mut self, peer: Peer) -> PeerId {
        let id = self.next_peer;
        self.next_peer = id.next();
        let client = peer.client();
        if let Some(client) = client {
            self.by_client.insert(client, id);
        }
        self.peers.insert(id, peer);
        self.actions.push_back(Action::Open { peer: id, client });
        id
    }
}

#[cfg(test)]
mod tests;
