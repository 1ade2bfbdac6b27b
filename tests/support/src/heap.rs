//! Octets on the heap of a process that counts them

use std::alloc::System;

use stats_alloc::StatsAlloc;

/// Octets on the heap of this process now
///
/// Growing in place counts as allocated, and shrinking as freed.
pub fn held(allocator: &StatsAlloc<System>) -> usize {
    let stats = allocator.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}
