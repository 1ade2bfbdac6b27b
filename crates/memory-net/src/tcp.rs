//! Connections between hosts in memory

use std::{
    collections::VecDeque,
    fmt, io,
    net::SocketAddrV4,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{Instant, Sleep, sleep_until, timeout_at},
};

mod connection;
mod pipe;

use crate::{Network, clock::now};
use connection::{Connection, Side};
use pipe::{End, ReadOutcome};

pub(super) use connection::Connections;

/// A connection in memory
///
/// Octets arrive one latency after they were written. A write waits while 64 KiB are on their way
/// or unread. Dropping it ends the connection after all written octets have arrived: with end of
/// file, or as a reset if something that had arrived was not read, as the kernel does.
pub struct MemoryStream {
    connection: Arc<Connection>,
    /// The side that this end is
    side: Side,
    /// The timer until octets on their way arrive; made when it is first waited for
    timer: Option<Pin<Box<Sleep>>>,
    /// True if the pause before the next octet is over, in a host that moves single octets
    has_paused: bool,
}

impl MemoryStream {
    /// Both ends of a connection, that of `from` first
    pub(super) fn pair(network: &Network, from: SocketAddrV4, to: SocketAddrV4) -> (Self, Self) {
        let connection = Connection::new(network, from, to);
        let end = |side| Self {
            connection: Arc::clone(&connection),
            side,
            timer: None,
            has_paused: false,
        };
        (end(Side::Dialler), end(Side::Listener))
    }

    /// Ends the connection with a reset: the other end's reads and writes fail from then on
    pub fn reset(self) {
        self.connection.end(self.side, End::Reset);
    }

    /// The address of this end
    pub fn local_addr(&self) -> SocketAddrV4 {
        self.connection.address(self.side)
    }

    /// The address of the other end
    pub fn peer_addr(&self) -> SocketAddrV4 {
        self.connection.address(self.side.other())
    }

    /// A pause before each octet that a host with single octets writes
    #[expect(clippy::disallowed_methods, reason = "its own task, and no lock is held")]
    fn poll_pause(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.has_paused = !self.has_paused;
        if self.has_paused {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn poll_due(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx)
    }
}

impl fmt::Debug for MemoryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStream({} to {})", self.local_addr(), self.peer_addr())
    }
}

impl fmt::Debug for MemoryListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryListener({})", self.local)
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        let unread = self.connection.has_arrived(self.side, now());
        self.connection.end(self.side, if unread { End::Reset } else { End::Eof });
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 1 && self.connection.moves_single_octets(self.side) {
            let mut octet = [0];
            let mut one = ReadBuf::new(&mut octet);
            let read = ready!(self.as_mut().poll_read(cx, &mut one));
            buf.put_slice(one.filled());
            return Poll::Ready(read);
        }
        loop {
            match self.connection.read(self.side, now(), cx, buf) {
                ReadOutcome::Done(outcome) => return Poll::Ready(outcome),
                ReadOutcome::Due(due) => ready!(self.poll_due(cx, due)),
                ReadOutcome::Nothing => return Poll::Pending,
            }
        }
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let [first, ..] = octets
            && self.connection.moves_single_octets(self.side)
        {
            ready!(self.poll_pause(cx));
            return self.connection.write(self.side, now(), cx, &[*first]);
        }
        self.connection.write(self.side, now(), cx, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.shut_down(self.side);
        Poll::Ready(Ok(()))
    }
}

/// A port of a host in memory that takes connections; dropping it stops listening
///
/// Connections that were not accepted by then are reset.
pub struct MemoryListener {
    local: SocketAddrV4,
    backlog: Arc<Backlog>,
}

impl MemoryListener {
    pub(super) const fn new(local: SocketAddrV4, backlog: Arc<Backlog>) -> Self {
        Self { local, backlog }
    }

    /// Waits for a connection; returns it and the address it comes from
    ///
    /// # Cancel safety
    ///
    /// No connection is lost when the future is dropped.
    pub async fn accept(&self) -> io::Result<(MemoryStream, SocketAddrV4)> {
        loop {
            let arrived = self.backlog.arrived.notified();
            let next = self.backlog.next(now());
            match next {
                Next::Arrived(stream) => {
                    let peer = stream.peer_addr();
                    return Ok((stream, peer));
                }
                // an Err means that the due time is reached, and the next round takes the
                // connection
                Next::Due(due) => drop(timeout_at(due, arrived).await),
                Next::Nothing => arrived.await,
            }
        }
    }

    /// Stops listening at once, as dropping it does: for a listener that a task still waits on
    ///
    /// The port is free again, and [`Self::accept`] waits for ever.
    pub fn stop(&self) {
        for (_, stream) in self.backlog.close() {
            stream.reset();
        }
    }

    /// The address that it listens on
    pub const fn local_addr(&self) -> SocketAddrV4 {
        self.local
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Connections on their way to a listener, or there and not yet accepted; `None` once it is gone
#[derive(Debug)]
pub(super) struct Backlog {
    waiting: Mutex<Option<VecDeque<(Instant, MemoryStream)>>>,
    arrived: Notify,
}

impl Backlog {
    /// Adds a connection that arrives when it is `due`; refused if too many wait
    pub(super) fn push(&self, due: Instant, stream: MemoryStream) -> io::Result<()> {
        match &mut *self.waiting() {
            Some(waiting) if waiting.len() < MAX_CONNECTIONS => waiting.push_back((due, stream)),
            _ => return Err(io::ErrorKind::ConnectionRefused.into()),
        }
        self.arrived.notify_one();
        Ok(())
    }

    fn next(&self, now: Instant) -> Next {
        let mut waiting = self.waiting();
        let Some(waiting) = waiting.as_mut() else { return Next::Nothing };
        match waiting.front() {
            Some((due, _)) if *due > now => Next::Due(*due),
            _ => waiting.pop_front().map_or(Next::Nothing, |(_, stream)| Next::Arrived(stream)),
        }
    }

    /// Returns true if it takes connections
    pub(super) fn is_open(&self) -> bool {
        self.waiting().is_some()
    }

    fn close(&self) -> VecDeque<(Instant, MemoryStream)> {
        self.waiting().take().unwrap_or_default()
    }

    fn waiting(&self) -> MutexGuard<'_, Option<VecDeque<(Instant, MemoryStream)>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Backlog {
    fn default() -> Self {
        Self { waiting: Mutex::new(Some(VecDeque::new())), arrived: Notify::new() }
    }
}

/// The connections to accept
enum Next {
    Arrived(MemoryStream),
    Due(Instant),
    Nothing,
}

/// The most connections that may wait at one listener
const MAX_CONNECTIONS: usize = 1024;
