//! The buffer of a UDP socket

use smoltcp::storage::{PacketBuffer, PacketMetadata};

use crate::ip::Endpoint;

/// A ring of datagrams, each with an address
pub(crate) struct DatagramRing {
    ring: PacketBuffer<'static, Endpoint>,
}

impl DatagramRing {
    /// A ring for so many octets of payload and so many datagrams
    pub(crate) fn new(octets: usize, datagrams: usize) -> Self {
        let metadata = vec![PacketMetadata::EMPTY; datagrams];
        Self { ring: PacketBuffer::new(metadata, vec![0; octets]) }
    }

    /// Adds a datagram; false if there is no room
    pub(crate) fn push(&mut self, payload: &[u8], address: Endpoint) -> bool {
        self.ring.enqueue(payload.len(), address).is_ok_and(|room| {
            room.copy_from_slice(payload);
            true
        })
    }

    /// Returns the oldest datagram, which stays
    pub(crate) fn peek(&mut self) -> Option<(Endpoint, &[u8])> {
        self.ring.peek().ok().map(|(address, payload)| (*address, payload))
    }

    /// Removes the oldest datagram and returns it
    pub(crate) fn pop(&mut self) -> Option<(Endpoint, &[u8])> {
        self.ring.dequeue().ok().map(|(address, payload)| (address, &*payload))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Returns true if there is no room for one more datagram, however small
    pub(crate) fn is_full(&self) -> bool {
        self.ring.is_full()
    }

    /// Octets of the largest payload
    pub(crate) fn payload_capacity(&self) -> usize {
        self.ring.payload_capacity()
    }
}
