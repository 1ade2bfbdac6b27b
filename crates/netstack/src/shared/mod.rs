//! The state that all protocols of a stack share
//!
//! | module | content |
//! |---|---|
//! | `counter` | the count of an event, and of a packet that is sent as a copy |
//! | `freed_ports` | ports that were freed lately |
//! | `fresh_link` | the times of repetitions over a link that has brought nothing yet |
//! | `queue` | the places in the queue of sockets with something to send |
//! | `random` | numbers that no other host can predict |
//! | `reply_limiter` | the rate limit of answers to packets that are for no socket |
//! | `table` | sockets by number |
//! | `time` | the time of a stack, in microseconds |

pub(crate) mod counter;
pub(crate) mod freed_ports;
pub(crate) mod fresh_link;
pub(crate) mod queue;
pub(crate) mod random;
pub(crate) mod reply_limiter;
pub(crate) mod table;
pub(crate) mod time;

use std::collections::VecDeque;

use pptp_packet::{Egress, Wakers};

use self::{
    counter::count, freed_ports::FreedPorts, queue::Ticket, random::Random,
    reply_limiter::ReplyLimiter, time::Time,
};
use crate::{
    SocketError, Stats,
    engine::Engine,
    ip::{Address, Addresses, Multicast},
};

/// The state that all protocols of a stack share
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) addresses: Addresses,
    pub(crate) multicast: Multicast,
    pub(crate) limiter: ReplyLimiter,
    pub(crate) now: Time,
    pub(crate) random: Random,
    pub(crate) freed: FreedPorts,
    /// The sockets with something to send, the longest waiting first
    pub(crate) queue: VecDeque<Ticket>,
    /// True if a turn is due
    pub(crate) ready: bool,
    pub(crate) wakes: Wakers,
    pub(crate) stats: Stats,
}

impl Shared {
    pub(crate) fn new(engine: Engine, addresses: Addresses, random: Random) -> Self {
        Self {
            engine,
            addresses,
            multicast: Multicast::default(),
            limiter: ReplyLimiter::new(),
            now: 0,
            random,
            freed: FreedPorts::default(),
            queue: VecDeque::new(),
            ready: false,
            wakes: Wakers::new(),
            stats: Stats::default(),
        }
    }

    /// Puts a socket into the queue, unless it is there already
    pub(crate) fn enqueue(&mut self, queued: &mut bool, ticket: Ticket) {
        if !std::mem::replace(queued, true) {
            self.queue.push_back(ticket);
        }
    }

    /// Fails if no socket of this stack can have the address
    pub(crate) fn check_own(&self, address: Address) -> Result<(), SocketError> {
        if address.is_unspecified() || self.addresses.own(address) {
            Ok(())
        } else {
            Err(SocketError::AddressNotAvailable)
        }
    }

    /// Returns true if a datagram to this destination is for this host too
    pub(crate) fn is_reached_at(&self, destination: Address) -> bool {
        self.addresses.own(destination)
            || self.addresses.was_broadcast(destination)
            || self.multicast.holds(destination)
    }

    /// Composes the reports of multicast groups that are due
    pub(crate) fn multicast_egress(&mut self, out: &mut impl Egress) {
        if self.multicast.is_due(self.now) && out.has_room() {
            self.engine.multicast_egress(self.now, &mut self.stats.packets_out, out);
            self.multicast.done(self.now);
        }
    }

    /// Counts a packet that is for no socket, and lets the engine answer it
    pub(crate) fn unclaimed(&mut self, packet: &[u8], out: &mut impl Egress) {
        count(&mut self.stats.unclaimed);
        self.answer(packet, out);
    }

    /// Lets the engine answer: a reset, an echo reply, port or protocol unreachable
    pub(crate) fn answer(&mut self, packet: &[u8], out: &mut impl Egress) {
        if !self.limiter.answers(self.now) {
            return count(&mut self.stats.unanswered);
        }
        self.engine.answer(packet, self.now, &mut self.stats.packets_out, out);
    }
}

/// Copies as much as fits; returns the number of octets
pub(crate) fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..count), to.get_mut(..count)) {
        to.copy_from_slice(from);
    }
    count
}
