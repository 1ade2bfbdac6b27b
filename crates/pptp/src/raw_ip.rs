use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use crate::shared::{Handle, Inner};

/// The tunnel's IP packets themselves, for those who bring their own TCP/IP stack
///
/// Made by [`Tunnel::ip_packets`](crate::Tunnel::ip_packets). From then on the tunnel's own
/// sockets are closed. Both directions hold at most 64 packets: what the caller does not read in
/// time is dropped (and counted in [`Stats::ip_dropped`](crate::Stats)), and sending waits.
#[derive(Debug)]
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
        poll_fn(|cx| self.with_port(cx, |port, cx| port.poll_recv(cx, buffer))).await
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
        poll_fn(|cx| self.with_port(cx, |port, cx| port.poll_send(cx, packet))).await?;
        self.handle.shared.mark_ready();
        Ok(())
    }

    fn with_port<R>(
        &self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut RawPort, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let mut inner = self.handle.shared.lock();
        let Inner { raw, ended, .. } = &mut *inner;
        match (raw, ended) {
            (_, Some(error)) => Poll::Ready(Err(error.to_io())),
            (Some(port), None) => f(port, cx),
            (None, None) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

/// Nobody reads them any more: they can be taken again
impl Drop for IpPackets {
    fn drop(&mut self) {
        self.handle.shared.lock().raw = None;
    }
}

/// Packets between the driver and an [`IpPackets`]
#[derive(Debug)]
pub(crate) struct RawPort {
    mtu: usize,
    /// Whether packets of IPv6 pass
    ipv6: bool,
    received: VecDeque<Vec<u8>>,
    to_send: VecDeque<Vec<u8>>,
    /// Buffers used before: no allocation per packet
    spare: Vec<Vec<u8>>,
    readers: Vec<Waker>,
    writers: Vec<Waker>,
    pub(crate) dropped: u64,
}

const CAPACITY: usize = 64;

impl RawPort {
    pub(crate) const fn new(mtu: usize, ipv6: bool) -> Self {
        Self {
            mtu,
            ipv6,
            received: VecDeque::new(),
            to_send: VecDeque::new(),
            spare: Vec::new(),
            readers: Vec::new(),
            writers: Vec::new(),
            dropped: 0,
        }
    }

    pub(crate) const fn reconfigure(&mut self, mtu: usize, ipv6: bool) {
        self.mtu = mtu;
        self.ipv6 = ipv6;
    }

    /// A packet from the tunnel
    pub(crate) fn deliver(&mut self, packet: &[u8]) {
        if self.received.len() >= CAPACITY {
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

    pub(crate) fn drain_wakers(&mut self, into: &mut Vec<Waker>) {
        if !self.received.is_empty() {
            into.append(&mut self.readers);
        }
        if self.to_send.len() < CAPACITY {
            into.append(&mut self.writers);
        }
    }

    pub(crate) fn drain_all_wakers(&mut self, into: &mut Vec<Waker>) {
        into.append(&mut self.readers);
        into.append(&mut self.writers);
    }

    fn poll_recv(&mut self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(packet) = self.received.pop_front() else {
            register(&mut self.readers, cx);
            return Poll::Pending;
        };
        let length = packet.len().min(buffer.len());
        buffer[..length].copy_from_slice(&packet[..length]);
        self.spare.push(packet);
        Poll::Ready(Ok(length))
    }

    fn poll_send(&mut self, cx: &Context<'_>, packet: &[u8]) -> Poll<io::Result<()>> {
        if packet.is_empty() || packet.len() > self.mtu {
            let message = format!("an IP packet of {} octets, MTU {}", packet.len(), self.mtu);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, message)));
        }
        if packet.first().is_some_and(|first| first >> 4 == 6) && !self.ipv6 {
            let message = "an IPv6 packet, and the tunnel has no IPv6";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, message)));
        }
        if self.to_send.len() >= CAPACITY {
            register(&mut self.writers, cx);
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

fn register(waiting: &mut Vec<Waker>, cx: &Context<'_>) {
    if !waiting.iter().any(|w| w.will_wake(cx.waker())) {
        waiting.push(cx.waker().clone());
    }
}
