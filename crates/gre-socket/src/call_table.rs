//! From the Call ID of a datagram to its tunnel

use std::{
    fmt,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use rand::Rng;

/// How long a Call ID is not given to another call after its own has ended
///
/// The peer may go on sending for the old call until it notices; a late datagram must not reach
/// the new one.
pub const REST: Duration = Duration::from_secs(120);

/// Calls by our Call ID, each with the address of its peer
pub struct CallTable<T> {
    _marker: std::marker::PhantomData<T>,
}

impl<T> CallTable<T> {
    /// An empty table
    pub fn new() -> Self {
        todo!()
    }

    /// Gives `value` a Call ID: random, not 0, and at rest for [`REST`] if it was in use before
    ///
    /// Random, because the ID is one of the two things a forger of datagrams has to know.
    pub fn insert(
        &mut self,
        rng: &mut impl Rng,
        peer: Ipv4Addr,
        value: T,
        now: Instant,
    ) -> Result<u16, Exhausted> {
        self.insert_with(rng, peer, now, |_| value)
    }

    /// As [`CallTable::insert`], for a value that has to know its Call ID
    pub fn insert_with(
        &mut self,
        rng: &mut impl Rng,
        peer: Ipv4Addr,
        now: Instant,
        value: impl FnOnce(u16) -> T,
    ) -> Result<u16, Exhausted> {
        let _ = (rng, peer, now, value);
        todo!()
    }

    /// Ends the call; its ID rests for [`REST`] from `now`
    pub fn remove(&mut self, call_id: u16, now: Instant) -> Option<T> {
        let _ = (call_id, now);
        todo!()
    }

    /// The call of a datagram with this Call ID from this address
    ///
    /// `None` for an unknown ID and for one that belongs to another peer.
    pub fn get(&self, call_id: u16, source: Ipv4Addr) -> Option<&T> {
        let _ = (call_id, source);
        todo!()
    }

    /// The call of a datagram with this Call ID from this address
    pub fn get_mut(&mut self, call_id: u16, source: Ipv4Addr) -> Option<&mut T> {
        let _ = (call_id, source);
        todo!()
    }

    /// All calls with their IDs, in no particular order
    pub fn iter(&self) -> impl Iterator<Item = (u16, &T)> {
        std::iter::empty()
    }

    /// Calls in the table
    pub const fn len(&self) -> usize {
        0
    }

    /// Whether there is no call
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Default for CallTable<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for CallTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallTable").field("calls", &self.len()).finish_non_exhaustive()
    }
}

/// All 65,535 Call IDs are in use or at rest
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Call ID is free: {in_use} in use, {at_rest} at rest after their calls ended")]
pub struct Exhausted {
    /// IDs of calls in the table
    pub in_use: usize,
    /// IDs of calls that ended less than [`REST`] ago
    pub at_rest: usize,
}
