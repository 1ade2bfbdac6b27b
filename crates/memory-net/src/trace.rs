//! A digest of everything that was sent

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    net::Ipv4Addr,
};

use pptp_gre::enhanced_call_id;
use tokio::time::Instant;

use crate::clock::now;

/// A digest of everything that was sent, with the times
#[derive(Debug)]
pub(super) struct Trace {
    began: Instant,
    /// With fixed keys: the same in every process
    hasher: DefaultHasher,
    /// The time at which a frame for a host's call arrived last, unharmed
    arrivals: BTreeMap<(Ipv4Addr, u16), Instant>,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { began: now(), hasher: DefaultHasher::new(), arrivals: BTreeMap::new() }
    }

    pub(super) fn note(&mut self, ends: impl Hash, octets: &[u8]) {
        (now() - self.began, ends, octets).hash(&mut self.hasher);
    }

    /// Notes that a datagram arrives at a host as it was sent
    pub(super) fn arrive(&mut self, to: Ipv4Addr, gre: &[u8], due: Instant) {
        if let Some(call_id) = enhanced_call_id(gre).filter(|_| has_sequence_number(gre)) {
            let arrival = self.arrivals.entry((to, call_id)).or_insert(due);
            *arrival = due.max(*arrival);
        }
    }

    pub(super) fn last_arrival(&self, to: Ipv4Addr, call_id: u16) -> Option<Instant> {
        self.arrivals.get(&(to, call_id)).copied()
    }

    pub(super) fn digest(&self) -> u64 {
        self.hasher.finish()
    }
}

/// Returns true if there is a payload: else it is a bare acknowledgment (RFC 2637 §4.1, the bit S)
fn has_sequence_number(gre: &[u8]) -> bool {
    gre.first().is_some_and(|flags| flags & 0x10 != 0)
}
