//! UDP datagrams that wait for a path to open
//!
//! A PPP server may acknowledge the addresses some 100 ms before its interface takes packets. TCP, DNS
//! and pings are repeated; a datagram would be lost, and often the first one is the only question.

use std::time::Instant;

use super::{Stack, Ticket, table::Id};
use crate::shared::time::{NEVER, Time};

/// The datagrams that wait, by the sockets that have them
#[derive(Debug)]
pub(super) struct Hold {
    until: Time,
    tickets: Vec<Ticket>,
    datagrams: usize,
    octets: usize,
}

impl Hold {
    /// When nothing waits any longer
    pub(super) const fn until(&self) -> Time {
        self.until
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// Notes that a socket has something to send
    pub(super) fn push(&mut self, ticket: Ticket) {
        self.tickets.push(ticket);
    }

    fn count(&mut self, payload: usize) {
        self.datagrams = self.datagrams.saturating_add(1);
        self.octets = self.octets.saturating_add(payload);
    }

    const fn is_full(&self) -> bool {
        self.datagrams >= MAX_DATAGRAMS || self.octets >= MAX_OCTETS
    }
}

impl Stack {
    /// Lets UDP datagrams wait until `until`, or until [`Stack::release_datagrams`]
    ///
    /// At most 32 datagrams and 64 KiB wait; a send beyond that waits itself. Everything else leaves at
    /// once.
    pub fn hold_datagrams(&mut self, now: Instant, until: Instant) {
        self.advance(now);
        let until = self.clock.time(until);
        if self.ended.is_none() && until > self.now && self.hold.is_none() {
            let (tickets, datagrams, octets) = (Vec::new(), 0, 0);
            self.hold = Some(Box::new(Hold { until, tickets, datagrams, octets }));
        }
    }

    /// Lets the datagrams leave that wait, in their order: the path is open
    pub fn release_datagrams(&mut self) {
        let Some(hold) = self.hold.take() else { return };
        self.ready |= !hold.is_empty();
        self.queue.extend(hold.tickets);
        for (_, socket) in self.udp.iter_mut() {
            socket.writers.wake(&mut self.wakes);
        }
    }

    pub(super) fn release_due(&mut self) {
        if self.hold.as_ref().is_some_and(|hold| hold.until <= self.now) {
            self.release_datagrams();
        }
    }

    /// Whether a datagram of this socket waits
    pub(super) fn holds(&self, id: Id) -> bool {
        self.hold.is_some() && self.udp.get(id).is_some_and(|socket| !socket.repeats)
    }

    /// Whether a datagram of this socket would have to wait and there is no room for it
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

    /// When datagrams wait no longer
    pub(super) fn hold_deadline(&self) -> Time {
        self.hold.as_ref().map_or(NEVER, |hold| hold.until())
    }
}

/// Datagrams that wait at most, of all sockets
const MAX_DATAGRAMS: usize = 32;
/// Octets of them at most; the last one may go beyond
const MAX_OCTETS: usize = 64 << 10;
