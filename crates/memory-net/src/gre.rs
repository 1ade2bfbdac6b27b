//! GRE between hosts in memory

use std::{
    collections::VecDeque,
    fmt,
    future::pending,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pptp_gre_socket::{BATCH, DeliveryFailure, GreSocket, ReceiveBatch, SendBatch};
use pptp_packet::{Counter, SLOT};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout_at},
};

use crate::network::{Network, now};

/// A host's GRE socket in memory
pub struct MemorySocket {
    network: Network,
    address: Ipv4Addr,
    inbox: Arc<Inbox>,
    stalled: watch::Receiver<bool>,
    paused: bool,
}

impl fmt::Debug for MemorySocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemorySocket({})", self.address)
    }
}

impl MemorySocket {
    pub(super) const fn new(
        network: Network,
        address: Ipv4Addr,
        inbox: Arc<Inbox>,
        stalled: watch::Receiver<bool>,
    ) -> Self {
        Self { network, address, inbox, stalled, paused: false }
    }
}

impl GreSocket for MemorySocket {
    fn receive(&mut self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        batch.clear();
        if self.paused {
            return Ok(0);
        }
        let now = now();
        let mut held = self.inbox.held();
        let mut count = 0;
        while count < BATCH
            && let Some(datagram) = held.next_datagram(now)
        {
            batch.put(count, datagram.source, datagram.destination, &datagram.octets);
            held.spare(datagram.octets);
            count += 1;
        }
        Ok(count)
    }

    fn send(
        &mut self,
        batch: &mut SendBatch,
        mut failed: impl FnMut(u32, io::Error),
    ) -> io::Result<bool> {
        while let Some(outgoing) = batch.next() {
            if *self.stalled.borrow() || self.network.busy_until(self.address).is_some() {
                return Ok(false);
            }
            if let Err(error) = self.network.carry(self.address, outgoing) {
                failed(outgoing.tag, error);
            }
            batch.remove(1);
        }
        Ok(true)
    }

    fn take_failures(&mut self, mut each: impl FnMut(DeliveryFailure)) -> io::Result<usize> {
        if self.paused {
            return Ok(0);
        }
        let now = now();
        let mut count = 0;
        loop {
            let report = self.inbox.held().next_report(now);
            let Some(report) = report else { return Ok(count) };
            each(report.into());
            count += 1;
        }
    }

    async fn readable(&self) -> io::Result<()> {
        if self.paused {
            return pending().await;
        }
        loop {
            let arrived = self.inbox.arrived.notified();
            let due = self.inbox.held().due();
            match due {
                Some(due) if due <= now() => return Ok(()),
                // an Err means that the due time is reached, and the next round takes the datagrams
                Some(due) => drop(timeout_at(due, arrived).await),
                None => arrived.await,
            }
        }
    }

    async fn writable(&self) -> io::Result<()> {
        let mut stalled = self.stalled.clone();
        // an Err means that the network is gone, with all datagrams
        let _ = stalled.wait_for(|stalled| !stalled).await;
        if let Some(until) = self.network.busy_until(self.address) {
            sleep_until(until).await;
        }
        Ok(())
    }

    fn pause(&mut self) {
        self.paused = true;
    }

    fn resume(&mut self) -> io::Result<()> {
        self.paused = false;
        Ok(())
    }

    fn kernel_drops(&self) -> Option<u64> {
        Some(self.inbox.held().drops)
    }

    fn receive_buffer(&self) -> usize {
        MAX_DATAGRAMS * SLOT
    }

    fn local_address(&self) -> Option<Ipv4Addr> {
        Some(self.address)
    }
}

/// Datagrams and reports on their way to a socket, or there and not yet taken
#[derive(Debug, Default)]
pub(super) struct Inbox {
    held: Mutex<Held>,
    arrived: Notify,
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

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Held {
    datagrams: VecDeque<Datagram>,
    reports: VecDeque<(Instant, Report)>,
    /// Buffers of datagrams that were taken, for those to come
    spares: Vec<Vec<u8>>,
    drops: u64,
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

    fn next_datagram(&mut self, now: Instant) -> Option<Datagram> {
        self.datagrams.front().filter(|datagram| datagram.due <= now)?;
        self.datagrams.pop_front()
    }

    fn next_report(&mut self, now: Instant) -> Option<Report> {
        self.reports.front().filter(|(due, _)| *due <= now)?;
        self.reports.pop_front().map(|(_, report)| report)
    }

    fn spare(&mut self, mut octets: Vec<u8>) {
        if self.spares.len() < MAX_SPARES {
            octets.clear();
            self.spares.push(octets);
        }
    }

    fn due(&self) -> Option<Instant> {
        let datagram = self.datagrams.front().map(|datagram| datagram.due);
        let report = self.reports.front().map(|(due, _)| *due);
        datagram.into_iter().chain(report).min()
    }
}

#[derive(Debug)]
struct Datagram {
    due: Instant,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    octets: Vec<u8>,
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

/// Datagrams an inbox holds, those on their way included
const MAX_DATAGRAMS: usize = 4096;

/// Reports an inbox holds
const MAX_REPORTS: usize = 256;

/// Buffers kept for datagrams to come
const MAX_SPARES: usize = 256;
