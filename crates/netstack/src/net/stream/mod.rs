//! TCP connections

mod options;

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};

use super::{
    handle::Net,
    ready::ready,
    split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf},
    wait::{self, Wait},
};
use crate::{Stack, shared::table::Id, stack::Waiting};

/// A TCP connection
///
/// It behaves as `tokio::net::TcpStream`. Octets that came before a reset can still be read; after them every
/// read fails with `ConnectionReset`. A peer that acknowledges nothing for
/// [`TcpOptions::user_timeout`](crate::TcpOptions::user_timeout) ends it with `TimedOut`. After
/// shutdown a write fails with `BrokenPipe`, and the peer may go on sending.
///
/// When it is dropped, it flushes the written octets and closes in the background, for as long as
/// [`TcpOptions::linger`](crate::TcpOptions::linger) allows; then its memory is free.
#[derive(Debug)]
pub struct TcpStream {
    /// Shared with the other half, if this is the stream of one
    connection: Arc<Connection>,
}

/// A connection that its user still has, whole or in halves
#[derive(Debug)]
pub(super) struct Connection {
    net: Net,
    id: Id,
}

impl TcpStream {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection: Arc::new(connection) }
    }

    /// The address and port on this side
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.with(|stack, id| stack.tcp_after_end().flow(id)).map(|flow| flow.local.into())
    }

    /// The address and port of the peer
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.with(|stack, id| stack.tcp_after_end().flow(id)).map(|flow| flow.peer.into())
    }

    /// The error by which the connection ended, if it did
    ///
    /// Reads and writes fail with it all the same: it is not taken.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.with(|stack, id| stack.tcp()?.error(id))
    }

    /// Resets the connection; octets that were not acknowledged are lost
    pub fn abort(self) {
        self.with(|stack, id| stack.tcp_after_end().abort(id));
    }

    /// Reads and leaves the octets in their place: the next read returns them again
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let id = self.connection.id;
        let peek = |stack: &mut Stack| stack.tcp()?.read(id, buf, true);
        Wait::new(&self.connection.net, Waiting::TcpRead(id), peek).await
    }

    /// The poll form of [`TcpStream::peek`], for the task that polls last
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let peeked = self.poll_read_slice(cx, buf.initialize_unfilled(), true);
        peeked.map_ok(|count| {
            buf.advance(count);
            count
        })
    }

    /// Waits until the connection is ready for something of `interest`, and returns its readiness
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let id = self.connection.id;
        let waiting = [Waiting::TcpRead(id), Waiting::TcpWrite(id)];
        let readiness = |stack: &mut Stack| stack.tcp()?.readiness(id);
        ready(&self.connection.net, waiting, interest, readiness).await
    }

    /// Waits until a read would not wait
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn readable(&self) -> io::Result<()> {
        let id = self.connection.id;
        let readable = |stack: &mut Stack| stack.tcp()?.poll_readable(id);
        Wait::new(&self.connection.net, Waiting::TcpRead(id), readable).await
    }

    /// The poll form of [`TcpStream::readable`], for the task that polls last
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Connection { net, id, .. } = &*self.connection;
        wait::poll(net, Waiting::TcpRead(*id), cx, |stack| stack.tcp()?.poll_readable(*id))
    }

    /// Waits until a write would not wait
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn writable(&self) -> io::Result<()> {
        let id = self.connection.id;
        let writable = |stack: &mut Stack| stack.tcp()?.poll_writable(id);
        Wait::new(&self.connection.net, Waiting::TcpWrite(id), writable).await
    }

    /// The poll form of [`TcpStream::writable`], for the task that polls last
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Connection { net, id, .. } = &*self.connection;
        wait::poll(net, Waiting::TcpWrite(*id), cx, |stack| stack.tcp()?.poll_writable(*id))
    }

    /// Reads the octets that have come, or fails with `WouldBlock`
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let Connection { net, id, .. } = &*self.connection;
        wait::attempt(net, |stack| stack.tcp()?.read(*id, buf, false))
    }

    /// Reads as [`TcpStream::try_read`] does, into one buffer after the other
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let Connection { net, id, .. } = &*self.connection;
        wait::attempt(net, |stack| stack.tcp()?.read_vectored(*id, bufs))
    }

    /// Reads as [`TcpStream::try_read`] does, and appends to the buffer; 4 KiB at most
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        let mut octets = [0; 4096];
        let room = buf.chunk_mut().len().min(octets.len());
        let count = self.try_read(octets.get_mut(..room).unwrap_or_default())?;
        buf.put_slice(octets.get(..count).unwrap_or_default());
        Ok(count)
    }

    /// Writes as many octets as there is room for, or fails with `WouldBlock`
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(buf)])
    }

    /// Writes as [`TcpStream::try_write`] does, from one buffer after the other
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let Connection { net, id, .. } = &*self.connection;
        wait::attempt(net, |stack| stack.tcp()?.write(*id, bufs))
    }

    /// Splits it into two halves that borrow it
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf::new(self), WriteHalf::new(self))
    }

    /// Splits it into two halves that own it: it ends with the second of them
    ///
    /// Dropping the writing half shuts down that direction.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let other = Self { connection: self.connection.clone() };
        (OwnedReadHalf::new(other), OwnedWriteHalf::new(self))
    }

    /// Returns true if both are streams of one connection
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.connection, &other.connection)
    }

    pub(super) fn shut_down(&self) -> io::Result<()> {
        self.with(|stack, id| stack.tcp()?.shut_down(id))
    }

    pub(super) fn poll_read_shared(
        &self,
        cx: &Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.poll_read_slice(cx, buf.initialize_unfilled(), false);
        read.map_ok(|count| buf.advance(count))
    }

    pub(super) fn poll_write_shared(
        &self,
        cx: &Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Connection { net, id, .. } = &*self.connection;
        wait::poll(net, Waiting::TcpWrite(*id), cx, |stack| stack.tcp()?.write(*id, bufs))
    }

    fn poll_read_slice(
        &self,
        cx: &Context<'_>,
        buf: &mut [u8],
        peek: bool,
    ) -> Poll<io::Result<usize>> {
        let Connection { net, id, .. } = &*self.connection;
        wait::poll(net, Waiting::TcpRead(*id), cx, |stack| stack.tcp()?.read(*id, buf, peek))
    }

    fn with<R>(&self, call: impl FnOnce(&mut Stack, Id) -> R) -> R {
        let Connection { net, id, .. } = &*self.connection;
        net.with(|stack| call(stack, *id))
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_shared(cx, buf)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_shared(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_shared(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Returns at once: written octets leave without a flush
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Queues a FIN behind the written octets; the peer may go on sending
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shut_down())
    }
}

impl Connection {
    pub(super) const fn new(net: Net, id: Id) -> Self {
        Self { net, id }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.net.with(|stack| stack.tcp_after_end().release(self.id));
    }
}
