//! The packets that pass between a tunnel and a user with a TCP/IP stack of its own

use std::{collections::VecDeque, io, task::Poll};

use pptp_packet::{Egress, Waiters, Wakers};

/// The direction that a task waits for
#[derive(Clone, Copy)]
pub(crate) enum Side {
    /// For a packet from the tunnel
    Read,
    /// For room for a packet into the tunnel
    Write,
}

/// The packets between the driver and an [`IpPackets`](crate::IpPackets)
pub(crate) struct RawPort {
    mtu: usize,
    /// True if packets of IPv6 pass
    ipv6: bool,
    received: VecDeque<Vec<u8>>,
    to_send: VecDeque<Vec<u8>>,
    /// Buffers that were used before, so that a packet costs no allocation
    spare: Vec<Vec<u8>>,
    readers: Waiters,
    writers: Waiters,
    dropped: u64,
}

/// The number of packets that wait in each direction, at most
const MAX_WAITING: usize = 64;

impl RawPort {
    pub(crate) const fn new(mtu: usize, ipv6: bool) -> Self {
        Self {
            mtu,
            ipv6,
            received: VecDeque::new(),
            to_send: VecDeque::new(),
            spare: Vec::new(),
            readers: Waiters::new(),
            writers: Waiters::new(),
            dropped: 0,
        }
    }

    pub(crate) const fn reconfigure(&mut self, mtu: usize, ipv6: bool) {
        self.mtu = mtu;
        self.ipv6 = ipv6;
    }

    /// Takes a packet from the tunnel; drops it if too many wait already
    pub(crate) fn deliver(&mut self, packet: &[u8]) {
        if self.received.len() >= MAX_WAITING {
            self.dropped += 1;
            return;
        }
        let buffer = self.fill(packet);
        self.received.push_back(buffer);
    }

    /// Returns the next packet into the tunnel
    pub(crate) fn next_to_send(&self) -> Option<&[u8]> {
        self.to_send.front().map(Vec::as_slice)
    }

    /// The number of packets that nothing read in time
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Notes that the next packet has been sent
    fn sent(&mut self) {
        if let Some(buffer) = self.to_send.pop_front() {
            self.spare.push(buffer);
        }
    }

    /// Sends the packets that wait; returns true if some are left for which there was no room
    pub(crate) fn egress(&mut self, out: &mut impl Egress) -> bool {
        while let Some(packet) = self.next_to_send() {
            if !out.has_room() {
                return true;
            }
            out.compose(packet.len(), |room| room.copy_from_slice(packet));
            self.sent();
        }
        false
    }

    pub(crate) fn drain_wakers(&mut self, into: &mut Wakers) {
        if !self.received.is_empty() {
            self.readers.wake(into);
        }
        if self.to_send.len() < MAX_WAITING {
            self.writers.wake(into);
        }
    }

    pub(crate) fn drain_all_wakers(&mut self, into: &mut Wakers) {
        self.readers.wake(into);
        self.writers.wake(into);
    }

    pub(crate) const fn waiters(&mut self, side: Side) -> &mut Waiters {
        match side {
            Side::Read => &mut self.readers,
            Side::Write => &mut self.writers,
        }
    }

    pub(crate) fn poll_recv(&mut self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(packet) = self.received.pop_front() else { return Poll::Pending };
        let length = packet.len().min(buffer.len());
        buffer[..length].copy_from_slice(&packet[..length]);
        self.spare.push(packet);
        Poll::Ready(Ok(length))
    }

    pub(crate) fn poll_send(&mut self, packet: &[u8]) -> Poll<io::Result<()>> {
        if packet.is_empty() || packet.len() > self.mtu {
            let message = format!("an IP packet of {} octets, MTU {}", packet.len(), self.mtu);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, message)));
        }
        if packet.first().is_some_and(|first| first >> 4 == 6) && !self.ipv6 {
            let message = "an IPv6 packet, and the tunnel has no IPv6";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, message)));
        }
        if self.to_send.len() >= MAX_WAITING {
            return Poll::Pending;
        }
        let buffer = self.fill(packet);
        self.to_send.push_back(buffer);
        Poll::Ready(Ok(()))
    }

    fn fill(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(packet);
        buffer
    }
}
