//! What is held on the heap, counted by the allocator of every bench

use std::alloc::System;

use pptp_test_support::heap;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often was allocated so far, those that made something larger among them
pub fn allocations() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations.saturating_add(stats.reallocations)
}

/// Octets on the heap of this process now
pub fn held() -> usize {
    heap::held(ALLOCATOR)
}
