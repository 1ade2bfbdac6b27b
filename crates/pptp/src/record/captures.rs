//! The tunnel's side of its captures

use std::{
    task::Waker,
    time::{Duration, Instant, SystemTime},
};

use pptp_packet::{Waiters, Wakers};

use super::pcapng::{Direction, Packet, Statistics};
use pptp_driver::now;

/// The bounds of a [`Capture`](crate::record::Capture)
///
/// ```
/// use pptp::record::CaptureOptions;
///
/// // headers only, and no more than 64 KiB that wait to be read
/// let options = CaptureOptions::default().snap_length(96).buffer(64 << 10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureOptions {
    buffer: usize,
    snap_length: Option<u32>,
}

impl CaptureOptions {
    /// The number of octets of pcapng that may wait to be read; 1 MiB by default
    ///
    /// A packet takes 44 octets more than its own. One that finds no room is dropped from the capture, not from
    /// the tunnel, and counted. A buffer grows as it is needed, and two are held: one fills while the other is
    /// read.
    #[must_use]
    pub const fn buffer(mut self, octets: usize) -> Self {
        self.buffer = octets;
        self
    }

    /// The number of octets kept of each packet, from its IP header on; all of them by default
    #[must_use]
    pub const fn snap_length(mut self, octets: u32) -> Self {
        self.snap_length = Some(octets);
        self
    }

    /// The length in a file's header; 0 for all of each packet
    pub(super) fn snap_length_or_all(self) -> u32 {
        self.snap_length.unwrap_or_default()
    }
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self { buffer: 1 << 20, snap_length: None }
    }
}

/// All captures of a tunnel; nothing but a pointer while there are none
#[derive(Default)]
pub(crate) struct Captures(Option<Box<Taps>>);

#[derive(Default)]
struct Taps {
    taps: Vec<Tap>,
    next_id: u64,
}

impl Captures {
    /// Writes an IP packet that passes into each capture
    pub(crate) fn take(&mut self, now: Instant, direction: Direction, packet: &[u8]) {
        self.taps_mut().for_each(|tap| tap.take(now, direction, packet));
    }

    /// The readers of new blocks, or of the end
    pub(crate) fn drain_wakers(&mut self, into: &mut Wakers) {
        self.taps_mut().for_each(|tap| tap.reader.wake(into));
    }

    /// Adds a capture, and returns its number
    pub(super) fn add(&mut self, options: CaptureOptions) -> u64 {
        let Taps { taps, next_id } = &mut **self.0.get_or_insert_default();
        let id = *next_id;
        *next_id += 1;
        taps.push(Tap {
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

    pub(super) fn tap(&self, id: u64) -> Option<&Tap> {
        self.0.as_ref().and_then(|all| all.taps.iter().find(|tap| tap.id == id))
    }

    pub(super) fn tap_mut(&mut self, id: u64) -> Option<&mut Tap> {
        self.taps_mut().find(|tap| tap.id == id)
    }

    /// Removes a capture
    pub(super) fn remove(&mut self, id: u64) -> Option<Tap> {
        let taps = &mut self.0.as_mut()?.taps;
        let index = taps.iter().position(|tap| tap.id == id)?;
        let tap = taps.swap_remove(index);
        self.0.take_if(|all| all.taps.is_empty());
        Some(tap)
    }

    fn taps_mut(&mut self) -> impl Iterator<Item = &mut Tap> {
        self.0.iter_mut().flat_map(|all| &mut all.taps)
    }
}

/// The tunnel's side of one capture
pub(super) struct Tap {
    id: u64,
    options: CaptureOptions,
    /// The blocks that are not read yet
    blocks: Vec<u8>,
    seen: u64,
    dropped: u64,
    clock: Clock,
    reader: Waiters,
}

impl Tap {
    /// The number of packets that found no room
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Exchanges the blocks for `blocks`, whose memory is used again
    pub(super) fn exchange(&mut self, blocks: &mut Vec<u8>) {
        blocks.clear();
        std::mem::swap(blocks, &mut self.blocks);
    }

    /// Has the reader woken when there are blocks, or when the tunnel ends
    pub(super) fn wait(&mut self, reader: &Waker, wakers: &mut Wakers) {
        self.reader.set_polled(reader, wakers);
    }

    /// Ends the capture: appends the blocks that are left and the last block
    pub(super) fn conclude(mut self, comment: &str, into: &mut Vec<u8>, wakers: &mut Wakers) {
        into.extend_from_slice(&self.blocks);
        let Self { seen, dropped, clock, .. } = self;
        let (from, to) = (clock.since_1970, clock.at(now()));
        Statistics { from, to, seen, dropped, comment }.write(into);
        self.reader.forget(wakers);
    }

    /// Ends the capture without its last block: the reader has gone
    pub(super) fn forget(mut self, wakers: &mut Wakers) {
        self.reader.forget(wakers);
    }

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

/// The wall-clock time of the start, and the time since then: it never steps back
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
