//! GRE between hosts in memory

use std::{fmt, future::pending, io, net::Ipv4Addr, sync::Arc};

use pptp_gre_socket::{BATCH, DeliveryFailure, GreSocket, ReceiveBatch, SendBatch};
use pptp_packet::SLOT;
use tokio::{
    sync::watch,
    time::{sleep_until, timeout_at},
};

use crate::{
    clock::now,
    inbox::{Inbox, MAX_DATAGRAMS},
    network::Network,
};

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
            if let Err(error) = self.network.send_datagram(self.address, outgoing) {
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
