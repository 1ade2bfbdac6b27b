//! The way out of a state machine

use crate::counter::Counter;

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
    fn a_vector_drops_what_it_has_no_room_for() {
        let mut out = VecEgress::new(1);
        out.compose(1, |octets| octets.fill(1));
        out.compose(1, |octets| octets.fill(2));
        assert_eq!((out.packets, out.dropped), (vec![vec![1]], 1));
    }
}
