//! Connections between hosts in memory

use std::{
    io,
    net::SocketAddrV4,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection in memory
///
/// Octets arrive one latency after they were written; a write waits while 64 KiB are on their way
/// or unread. Dropping it ends the connection, after what was written has arrived: with end of
/// file, or as a reset if something that had arrived was not read, as the kernel does.
#[derive(Debug)]
pub struct MemoryStream {}

impl MemoryStream {
    /// The address of this end
    pub fn local_addr(&self) -> SocketAddrV4 {
        todo!()
    }

    /// The address of the other end
    pub fn peer_addr(&self) -> SocketAddrV4 {
        todo!()
    }

    /// Ends the connection with a reset: the other end's reads and writes fail from then on
    pub fn reset(self) {
        todo!()
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let _ = (cx, buf);
        todo!()
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let _ = (cx, octets);
        todo!()
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        todo!()
    }
}

/// A port of a host in memory that takes connections; dropping it stops listening
#[derive(Debug)]
pub struct MemoryListener {}

impl MemoryListener {
    /// Waits for a connection; returns it and the address it comes from
    ///
    /// # Cancel safety
    ///
    /// No connection is lost when the future is dropped.
    pub async fn accept(&mut self) -> io::Result<(MemoryStream, SocketAddrV4)> {
        std::future::ready(()).await;
        todo!()
    }

    /// Where it listens
    pub fn local_addr(&self) -> SocketAddrV4 {
        todo!()
    }
}
