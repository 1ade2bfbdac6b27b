//! Many sites, many clients, and a state that cannot be written

mod clients;
mod log;
mod metrics;
mod sites;
mod state;
mod world;

use std::{
    alloc::System,
    sync::{Mutex, PoisonError},
};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Builder;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Octets on the heap of this process now
fn held() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// Runs a test in virtual time, while no other test of this process runs: heap, log and files are counted
fn in_virtual_time(body: impl Future<Output = ()>) {
    run(true, body);
}

/// The same in real time, for clients on real sockets
fn in_real_time(body: impl Future<Output = ()>) {
    run(false, body);
}

fn run(is_paused: bool, body: impl Future<Output = ()>) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut runtime = Builder::new_current_thread();
    // dropped before the lock is: what its tasks hold is gone then
    let runtime = runtime.enable_all().start_paused(is_paused).build().unwrap();
    runtime.block_on(body);
}
