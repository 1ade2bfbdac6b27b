//! Randomness from a seed, without a generator's state kept

use rand::{Rng, SeedableRng, rngs::ChaCha20Rng};

/// Draws from a seed; each draw is a stream of its own
///
/// A link draws a handful of times in its life. The generator's buffer, 300 octets, would be held
/// by every idle tunnel; the seed and a count are 40.
pub(crate) struct Random {
    seed: [u8; 32],
    drawn: u64,
}

impl Random {
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(crate) fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut generator = ChaCha20Rng::from_seed(self.seed);
        generator.set_stream(self.drawn);
        self.drawn = self.drawn.wrapping_add(1);
        let mut octets = [0; N];
        generator.fill_bytes(&mut octets);
        octets
    }

    /// Octets of a stream of its own, which does not change the draws
    pub(crate) fn independent<const N: usize>(seed: [u8; 32]) -> [u8; N] {
        Self { seed, drawn: u64::MAX }.draw()
    }

    /// A Magic-Number: zero means "none" on the wire (RFC 1661 §6.4)
    pub(crate) fn magic(&mut self) -> u32 {
        u32::from_be_bytes(self.draw()).max(1)
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ_and_repeat_from_the_same_seed() {
        let (mut one, mut two) = (Random::new([7; 32]), Random::new([7; 32]));
        let first: [u8; 16] = one.draw();
        assert_ne!(first, one.draw());
        assert_eq!(first, two.draw());
        assert_ne!(first, Random::new([8; 32]).draw());
        assert_ne!(first, Random::independent([7; 32]));
        assert_ne!(Random::independent::<16>([7; 32]), Random::independent([8; 32]));
    }
}
