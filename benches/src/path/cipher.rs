//! The bound of a path: the cipher alone

use std::time::{Duration, Instant};

use pptp_mppe::{Arrival, Decryptor, Encryptor, KeyStrength, Order};

use super::{
    host::ip_header,
    queues::Slots,
    sizes::{BATCHES, Direction, FULL, PACKETS},
};
use crate::measure::thread_time;

/// Lengths of what was encrypted on a path in one round: protocol and packet
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// What the client opened
    pub opened: Vec<usize>,
    /// What the client sealed
    pub sealed: Vec<usize>,
}

impl Traffic {
    /// Whole packets in one direction
    pub fn bulk(direction: Direction) -> Self {
        let packets = vec![FULL + 2; PACKETS * BATCHES];
        match direction {
            Direction::Download => Self { opened: packets, sealed: Vec::new() },
            Direction::Upload => Self { opened: Vec::new(), sealed: packets },
        }
    }

    /// The length of what is encrypted in a datagram, if there is anything
    ///
    /// It stands behind GRE's header, PPP's, whole or compressed, and two octets of MPPE's.
    pub(super) fn inner_len(datagram: &[u8]) -> Option<usize> {
        let frame = match datagram {
            [0x30, 0x01, ..] => datagram.get(12..)?,
            [0x30, 0x81, ..] => datagram.get(16..)?,
            _ => return None,
        };
        let frame = frame.strip_prefix(&[0xFF, 0x03]).unwrap_or(frame);
        let frame = frame.strip_prefix(&[0x00]).unwrap_or(frame);
        frame.strip_prefix(&[0xFD])?.len().checked_sub(2)
    }
}

/// The bound of a path: the cipher alone, on as many octets in as many packets
#[derive(Debug)]
pub struct CipherOnly {
    /// Of the peer, which makes what is to be opened
    peer: Encryptor,
    decryptor: Decryptor,
    encryptor: Encryptor,
    sequence: u32,
    now: Instant,
    received: Slots,
    sent: Slots,
}

impl CipherOnly {
    /// A session before its first packet
    pub fn new(now: Instant) -> Self {
        let (key, strength) = ([7; 16], KeyStrength::Bits128);
        Self {
            peer: Encryptor::stateless(&key, strength),
            decryptor: Decryptor::stateless(&key, strength),
            encryptor: Encryptor::stateless(&key, strength),
            sequence: 0,
            now,
            received: Slots::new(PACKETS * BATCHES),
            sent: Slots::new(2 * PACKETS * BATCHES),
        }
    }

    /// The CPU time of that traffic
    pub fn round(&mut self, traffic: &Traffic) -> Duration {
        self.received.clear();
        self.sent.clear();
        for length in &traffic.opened {
            self.prepare(*length);
        }
        let begin = thread_time();
        for slot in self.received.datagrams() {
            let arrival = Arrival { sequence: self.sequence, order: Order::Ahead };
            self.sequence = self.sequence.wrapping_add(1);
            let opened = self.decryptor.open(self.now, arrival, slot.as_mut_slice());
            opened.expect("a frame in order");
        }
        for length in &traffic.sealed {
            self.encryptor.seal(self.sent.take(*length).as_mut_slice());
        }
        thread_time().saturating_sub(begin)
    }

    fn prepare(&mut self, length: usize) {
        let slot = self.received.take(length + 2);
        let (header, inner) = slot.as_mut_slice().split_first_chunk_mut().expect("longer");
        inner[..2].copy_from_slice(&[0x00, 0x21]);
        inner[2..22].copy_from_slice(&ip_header(length - 2));
        *header = self.peer.seal(inner);
    }
}
