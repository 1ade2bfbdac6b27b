//! TCP: connections, listeners, and the records of connections that are over
//!
//! | file | content |
//! |---|---|
//! | `ingress`, `egress` | a segment's way in, and one packet's way out |
//! | `connection` | one connection: the engine's socket, and the state beside it |
//! | `deadlines` | the times at which connections want their next turns |
//! | `flows` | the connections that segments are for, by their flows |
//! | `sequence_numbers` | the judgement of segments by their numbers (RFC 5961) |
//! | `congestion`, `rtt` | our own congestion controller: losses, its window, and the round-trip time |
//! | `ack_injector` | the acknowledgments by which it steers the engine |
//! | `delayed_dup_acks` | duplicate acknowledgments that wait for a late segment |
//! | `fresh_syn` | the SYNs of a link that has brought nothing yet |
//! | `initial_numbers` | initial sequence numbers (RFC 6528) |
//! | `listener`, `calls` | sockets that wait for connections, and the calls of users |
//! | `closing` | connections that are over on this side: TIME-WAIT and FIN-WAIT-2 |

mod ack_injector;
mod calls;
mod closing;
mod congestion;
mod connection;
mod deadlines;
mod delayed_dup_acks;
mod egress;
mod flows;
mod fresh_syn;
mod ingress;
mod initial_numbers;
mod listener;
mod rtt;
mod sequence_numbers;

use pptp_packet::Waiters;

pub(crate) use self::calls::TcpCalls;
use self::{
    closing::Closing,
    connection::{Cause, Connection, Holder, Transition},
    deadlines::Deadlines,
    flows::Flows,
    initial_numbers::InitialNumbers,
    listener::Listener,
};
use crate::{
    SocketError,
    ip::{Address, Flow},
    shared::{
        Shared,
        queue::Ticket,
        random::Random,
        table::{Id, Table},
        time::{NEVER, Time},
    },
};

/// The TCP connections and listeners of a stack
pub(crate) struct Tcp {
    initial: InitialNumbers,
    connections: Table<Connection>,
    deadlines: Deadlines,
    flows: Flows,
    closing: Closing,
    listeners: Table<Listener>,
}

impl Tcp {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            initial: InitialNumbers::new(random),
            connections: Table::new(),
            deadlines: Deadlines::default(),
            flows: Flows::default(),
            closing: Closing::default(),
            listeners: Table::new(),
        }
    }

    /// Connections, those being flushed after they were dropped included
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn has_connections(&self) -> bool {
        !self.connections.is_empty()
    }

    /// Returns true if there is neither a connection nor a listener
    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.listeners.is_empty() && self.flows.is_empty()
    }

    /// Returns true if the peers have acknowledged everything on the connections that were shut down or dropped
    pub(crate) fn is_flushed(&self) -> bool {
        !self.connections.iter().any(|(_, connection)| connection.is_parting())
    }

    pub(crate) fn queued_mut(&mut self, id: Id) -> Option<&mut bool> {
        self.connections.get_mut(id).map(|it| &mut it.queued)
    }

    pub(crate) fn readers(&mut self, id: Id) -> Option<&mut Waiters> {
        self.connections.get_mut(id).map(|it| &mut it.readers)
    }

    pub(crate) fn writers(&mut self, id: Id) -> Option<&mut Waiters> {
        self.connections.get_mut(id).map(|it| &mut it.writers)
    }

    pub(crate) fn acceptors(&mut self, id: Id) -> Option<&mut Waiters> {
        self.listeners.get_mut(id).map(|it| &mut it.acceptors)
    }

    /// Puts the connections whose time has come into the queue, and forgets those that are over
    pub(crate) fn queue_due(&mut self, shared: &mut Shared) {
        self.closing.sweep(shared.now);
        let Self { deadlines, connections, .. } = self;
        for id in deadlines.due(shared.now) {
            if let Some(connection) = connections.get_mut(id) {
                shared.enqueue(&mut connection.queued, Ticket::Tcp(id));
            }
        }
    }

    /// The time at which a connection wants its next turn
    pub(crate) fn deadline(&self) -> Time {
        self.deadlines.next().min(self.closing.next())
    }

    /// Fails the sockets that are bound to an address that is no longer the stack's
    pub(crate) fn abandon(&mut self, old: Address, error: SocketError, shared: &mut Shared) {
        let is_bound =
            |id: &Id| self.connections.get(*id).is_some_and(|it| it.flow.local.address() == old);
        for id in self.flows.iter().filter(is_bound).collect::<Vec<_>>() {
            self.fail(id, error, shared);
        }
        for (_, listener) in self.listeners.iter_mut() {
            if listener.local.address() == old {
                listener.failed = Some(error);
                listener.acceptors.wake(&mut shared.wakes);
            }
        }
        self.closing.clear();
    }

    /// Fails all connections, and frees those that have no user
    pub(crate) fn shut_down(&mut self, shared: &mut Shared) {
        // All tasks leave their lists before a connection is removed: a waker that is dropped with it would be
        // dropped under the lock.
        for (_, connection) in self.connections.iter_mut() {
            connection.kill(SocketError::Aborted);
            connection.readers.wake(&mut shared.wakes);
            connection.writers.wake(&mut shared.wakes);
        }
        for (_, listener) in self.listeners.iter_mut() {
            listener.acceptors.wake(&mut shared.wakes);
        }
        let kept = |connection: &Connection| connection.holder == Holder::User;
        let left = self.connections.iter().filter(|(_, connection)| !kept(connection));
        for id in left.map(|(id, _)| id).collect::<Vec<_>>() {
            self.remove(id, shared);
        }
        self.flows.clear();
        self.closing.clear();
        self.deadlines.clear();
    }

    /// Ends the connection whose own SYN an ICMP message complains of
    ///
    /// A connection that is established does not end by it (RFC 1122 §4.2.3.9), as with the
    /// kernel's sockets, and one that is being made only if its own SYN is quoted, by its sequence number
    /// (RFC 5927 §4.1).
    pub(crate) fn on_unreachable(
        &mut self,
        flow: Flow,
        sequence: i32,
        error: SocketError,
        shared: &mut Shared,
    ) {
        let Some(id) = self.flows.get(&flow, &self.connections) else { return };
        if self.connections.get(id).is_some_and(|it| it.is_syn(sequence)) {
            self.fail(id, error, shared);
        }
    }

    fn enqueue(&mut self, id: Id, shared: &mut Shared) {
        if let Some(connection) = self.connections.get_mut(id) {
            shared.enqueue(&mut connection.queued, Ticket::Tcp(id));
        }
    }

    /// Updates a connection by its state in the engine, and acts on the transition
    fn update(&mut self, id: Id, cause: Cause, shared: &mut Shared) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let flow = connection.flow;
        match connection.update(cause, &mut shared.wakes) {
            Transition::Lives => {}
            Transition::Established => self.hand_to_listener(id, shared),
            Transition::Retired { kept, time_wait } => {
                self.flows.remove(&flow, &self.connections);
                if let Some(numbers) = time_wait {
                    self.closing.insert(flow, numbers, true, shared.now);
                }
                if !kept {
                    self.remove(id, shared);
                }
            }
            Transition::HalfClosed(numbers) => {
                self.closing.insert(flow, numbers, false, shared.now);
                self.remove(id, shared);
            }
            Transition::Gone => self.remove(id, shared),
        }
    }

    /// Makes the stack ready if a call lets a connection want a turn earlier than before
    fn schedule(&mut self, id: Id, shared: &mut Shared) {
        let at = self.wanted(id, shared);
        if at <= shared.now {
            self.enqueue(id, shared);
            shared.ready = true;
        } else if at < self.deadlines.set(id, at) {
            shared.ready = true;
        }
    }

    /// Notes the next deadline of a connection that had its turn and sent nothing
    ///
    /// A deadline of now becomes one a millisecond later: otherwise the engine would keep the owner turning
    /// for a packet that it does not compose.
    fn note_deadline(&mut self, id: Id, shared: &mut Shared) {
        let at = self.wanted(id, shared);
        self.deadlines.set(id, at.max(shared.now.saturating_add(1_000)));
    }

    fn wanted(&self, id: Id, shared: &mut Shared) -> Time {
        let Shared { engine, now, .. } = shared;
        let Some(connection) = self.connections.get(id) else { return NEVER };
        let engines = connection.socket().map_or(NEVER, |socket| engine.tcp_deadline(socket, *now));
        engines.min(connection.deadline())
    }

    /// Hands an incoming connection whose handshake is complete to its listener
    fn hand_to_listener(&mut self, id: Id, shared: &mut Shared) {
        let Some(connection) = self.connections.get(id) else { return };
        if let Holder::Backlog(listener) = connection.holder
            && let Some(listener) = self.listeners.get_mut(listener)
        {
            listener.accepted.push_back(id);
            listener.acceptors.wake(&mut shared.wakes);
        }
    }

    /// Ends a connection without a packet to the peer
    fn fail(&mut self, id: Id, error: SocketError, shared: &mut Shared) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.kill(error);
        connection.readers.wake(&mut shared.wakes);
        connection.writers.wake(&mut shared.wakes);
        let gone = match connection.holder {
            Holder::User => false,
            Holder::Backlog(_) => !connection.is_established(),
            Holder::None { .. } => true,
        };
        let flow = connection.flow;
        self.flows.remove(&flow, &self.connections);
        if gone {
            self.remove(id, shared);
        } else {
            self.schedule(id, shared);
        }
    }

    fn remove(&mut self, id: Id, shared: &mut Shared) {
        let Some(flow) = self.connections.get(id).map(|connection| connection.flow) else { return };
        // before the connection itself, which has the flow that the list is in the order of
        if self.flows.get(&flow, &self.connections) == Some(id) {
            self.flows.remove(&flow, &self.connections);
        }
        let Some(connection) = self.connections.remove(id) else { return };
        shared.freed.push(connection.flow.local.port());
        if let Holder::Backlog(listener) = connection.holder
            && let Some(listener) = self.listeners.get_mut(listener)
        {
            listener.waiting = listener.waiting.saturating_sub(1);
            listener.accepted.retain(|accepted| *accepted != id);
        }
        if connection.queued {
            shared.queue.retain(|ticket| *ticket != Ticket::Tcp(id));
        }
        self.deadlines.set(id, NEVER);
        if self.connections.is_empty() {
            self.deadlines.clear();
        }
        debug_assert!(
            connection.readers.is_empty() && connection.writers.is_empty(),
            "wakers are not dropped under the lock"
        );
    }
}
