//! A UDP socket

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    task::{Context, Poll},
};

use bytes::BufMut;
use tokio::io::{Interest, ReadBuf, Ready};

use super::{
    address::v4,
    handle::Net,
    ready::ready,
    wait::{self, Wait},
};
use crate::{
    Stack,
    shared::{copy, table::Id},
    stack::Waiting,
};

/// A UDP socket
///
/// As `tokio::net::UdpSocket`. Any number of tasks may send and receive at once. A connected socket
/// reports what ICMP says of its peer: `ConnectionRefused`, `HostUnreachable`, `NetworkUnreachable`.
///
/// A datagram may have 65,507 octets. One that does not fit the stack's MTU with its 28 octets of
/// headers leaves in fragments (RFC 791 §3.2), in order, as there is room, with other sockets' packets
/// between them. If one fragment is lost, the whole datagram is. What comes in fragments is received
/// as one datagram. Don't Fragment is not set, so that routers may cut packets further.
///
/// Datagrams to a broadcast address need [`UdpSocket::set_broadcast`]; those that come in are
/// received by every socket on their port. Dropped, it still sends what it was given.
///
/// What begins with `poll_` wakes the task that polled last, and what begins with `try_` fails with
/// `WouldBlock` where its namesake waits. Nothing is lost, sent or taken by a future that is dropped
/// before it is ready.
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

    pub(super) const fn net(&self) -> &Net {
        &self.net
    }

    /// Has what it sends leave at once, also while datagrams wait for a path to open: it is repeated
    pub(super) fn repeats(self) -> io::Result<Self> {
        self.with(|stack, id| stack.udp()?.set_repeats(id))?;
        Ok(self)
    }

    /// The address and port on this side
    ///
    /// That of a socket bound to no address is unspecified until it is connected, and the stack's
    /// own from then on.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let local = self.with(|stack, id| stack.udp()?.local(id));
        Ok(local.unwrap_or(self.local).into())
    }

    /// The address and port it is connected to; `NotConnected` if it is not
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.with(|stack, id| stack.udp()?.peer(id)).map(Into::into)
    }

    pub(super) fn connect_to(&self, peer: SocketAddrV4) -> io::Result<()> {
        self.with(|stack, id| stack.udp()?.connect(id, peer))
    }

    /// Sends a datagram to the peer
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::send_to`], and EDESTADDRREQ ("destination address required") if the socket is
    /// not connected.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.send_datagram(buf, None).await
    }

    /// As [`UdpSocket::send`], polled
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send_datagram(cx, buf, None)
    }

    /// As [`UdpSocket::send`], at once
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_send_datagram(buf, None)
    }

    /// As [`UdpSocket::send_to`], polled
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.poll_send_datagram(cx, buf, Some(v4(target)?))
    }

    /// As [`UdpSocket::send_to`], at once
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.try_send_datagram(buf, Some(v4(target)?))
    }

    /// Receives a datagram from the peer; what does not fit `buf` is lost
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv_from(buf).await?.0)
    }

    /// As [`UdpSocket::recv`], polled
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_recv_from(cx, buf).map_ok(drop)
    }

    /// As [`UdpSocket::recv`], at once
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_recv_from(buf)?.0)
    }

    /// As [`UdpSocket::recv`], behind what is in the buffer already
    pub async fn recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(self.recv_buf_from(buf).await?.0)
    }

    /// As [`UdpSocket::recv_buf`], at once
    pub fn try_recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(self.try_recv_buf_from(buf)?.0)
    }

    /// Receives a datagram and tells its sender; what does not fit `buf` is lost
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(false, |payload| copy(payload, buf)).await
    }

    /// As [`UdpSocket::recv_from`], polled
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.poll_receive(cx, buf, false)
    }

    /// As [`UdpSocket::recv_from`], at once
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_receive(false, |payload| copy(payload, buf))
    }

    /// As [`UdpSocket::recv_from`], behind what is in the buffer already
    pub async fn recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        self.receive(false, |payload| put(payload, buf)).await
    }

    /// As [`UdpSocket::recv_buf_from`], at once
    pub fn try_recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        self.try_receive(false, |payload| put(payload, buf))
    }

    /// As [`UdpSocket::recv`], without taking the datagram
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.peek_from(buf).await?.0)
    }

    /// As [`UdpSocket::peek`], polled
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_peek_from(cx, buf).map_ok(drop)
    }

    /// As [`UdpSocket::peek`], at once
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_peek_from(buf)?.0)
    }

    /// As [`UdpSocket::recv_from`], without taking the datagram
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(true, |payload| copy(payload, buf)).await
    }

    /// As [`UdpSocket::peek_from`], polled
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.poll_receive(cx, buf, true)
    }

    /// As [`UdpSocket::peek_from`], at once
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.try_receive(true, |payload| copy(payload, buf))
    }

    /// Waits for a datagram and tells its sender, without taking it
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.peek_from(&mut []).await?.1)
    }

    /// As [`UdpSocket::peek_sender`], polled
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll_peek_from(cx, &mut ReadBuf::new(&mut []))
    }

    /// As [`UdpSocket::peek_sender`], at once
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.try_peek_from(&mut [])?.1)
    }

    /// Waits until the socket is ready for something of `interest`, and tells for what
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let id = self.id;
        let waiting = [Waiting::UdpRead(id), Waiting::UdpWrite(id)];
        ready(&self.net, waiting, interest, |stack: &mut Stack| stack.udp()?.readiness(id)).await
    }

    /// Waits until a datagram has come
    pub async fn readable(&self) -> io::Result<()> {
        let id = self.id;
        let readable = |stack: &mut Stack| stack.udp()?.poll_readable(id);
        Wait::new(&self.net, Waiting::UdpRead(id), readable).await
    }

    /// As [`UdpSocket::readable`], polled
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiting = Waiting::UdpRead(self.id);
        wait::poll(&self.net, waiting, cx, |stack| stack.udp()?.poll_readable(self.id))
    }

    /// Waits until there is room for a datagram
    pub async fn writable(&self) -> io::Result<()> {
        let id = self.id;
        let writable = |stack: &mut Stack| stack.udp()?.poll_writable(id);
        Wait::new(&self.net, Waiting::UdpWrite(id), writable).await
    }

    /// As [`UdpSocket::writable`], polled
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiting = Waiting::UdpWrite(self.id);
        wait::poll(&self.net, waiting, cx, |stack| stack.udp()?.poll_writable(self.id))
    }

    /// Takes what ICMP said of the peer, so that no other call fails with it
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.with(|stack, id| stack.udp()?.take_error(id))
    }

    /// How many routers a datagram to one host may pass (RFC 791 §3.2)
    pub fn ttl(&self) -> io::Result<u32> {
        self.with(|stack, id| stack.udp()?.ttl(id))
    }

    /// Sets how many routers a datagram to one host may pass; `InvalidInput` but for 1 to 255
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.with(|stack, id| stack.udp()?.set_ttl(id, ttl))
    }

    /// Whether datagrams may be sent to a broadcast address
    pub fn broadcast(&self) -> io::Result<bool> {
        self.with(|stack, id| stack.udp()?.broadcast(id))
    }

    /// Sets whether datagrams may be sent to a broadcast address
    ///
    /// That is 255.255.255.255 and, if the stack knows its subnet, the subnet's broadcast address.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.with(|stack, id| stack.udp()?.set_broadcast(id, on))
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
        self.with(|stack, id| stack.udp()?.join(id, group))
    }

    /// Leaves a multicast group that this socket has joined
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, _interface: Ipv4Addr) -> io::Result<()> {
        self.with(|stack, id| stack.udp()?.leave(id, group))
    }

    /// Whether the sockets of this stack receive what this one sends to their groups
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.with(|stack, id| stack.udp()?.multicast_loop(id))
    }

    /// Sets whether the sockets of this stack receive what this one sends to their groups
    ///
    /// They do, as long as nobody says otherwise; this one too, if it is a member.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.with(|stack, id| stack.udp()?.set_multicast_loop(id, on))
    }

    /// How many routers a datagram to a group may pass
    ///
    /// 64, and not 1 as of the kernel's sockets: behind a tunnel the next network begins with a
    /// router.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.with(|stack, id| stack.udp()?.multicast_ttl(id))
    }

    /// Sets how many routers a datagram to a group may pass; `InvalidInput` above 255
    ///
    /// With 0 it does not leave this stack.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.with(|stack, id| stack.udp()?.set_multicast_ttl(id, ttl))
    }

    pub(super) async fn send_datagram(
        &self,
        buf: &[u8],
        to: Option<SocketAddrV4>,
    ) -> io::Result<usize> {
        let id = self.id;
        let send = |stack: &mut Stack| stack.udp()?.send(id, buf, to);
        Wait::new(&self.net, Waiting::UdpWrite(id), send).await
    }

    fn poll_send_datagram(
        &self,
        cx: &Context<'_>,
        buf: &[u8],
        to: Option<SocketAddrV4>,
    ) -> Poll<io::Result<usize>> {
        let waiting = Waiting::UdpWrite(self.id);
        wait::poll(&self.net, waiting, cx, |stack| stack.udp()?.send(self.id, buf, to))
    }

    fn try_send_datagram(&self, buf: &[u8], to: Option<SocketAddrV4>) -> io::Result<usize> {
        wait::attempt(&self.net, |stack| stack.udp()?.send(self.id, buf, to))
    }

    async fn receive(
        &self,
        peek: bool,
        mut read: impl FnMut(&[u8]) -> usize + Unpin,
    ) -> io::Result<(usize, SocketAddr)> {
        let id = self.id;
        let receive = |stack: &mut Stack| stack.udp()?.recv(id, peek, &mut read);
        let (count, source) = Wait::new(&self.net, Waiting::UdpRead(id), receive).await?;
        Ok((count, source.into()))
    }

    fn poll_receive(
        &self,
        cx: &Context<'_>,
        buf: &mut ReadBuf<'_>,
        peek: bool,
    ) -> Poll<io::Result<SocketAddr>> {
        let waiting = Waiting::UdpRead(self.id);
        let received = wait::poll(&self.net, waiting, cx, |stack| {
            stack.udp()?.recv(self.id, peek, |payload| put(payload, buf))
        });
        received.map_ok(|(_, source)| source.into())
    }

    fn try_receive(
        &self,
        peek: bool,
        read: impl FnOnce(&[u8]) -> usize,
    ) -> io::Result<(usize, SocketAddr)> {
        let received = wait::attempt(&self.net, |stack| stack.udp()?.recv(self.id, peek, read));
        received.map(|(count, source)| (count, source.into()))
    }

    fn with<R>(&self, call: impl FnOnce(&mut Stack, Id) -> R) -> R {
        self.net.with(|stack| call(stack, self.id))
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.with(|stack, id| stack.udp_after_end().release(id));
    }
}

/// Puts what fits behind what a buffer has, and tells how much that is
fn put(payload: &[u8], buf: &mut impl BufMut) -> usize {
    let count = payload.len().min(buf.chunk_mut().len());
    buf.put_slice(payload.get(..count).unwrap_or_default());
    count
}
