//! The buffers of a driver, and the time

use std::time::{Duration, Instant};

use super::{
    queues::{SendQueue, Slots},
    sizes::{BATCHES, PACKETS},
};

/// The buffers of one driver for all its tunnels, the time, and those of the sockets' tasks
#[derive(Debug)]
pub struct Road {
    /// Datagrams that came for the clients
    pub received: Slots,
    /// Datagrams that the clients send
    pub sent: SendQueue,
    /// Now
    pub now: Instant,
    pub(super) packet: Vec<u8>,
    pub(super) octets: Vec<u8>,
}

impl Road {
    /// Without traffic, at some moment
    pub fn new() -> Self {
        Self {
            received: Slots::new(PACKETS * BATCHES),
            sent: SendQueue::new(2 * PACKETS * BATCHES),
            now: Instant::now(),
            packet: Vec::new(),
            octets: vec![0x5A; 32 << 10],
        }
    }
}

impl Default for Road {
    fn default() -> Self {
        Self::new()
    }
}

/// The time from one turn to the next: eight packets of a line with 100 Mbit/s
pub(super) const TURN: Duration = Duration::from_millis(1);
