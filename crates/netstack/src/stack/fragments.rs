//! Fragments that come in, on their way to being a datagram

use pptp_packet::Egress;

use super::Stack;
use crate::{
    engine::{Fragment, Protocol},
    shared::time::{NEVER, Time},
};

impl Stack {
    /// Takes in a fragment, and the whole datagram if it was the one that was missing
    ///
    /// Its header has been checked. Only what some socket could receive is kept.
    pub(super) fn take_in_fragment(&mut self, packet: &[u8], out: &mut impl Egress) {
        count(&mut self.stats.fragments_in);
        let Some(fragment) = Fragment::parse(packet) else {
            return count(&mut self.stats.malformed);
        };
        if !is_reassembled(fragment.key.protocol) || !self.is_reached_at(fragment.key.destination) {
            return count(&mut self.stats.unclaimed);
        }
        let reassembly = self.reassembly.get_or_insert_default();
        let whole = reassembly.insert(&fragment, self.now, &mut self.stats);
        self.free_reassembly();
        if let Some(datagram) = whole {
            self.take_in(&datagram, out);
        }
    }

    /// Gives up the datagrams that waited too long for a fragment
    pub(super) fn expire_fragments(&mut self) {
        if let Some(reassembly) = &mut self.reassembly {
            reassembly.expire(self.now, &mut self.stats);
            self.free_reassembly();
        }
    }

    /// When a datagram will have waited too long
    pub(super) fn fragments_deadline(&self) -> Time {
        self.reassembly.as_ref().map_or(NEVER, |reassembly| reassembly.next())
    }

    fn free_reassembly(&mut self) {
        if self.reassembly.as_ref().is_some_and(|reassembly| reassembly.is_empty()) {
            self.reassembly = None;
        }
    }
}

/// Whether the stack has sockets for it
const fn is_reassembled(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Tcp | Protocol::Udp | Protocol::Icmp)
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
