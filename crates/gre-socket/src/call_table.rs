//! The table of calls, by Call ID

use std::{fmt, net::Ipv4Addr, time::Instant};

use rand::Rng;

mod ids;
mod page;

use crate::Shard;
use ids::CallIds;
pub use ids::{CALL_ID_QUARANTINE, Exhausted};
use page::{Entry, Page};

/// Calls by our Call ID, each with the address of its peer
///
/// Two levels of 256: a page exists while one of its calls does, and holds no more than its calls
/// need, for the IDs of a thousand calls are spread over all pages.
pub struct CallTable<T> {
    pages: Box<[Option<Box<Page<T>>>; 256]>,
    ids: CallIds,
}

impl<T> CallTable<T> {
    /// An empty table
    pub fn new() -> Self {
        Self::of_shard(Shard::ALL)
    }

    /// An empty table that gives out the IDs of one shard only
    pub fn of_shard(shard: Shard) -> Self {
        Self { pages: Box::new([const { None }; 256]), ids: CallIds::new(shard) }
    }

    /// Gives `value` a Call ID: random, not 0, and not in use within the last [`CALL_ID_QUARANTINE`]
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

    /// Inserts a value that has to know its Call ID, like [`CallTable::insert`]
    pub fn insert_with(
        &mut self,
        rng: &mut impl Rng,
        peer: Ipv4Addr,
        now: Instant,
        value: impl FnOnce(u16) -> T,
    ) -> Result<u16, Exhausted> {
        let call_id = self.ids.take(rng, now)?;
        let [high, low] = call_id.to_be_bytes();
        if let Some(page) = self.pages.get_mut(usize::from(high)) {
            page.get_or_insert_default().insert(Entry { low, peer, value: value(call_id) });
        }
        Ok(call_id)
    }

    /// Ends the call; its ID is in quarantine for [`CALL_ID_QUARANTINE`] from `now`
    pub fn remove(&mut self, call_id: u16, now: Instant) -> Option<T> {
        let [high, low] = call_id.to_be_bytes();
        let place = self.pages.get_mut(usize::from(high))?;
        let page = place.as_mut()?;
        let entry = page.remove(low)?;
        if page.is_empty() {
            *place = None;
        }
        self.ids.quarantine(call_id, now);
        Some(entry.value)
    }

    /// The call of a datagram with this Call ID from this address
    ///
    /// `None` for an unknown ID and for one that belongs to another peer.
    pub fn get_mut(&mut self, call_id: u16, source: Ipv4Addr) -> Option<&mut T> {
        let [high, low] = call_id.to_be_bytes();
        let page = self.pages.get_mut(usize::from(high))?.as_mut()?;
        page.get_mut(low).filter(|entry| entry.peer == source).map(|entry| &mut entry.value)
    }

    /// The call of a datagram with this Call ID from this address
    ///
    /// `None` for an unknown ID and for one that belongs to another peer.
    pub fn get(&self, call_id: u16, source: Ipv4Addr) -> Option<&T> {
        let [high, low] = call_id.to_be_bytes();
        let page = self.pages.get(usize::from(high))?.as_ref()?;
        page.get(low).filter(|entry| entry.peer == source).map(|entry| &entry.value)
    }

    /// The call with this Call ID, for any address of its peer
    pub fn get_by_id(&self, call_id: u16) -> Option<&T> {
        let [high, low] = call_id.to_be_bytes();
        let page = self.pages.get(usize::from(high))?.as_ref()?;
        page.get(low).map(|entry| &entry.value)
    }

    /// All calls with their IDs, in no particular order
    pub fn iter(&self) -> impl Iterator<Item = (u16, &T)> {
        (0..=u8::MAX).zip(self.pages.iter()).flat_map(|(high, page)| {
            let entries = page.iter().flat_map(|page| page.entries());
            entries.map(move |entry| (u16::from_be_bytes([high, entry.low]), &entry.value))
        })
    }

    /// Calls in the table
    pub const fn len(&self) -> usize {
        self.ids.in_use()
    }

    /// Returns true if there is no call
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

#[cfg(test)]
mod tests;
