//! Datagrams and reports for a GRE socket in memory

use std::{
    collections::VecDeque,
    io,
    net::Ipv4Addr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use pptp_gre_socket::DeliveryFailure;
use pptp_packet::Counter;
use tokio::{sync::Notify, time::Instant};

/// Datagrams that an inbox holds, those on their way included
pub(super) const MAX_DATAGRAMS: usize = 4096;

/// Datagrams and reports on their way to a socket, or there and not yet taken
#[derive(Debug, Default)]
pub(super) struct Inbox {
    held: Mutex<Held>,
    pub(super) arrived: Notify,
}

impl Inbox {
    /// Adds a datagram that arrives when it is `due`; drops and counts it if the inbox is full
    pub(super) fn push(&self, due: Instant, source: Ipv4Addr, destination: Ipv4Addr, gre: &[u8]) {
        self.held().push(due, source, destination, gre);
        self.arrived.notify_one();
    }

    /// Adds a report that arrives when it is `due`; drops it if the inbox is full
    pub(super) fn push_report(&self, due: Instant, report: Report) {
        self.held().push_report(due, report);
        self.arrived.notify_one();
    }

    /// Its contents
    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The contents of an inbox
#[derive(Debug, Default)]
pub(super) struct Held {
    datagrams: VecDeque<Datagram>,
    reports: VecDeque<(Instant, Report)>,
    /// Buffers of datagrams that were taken, for those to come
    spares: Vec<Vec<u8>>,
    pub(super) drops: u64,
}

impl Held {
    fn push(&mut self, due: Instant, source: Ipv4Addr, destination: Ipv4Addr, gre: &[u8]) {
        if self.datagrams.len() >= MAX_DATAGRAMS {
            self.drops.increment();
            return;
        }
        let mut octets = self.spares.pop().unwrap_or_default();
        octets.extend_from_slice(gre);
        let place = self.datagrams.partition_point(|earlier| earlier.due <= due);
        self.datagrams.insert(place, Datagram { due, source, destination, octets });
    }

    fn push_report(&mut self, due: Instant, report: Report) {
        if self.reports.len() < MAX_REPORTS {
            self.reports.push_back((due, report));
        }
    }

    pub(super) fn next_datagram(&mut self, now: Instant) -> Option<Datagram> {
        self.datagrams.front().filter(|datagram| datagram.due <= now)?;
        self.datagrams.pop_front()
    }

    pub(super) fn next_report(&mut self, now: Instant) -> Option<Report> {
        self.reports.front().filter(|(due, _)| *due <= now)?;
        self.reports.pop_front().map(|(_, report)| report)
    }

    pub(super) fn spare(&mut self, mut octets: Vec<u8>) {
        if self.spares.len() < MAX_SPARES {
            octets.clear();
            self.spares.push(octets);
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        let datagram = self.datagrams.front().map(|datagram| datagram.due);
        let report = self.reports.front().map(|(due, _)| *due);
        datagram.into_iter().chain(report).min()
    }
}

/// A datagram in an inbox
#[derive(Debug)]
pub(super) struct Datagram {
    due: Instant,
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) octets: Vec<u8>,
}

/// A [`DeliveryFailure`] that can be copied to each of a host's sockets
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) destination: Ipv4Addr,
    pub(super) peer_call_id: Option<u16>,
    pub(super) reporter: Ipv4Addr,
    pub(super) icmp: (u8, u8),
    pub(super) raw_os_error: i32,
}

impl From<Report> for DeliveryFailure {
    fn from(report: Report) -> Self {
        let error = io::Error::from_raw_os_error(report.raw_os_error);
        let mut failure = Self::new(report.destination, report.icmp, error);
        failure.peer_call_id = report.peer_call_id;
        failure.reporter = Some(report.reporter);
        failure
    }
}

/// Reports an inbox holds
const MAX_REPORTS: usize = 256;

/// Buffers kept for datagrams to come
const MAX_SPARES: usize = 256;
