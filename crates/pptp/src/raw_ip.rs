use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pptp_packet::{Waiters, Wakers};

use crate::{
    driver::tunnel_shared::{Handle, Inner},
    summary::debug_as_summary,
};

/// The tunnel's IP packets themselves, for those who bring their own TCP/IP stack
///
/// Made by [`Tunnel::ip_packets`](crate::Tunnel::ip_packets). From then on the tunnel's own
/// sockets are closed. Both directions hold at most 64 packets: what the caller does not read in
/// time is dropped (and counted in [`Stats::ip_dropped`](crate::Stats)), and sending waits.
pub struct IpPackets {
    handle: Arc<Handle>,
}

impl IpPackets {
    pub(crate) const fn new(handle: Arc<Handle>) -> Self {
        Self { handle }
    }

    /// Receives one IP packet into `buffer` and returns its length in octets
    ///
    /// A packet larger than `buffer` is cut off, as with a datagram socket; [`Info::mtu`](crate::Info)
    /// octets always suffice. Several tasks may wait; each packet goes to one of them.
    ///
    /// # Errors
    /// The reason for which the tunnel ended.
    ///
    /// # Cancel safety
    /// No packet is lost.
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Wait::new(self, Side::Read, |port: &mut RawPort| port.poll_recv(buffer)).await
    }

    /// Sends one IP packet, as soon as there is room
    ///
    /// # Errors
    /// `InvalidInput` if the packet is empty or larger than the tunnel's MTU, or one of IPv6 and
    /// [`Info::ipv6`](crate::Info::ipv6) has no addresses; else the reason for which
    /// the tunnel ended.
    ///
    /// # Cancel safety
    /// Either the packet is queued whole or not at all.
    pub async fn send(&self, packet: &[u8]) -> io::Result<()> {
        Wait::new(self, Side::Write, |port: &mut RawPort| port.poll_send(packet)).await?;
        self.handle.shared.mark_can_send();
        Ok(())
    }
}

debug_as_summary! {
    IpPackets: self => &self.handle.shared;
}

/// Nobody reads them any more: they can be taken again
impl Drop for IpPackets {
    fn drop(&mut self) {
        // its wakers are other people's code: not under the lock
        let port = self.handle.shared.lock().raw.take();
        drop(port);
    }
}

/// One task's wait for a packet, or for room for one
///
/// Tried and listed under the same lock, so that no wake-up is lost. When the future is dropped, the task
/// leaves the list.
struct Wait<'a, F> {
    packets: &'a IpPackets,
    side: Side,
    attempt: F,
    key: Option<u32>,
}

#[derive(Clone, Copy)]
enum Side {
    Read,
    Write,
}

impl<'a, F> Wait<'a, F> {
    const fn new<R>(packets: &'a IpPackets, side: Side, attempt: F) -> Self
    where
        F: FnMut(&mut RawPort) -> Poll<io::Result<R>>,
    {
        Self { packets, side, attempt, key: None }
    }
}

impl<F, R> Future for Wait<'_, F>
where
    F: FnMut(&mut RawPort) -> Poll<io::Result<R>> + Unpin,
{
    type Output = io::Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { packets, side, attempt, key } = &mut *self;
        let shared = &packets.handle.shared;
        let mut wakers = shared.driver().wakers();
        let mut inner = shared.lock();
        let Inner { raw, ended, .. } = &mut *inner;
        let port = match (raw, ended) {
            (_, Some(error)) => return Poll::Ready(Err(error.to_io())),
            (Some(port), None) => port,
            (None, None) => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        };
        let result = attempt(port);
        if result.is_pending() {
            port.waiters(*side).list(key, cx.waker(), &mut wakers);
        } else {
            port.waiters(*side).leave(key, &mut wakers);
        }
        result
    }
}

impl<F> Drop for Wait<'_, F> {
    fn drop(&mut self) {
        if self.key.is_none() {
            return;
        }
        let shared = &self.packets.handle.shared;
        let mut wakers = shared.driver().wakers();
        if let Some(port) = &mut shared.lock().raw {
            port.waiters(self.side).leave(&mut self.key, &mut wakers);
        }
    }
}

/// Packets between the driver and an [`IpPackets`]
pub(crate) struct RawPort {
    mtu: usize,
    /// Whether packets of IPv6 pass
    ipv6: bool,
    received: VecDeque<Vec<u8>>,
    to_send: VecDeque<Vec<u8>>,
    /// Buffers used before: no allocation per packet
    spare: Vec<Vec<u8>>,
    readers: Waiters,
    writers: Waiters,
    pub(crate) dropped: u64,
}

const MAX_WAITING: usize = 64;

impl RawPort {
    pub(crate) const fn new(mtu: usize, ipv6: bool) -> Self {
        Self {
            mtu,
            ipv6,
            received: VecDeque::new(),
            to_send: VecDeque::new(),
            spare: Vec::new(),
            readers: Waiters::new(),
            writers: Waiters::new(),
            dropped: 0,
        }
    }

    pub(crate) const fn reconfigure(&mut self, mtu: usize, ipv6: bool) {
        self.mtu = mtu;
        self.ipv6 = ipv6;
    }

    /// A packet from the tunnel
    pub(crate) fn deliver(&mut self, packet: &[u8]) {
        if self.received.len() >= MAX_WAITING {
            self.dropped += 1;
            return;
        }
        let buffer = self.fill(packet);
        self.received.push_back(buffer);
    }

    /// The next packet into the tunnel
    pub(crate) fn next_to_send(&self) -> Option<&[u8]> {
        self.to_send.front().map(Vec::as_slice)
    }

    pub(crate) fn sent(&mut self) {
        if let Some(buffer) = self.to_send.pop_front() {
            self.spare.push(buffer);
        }
    }

    pub(crate) fn drain_wakers(&mut self, into: &mut Wakers) {
        if !self.received.is_empty() {
            self.readers.wake(into);
        }
        if self.to_send.len() < MAX_WAITING {
            self.writers.wake(into);
        }
    }

    pub(crate) fn drain_all_wakers(&mut self, into: &mut Wakers) {
        self.readers.wake(into);
        self.writers.wake(into);
    }

    const fn waiters(&mut self, side: Side) -> &mut Waiters {
        match side {
            Side::Read => &mut self.readers,
            Side::Write => &mut self.writers,
        }
    }

    fn poll_recv(&mut self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(packet) = self.received.pop_front() else { return Poll::Pending };
        let length = packet.len().min(buffer.len());
        buffer[..length].copy_from_slice(&packet[..length]);
        self.spare.push(packet);
        Poll::Ready(Ok(length))
    }

    fn poll_send(&mut self, packet: &[u8]) -> Poll<io::Result<()>> {
        if packet.is_empty() || packet.len() > self.mtu {
            let message = format!("an IP packet of {} octets, MTU {}", packet.len(), self.mtu);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, message)));
        }
        if packet.first().is_some_and(|first| first >> 4 == 6) && !self.ipv6 {
            let message = "an IPv6 packet, and the tunnel has no IPv6";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, message)));
        }
        if self.to_send.len() >= MAX_WAITING {
            return Poll::Pending;
        }
        let buffer = self.fill(packet);
        self.to_send.push_back(buffer);
        Poll::Ready(Ok(()))
    }

    fn fill(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(packet);
        buffer
    }
}
