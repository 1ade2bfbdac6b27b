//! Numbers that no other host can predict

use std::{fmt, hash::Hasher};

use siphasher::sip::SipHasher24;

/// A generator of numbers that no other host can predict, in 24 octets
///
/// A keyed hash of a counter, with the seed as the key: ports and identifiers go out in the clear, and those
/// to come do not follow from those that were.
pub(crate) struct Random {
    key: (u64, u64),
    counter: u64,
}

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { key: (seed, 0), counter: 0 }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        sip_hash(self.key, &self.counter.to_be_bytes())
    }

    /// A key for a keyed hash of another purpose
    pub(crate) fn key(&mut self) -> (u64, u64) {
        (self.next(), self.next())
    }

    pub(crate) fn next_u16(&mut self) -> u16 {
        let [.., high, low] = self.next().to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// A free port of the dynamic range (RFC 6335 §6), chosen at random (RFC 6056 §3.3.1)
    ///
    /// `None` if all are taken.
    pub(crate) fn port(&mut self, taken: impl Fn(u16) -> bool) -> Option<u16> {
        const FIRST: u16 = 49152;
        let offset = self.next_u16() & 0x3FFF;
        (0..=0x3FFF)
            .map(|step: u16| FIRST | (offset.wrapping_add(step) & 0x3FFF))
            .find(|port| !taken(*port))
    }
}

/// Prints no key: all later numbers follow from it
impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}

/// `SipHash`-2-4 of `message` with a secret key
pub(crate) fn sip_hash((k0, k1): (u64, u64), message: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new_with_keys(k0, k1);
    hasher.write(message);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the known answers: octets 0 to 15
    const KEY: (u64, u64) = (0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908);

    #[test]
    fn the_key_is_a_key_and_the_counter_the_message() {
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(sip_hash(KEY, &message), 0xA129_CA61_49BE_45E5, "the answer of SipHash's paper");
        let mut random = Random { key: KEY, counter: 0 };
        // computed by another implementation
        assert_eq!(random.next(), 0x3322_BDF1_C953_F80C);
        assert_eq!(random.next(), 0x7529_F3B2_AE65_6A6D);
    }

    #[test]
    fn debug_output_tells_neither_key_nor_counter() {
        let random = Random { key: (0xABCD_EF01, 0xABCD_EF01), counter: 2_882_400_001 };
        assert_eq!(format!("{random:?}"), "Random { .. }");
    }

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
