//! A TCP connection

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    Net,
    split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf},
    wait::{self, Wait},
};
use crate::stack::{Flow, Id, Waiting};

/// A TCP connection
///
/// As `tokio::net::TcpStream`. What came before a reset can still be read; after it every read
/// fails with `ConnectionReset`. A peer that acknowledges nothing for
/// [`TcpOptions::user_timeout`](crate::TcpOptions::user_timeout) ends it with `TimedOut`. After
/// shutdown a write fails with `BrokenPipe`, and the peer may go on sending.
///
/// Dropped, it flushes what was written and closes in the background, for as long as
/// [`TcpOptions::linger`](crate::TcpOptions::linger) allows; then its memory is free.
#[derive(Debug)]
pub struct TcpStream {
    connection: Arc<Connection>,
}

impl TcpStream {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection: Arc::new(connection) }
    }

    pub(super) const fn from_connection(connection: Arc<Connection>) -> Self {
        Self { connection }
    }

    /// The address and port on this side
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.connection.flow.local.into())
    }

    /// The address and port of the peer
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.connection.flow.peer.into())
    }

    /// Whether small segments leave at once
    pub fn nodelay(&self) -> io::Result<bool> {
        self.connection.net.with(|stack| stack.tcp_nodelay(self.connection.id))
    }

    /// Sets whether small segments leave at once instead of waiting for an acknowledgment
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.connection.net.with(|stack| stack.tcp_set_nodelay(self.connection.id, nodelay))
    }

    /// How often the connection is probed while it is idle
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        self.connection.net.with(|stack| stack.tcp_keepalive(self.connection.id))
    }

    /// Sets how often the connection is probed while it is idle; `None` for never
    pub fn set_keepalive(&self, every: Option<Duration>) -> io::Result<()> {
        self.connection.net.with(|stack| stack.tcp_set_keepalive(self.connection.id, every))
    }

    /// Sets how long the connection may flush after it is dropped, 60 s at most
    ///
    /// With zero it is reset as soon as it is dropped.
    pub fn set_linger(&self, linger: Duration) -> io::Result<()> {
        self.connection.net.with(|stack| stack.tcp_set_linger(self.connection.id, linger))
    }

    /// Resets the connection: what was written and not acknowledged is lost
    pub fn abort(self) {
        self.connection.net.with(|stack| stack.tcp_abort(self.connection.id));
    }

    /// Reads without taking: the next read gives the same octets again
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.connection.peek(buf).await
    }

    /// As [`TcpStream::peek`], for the task that polls last
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let peeked = self.connection.poll_read(cx, buf.initialize_unfilled(), true);
        peeked.map_ok(|count| {
            buf.advance(count);
            count
        })
    }

    /// Waits until a read would not wait
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn readable(&self) -> io::Result<()> {
        self.connection.readable().await
    }

    /// Waits until a write would not wait
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn writable(&self) -> io::Result<()> {
        self.connection.writable().await
    }

    /// Reads what there is, or fails with `WouldBlock`
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.connection.try_read(buf)
    }

    /// Writes what there is room for, or fails with `WouldBlock`
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.connection.try_write(buf)
    }

    /// Splits it into two halves that borrow it
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf::new(&self.connection), WriteHalf::new(&self.connection))
    }

    /// Splits it into two halves that own it: it ends with the second of them
    ///
    /// Dropping the writing half shuts down that direction.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        (OwnedReadHalf::new(self.connection.clone()), OwnedWriteHalf::new(self.connection))
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.connection.poll_read_buf(cx, buf)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.connection.poll_write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.connection.poll_write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Done at once: what was written leaves without being asked to
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Done once the FIN is queued behind what was written; the peer may go on sending
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.connection.shut_down())
    }
}

/// A connection that its user still has, whole or in halves
#[derive(Debug)]
pub(super) struct Connection {
    net: Net,
    id: Id,
    pub(super) flow: Flow,
}

impl Connection {
    pub(super) const fn new(net: Net, id: Id, flow: Flow) -> Self {
        Self { net, id, flow }
    }

    pub(super) async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let id = self.id;
        let peek = |stack: &mut crate::Stack| stack.tcp_read(id, buf, true);
        Wait::new(&self.net, Waiting::TcpRead(id), peek).await
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        let id = self.id;
        let readable = |stack: &mut crate::Stack| stack.tcp_poll_readable(id);
        Wait::new(&self.net, Waiting::TcpRead(id), readable).await
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        let id = self.id;
        let writable = |stack: &mut crate::Stack| stack.tcp_poll_writable(id);
        Wait::new(&self.net, Waiting::TcpWrite(id), writable).await
    }

    pub(super) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        wait::attempt(&self.net, |stack| stack.tcp_read(self.id, buf, false))
    }

    pub(super) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        wait::attempt(&self.net, |stack| stack.tcp_write(self.id, &[IoSlice::new(buf)]))
    }

    pub(super) fn poll_read_buf(
        &self,
        cx: &Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = self.poll_read(cx, buf.initialize_unfilled(), false);
        read.map_ok(|count| buf.advance(count))
    }

    fn poll_read(&self, cx: &Context<'_>, buf: &mut [u8], peek: bool) -> Poll<io::Result<usize>> {
        let waiting = Waiting::TcpRead(self.id);
        wait::poll(&self.net, waiting, cx, |stack| stack.tcp_read(self.id, buf, peek))
    }

    pub(super) fn poll_write(
        &self,
        cx: &Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let waiting = Waiting::TcpWrite(self.id);
        wait::poll(&self.net, waiting, cx, |stack| stack.tcp_write(self.id, bufs))
    }

    pub(super) fn shut_down(&self) -> io::Result<()> {
        self.net.with(|stack| stack.tcp_shut_down(self.id))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.net.with(|stack| stack.tcp_release(self.id)));
    }
}
