//! The datagrams of clients: a trait, and the kernel's socket

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use tokio::{io::ReadBuf, net::UdpSocket};

/// A local socket of datagrams, for clients
pub trait Datagrams: Send + Sync + 'static {
    /// Receives a datagram, with the address of its client; what does not fit is cut off
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>>;

    /// Sends a datagram to a client
    ///
    /// # Errors
    /// As [`UdpSocket::try_send_to`]: `WouldBlock` if there is no room.
    fn try_send_to(&self, datagram: &[u8], client: SocketAddr) -> io::Result<usize>;

    /// Returns the address to which clients send
    ///
    /// # Errors
    /// As [`UdpSocket::local_addr`].
    fn local_address(&self) -> io::Result<SocketAddr>;

    /// Receives a datagram, with the address of its client
    ///
    /// # Cancel safety
    /// No datagram is lost.
    fn receive(&self) -> impl Future<Output = io::Result<(Vec<u8>, SocketAddr)>> + Send {
        poll_fn(|cx| poll_whole(|buffer| self.poll_recv_from(cx, buffer)))
    }
}

/// Receives a datagram of a site, with the address of its host
pub(super) async fn receive_inner(
    socket: &pptp::net::UdpSocket,
) -> io::Result<(Vec<u8>, SocketAddr)> {
    poll_fn(|cx| poll_whole(|buffer| socket.poll_recv_from(cx, buffer))).await
}

/// Polls for a datagram of any length, without a buffer of that length for each socket
fn poll_whole(
    poll: impl FnOnce(&mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>>,
) -> Poll<io::Result<(Vec<u8>, SocketAddr)>> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.resize(MAX_DATAGRAM, 0);
        let mut buffer = ReadBuf::new(scratch);
        poll(&mut buffer).map_ok(|from| (buffer.filled().to_vec(), from))
    })
}

impl Datagrams for UdpSocket {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.poll_recv_from(cx, buffer)
    }

    fn try_send_to(&self, datagram: &[u8], client: SocketAddr) -> io::Result<usize> {
        self.try_send_to(datagram, client)
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// No datagram is longer: its length has 16 bits
const MAX_DATAGRAM: usize = 65536;
