use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant, SystemTime},
};

use pptp_packet::{Waiters, Wakers};
use tokio::io::{AsyncRead, ReadBuf};

use super::pcapng::{self, Direction, Interface, Packet, Statistics};
use crate::{
    clock::now,
    driver::tunnel_shared::{Inner, TunnelShared},
    summary::debug_as_summary,
};

/// The bounds of a [`Capture`]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureOptions {
    buffer: usize,
    snap_length: Option<u32>,
}

impl CaptureOptions {
    /// What may wait to be read, in octets of pcapng; 1 MiB by default
    ///
    /// A packet takes 44 octets more than its own. One that finds no room is dropped from the capture, not from
    /// the tunnel, and counted. A buffer grows as it is needed, and two are held: one fills while the other is
    /// read.
    #[must_use]
    pub const fn buffer(mut self, octets: usize) -> Self {
        self.buffer = octets;
        self
    }

    /// How much of each packet is kept, in octets from its IP header on; all of it by default
    #[must_use]
    pub const fn snap_length(mut self, octets: u32) -> Self {
        self.snap_length = Some(octets);
        self
    }
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self { buffer: 1 << 20, snap_length: None }
    }
}

/// The tunnel's IP packets as they pass, decrypted, as a file in pcapng that grows
///
/// Made by [`Tunnel::capture`](crate::Tunnel::capture). Read it by [`AsyncRead`], for instance
/// into a file by `tokio::io::copy`, or whole blocks at a time by [`Capture::next`]. Packets of both
/// ways are in the order in which the tunnel opened and sealed them, with the time, the way (inbound or outbound)
/// and their length. The file ends with the tunnel, or with [`Capture::stop`]; its last block tells
/// how many packets passed, how many of them found no room, and why it ended.
///
/// A capture neither keeps a tunnel up nor slows it down for its reader: what is not read in time is dropped
/// from the capture. Dropping it ends it.
///
/// **The packets are in the clear**: whatever a program says in the tunnel without TLS or SSH,
/// passwords included, is in the file.
pub struct Capture {
    shared: Arc<TunnelShared>,
    id: u64,
    /// Whole blocks, of which `read` octets have been read
    blocks: Vec<u8>,
    read: usize,
    /// The last block is among `blocks`, or was read
    concluded: bool,
}

impl Capture {
    pub(crate) fn start(shared: Arc<TunnelShared>, options: CaptureOptions) -> Self {
        let mut blocks = Vec::new();
        let comment =
            "IP packets of the inside of a PPTP tunnel, decrypted; times are those of the turn";
        pcapng::section(&mut blocks, comment);
        let mut inner = shared.lock();
        let address = inner.info.as_ref().map(|info| info.inner_address);
        let snap_length = options.snap_length.unwrap_or_default();
        Interface { name: &shared.name, address, snap_length }.write(&mut blocks);
        let id = inner.captures.get_or_insert_default().add(options);
        drop(inner);
        Self { shared, id, blocks, read: 0, concluded: false }
    }

    /// Waits for the next blocks: all that have come since the last ones
    ///
    /// `None` behind the last block. Concatenated they are the file.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<&[u8]> {
        if !poll_fn(|cx| self.poll_unread(cx)).await {
            return None;
        }
        let from = std::mem::replace(&mut self.read, self.blocks.len());
        self.blocks.get(from..)
    }

    /// Ends the capture: what has passed until now is left to be read, and then the last block
    pub fn stop(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut wakers = shared.driver().wakers();
        self.conclude(&mut shared.lock(), "stopped", &mut wakers);
    }

    /// Packets that found no room so far
    pub fn dropped(&self) -> u64 {
        let inner = self.shared.lock();
        let tap = inner.captures.as_ref().and_then(|captures| captures.tap(self.id));
        tap.map_or(0, |tap| tap.dropped)
    }

    /// Whether there is something to read; false at the end
    fn poll_unread(&mut self, cx: &Context<'_>) -> Poll<bool> {
        if self.read < self.blocks.len() {
            return Poll::Ready(true);
        }
        if self.concluded {
            return Poll::Ready(false);
        }
        let shared = Arc::clone(&self.shared);
        let mut wakers = shared.driver().wakers();
        let mut inner = shared.lock();
        let ended = inner.ended.as_ref().map(ToString::to_string);
        let Some(tap) = inner.captures.as_mut().and_then(|all| all.tap_mut(self.id)) else {
            return Poll::Ready(false);
        };
        self.blocks.clear();
        self.read = 0;
        std::mem::swap(&mut self.blocks, &mut tap.blocks);
        if let Some(reason) = ended {
            self.conclude(&mut inner, &format!("the tunnel ended: {reason}"), &mut wakers);
        } else if self.blocks.is_empty() {
            tap.reader.set_polled(cx.waker(), &mut wakers);
            return Poll::Pending;
        }
        Poll::Ready(true)
    }

    /// Takes what is left, and writes the last block
    fn conclude(&mut self, inner: &mut Inner, comment: &str, wakers: &mut Wakers) {
        let Some(captures) = &mut inner.captures else { return };
        let Some(mut tap) = captures.remove(self.id) else { return };
        tap.reader.forget(wakers);
        if captures.taps.is_empty() {
            inner.captures = None;
        }
        self.blocks.extend_from_slice(&tap.blocks);
        let Tap { seen, dropped, clock, .. } = tap;
        let (from, to) = (clock.since_1970, clock.at(now()));
        Statistics { from, to, seen, dropped, comment }.write(&mut self.blocks);
        self.concluded = true;
    }
}

/// # Cancel safety
/// Nothing is lost.
impl AsyncRead for Capture {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if ready!(self.poll_unread(cx)) {
            let unread = &self.blocks[self.read..];
            let taken = unread.len().min(buffer.remaining());
            buffer.put_slice(&unread[..taken]);
            self.read += taken;
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let mut wakers = self.shared.driver().wakers();
        let mut inner = self.shared.lock();
        let Some(captures) = &mut inner.captures else { return };
        if let Some(mut tap) = captures.remove(self.id) {
            tap.reader.forget(&mut wakers);
        }
        if captures.taps.is_empty() {
            inner.captures = None;
        }
    }
}

debug_as_summary! {
    Capture: self => &self.shared;
}

/// All captures of a tunnel
#[derive(Default)]
pub(crate) struct Captures {
    taps: Vec<Tap>,
    next_id: u64,
}

impl Captures {
    /// An IP packet passes
    pub(crate) fn take(&mut self, now: Instant, direction: Direction, packet: &[u8]) {
        for tap in &mut self.taps {
            tap.take(now, direction, packet);
        }
    }

    /// The readers of what has come, or of the end
    pub(crate) fn drain_wakers(&mut self, into: &mut Wakers) {
        self.taps.iter_mut().for_each(|tap| tap.reader.wake(into));
    }

    fn add(&mut self, options: CaptureOptions) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.taps.push(Tap {
            id,
            options,
            blocks: Vec::new(),
            seen: 0,
            dropped: 0,
            clock: Clock::start(),
            reader: Waiters::new(),
        });
        id
    }

    fn tap(&self, id: u64) -> Option<&Tap> {
        self.taps.iter().find(|tap| tap.id == id)
    }

    fn tap_mut(&mut self, id: u64) -> Option<&mut Tap> {
        self.taps.iter_mut().find(|tap| tap.id == id)
    }

    fn remove(&mut self, id: u64) -> Option<Tap> {
        let index = self.taps.iter().position(|tap| tap.id == id)?;
        Some(self.taps.swap_remove(index))
    }
}

/// The tunnel's side of one capture
struct Tap {
    id: u64,
    options: CaptureOptions,
    /// To be read
    blocks: Vec<u8>,
    seen: u64,
    dropped: u64,
    clock: Clock,
    reader: Waiters,
}

impl Tap {
    fn take(&mut self, now: Instant, direction: Direction, packet: &[u8]) {
        self.seen += 1;
        let most = self.options.snap_length.and_then(|octets| usize::try_from(octets).ok());
        let octets = most.and_then(|most| packet.get(..most)).unwrap_or(packet);
        let wanted = self.blocks.len() + Packet::block_length(octets.len());
        if wanted > self.options.buffer {
            self.dropped += 1;
            return;
        }
        if wanted > self.blocks.capacity() {
            // as a vector grows by itself, but never beyond the bound
            let doubled = (2 * self.blocks.capacity()).clamp(wanted, self.options.buffer);
            self.blocks.reserve_exact(doubled - self.blocks.len());
        }
        let (at, length) = (self.clock.at(now), packet.len());
        Packet { at, direction, octets, length, comment: "" }.write(&mut self.blocks);
    }
}

/// The time on the wall, as it was at the start and has run since: it never steps back
#[derive(Debug, Clone, Copy)]
struct Clock {
    started: Instant,
    since_1970: Duration,
}

impl Clock {
    fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self { started: now(), since_1970: since_1970.unwrap_or_default() }
    }

    fn at(&self, now: Instant) -> Duration {
        self.since_1970.saturating_add(now.saturating_duration_since(self.started))
    }
}
