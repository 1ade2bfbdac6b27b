//! UDP datagrams that wait for a path to open
//!
//! A PPP server may acknowledge the addresses some 100 ms before its interface takes packets. TCP, DNS
//! and pings are repeated; a datagram would be lost, and often the first one is the only question.

use super::Udp;
use crate::shared::{
    Shared,
    queue::Ticket,
    table::Id,
    time::{NEVER, Time},
};

/// The datagrams that wait, by the sockets that have them
#[derive(Debug)]
pub(super) struct Hold {
    until: Time,
    tickets: Vec<Ticket>,
    datagrams: usize,
    octets: usize,
}

impl Hold {
    pub(super) const fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    fn count(&mut self, payload: usize) {
        self.datagrams = self.datagrams.saturating_add(1);
        self.octets = self.octets.saturating_add(payload);
    }

    const fn is_full(&self) -> bool {
        self.datagrams >= MAX_DATAGRAMS || self.octets >= MAX_OCTETS
    }
}

impl Udp {
    /// Lets datagrams wait until `until`, or until [`Udp::release`]
    pub(crate) fn hold(&mut self, until: Time, shared: &Shared) {
        if until > shared.now && self.hold.is_none() {
            let (tickets, datagrams, octets) = (Vec::new(), 0, 0);
            self.hold = Some(Box::new(Hold { until, tickets, datagrams, octets }));
        }
    }

    /// Lets the waiting datagrams leave in their order
    pub(crate) fn release(&mut self, shared: &mut Shared) {
        let Some(hold) = self.hold.take() else { return };
        shared.ready |= !hold.is_empty();
        shared.queue.extend(hold.tickets);
        for (_, socket) in self.sockets.iter_mut() {
            socket.writers.wake(&mut shared.wakes);
        }
    }

    /// Releases the datagrams once their time is over
    pub(crate) fn release_due(&mut self, shared: &mut Shared) {
        if self.hold.as_ref().is_some_and(|hold| hold.until <= shared.now) {
            self.release(shared);
        }
    }

    /// Keeps the ticket of a socket whose datagrams wait; false if they do not wait
    pub(crate) fn hold_back(&mut self, id: Id) -> bool {
        if self.holds(id)
            && let Some(hold) = &mut self.hold
        {
            hold.tickets.push(Ticket::Udp(id));
            return true;
        }
        false
    }

    /// Returns true if datagrams wait for the path to open
    pub(crate) fn has_held(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| !hold.is_empty())
    }

    /// Returns true if a datagram of this socket waits
    fn holds(&self, id: Id) -> bool {
        self.hold.is_some() && self.sockets.get(id).is_some_and(|socket| !socket.repeats)
    }

    /// Returns true if a datagram of this socket would have to wait and there is no room for it
    pub(super) fn is_held_up(&self, id: Id) -> bool {
        self.holds(id) && self.hold.as_ref().is_some_and(|hold| hold.is_full())
    }

    pub(super) fn count_held(&mut self, id: Id, payload: usize) {
        if self.holds(id)
            && let Some(hold) = &mut self.hold
        {
            hold.count(payload);
        }
    }

    /// The time at which datagrams wait no longer
    pub(crate) fn hold_deadline(&self) -> Time {
        self.hold.as_ref().map_or(NEVER, |hold| hold.until)
    }
}

/// The most datagrams that may wait, of all sockets together
const MAX_DATAGRAMS: usize = 32;
/// Octets that wait at most; the last datagram may go beyond
const MAX_OCTETS: usize = 64 << 10;
