//! Impairment of GRE on its way, with its random choices

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Faults of GRE on its way, beside the latency
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Impairment {
    /// Up to so much is added to the latency of each datagram, which reorders them
    pub jitter: Duration,
    /// Datagrams lost of a thousand
    pub loss_per_mille: u16,
    /// Datagrams delivered twice of a thousand
    pub duplicate_per_mille: u16,
    /// Datagrams of a thousand that are held up, so that later ones overtake them
    pub held_per_mille: u16,
    /// The time for which such a datagram is held up, at least and at most
    pub hold: (Duration, Duration),
    /// Datagrams of a thousand in which one octet is changed
    pub corrupt_per_mille: u16,
}

/// An impairment, and the random numbers that decide which datagrams it affects
pub(crate) struct Impairer {
    impairment: Impairment,
    rng: StdRng,
}

impl Impairer {
    /// No impairment; `seed` decides every random choice from now on
    pub(crate) fn new(seed: u64) -> Self {
        Self { impairment: Impairment::default(), rng: StdRng::seed_from_u64(seed) }
    }

    pub(crate) const fn set(&mut self, impairment: Impairment) {
        self.impairment = impairment;
    }

    /// Returns true if a datagram is lost, at random
    pub(crate) fn is_lost(&mut self) -> bool {
        self.chance(self.impairment.loss_per_mille)
    }

    /// Draws the number of copies of a datagram that arrive
    pub(crate) fn copies(&mut self) -> u8 {
        if self.chance(self.impairment.duplicate_per_mille) { 2 } else { 1 }
    }

    /// Draws the delay of a datagram beside the latency
    pub(crate) fn delay(&mut self) -> Duration {
        self.jitter() + self.hold()
    }

    /// Corrupts a copy of a datagram, at random; `None` if the datagram stays as it is
    pub(crate) fn corrupted(&mut self, gre: &[u8]) -> Option<Vec<u8>> {
        if !self.chance(self.impairment.corrupt_per_mille) {
            return None;
        }
        let mut gre = gre.to_vec();
        let place = self.rng.random_range(0..gre.len().max(1));
        if let Some(octet) = gre.get_mut(place) {
            *octet ^= self.rng.random_range(1..=u8::MAX);
        }
        Some(gre)
    }

    fn chance(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.rng.random_range(0..1000) < per_mille
    }

    fn hold(&mut self) -> Duration {
        let (least, most) = self.impairment.hold;
        let held = self.chance(self.impairment.held_per_mille);
        if held { self.rng.random_range(least..=most.max(least)) } else { Duration::ZERO }
    }

    fn jitter(&mut self) -> Duration {
        let most = self.impairment.jitter;
        if most.is_zero() { most } else { self.rng.random_range(Duration::ZERO..=most) }
    }
}
