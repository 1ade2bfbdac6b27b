//! Numbers nobody outside can foretell

use std::hash::{DefaultHasher, Hasher};

/// Numbers nobody outside can foretell, in sixteen octets
///
/// A keyed hash of a counter (SipHash): ports and identifiers go out in clear, and those to come
/// do not follow from those that were.
#[derive(Debug)]
pub(super) struct Random {
    seed: u64,
    counter: u64,
}

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write_u64(self.counter);
        hasher.finish()
    }

    pub(super) fn next_u16(&mut self) -> u16 {
        let [.., high, low] = self.next().to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// A free port of the dynamic range (RFC 6335 §6), chosen at random (RFC 6056 §3.3.1)
    ///
    /// `None` if all are taken.
    pub(super) fn port(&mut self, taken: impl Fn(u16) -> bool) -> Option<u16> {
        const FIRST: u16 = 49152;
        let offset = self.next_u16() & 0x3FFF;
        (0..=0x3FFF)
            .map(|step: u16| FIRST | (offset.wrapping_add(step) & 0x3FFF))
            .find(|port| !taken(*port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_free_port_is_found() {
        let mut random = Random::new(7);
        assert_eq!(random.port(|port| port != 50000), Some(50000));
        assert_eq!(random.port(|_| true), None);
        assert!(random.port(|_| false).is_some_and(|port| port >= 49152));
    }

    #[test]
    fn another_seed_is_another_sequence() {
        let sequence = |seed| {
            let mut random = Random::new(seed);
            [random.next(), random.next(), random.next()]
        };
        assert_ne!(sequence(1), sequence(2));
        assert_eq!(sequence(1), sequence(1));
    }
}
