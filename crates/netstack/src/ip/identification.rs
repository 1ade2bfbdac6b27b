//! The identification of a datagram, by which its fragments are put together (RFC 791 §3.2)

use std::fmt;

use crate::shared::random::sip_hash;

/// The identifications of the datagrams that a stack sends
///
/// All 65,536 values come once before any comes again, as RFC 6864 §4.3 wants, in an order that
/// follows from a secret (RFC 7739 §5.3): a counter behind a keyed permutation. Later ones do not
/// follow from earlier ones, so that a forged fragment finds no datagram to get into.
pub(crate) struct Identification {
    key: (u64, u64),
    counter: u16,
}

impl Identification {
    pub(crate) const fn new(key: (u64, u64)) -> Self {
        Self { key, counter: 0 }
    }

    pub(crate) fn next(&mut self) -> u16 {
        self.counter = self.counter.wrapping_add(1);
        self.permute(self.counter)
    }

    /// A Feistel network of four rounds (Luby and Rackoff): one-to-one whatever its rounds are
    fn permute(&self, value: u16) -> u16 {
        let [left, right] = value.to_be_bytes();
        let (left, right) = (0..4)
            .fold((left, right), |(left, right), round| (right, left ^ self.round(round, right)));
        u16::from_be_bytes([left, right])
    }

    fn round(&self, round: u8, half: u8) -> u8 {
        let [.., last] = sip_hash(self.key, &[round, half]).to_be_bytes();
        last
    }
}

/// Prints no key: all later identifications follow from it
impl fmt::Debug for Identification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identification").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all(secret: u64) -> Vec<u16> {
        let mut identification = Identification::new((secret, 0));
        (0..1 << 16).map(|_| identification.next()).collect()
    }

    #[test]
    fn every_value_comes_once_before_any_comes_again() {
        for secret in [0, 1, u64::MAX, 0x1234_5678_9ABC_DEF0] {
            let all = all(secret);
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 1 << 16, "{secret:#x}");
        }
    }

    #[test]
    fn another_secret_is_another_order_and_neighbours_are_far_apart() {
        let (one, other) = (all(1), all(2));
        let same = one.iter().zip(&other).filter(|(one, other)| one == other).count();
        // two random orders agree in one place on average
        assert!(same < 10, "{same}");
        for order in [one, other] {
            let steps = order.windows(2).filter(|two| two[0].abs_diff(two[1]) < 16);
            // by chance 30 of 65,536
            assert!(steps.count() < 100);
        }
    }
}
