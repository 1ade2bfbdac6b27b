//! Raw IP packets of a tunnel, for a program with a TCP/IP stack of its own

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    summary::debug_as_summary,
    tunnel_shared::{RawPort, Side, TunnelHandle},
};
use pptp_driver::Session;

/// The tunnel's IP packets themselves, for those who bring their own TCP/IP stack
///
/// Made by [`Tunnel::ip_packets`](crate::Tunnel::ip_packets). From then on the tunnel's own
/// sockets are closed. Both directions hold at most 64 packets: what the caller does not read in
/// time is dropped (and counted in [`Stats::ip_dropped`](crate::Stats)), and sending waits.
///
/// ```no_run
/// # async fn example(tunnel: pptp::Tunnel) -> std::io::Result<()> {
/// let packets = tunnel.ip_packets()?;
/// let mut buffer = vec![0; tunnel.info().mtu.into()];
/// loop {
///     let len = packets.recv(&mut buffer).await?;
///     println!("{len} octets, IP version {}", buffer[0] >> 4);
/// }
/// # }
/// ```
pub struct IpPackets {
    handle: Arc<TunnelHandle>,
}

impl IpPackets {
    pub(crate) const fn new(handle: Arc<TunnelHandle>) -> Self {
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
    /// [`Facts::ipv6`](crate::info::Facts::ipv6) has no addresses; else the reason for which
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

/// Gives the packets back, so that they can be taken again
impl Drop for IpPackets {
    fn drop(&mut self) {
        // its wakers are other people's code: not under the lock
        let port = self.handle.shared.lock().packet_users.take_raw();
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
        let port = match inner.raw_port() {
            Ok(port) => port,
            Err(error) => return Poll::Ready(Err(error)),
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
        if let Some(port) = shared.lock().packet_users.raw_mut() {
            port.waiters(self.side).leave(&mut self.key, &mut wakers);
        }
    }
}
