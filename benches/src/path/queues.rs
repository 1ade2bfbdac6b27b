//! Queues of datagrams between a client and its peer

use std::collections::VecDeque;

use pptp_packet::{Egress, PacketBuf, SlotPool, Wakers};

/// Datagrams that came together, in slots that are used again and again
#[derive(Debug)]
pub struct Slots {
    slots: Vec<PacketBuf>,
    used: usize,
}

impl Slots {
    /// Room for `count` datagrams
    pub fn new(count: usize) -> Self {
        Self { slots: (0..count).map(|_| PacketBuf::new()).collect(), used: 0 }
    }

    /// The next free slot, for a packet of `len` octets
    pub fn take(&mut self, len: usize) -> &mut PacketBuf {
        let slot = &mut self.slots[self.used];
        self.used += 1;
        slot.reset(len);
        slot
    }

    /// Forgets the datagrams
    pub const fn clear(&mut self) {
        self.used = 0;
    }

    /// The datagrams, oldest first
    pub fn datagrams(&mut self) -> &mut [PacketBuf] {
        &mut self.slots[..self.used]
    }
}

impl Egress for Slots {
    fn has_room(&self) -> bool {
        self.used < self.slots.len()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        fill(self.take(len).as_mut_slice())
    }
}

/// Datagrams that wait to be sent, in slots of a pool, as in the driver's `SendBatch`
#[derive(Debug)]
pub struct SendQueue {
    /// Whose the datagrams are that are pushed now
    pub tag: usize,
    /// Whom to wake when a turn is over
    pub wakers: Wakers,
    waiting: VecDeque<(usize, PacketBuf)>,
    slots: SlotPool,
}

impl SendQueue {
    /// Room for `most` datagrams
    pub const fn new(most: usize) -> Self {
        let slots = SlotPool::new(most);
        Self { tag: 0, wakers: Wakers::new(), waiting: VecDeque::new(), slots }
    }

    /// A slot to compose in
    pub fn take_slot(&mut self) -> PacketBuf {
        self.slots.take().expect("more slots than a round needs")
    }

    /// Appends a datagram
    pub fn push(&mut self, packet: PacketBuf) {
        self.waiting.push_back((self.tag, packet));
    }

    /// Hands the datagrams over with their tags, oldest first, and frees their slots
    pub fn drain(&mut self, mut each: impl FnMut(usize, &mut [u8])) {
        for (tag, mut packet) in self.waiting.drain(..) {
            each(tag, packet.as_mut_slice());
            self.slots.put(packet);
        }
    }
}

/// Whole datagrams of the state machine itself
impl Egress for SendQueue {
    fn has_room(&self) -> bool {
        self.slots.has_room()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut packet = self.take_slot();
        let filled = fill(packet.reset(len));
        self.push(packet);
        filled
    }
}
