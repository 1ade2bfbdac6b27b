//! The figures of one driver, and wakers whose panics are counted there

use std::{
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use pptp_packet::Wakers;

/// The figures of one driver and its socket
#[derive(Debug, Default)]
pub struct Counters {
    /// The receive buffer that the kernel granted, in octets
    pub receive_buffer: AtomicUsize,
    /// Datagrams that the kernel dropped because that buffer was full
    pub kernel_drops: AtomicU64,
    /// Datagrams for no call, or not from the peer of the call
    pub unknown_call: AtomicU64,
    /// Turns that panicked
    pub panics: AtomicU64,
    /// Wakers that panicked
    pub wake_panics: AtomicU64,
    /// Pauses in which nothing was received, because useless datagrams had taken too much time
    pub pauses: AtomicU64,
    /// Turns of sessions
    pub turns: AtomicU64,
}

impl Counters {
    /// Counts wakers that panicked when they were woken
    pub(crate) fn count_wakes(&self, panicked: usize) {
        if panicked > 0 {
            self.wake_panics.fetch_add(panicked as u64, Ordering::Relaxed);
            tracing::warn!(panicked, "a task's waker panicked");
        }
    }
}

/// Wakers that are woken when this is dropped
#[derive(Debug)]
pub struct DriverWakers<'a> {
    counters: &'a Counters,
    wakers: Wakers,
}

impl<'a> DriverWakers<'a> {
    pub(crate) const fn new(counters: &'a Counters) -> Self {
        Self { counters, wakers: Wakers::new() }
    }
}

impl Deref for DriverWakers<'_> {
    type Target = Wakers;

    fn deref(&self) -> &Wakers {
        &self.wakers
    }
}

impl DerefMut for DriverWakers<'_> {
    fn deref_mut(&mut self) -> &mut Wakers {
        &mut self.wakers
    }
}

impl Drop for DriverWakers<'_> {
    fn drop(&mut self) {
        self.counters.count_wakes(self.wakers.wake_all());
    }
}
