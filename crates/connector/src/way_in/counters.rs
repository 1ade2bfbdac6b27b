//! Counters of a listener

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use super::refusal::Reason;

/// The counters of a listener, which outlive changes of its settings
#[derive(Debug, Default)]
pub struct Counters {
    accepted: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
    /// Octets of clients that went to sites
    sent: AtomicU64,
    /// Octets of sites that went to clients
    received: AtomicU64,
    /// Datagrams that were dropped, for want of room or because of a rule
    dropped: AtomicU64,
    /// Requests among them that would change a KNX device without a login
    dropped_services: AtomicU64,
    now: AtomicUsize,
}

impl Counters {
    /// Counts a client that was accepted, until the returned value is dropped
    pub(super) fn accept(self: &Arc<Self>) -> Present {
        self.accepted.fetch_add(1, Relaxed);
        self.now.fetch_add(1, Relaxed);
        Present(Arc::clone(self))
    }

    pub(super) fn refuse(&self, reason: Reason) {
        if let Some(count) = self.refused.get(reason as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn add_sent(&self, octets: usize) {
        self.sent.fetch_add(octets as u64, Relaxed);
    }

    pub(super) fn add_received(&self, octets: usize) {
        self.received.fetch_add(octets as u64, Relaxed);
    }

    pub(super) fn drop_datagram(&self) {
        self.drop_datagrams(1);
    }

    pub(super) fn drop_datagrams(&self, count: u64) {
        self.dropped.fetch_add(count, Relaxed);
    }

    pub(super) fn drop_service(&self) {
        self.dropped_services.fetch_add(1, Relaxed);
    }

    /// Returns the clients that were accepted, ever
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Returns the clients that are served now
    pub fn now(&self) -> usize {
        self.now.load(Relaxed)
    }

    /// Returns the octets of clients that went to sites, and those of sites that went to clients
    pub fn octets(&self) -> (u64, u64) {
        (self.sent.load(Relaxed), self.received.load(Relaxed))
    }

    /// Returns the datagrams that were dropped
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Returns the requests that would have changed a KNX device without a login, and were dropped
    pub fn dropped_services(&self) -> u64 {
        self.dropped_services.load(Relaxed)
    }

    /// Returns the clients that were refused for this reason
    pub fn refused(&self, reason: Reason) -> u64 {
        self.refused.get(reason as usize).map_or(0, |count| count.load(Relaxed))
    }

    /// Returns the clients that were refused by the reason, without those that are 0
    pub fn all_refused(&self) -> impl Iterator<Item = (Reason, u64)> {
        let all = Reason::ALL.iter().map(|reason| (*reason, self.refused(*reason)));
        all.filter(|(_, count)| *count > 0)
    }
}

/// A client that is being served
#[derive(Debug)]
pub(super) struct Present(Arc<Counters>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
    }
}
