//! UDP sockets

mod options;
mod receive;

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use tokio::io::{Interest, Ready};

use super::{
    address::endpoint,
    handle::Net,
    ready::ready,
    wait::{self, Wait},
};
use crate::{Stack, ip::Endpoint, shared::table::Id, stack::Waiting};

/// A UDP socket
///
/// It behaves as `tokio::net::UdpSocket`. Any number of tasks may send and receive at once. A connected socket
/// reports what ICMP says of its peer: `ConnectionRefused`, `HostUnreachable`, `NetworkUnreachable`.
///
/// A datagram may have 65,507 octets. One that does not fit the stack's MTU with its 28 octets of
/// headers leaves in fragments (RFC 791 §3.2), in order, as there is room, with other sockets' packets
/// between them. If one fragment is lost, the whole datagram is. A datagram that comes in fragments is
/// received as one. Don't Fragment is not set, so that routers may cut packets further.
///
/// Datagrams to a broadcast address need [`UdpSocket::set_broadcast`]; those that come in are
/// received by every socket on their port. A dropped socket still sends the datagrams that it has.
///
/// A method that begins with `poll_` wakes the task that polled last. One that begins with `try_` fails with
/// `WouldBlock` where its namesake waits. A future that is dropped before it is ready has not sent, taken or
/// lost anything.
#[derive(Debug)]
pub struct UdpSocket {
    net: Net,
    id: Id,
    local: Endpoint,
}

impl UdpSocket {
    pub(super) const fn new(net: Net, id: Id, local: Endpoint) -> Self {
        Self { net, id, local }
    }

    pub(super) const fn net(&self) -> &Net {
        &self.net
    }

    /// Lets its datagrams leave at once, also while others wait for the path to open, because they are repeated
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

    pub(super) fn connect_to(&self, peer: Endpoint) -> io::Result<()> {
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

    /// The poll form of [`UdpSocket::send`]
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send_datagram(cx, buf, None)
    }

    /// The form of [`UdpSocket::send`] that does not wait
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_send_datagram(buf, None)
    }

    /// The poll form of [`UdpSocket::send_to`]
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.poll_send_datagram(cx, buf, Some(endpoint(target)?))
    }

    /// The form of [`UdpSocket::send_to`] that does not wait
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.try_send_datagram(buf, Some(endpoint(target)?))
    }

    /// Waits until the socket is ready for something of `interest`, and returns its readiness
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

    /// The poll form of [`UdpSocket::readable`]
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

    /// The poll form of [`UdpSocket::writable`]
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waiting = Waiting::UdpWrite(self.id);
        wait::poll(&self.net, waiting, cx, |stack| stack.udp()?.poll_writable(self.id))
    }

    /// Takes the error that ICMP reported of the peer, so that no other call fails with it
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.with(|stack, id| stack.udp()?.take_error(id))
    }

    pub(super) async fn send_datagram(
        &self,
        buf: &[u8],
        to: Option<Endpoint>,
    ) -> io::Result<usize> {
        let id = self.id;
        let send = |stack: &mut Stack| stack.udp()?.send(id, buf, to);
        Wait::new(&self.net, Waiting::UdpWrite(id), send).await
    }

    fn poll_send_datagram(
        &self,
        cx: &Context<'_>,
        buf: &[u8],
        to: Option<Endpoint>,
    ) -> Poll<io::Result<usize>> {
        let waiting = Waiting::UdpWrite(self.id);
        wait::poll(&self.net, waiting, cx, |stack| stack.udp()?.send(self.id, buf, to))
    }

    fn try_send_datagram(&self, buf: &[u8], to: Option<Endpoint>) -> io::Result<usize> {
        wait::attempt(&self.net, |stack| stack.udp()?.send(self.id, buf, to))
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
