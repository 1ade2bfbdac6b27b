//! Random choices of a scenario, all from one generator

use std::{ops::RangeInclusive, time::Duration};

use pptp_testkit::memory::Impairment;
use rand::{RngExt, rngs::StdRng};

/// Draws an impairment of GRE, which is sometimes none
pub(crate) fn impairment(rng: &mut StdRng, calm: bool) -> Impairment {
    let mut sometimes = |most: &[u16]| if rng.random_bool(0.5) { 0 } else { one_of(rng, most) };
    let (loss, corrupt) = (sometimes(&[1, 10, 50, 100]), sometimes(&[0, 0, 1, 10]));
    let (duplicate, held) = (sometimes(&[1, 10, 50]), sometimes(&[1, 10, 50]));
    Impairment {
        jitter: milliseconds(rng, &[0, 0, 1, 5, 30]),
        loss_per_mille: if calm { 0 } else { loss },
        duplicate_per_mille: duplicate,
        held_per_mille: held,
        hold: (Duration::from_millis(1), milliseconds(rng, &[3, 20, 200])),
        corrupt_per_mille: if calm { 0 } else { corrupt },
    }
}

/// Draws one of these values, each as likely as the others
pub(crate) fn one_of<T: Copy>(rng: &mut StdRng, all: &[T]) -> T {
    all[rng.random_range(0..all.len())]
}

/// Draws one of these numbers of milliseconds
pub(crate) fn milliseconds(rng: &mut StdRng, all: &[u64]) -> Duration {
    Duration::from_millis(one_of(rng, all))
}

/// Draws a whole number of seconds from a range
pub(crate) fn seconds(rng: &mut StdRng, range: RangeInclusive<u64>) -> Duration {
    Duration::from_secs(rng.random_range(range))
}
