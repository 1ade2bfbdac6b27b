//! One direction of a connection in memory

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::{io::ReadBuf, time::Instant};

/// Octets from a writer to a reader, who sees them when they are due
#[derive(Debug, Default)]
pub(super) struct Pipe(Mutex<State>);

/// How a direction ends
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Eof,
    Reset,
}

/// What there is to read
pub(super) enum Reading {
    /// Octets were read, or the end was reached
    Done(io::Result<()>),
    /// Something arrives then
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
    ) -> Reading {
        let mut state = self.state();
        if buf.remaining() == 0 {
            return Reading::Done(Ok(()));
        }
        if state.take(now, buf) > 0 {
            let writer = state.writer.take();
            drop(state);
            wake(writer);
            return Reading::Done(Ok(()));
        }
        match state.end {
            Some((due, end)) if due <= now && state.segments.is_empty() => {
                return Reading::Done(end.as_read());
            }
            _ => state.reader = Some(cx.waker().clone()),
        }
        state.due().map_or(Reading::Nothing, Reading::Due)
    }

    /// Takes octets that arrive when they are `due`
    ///
    /// Those for a reader who is gone vanish until the writer can know it.
    pub(super) fn write(
        &self,
        now: Instant,
        due: Instant,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        match (state.end, state.abandoned) {
            (Some(_), _) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            (None, Some((known, end))) if known <= now => return Poll::Ready(Err(end.as_write())),
            (None, Some(_)) => return Poll::Ready(Ok(octets.len())),
            (None, None) => {}
        }
        let room = WINDOW.saturating_sub(state.unread);
        if room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let octets = octets.get(..room).unwrap_or(octets);
        state.put(due, octets);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        Poll::Ready(Ok(octets.len()))
    }

    /// Ends it from the writer's side, once what was written has arrived; a reset overrides
    pub(super) fn end(&self, due: Instant, end: End) {
        let mut state = self.state();
        if state.end.is_none_or(|(_, before)| before == End::Eof && end == End::Reset) {
            let due = state.last_due().map_or(due, |last| last.max(due));
            state.end = Some((due, end));
        }
        let reader = state.reader.take();
        drop(state);
        wake(reader);
    }

    /// Ends it from the reader's side; the writer knows it when it is `due`
    pub(super) fn abandon(&self, due: Instant, end: End) {
        let mut state = self.state();
        state.abandoned.get_or_insert((due, end));
        state.segments = VecDeque::new();
        state.unread = 0;
        let writer = state.writer.take();
        drop(state);
        wake(writer);
    }

    /// Whether there are octets to read
    pub(super) fn has_arrived(&self, now: Instant) -> bool {
        self.state().segments.front().is_some_and(|segment| segment.due <= now)
    }

    fn state(&self) -> MutexGuard<'_, State> {
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
struct State {
    segments: VecDeque<Segment>,
    /// Octets in `segments` that were not read
    unread: usize,
    /// The writer's end of it, and when that arrives
    end: Option<(Instant, End)>,
    /// The reader's end of it, and when the writer knows
    abandoned: Option<(Instant, End)>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    /// Moves what has arrived into `buf`; returns the octets moved
    fn take(&mut self, now: Instant, buf: &mut ReadBuf<'_>) -> usize {
        let before = buf.remaining();
        while buf.remaining() > 0
            && let Some(segment) = self.segments.front_mut().filter(|segment| segment.due <= now)
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

    fn put(&mut self, due: Instant, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        let due = self.last_due().map_or(due, |last| last.max(due));
        self.unread = self.unread.saturating_add(octets.len());
        self.segments.push_back(Segment { due, octets: octets.to_vec(), read: 0 });
    }

    /// When what was written last arrives: nothing overtakes it
    fn last_due(&self) -> Option<Instant> {
        self.segments.back().map(|segment| segment.due)
    }

    /// When the next thing arrives
    fn due(&self) -> Option<Instant> {
        let end = self.end.map(|(due, _)| due);
        self.segments.front().map(|segment| segment.due).or(end)
    }
}

#[derive(Debug)]
struct Segment {
    due: Instant,
    octets: Vec<u8>,
    read: usize,
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Octets on their way or unread, at which a write waits
const WINDOW: usize = 64 << 10;
