//! What a machine holds on the heap

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a machine holds, by what its calls have allocated and freed
///
/// The machine is made, called and its outputs are dropped within [`Heap::within`]. What the caller
/// keeps of these has to be memory that it had before.
#[derive(Debug, Default)]
pub struct Heap {
    octets: isize,
}

impl Heap {
    /// A machine that is not made yet
    pub const fn new() -> Self {
        Self { octets: 0 }
    }

    /// Calls the machine
    pub fn within<R>(&mut self, call: impl FnOnce() -> R) -> R {
        let before = in_use();
        let result = call();
        self.octets = self.octets.saturating_add(in_use().saturating_sub(before));
        result
    }

    /// Octets held now
    pub const fn octets(&self) -> isize {
        self.octets
    }

    /// Panics if the machine holds more than `cap` octets
    pub fn assert_at_most(&self, cap: isize) {
        assert!(self.octets <= cap, "{} octets are held, {cap} may be", self.octets);
    }
}

fn in_use() -> isize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated).cast_signed()
}
