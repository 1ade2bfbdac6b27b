//! A line of limited rate, with the queue in front of it

use std::{num::NonZeroU32, time::Duration};

use pptp_gre_socket::BATCH;
use tokio::time::Instant;

use crate::clock::now;

/// Octets of an IP header without options (RFC 791)
pub(crate) const IP_HEADER: usize = 20;

/// A line of limited rate
#[derive(Debug)]
pub(crate) struct Line {
    octets_per_second: NonZeroU32,
    /// The time that a datagram may wait for its turn, if it is lost and not refused otherwise
    queue: Option<Duration>,
    idle_from: Instant,
}

impl Line {
    pub(crate) fn new(octets_per_second: NonZeroU32, queue: Option<Duration>) -> Self {
        Self { octets_per_second, queue, idle_from: now() }
    }

    /// The time at which it takes datagrams again, if it is full now
    ///
    /// It takes more once half of that has left, so that senders are not woken for each datagram.
    pub(crate) fn full_until(&self, now: Instant) -> Option<Instant> {
        let ahead = self.time(MAX_AHEAD);
        let is_full = self.queue.is_none() && self.idle_from >= now + ahead;
        is_full.then(|| self.idle_from - ahead / 2)
    }

    /// The time at which the last octet of a datagram has left; `None` if the datagram is lost
    pub(crate) fn take(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let begin = self.idle_from.max(now);
        if self.queue.is_some_and(|queue| begin > now + queue) {
            return None;
        }
        self.idle_from = begin + self.time(IP_HEADER + len);
        Some(self.idle_from)
    }

    fn time(&self, octets: usize) -> Duration {
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        Duration::from_secs(1) * octets / self.octets_per_second.get()
    }
}

/// Octets that a line takes ahead: a batch of full datagrams
const MAX_AHEAD: usize = BATCH * 1500;
