//! Streams and datagrams of clients in memory, for tests in virtual time

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex},
    sync::{mpsc, watch},
};

use super::{client::ClientStream, datagrams::Datagrams};

/// The accepted end of a stream in memory; its reads fail with `ConnectionReset` once the client has reset it
#[derive(Debug)]
pub struct MemoryStream {
    stream: DuplexStream,
    ours: watch::Sender<bool>,
    theirs: watch::Receiver<bool>,
    relays: mpsc::Sender<MemoryDatagrams>,
}

/// The client's end of a stream in memory
#[derive(Debug)]
pub struct MemoryClient {
    stream: DuplexStream,
    ours: watch::Sender<bool>,
    theirs: watch::Receiver<bool>,
    relays: mpsc::Receiver<MemoryDatagrams>,
}

/// Makes a stream in memory, as a listener would have accepted it
pub fn memory_stream() -> (MemoryStream, MemoryClient) {
    let (one, other) = duplex(BUFFER);
    let ((a, b), (c, d)) = (watch::channel(false), watch::channel(false));
    let (relays, made) = mpsc::channel(1);
    let accepted = MemoryStream { stream: one, ours: a, theirs: d, relays };
    (accepted, MemoryClient { stream: other, ours: c, theirs: b, relays: made })
}

impl MemoryClient {
    /// Resets the stream, now
    pub fn reset(self) {
        self.ours.send_replace(true);
    }

    /// Returns true if the other end has reset the stream
    pub fn is_reset(&self) -> bool {
        *self.theirs.borrow()
    }

    /// Waits for the socket that a UDP ASSOCIATE has made
    pub async fn relay(&mut self) -> Option<MemoryDatagrams> {
        self.relays.recv().await
    }
}

impl ClientStream for MemoryStream {
    type Datagrams = MemoryDatagrams;

    fn set_reset(&self) {
        self.ours.send_replace(true);
    }

    async fn until_reset(&self) {
        let mut theirs = self.theirs.clone();
        if theirs.wait_for(|is_reset| *is_reset).await.is_err() {
            // a client that has closed its end cannot reset it any more
            std::future::pending::<()>().await;
        }
    }

    async fn bind_datagrams(&self) -> io::Result<MemoryDatagrams> {
        let (ours, theirs) = MemoryDatagrams::pair();
        self.relays.try_send(theirs).map_err(|_| io::ErrorKind::AddrInUse)?;
        Ok(ours)
    }
}

/// Fails a read at the end of the octets if the other side has reset the stream
fn end(is_reset: bool) -> Poll<io::Result<()>> {
    Poll::Ready(if is_reset { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) })
}

macro_rules! stream {
    ($name:ident) => {
        impl AsyncRead for $name {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let before = buffer.filled().len();
                ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
                end(buffer.filled().len() == before && *self.theirs.borrow())
            }
        }

        impl AsyncWrite for $name {
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

            fn poll_shutdown(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream).poll_shutdown(cx)
            }
        }
    };
}

stream!(MemoryStream);
stream!(MemoryClient);

/// A socket of datagrams in memory: one end, or the clients' end
///
/// At most 256 datagrams wait at each end; what has no room is lost.
#[derive(Debug)]
pub struct MemoryDatagrams {
    to: mpsc::Sender<(Vec<u8>, SocketAddr)>,
    from: Mutex<mpsc::Receiver<(Vec<u8>, SocketAddr)>>,
    refuse: mpsc::Sender<SocketAddr>,
    refused: tokio::sync::Mutex<mpsc::Receiver<SocketAddr>>,
}

impl MemoryDatagrams {
    /// Makes a socket, and the end of its clients: what they send names the client that it is from, and what they get
    /// names the client that it is for
    pub fn pair() -> (Self, Self) {
        let (up, down) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
        let (refused, unused) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
        let end = |to, from, refuse, refused| Self {
            to,
            from: Mutex::new(from),
            refuse,
            refused: tokio::sync::Mutex::new(refused),
        };
        (end(up.0, down.1, unused.0, refused.1), end(down.0, up.1, refused.0, unused.1))
    }

    /// Tells the other end that nobody is at a client's port any more, as ICMP does
    pub fn refuse(&self, client: SocketAddr) {
        // what has no room is lost, as ICMP may be
        let _ = self.refuse.try_send(client);
    }

    /// Waits for the word that nobody is at a client's port any more
    pub(super) async fn receive_refused(&self) -> Option<SocketAddr> {
        self.refused.lock().await.recv().await
    }
}

impl Datagrams for MemoryDatagrams {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let mut from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        let received = ready!(from.poll_recv(cx));
        drop(from);
        let (octets, client) = received.ok_or(io::ErrorKind::BrokenPipe)?;
        let count = octets.len().min(buffer.remaining());
        buffer.put_slice(octets.get(..count).unwrap_or_default());
        Poll::Ready(Ok(client))
    }

    fn try_send_to(&self, datagram: &[u8], client: SocketAddr) -> io::Result<usize> {
        let sent = self.to.try_send((datagram.to_vec(), client));
        sent.map_err(|_| io::ErrorKind::WouldBlock)?;
        Ok(datagram.len())
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::LOCALHOST, 1).into())
    }
}

/// Octets on their way in a stream, each direction
const BUFFER: usize = 64 << 10;

/// Datagrams that wait at an end
const QUEUE: usize = 256;
