//! Packet slots with headroom, the pool they come from, and the way out of a state machine
//!
//! An IP packet is composed at [`HEADROOM`] octets into a slot. The headers in front of it (MPPE,
//! PPP, GRE) are then written into the headroom, so that a packet is never moved. [`Egress`] gives
//! such a slot to a state machine or a TCP/IP stack, which does not know the slot's owner or the
//! packet's further way.
//!
//! The crate also has other parts that several crates use: [`Wakers`] and [`Waiters`], which keep
//! tasks under a lock, and wake and drop them outside it; [`Redacted`], octets that must not be
//! logged; and [`Counter`], which stops at its largest value.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod counter;
mod queue;
mod redacted;
mod wakers;

pub use counter::Counter;
pub use queue::Queue;
pub use redacted::Redacted;
pub use wakers::{Waiters, Wakers, panics};

/// Octets kept free in front of an IP packet
///
/// GRE 16 + PPP address and control 2 + protocol 00FD 2 + MPPE header 2 + inner protocol 2.
pub const HEADROOM: usize = 24;

/// Octets of a slot: the headroom, and any IP packet that fits an Ethernet frame
pub const SLOT: usize = 2048;

/// A packet in a slot, with room in front of it
pub struct PacketBuf {
    octets: Box<[u8]>,
    start: usize,
    end: usize,
    wipe: bool,
}

impl PacketBuf {
    /// An empty slot of [`SLOT`] octets
    pub fn new() -> Self {
        Self {
            octets: vec![0; SLOT].into_boxed_slice(),
            start: HEADROOM,
            end: HEADROOM,
            wipe: false,
        }
    }

    /// Starts a new packet of `len` octets behind the headroom and lends it out to be filled
    ///
    /// The octets of the packet before it are still there. A packet larger than the slot makes the
    /// slot grow: that allocates, and does not happen while MTUs are those of Ethernet.
    pub fn reset(&mut self, len: usize) -> &mut [u8] {
        let end = HEADROOM.saturating_add(len);
        if end > self.octets.len() {
            self.octets = vec![0; end].into_boxed_slice();
        }
        self.start = HEADROOM;
        self.end = end;
        self.as_mut_slice()
    }

    /// Has the packet zeroed when its slot goes back to its [`SlotPool`]: it may tell a password
    pub const fn wipe_after_use(&mut self) {
        self.wipe = true;
    }

    fn wipe_if_asked(&mut self) {
        if std::mem::take(&mut self.wipe) {
            self.as_mut_slice().fill(0);
        }
    }

    /// Grows the packet by `count` octets in front and lends these out to be filled
    ///
    /// `None`, and the packet as it was, if the headroom is used up.
    pub fn prepend(&mut self, count: usize) -> Option<&mut [u8]> {
        self.start = self.start.checked_sub(count)?;
        self.as_mut_slice().get_mut(..count)
    }

    /// Grows the packet by the octets of `front`, in front
    ///
    /// False, and the packet as it was, if the headroom is used up.
    pub fn prepend_slice(&mut self, front: &[u8]) -> bool {
        self.prepend(front.len()).is_some_and(|room| {
            room.copy_from_slice(front);
            true
        })
    }

    /// The packet
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(self.start..self.end).unwrap_or_default()
    }

    /// The packet
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.octets.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Octets of the packet
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Returns true if the packet has no octets
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for PacketBuf {
    fn default() -> Self {
        Self::new()
    }
}

/// Prints the length only, because the octets may be confidential
impl std::fmt::Debug for PacketBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacketBuf").field("len", &self.len()).finish_non_exhaustive()
    }
}

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

/// Room for packets on their way out, which the implementor passes on
///
/// A TCP/IP stack composes IP packets into it, a tunnel whole GRE datagrams.
pub trait Egress {
    /// Returns true if [`Egress::compose`] has a slot for one more packet
    ///
    /// Called before a packet is composed. Data without room stays with the caller and is composed
    /// later: this is the back-pressure.
    fn has_room(&self) -> bool;

    /// Takes a slot, lets `fill` write a packet of exactly `len` octets into it, and passes it on
    ///
    /// Without room the packet is filled all the same, and then dropped and counted by the
    /// implementor: some callers (a reply inside a stack) cannot be refused beforehand.
    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R;
}

/// Packets in a vector: the simplest [`Egress`], for tests and small owners
///
/// Has room for `most` packets; drops and counts all further packets.
pub struct VecEgress {
    /// The packets that were composed, oldest first
    pub packets: Vec<Vec<u8>>,
    /// Packets dropped for want of room
    pub dropped: u64,
    most: usize,
}

impl VecEgress {
    /// Room for `most` packets
    pub const fn new(most: usize) -> Self {
        Self { packets: Vec::new(), dropped: 0, most }
    }
}

impl std::fmt::Debug for VecEgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VecEgress({} packets, {} dropped)", self.packets.len(), self.dropped)
    }
}

impl Egress for VecEgress {
    fn has_room(&self) -> bool {
        self.packets.len() < self.most
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut packet = vec![0; len];
        let filled = fill(&mut packet);
        if self.has_room() {
            self.packets.push(packet);
        } else {
            self.dropped.increment();
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_go_in_front_until_the_headroom_is_used_up() {
        let mut packet = PacketBuf::new();
        packet.reset(3).copy_from_slice(b"abc");
        assert!(packet.prepend_slice(b"12"));
        assert_eq!(packet.as_slice(), b"12abc");
        assert!(packet.prepend(HEADROOM - 2).is_some());
        assert_eq!(packet.len(), HEADROOM + 3);
        assert!(!packet.prepend_slice(b"x"));
        assert_eq!(packet.len(), HEADROOM + 3, "a refused header leaves the packet as it was");
    }

    #[test]
    fn a_slot_starts_anew_and_grows_when_it_must() {
        let mut packet = PacketBuf::new();
        packet.reset(4000).fill(7);
        assert_eq!(packet.len(), 4000);
        packet.reset(1);
        assert_eq!(packet.as_slice(), [7]);
    }

    #[test]
    fn a_packet_prints_its_length_and_none_of_its_octets() {
        let mut packet = PacketBuf::default();
        assert!(packet.is_empty());
        packet.reset(6).copy_from_slice(b"secret");
        assert!(!packet.is_empty());
        assert_eq!(format!("{packet:?}"), "PacketBuf { len: 6, .. }");
    }

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
            assert_eq!(slot.octets[HEADROOM - 1..HEADROOM + 2], left);
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

    #[test]
    fn a_vector_drops_what_it_has_no_room_for() {
        let mut out = VecEgress::new(1);
        out.compose(1, |octets| octets.fill(1));
        out.compose(1, |octets| octets.fill(2));
        assert_eq!((out.packets, out.dropped), (vec![vec![1]], 1));
    }
}
