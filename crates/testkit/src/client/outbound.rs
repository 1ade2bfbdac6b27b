//! The packets of the building that wait to be sent to one client

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// The packets of the building that wait to be sent to one client
///
/// It has a lock of its own, under which no other is taken: the building's stacks put packets here while they are
/// locked, and the client's turn hands packets to the stacks while it is locked.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    packets: Mutex<VecDeque<Vec<u8>>>,
    /// Octets of the largest IP packet that fits, once the tunnel is up
    mtu: AtomicUsize,
    is_up: AtomicBool,
}

impl Outbound {
    /// Notes that packets pass; returns true if they never passed before
    pub(crate) fn up(&self, mtu: usize) -> bool {
        self.is_up.store(true, Ordering::Release);
        self.mtu.swap(mtu, Ordering::AcqRel) == 0
    }

    /// Notes that packets do not pass any more
    pub(crate) fn down(&self) {
        self.is_up.store(false, Ordering::Release);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }

    /// Octets of the largest IP packet that fits; 0 if the tunnel never was up
    pub(crate) fn mtu(&self) -> usize {
        self.mtu.load(Ordering::Acquire)
    }

    /// Appends a packet; false if it does not fit, or packets do not pass
    pub(crate) fn push(&self, packet: Vec<u8>) -> bool {
        let is_sent = self.is_up() && packet.len() <= self.mtu();
        if is_sent {
            self.packets().push_back(packet);
        }
        is_sent
    }

    pub(crate) fn pop(&self) -> Option<Vec<u8>> {
        self.packets().pop_front()
    }

    /// Drops all packets, and returns their number
    pub(crate) fn clear(&self) -> usize {
        std::mem::take(&mut *self.packets()).len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.packets().is_empty()
    }

    /// Returns true if the building has to wait before it sends more
    pub(crate) fn is_full(&self) -> bool {
        self.packets().len() >= MAX_WAITING
    }

    fn packets(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Packets that wait for one client; the fragments of the last one may be a few more
const MAX_WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_wait_in_order_while_the_tunnel_is_up_and_has_room() {
        let outbound = Outbound::default();
        assert!(!outbound.push(vec![0]), "never up");
        assert!(outbound.up(100) && !outbound.up(100), "the first time only");
        assert!(!outbound.push(vec![0; 101]), "too large");
        for octet in 0..64 {
            assert!(!outbound.is_full());
            assert!(outbound.push(vec![octet]));
        }
        assert!(outbound.is_full());
        assert_eq!(outbound.pop(), Some(vec![0]));
        assert!(!outbound.is_full());
        assert_eq!(outbound.clear(), 63);
        outbound.down();
        assert!(!outbound.push(vec![0]) && outbound.is_empty());
    }
}
