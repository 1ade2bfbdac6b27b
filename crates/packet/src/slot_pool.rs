//! The pool of slots

use crate::{counter::Counter, packet_buf::PacketBuf};

/// A bounded stock of slots that are used again and again
///
/// Slots are made on demand up to the bound, so an idle owner holds none it never needed.
#[derive(Debug)]
pub struct SlotPool {
    free: Vec<PacketBuf>,
    made: usize,
    most: usize,
}

impl SlotPool {
    /// A pool that will hand out at most `most` slots at a time
    pub const fn new(most: usize) -> Self {
        Self { free: Vec::new(), made: 0, most }
    }

    /// Returns true if [`SlotPool::take`] would give a slot
    pub fn has_room(&self) -> bool {
        !self.free.is_empty() || self.made < self.most
    }

    /// Slots that [`SlotPool::take`] would give one after the other
    pub fn room(&self) -> usize {
        self.most.saturating_sub(self.made).saturating_add(self.free.len())
    }

    /// Counts the slots again: `in_use` are out, and those that are neither out nor in the pool are
    /// lost
    pub fn replace_lost(&mut self, in_use: usize) {
        self.made = self.free.len().saturating_add(in_use);
    }

    /// A slot, or `None` while all are in use
    pub fn take(&mut self) -> Option<PacketBuf> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        if self.made >= self.most {
            return None;
        }
        self.made.increment();
        Some(PacketBuf::new())
    }

    /// Gives a slot back
    pub fn put(&mut self, mut slot: PacketBuf) {
        slot.wipe_if_asked();
        if self.free.len() < self.most {
            self.free.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HEADROOM;

    #[test]
    fn a_pool_is_bounded_and_reuses() {
        let mut pool = SlotPool::new(2);
        let first = pool.take().unwrap();
        let _second = pool.take().unwrap();
        assert!(!pool.has_room());
        assert!(pool.take().is_none());
        assert_eq!(pool.room(), 0);
        pool.put(first);
        assert!(pool.has_room());
        assert_eq!(pool.room(), 1);
        assert!(pool.take().is_some());
    }

    #[test]
    fn a_packet_that_may_tell_a_password_is_zeroed_when_its_slot_goes_back() {
        let mut pool = SlotPool::new(1);
        for (asked, left) in [(true, [0; 3]), (false, [7; 3])] {
            let mut slot = pool.take().unwrap();
            slot.reset(2).fill(7);
            slot.prepend(1).unwrap().fill(7);
            if asked {
                slot.wipe_after_use();
            }
            pool.put(slot);
            let slot = pool.take().unwrap();
            assert_eq!(slot.slot()[HEADROOM - 1..HEADROOM + 2], left);
            pool.put(slot);
        }
    }

    #[test]
    fn lost_slots_are_replaced() {
        let mut pool = SlotPool::new(3);
        drop(pool.take());
        let _in_use = pool.take();
        pool.replace_lost(1);
        assert_eq!(pool.room(), 2);
    }
}
