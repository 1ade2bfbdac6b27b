//! A digest of what was sent

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::time::Instant;

use super::network::now;

/// Everything that was sent, and when, as one number
#[derive(Debug)]
pub(super) struct Trace {
    began: Instant,
    /// With fixed keys: the same in every process
    hasher: DefaultHasher,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { began: now(), hasher: DefaultHasher::new() }
    }

    pub(super) fn note(&mut self, ends: impl Hash, octets: &[u8]) {
        (now() - self.began, ends, octets).hash(&mut self.hasher);
    }

    pub(super) fn digest(&self) -> u64 {
        self.hasher.finish()
    }
}
