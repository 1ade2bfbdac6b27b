//! One direction of a connection in memory

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use pptp_packet::{Waiters, Wakers};
use tokio::{io::ReadBuf, time::Instant};

/// Octets from a writer to a reader, who sees them when they are due
#[derive(Debug, Default)]
pub(super) struct Pipe(Mutex<PipeState>);

/// The end of a direction
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Eof,
    Reset,
}

/// Result of a read
pub(super) enum ReadOutcome {
    /// Octets were read, or the end was reached
    Done(io::Result<()>),
    /// The next octets arrive at this time
    Due(Instant),
    /// Nothing is on its way
    Nothing,
}

impl Pipe {
    pub(super) fn read(
        &self,
        now: Instant,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> ReadOutcome {
        let mut wakers = Wakers::new();
        let mut state = self.state();
        if buf.remaining() == 0 {
            return ReadOutcome::Done(Ok(()));
        }
        if state.is_reset(now) {
            return ReadOutcome::Done(End::Reset.as_read());
        }
        if state.take(now, buf) > 0 {
            state.writer.wake(&mut wakers);
            return ReadOutcome::Done(Ok(()));
        }
        match state.writer_end {
            Some((ending, end)) if ending.is_due(now) && state.segments.is_empty() => {
                return ReadOutcome::Done(end.as_read());
            }
            _ => state.reader.set_polled(cx.waker(), &mut wakers),
        }
        state.due().map_or(ReadOutcome::Nothing, ReadOutcome::Due)
    }

    /// Takes octets that arrive after `latency`, or once something passes again
    ///
    /// Those for a reader who is gone vanish until the writer can know it.
    pub(super) fn write(
        &self,
        now: Instant,
        latency: Option<Duration>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut wakers = Wakers::new();
        let mut state = self.state();
        match (state.writer_end, state.reader_end) {
            _ if state.is_reset(now) => return Poll::Ready(Err(End::Reset.as_write())),
            (Some(_), _) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            (None, Some((known, end))) if known.is_due(now) => {
                return Poll::Ready(Err(end.as_write()));
            }
            (None, Some(_)) => return Poll::Ready(Ok(octets.len())),
            (None, None) if state.reset.is_some() => return Poll::Ready(Ok(octets.len())),
            (None, None) => {}
        }
        let room = WINDOW.saturating_sub(state.unread);
        if room == 0 {
            state.writer.set_polled(cx.waker(), &mut wakers);
            return Poll::Pending;
        }
        let octets = octets.get(..room).unwrap_or(octets);
        state.put(InTransit::new(now, latency), octets);
        state.reader.wake(&mut wakers);
        Poll::Ready(Ok(octets.len()))
    }

    /// Adds octets of a forger behind those of the writer, as many as the window has room for
    pub(super) fn forge(&self, now: Instant, latency: Option<Duration>, octets: &[u8]) {
        let mut wakers = Wakers::new();
        let mut state = self.state();
        if state.writer_end.is_some() || state.reader_end.is_some() || state.reset.is_some() {
            return;
        }
        let room = WINDOW.saturating_sub(state.unread);
        state.put(InTransit::new(now, latency), octets.get(..room).unwrap_or(octets));
        state.reader.wake(&mut wakers);
    }

    /// Ends the direction from the writer's side, once all written octets have arrived; a reset
    /// overrides that
    pub(super) fn end(&self, now: Instant, latency: Option<Duration>, end: End) {
        let mut wakers = Wakers::new();
        let mut state = self.state();
        if state.writer_end.is_none_or(|(_, before)| before == End::Eof && end == End::Reset) {
            let transit = state.after_last(InTransit::new(now, latency));
            state.writer_end = Some((transit, end));
        }
        state.reader.wake(&mut wakers);
    }

    /// Ends the direction from the reader's side; the writer learns it when that has arrived
    pub(super) fn close_reader(&self, now: Instant, latency: Option<Duration>, end: End) {
        let mut wakers = Wakers::new();
        let mut state = self.state();
        state.reader_end.get_or_insert_with(|| (InTransit::new(now, latency), end));
        state.segments = VecDeque::new();
        state.unread = 0;
        state.writer.wake(&mut wakers);
    }

    /// Ends the direction for both sides, which learn it at `at`
    pub(super) fn reset(&self, at: Instant) {
        let mut wakers = Wakers::new();
        let mut state = self.state();
        state.reset.get_or_insert(at);
        state.reader.wake(&mut wakers);
        state.writer.wake(&mut wakers);
    }

    /// Drops everything that has not arrived
    pub(super) fn hold(&self, now: Instant) {
        self.state().transit().for_each(|transit| transit.hold(now));
    }

    /// Sends again all that was held up; returns the time at which the first of it arrives
    pub(super) fn resume(&self, now: Instant, latency: Duration) -> Option<Instant> {
        let mut wakers = Wakers::new();
        let mut state = self.state();
        let (mut last, mut first) = (None, None);
        for transit in state.transit() {
            if transit.resume(now, latency, last) {
                first = first.or(transit.due);
            }
            last = transit.due;
        }
        state.reader.wake(&mut wakers);
        state.writer.wake(&mut wakers);
        first
    }

    /// The time at which the next octets on their way arrive
    pub(super) fn next_arrival(&self, now: Instant) -> Option<Instant> {
        self.state().transit().filter_map(|transit| transit.due).find(|due| *due > now)
    }

    /// Returns true if there are octets to read
    pub(super) fn has_arrived(&self, now: Instant) -> bool {
        self.state().segments.front().is_some_and(|segment| segment.transit.is_due(now))
    }

    fn state(&self) -> MutexGuard<'_, PipeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End {
    fn as_read(self) -> io::Result<()> {
        match self {
            Self::Eof => Ok(()),
            Self::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    fn as_write(self) -> io::Error {
        match self {
            Self::Eof => io::ErrorKind::BrokenPipe.into(),
            Self::Reset => io::ErrorKind::ConnectionReset.into(),
        }
    }
}

#[derive(Debug, Default)]
struct PipeState {
    segments: VecDeque<Segment>,
    /// Octets in `segments` that were not read
    unread: usize,
    /// The end by the writer, on its way to the reader
    writer_end: Option<(InTransit, End)>,
    /// The end by the reader, on its way to the writer
    reader_end: Option<(InTransit, End)>,
    /// The time at which both ends know that it is over
    reset: Option<Instant>,
    reader: Waiters,
    writer: Waiters,
}

impl PipeState {
    /// Moves octets that have arrived into `buf`; returns how many were moved
    fn take(&mut self, now: Instant, buf: &mut ReadBuf<'_>) -> usize {
        let before = buf.remaining();
        while buf.remaining() > 0
            && let Some(segment) =
                self.segments.front_mut().filter(|segment| segment.transit.is_due(now))
        {
            let unread = segment.octets.get(segment.read..).unwrap_or_default();
            let moved = unread.get(..buf.remaining()).unwrap_or(unread);
            buf.put_slice(moved);
            segment.read = segment.read.saturating_add(moved.len());
            if segment.read >= segment.octets.len() {
                self.segments.pop_front();
            }
        }
        let moved = before.saturating_sub(buf.remaining());
        self.unread = self.unread.saturating_sub(moved);
        moved
    }

    fn put(&mut self, transit: InTransit, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        let transit = self.after_last(transit);
        self.unread = self.unread.saturating_add(octets.len());
        self.segments.push_back(Segment { transit, octets: octets.to_vec(), read: 0 });
    }

    /// The delivery time of the next octets, which do not overtake earlier ones
    fn after_last(&self, transit: InTransit) -> InTransit {
        let Some(last) = self.segments.back() else { return transit };
        let due = transit.due.zip(last.transit.due).map(|(due, last)| due.max(last));
        InTransit { due, ..transit }
    }

    /// Everything on its way, in order; the reader's end, which goes the other way, last
    fn transit(&mut self) -> impl Iterator<Item = &mut InTransit> {
        let segments = self.segments.iter_mut().map(|segment| &mut segment.transit);
        let ends = [&mut self.writer_end, &mut self.reader_end].into_iter().flatten();
        segments.chain(ends.map(|(transit, _)| transit))
    }

    fn is_reset(&self, now: Instant) -> bool {
        self.reset.is_some_and(|at| at <= now)
    }

    /// The time of the next arrival
    fn due(&self) -> Option<Instant> {
        let next = match self.segments.front() {
            Some(segment) => segment.transit.due,
            None => self.writer_end.and_then(|(transit, _)| transit.due),
        };
        next.into_iter().chain(self.reset).min()
    }
}

#[derive(Debug)]
struct Segment {
    transit: InTransit,
    octets: Vec<u8>,
    read: usize,
}

/// Something on its way
#[derive(Clone, Copy, Debug)]
struct InTransit {
    sent: Instant,
    /// The time at which it arrives; `None` while nothing passes
    due: Option<Instant>,
}

impl InTransit {
    fn new(now: Instant, latency: Option<Duration>) -> Self {
        Self { sent: now, due: latency.map(|latency| now + latency) }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    fn hold(&mut self, now: Instant) {
        self.due = self.due.filter(|due| *due <= now);
    }

    /// Sends it again, if it was held up, to arrive no earlier than `last`
    fn resume(&mut self, now: Instant, latency: Duration, last: Option<Instant>) -> bool {
        let was_held = self.due.is_none();
        if was_held {
            let due = repeated(self.sent, now) + latency;
            self.due = Some(last.map_or(due, |last| last.max(due)));
        }
        was_held
    }
}

/// The time at which TCP retransmits octets, from `now` on (RFC 6298 §5.5)
fn repeated(sent: Instant, now: Instant) -> Instant {
    let (mut at, mut wait) = (sent, MIN_RTO);
    while at < now {
        at += wait;
        wait = (wait * 2).min(MAX_RTO);
    }
    at
}

/// Octets on their way or unread, at which a write waits
const WINDOW: usize = 64 << 10;

/// The least and the greatest retransmission timeout of Linux
const MIN_RTO: Duration = Duration::from_millis(200);
const MAX_RTO: Duration = Duration::from_mins(2);
