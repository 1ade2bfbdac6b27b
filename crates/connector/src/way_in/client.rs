//! The stream of a client: a trait, the streams of the kernel, and octets that were read ahead

use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf},
    net::{TcpStream, UdpSocket, UnixStream},
    time::{sleep, timeout},
};

use super::datagrams::Datagrams;

/// The stream of a client that a listener has accepted
///
/// Streams of the kernel are such, and [`MemoryStream`](super::MemoryStream), for tests in virtual time.
pub trait ClientStream: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static {
    /// The socket of datagrams that [`Self::bind_datagrams`] makes
    type Datagrams: Datagrams;

    /// Makes the end of the stream a reset instead of a clean one, where the kind of stream has that
    fn set_reset(&self);

    /// Waits until the client has reset the stream; for ever if the kind of stream does not tell
    fn until_reset(&self) -> impl Future<Output = ()> + Send;

    /// Binds a socket on the address at which the client has reached this stream, for its datagrams
    ///
    /// # Errors
    /// `Unsupported` if the stream has no such address; as [`UdpSocket::bind`].
    fn bind_datagrams(&self) -> impl Future<Output = io::Result<Self::Datagrams>> + Send;
}

impl ClientStream for TcpStream {
    type Datagrams = UdpSocket;

    fn set_reset(&self) {
        // it fails for a connection that has ended already
        let _ = self.set_zero_linger();
    }

    async fn until_reset(&self) {
        // a reset is an error of the socket also while octets wait to be read
        let _ = self.ready(Interest::ERROR).await;
    }

    async fn bind_datagrams(&self) -> io::Result<UdpSocket> {
        UdpSocket::bind((self.local_addr()?.ip(), 0)).await
    }
}

/// It has no reset: a client sees the end of the octets
impl ClientStream for UnixStream {
    type Datagrams = UdpSocket;

    fn set_reset(&self) {}

    async fn until_reset(&self) {
        let _ = self.ready(Interest::ERROR).await;
    }

    async fn bind_datagrams(&self) -> io::Result<UdpSocket> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The place that a client comes from
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// An address
    Address(SocketAddr),
    /// A program on this machine, over a unix socket
    Unix,
}

impl Origin {
    /// Returns the client's address, if it has one; an IPv4 address is shown as such
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address.ip().to_canonical()),
            Self::Unix => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Unix => f.write_str("a unix socket"),
        }
    }
}

/// A client: its stream, and the octets of it that were read ahead
///
/// Reads give the octets that were read ahead first.
#[derive(Debug)]
pub(super) struct Client<S> {
    stream: S,
    origin: Origin,
    ahead: Vec<u8>,
    has_ended: bool,
}

impl<S> Client<S> {
    /// Makes a client of a stream of which nothing was read
    pub(super) const fn new(stream: S, origin: Origin) -> Self {
        Self { stream, origin, ahead: Vec::new(), has_ended: false }
    }

    /// Makes a client of a stream of which `ahead` was read
    pub(super) const fn with_ahead(stream: S, origin: Origin, ahead: Vec<u8>) -> Self {
        Self { stream, origin, ahead, has_ended: false }
    }

    /// Returns the place that it comes from
    pub(super) const fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns the stream
    pub(super) const fn stream(&self) -> &S {
        &self.stream
    }

    /// Returns the octets that were read ahead
    pub(super) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// Drops octets of those that were read ahead, from the front
    pub(super) fn consume(&mut self, count: usize) {
        self.ahead.drain(..count.min(self.ahead.len()));
    }

    /// Gives the stream back, without what was read ahead
    pub(super) fn into_stream(self) -> S {
        self.stream
    }
}

impl<S: ClientStream> Client<S> {
    /// Reads more octets ahead, up to `most` in all; returns false at the end of the stream
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn read_ahead(&mut self, most: usize) -> io::Result<bool> {
        let room = most.saturating_sub(self.ahead.len()).min(AHEAD);
        self.ahead.reserve(room);
        let count = (&mut self.stream).take(room as u64).read_buf(&mut self.ahead).await?;
        self.has_ended |= count == 0 && room > 0;
        Ok(count > 0)
    }

    /// Waits until the client has gone away, and keeps the octets that come meanwhile
    ///
    /// A client that has sent octets and closed its half is still there: it waits for the answer. One that has closed
    /// without an octet has a short time, since it may want to read only, and then counts as gone.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn until_gone(&mut self) {
        while !self.has_ended && self.ahead.len() < AHEAD {
            if self.read_ahead(AHEAD).await.is_err() {
                return;
            }
        }
        if self.ahead.is_empty() {
            let _ = timeout(READER_ONLY, self.stream.until_reset()).await;
        } else {
            self.stream.until_reset().await;
        }
    }

    /// Closes the stream so that what was written arrives
    ///
    /// Octets that are not read make the kernel reset a connection that is closed, and its last answer with it.
    pub(super) async fn close(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let discard = async {
            let mut octets = [0; 1024];
            for _ in 0..MAX_DISCARDED_READS {
                match self.stream.read(&mut octets).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        };
        tokio::select! {
            () = discard => {}
            () = sleep(LAST_READ) => {}
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Client<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let count = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(self.ahead.get(..count).unwrap_or_default());
        self.ahead.drain(..count);
        if self.ahead.is_empty() {
            self.ahead = Vec::new(); // its memory is not kept for the length of a connection
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Client<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}

/// Octets that are read ahead of a client that waits
const AHEAD: usize = 4096;

/// The time for which a client is waited for that has closed its half without an octet
const READER_ONLY: Duration = Duration::from_secs(5);

/// The time for which the octets are discarded that a refused client still sends
const LAST_READ: Duration = Duration::from_secs(2);

/// Reads of those octets, of 1 KiB each
const MAX_DISCARDED_READS: usize = 64;
