//! UDP: sockets, datagrams, fragments on their way out
//!
//! | module | content |
//! |---|---|
//! | `socket`, `buffers` | one socket, and its buffers |
//! | `calls` | the calls of users |
//! | `hold` | datagrams that wait for a path to open |
//! | `packets` | the IP packets that a datagram leaves in |

mod buffers;
mod calls;
mod hold;
mod packets;
mod socket;

use std::collections::BTreeSet;

use pptp_packet::{Egress, Waiters};

pub(crate) use self::calls::UdpCalls;
use self::{
    hold::Hold,
    socket::{Sent, UdpSocket},
};
use crate::{
    SocketError,
    engine::Datagram,
    ip::{Address, Endpoint, Identification},
    shared::{
        Shared,
        counter::count,
        queue::Ticket,
        table::{Id, Table},
    },
};

/// The UDP sockets of a stack
pub(crate) struct Udp {
    sockets: Table<UdpSocket>,
    ports: BTreeSet<(u16, Id)>,
    identification: Identification,
    /// Datagrams that wait for the path to open
    hold: Option<Box<Hold>>,
}

impl Udp {
    pub(crate) const fn new(identification: Identification) -> Self {
        Self { sockets: Table::new(), ports: BTreeSet::new(), identification, hold: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    pub(crate) fn queued_mut(&mut self, id: Id) -> Option<&mut bool> {
        self.sockets.get_mut(id).map(|it| &mut it.queued)
    }

    pub(crate) fn readers(&mut self, id: Id) -> Option<&mut Waiters> {
        self.sockets.get_mut(id).map(|it| &mut it.readers)
    }

    pub(crate) fn writers(&mut self, id: Id) -> Option<&mut Waiters> {
        self.sockets.get_mut(id).map(|it| &mut it.writers)
    }

    /// Takes in a datagram
    pub(crate) fn ingress(
        &mut self,
        datagram: &Datagram<'_>,
        packet: &[u8],
        shared: &mut Shared,
        out: &mut impl Egress,
    ) {
        let Some((from, to, payload)) = datagram.udp() else {
            return count(&mut shared.stats.malformed);
        };
        let source = Endpoint::new(datagram.source, from);
        let destination = Endpoint::new(datagram.destination, to);
        if !shared.is_reached_at(datagram.destination) {
            return count(&mut shared.stats.unclaimed);
        }
        let all = shared.addresses.was_broadcast(datagram.destination);
        if !self.deliver(source, destination, all, payload, shared) {
            shared.unclaimed(packet, out);
        }
    }

    /// Gives a datagram to every socket that takes it; false if none does
    fn deliver(
        &mut self,
        source: Endpoint,
        destination: Endpoint,
        all: bool,
        payload: &[u8],
        shared: &mut Shared,
    ) -> bool {
        let (port, mut claimed) = (destination.port(), false);
        for (_, id) in self.ports.range((port, 0)..=(port, Id::MAX)) {
            let Some(socket) = self.sockets.get_mut(*id) else { continue };
            if socket.takes(source, destination, all) {
                claimed = true;
                if !socket.receive(source, payload, &mut shared.wakes) {
                    count(&mut shared.stats.udp_overflows);
                }
            }
        }
        claimed
    }

    /// Tells the sockets whose datagram an ICMP message complains of, if they are connected
    pub(crate) fn on_unreachable(
        &mut self,
        local: Endpoint,
        peer: Endpoint,
        error: SocketError,
        shared: &mut Shared,
    ) {
        let port = local.port();
        for (_, id) in self.ports.range((port, 0)..=(port, Id::MAX)) {
            if let Some(socket) = self.sockets.get_mut(*id)
                && socket.peer == Some(peer)
            {
                socket.push_error(error, &mut shared.wakes);
            }
        }
    }

    /// Lets one socket send one packet; false if it has no more to send for now
    pub(crate) fn egress(&mut self, id: Id, shared: &mut Shared, out: &mut impl Egress) -> bool {
        let Shared { addresses, engine, wakes, stats, .. } = shared;
        let Some(socket) = self.sockets.get_mut(id) else { return false };
        let sent = socket.egress(addresses, engine.mtu(), &mut self.identification, out, wakes);
        let (packets, fragments) = match sent {
            Sent::Nothing => (0, 0),
            Sent::Whole => (1, 0),
            Sent::Fragment => (1, 1),
        };
        stats.packets_out = stats.packets_out.saturating_add(packets);
        stats.fragments_out = stats.fragments_out.saturating_add(fragments);
        let more = socket.has_egress();
        if socket.dropped && !more {
            self.sockets.remove(id);
        }
        more
    }

    /// Fails the sockets that are bound to an address that is no longer the stack's
    pub(crate) fn abandon(&mut self, old: Address, error: SocketError, shared: &mut Shared) {
        for (_, socket) in self.sockets.iter_mut() {
            if socket.local.address() == old {
                socket.kill(error, &mut shared.wakes);
            }
        }
    }

    /// Fails all sockets and drops the datagrams that wait
    pub(crate) fn shut_down(&mut self, shared: &mut Shared) {
        for (_, socket) in self.sockets.iter_mut() {
            socket.kill(SocketError::Aborted, &mut shared.wakes);
        }
        self.hold = None;
    }

    fn enqueue(&mut self, id: Id, shared: &mut Shared) {
        if let Some(socket) = self.sockets.get_mut(id) {
            shared.enqueue(&mut socket.queued, Ticket::Udp(id));
        }
    }
}
