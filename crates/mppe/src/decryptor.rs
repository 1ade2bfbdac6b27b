use std::time::Instant;

use crate::{Arrival, Discard, KeyStrength, Opened, Stats};

/// Decrypts one direction of a link, in place
#[derive(Debug)]
pub struct Decryptor {}

impl Decryptor {
    /// A stateless session (RFC 3078 §4)
    pub fn stateless(_start_key: &[u8; 16], _strength: KeyStrength) -> Self {
        todo!()
    }

    /// Opens the octets behind the protocol number 00FD, in place
    pub fn open<'p>(
        &mut self,
        _now: Instant,
        _arrival: Arrival,
        _frame: &'p mut [u8],
    ) -> Result<Opened<'p>, Discard> {
        todo!()
    }

    /// Forgets keys that are too old
    pub fn handle_timeout(&mut self, _now: Instant) {
        todo!()
    }

    /// When keys will be too old
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// Counters
    pub fn stats(&self) -> &Stats {
        todo!()
    }
}
