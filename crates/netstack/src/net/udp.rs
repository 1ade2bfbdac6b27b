//! A UDP socket

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    task::{Context, Poll},
};

use tokio::io::ReadBuf;

use super::{
    Net, v4,
    wait::{self, Wait},
};
use crate::{
    Stack,
    stack::{Id, Waiting},
};

/// A UDP socket
///
/// As `tokio::net::UdpSocket`. Any number of tasks may send and receive at once. A datagram that
/// does not fit the stack's MTU with its 28 octets of headers fails with EMSGSIZE; none is ever
/// fragmented. A connected socket reports what ICMP says of its peer: `ConnectionRefused`,
/// `HostUnreachable`, `NetworkUnreachable`.
///
/// Datagrams to a broadcast address need [`UdpSocket::set_broadcast`]; those that come in are
/// received by every socket on their port. Dropped, it still sends what it was given.
#[derive(Debug)]
pub struct UdpSocket {
    net: Net,
    id: Id,
    local: SocketAddrV4,
}

impl UdpSocket {
    pub(super) const fn new(net: Net, id: Id, local: SocketAddrV4) -> Self {
        Self { net, id, local }
    }

    /// The address and port on this side
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local.into())
    }

    /// The address and port it is connected to; `NotConnected` if it is not
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.net.with(|stack| stack.udp_peer(self.id)).map(Into::into)
    }

    /// Sets the peer: [`UdpSocket::send`] goes there, and from there alone datagrams are received
    ///
    /// Done at once, and async as tokio's is.
    #[expect(clippy::unused_async, reason = "code written for tokio's socket awaits it")]
    pub async fn connect(&self, addr: SocketAddr) -> io::Result<()> {
        let peer = v4(addr)?;
        self.net.with(|stack| stack.udp_connect(self.id, peer))
    }

    /// Sends a datagram to the peer
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::send_to`], and `NotConnected`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.send_datagram(buf, None).await
    }

    /// Receives a datagram from the peer; what does not fit `buf` is lost
    ///
    /// # Cancel safety
    ///
    /// No datagram is lost if the future is dropped.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.receive(buf, false).await?.0)
    }

    /// Sends a datagram, waiting for room in the send buffer
    ///
    /// # Errors
    ///
    /// EMSGSIZE ("message too long") if it does not fit a packet, `PermissionDenied` for a broadcast
    /// address while broadcast is off, `InvalidInput` for port 0, or the reason if the stack has
    /// been shut down.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.send_datagram(buf, Some(v4(target)?)).await
    }

    /// Receives a datagram and tells its sender; what does not fit `buf` is lost
    ///
    /// # Cancel safety
    ///
    /// No datagram is lost if the future is dropped.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(buf, false).await
    }

    /// As [`UdpSocket::recv_from`], without taking the datagram
    ///
    /// # Cancel safety
    ///
    /// No datagram is lost if the future is dropped.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(buf, true).await
    }

    /// As [`UdpSocket::recv_from`], for the task that polls last
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let octets = buf.initialize_unfilled();
        let waiting = Waiting::UdpRead(self.id);
        let receive = |stack: &mut Stack| stack.udp_recv(self.id, octets, false);
        let received = wait::poll(&self.net, waiting, cx, receive);
        received.map_ok(|(count, source)| {
            buf.advance(count);
            source.into()
        })
    }

    /// As [`UdpSocket::send_to`], for the task that polls last
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let (to, waiting) = (Some(v4(target)?), Waiting::UdpWrite(self.id));
        wait::poll(&self.net, waiting, cx, |stack| stack.udp_send(self.id, buf, to))
    }

    /// Sends a datagram, or fails with `WouldBlock`
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        let to = Some(v4(target)?);
        wait::attempt(&self.net, |stack| stack.udp_send(self.id, buf, to))
    }

    /// Sends a datagram to the peer, or fails with `WouldBlock`
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        wait::attempt(&self.net, |stack| stack.udp_send(self.id, buf, None))
    }

    /// Receives a datagram, or fails with `WouldBlock`
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let received = wait::attempt(&self.net, |stack| stack.udp_recv(self.id, buf, false));
        received.map(|(count, source)| (count, source.into()))
    }

    /// Receives a datagram from the peer, or fails with `WouldBlock`
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.try_recv_from(buf).map(|(count, _)| count)
    }

    /// Waits until a datagram has come
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn readable(&self) -> io::Result<()> {
        let id = self.id;
        let readable = |stack: &mut Stack| stack.udp_poll_readable(id);
        Wait::new(&self.net, Waiting::UdpRead(id), readable).await
    }

    /// Waits until there is room for a datagram
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn writable(&self) -> io::Result<()> {
        let id = self.id;
        let writable = |stack: &mut Stack| stack.udp_poll_writable(id);
        Wait::new(&self.net, Waiting::UdpWrite(id), writable).await
    }

    /// Whether datagrams may be sent to a broadcast address
    pub fn broadcast(&self) -> io::Result<bool> {
        self.net.with(|stack| stack.udp_broadcast(self.id))
    }

    /// Sets whether datagrams may be sent to a broadcast address
    ///
    /// That is 255.255.255.255 and, if the stack knows its subnet, the subnet's broadcast address.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.net.with(|stack| stack.udp_set_broadcast(self.id, on))
    }

    /// Receives what is sent to the multicast group (RFC 1112), and tells the routers (RFC 2236)
    ///
    /// A stack has one interface, so `interface` does not matter. Sending to a group needs no
    /// joining.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no group, or if the stack holds eight groups already; `AddrInUse` if
    /// this socket has joined it.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, _interface: Ipv4Addr) -> io::Result<()> {
        self.net.with(|stack| stack.udp_join(self.id, group))
    }

    /// Leaves a multicast group that this socket has joined
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, _interface: Ipv4Addr) -> io::Result<()> {
        self.net.with(|stack| stack.udp_leave(self.id, group))
    }

    async fn send_datagram(&self, buf: &[u8], to: Option<SocketAddrV4>) -> io::Result<usize> {
        let id = self.id;
        let send = |stack: &mut Stack| stack.udp_send(id, buf, to);
        Wait::new(&self.net, Waiting::UdpWrite(id), send).await
    }

    async fn receive(&self, buf: &mut [u8], peek: bool) -> io::Result<(usize, SocketAddr)> {
        let id = self.id;
        let receive = |stack: &mut Stack| stack.udp_recv(id, buf, peek);
        let (count, source) = Wait::new(&self.net, Waiting::UdpRead(id), receive).await?;
        Ok((count, source.into()))
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        drop(self.net.with(|stack| stack.udp_release(self.id)));
    }
}
