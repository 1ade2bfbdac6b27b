//! Fragments that come in, until their datagrams are whole

use super::reassembly::Reassembly;
use crate::{
    Stats,
    engine::{Fragment, Protocol},
    shared::time::{NEVER, Time},
};

/// The datagrams that are not whole; it holds no memory while it is empty
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    reassembly: Option<Box<Reassembly>>,
}

impl Fragments {
    /// Takes in a fragment; returns the datagram if it is whole now
    pub(crate) fn insert(
        &mut self,
        fragment: &Fragment<'_>,
        now: Time,
        stats: &mut Stats,
    ) -> Option<Vec<u8>> {
        let reassembly = self.reassembly.get_or_insert_default();
        let whole = reassembly.insert(fragment, now, stats);
        self.free();
        whole
    }

    /// Gives up the datagrams that waited too long for a fragment
    pub(crate) fn expire(&mut self, now: Time, stats: &mut Stats) {
        if let Some(reassembly) = &mut self.reassembly {
            reassembly.expire(now, stats);
            self.free();
        }
    }

    /// The time at which a datagram will have waited too long
    pub(crate) fn deadline(&self) -> Time {
        self.reassembly.as_ref().map_or(NEVER, |reassembly| reassembly.next())
    }

    /// Drops all fragments
    pub(crate) fn clear(&mut self) {
        self.reassembly = None;
    }

    fn free(&mut self) {
        if self.reassembly.as_ref().is_some_and(|reassembly| reassembly.is_empty()) {
            self.reassembly = None;
        }
    }
}

/// Returns true if the stack has sockets for a protocol
pub(crate) const fn is_reassembled(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Tcp | Protocol::Udp | Protocol::Icmp)
}
