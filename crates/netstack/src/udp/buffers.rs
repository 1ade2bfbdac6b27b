//! The buffers of UDP sockets

use crate::{
    UdpOptions,
    engine::DatagramRing,
    ip::{Endpoint, UDP_HEADER, Version},
};

/// The buffers of a UDP socket
pub(super) struct Buffers {
    pub(super) receive: DatagramRing,
    send: DatagramRing,
    /// A datagram that is larger than all of `send`: it is alone on its way
    large: Option<(Endpoint, Box<[u8]>)>,
}

impl Buffers {
    /// Buffers of the sizes in `options`, but at least one packet of full size each
    pub(super) fn new(options: &UdpOptions, version: Version, mtu: usize) -> Self {
        let buffer = |octets: usize| ring(octets.max(max_payload(version, mtu)));
        Self {
            receive: buffer(options.receive_buffer),
            send: buffer(options.send_buffer),
            large: None,
        }
    }

    /// Queues a datagram, if there is room
    ///
    /// One that is larger than the whole send buffer waits beside it, if nothing else waits.
    pub(super) fn queue(&mut self, payload: &[u8], to: Endpoint) -> bool {
        if self.large.is_some() {
            return false;
        }
        if payload.len() > self.send.payload_capacity() {
            let is_alone = self.send.is_empty();
            self.large = is_alone.then(|| (to, payload.into()));
            return is_alone;
        }
        self.send.push(payload, to)
    }

    /// The datagram that was sent first of those that are here
    pub(super) fn oldest(&mut self) -> Option<(Endpoint, &[u8])> {
        match &self.large {
            Some((to, payload)) => Some((*to, payload)),
            None => self.send.peek(),
        }
    }

    /// Drops what [`Self::oldest`] gives
    pub(super) fn pop(&mut self) {
        if self.large.take().is_none() {
            // an empty buffer has nothing to drop
            let _ = self.send.pop();
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.large.is_none() && !self.send.is_full()
    }

    pub(super) fn has_egress(&self) -> bool {
        self.large.is_some() || !self.send.is_empty()
    }
}

/// Octets of payload that fit one packet
const fn max_payload(version: Version, mtu: usize) -> usize {
    mtu.saturating_sub(version.header_len()).saturating_sub(UDP_HEADER)
}

/// Makes a ring for so many octets of payload
///
/// One entry for 256 octets: small datagrams fill it by their number, as they fill the kernel's
/// buffers by the memory each takes.
fn ring(octets: usize) -> DatagramRing {
    let octets = octets.clamp(1, MAX_BUFFER);
    let entries = octets.div_ceil(256).clamp(4, 1024);
    DatagramRing::new(octets, entries)
}

/// The largest buffer, as of TCP
const MAX_BUFFER: usize = 16 << 20;
