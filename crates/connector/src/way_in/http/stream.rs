//! The stream of a client as hyper sees it, and the times that its requests may take

use std::{
    io,
    pin::Pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::way_in::client::ClientStream;

/// The stream of a client
///
/// It is reset when it is dropped before the connection has ended by itself, or after an answer has broken off: without
/// a length, an answer that ends early looks complete.
pub(super) struct HttpStream<S: ClientStream> {
    stream: Option<S>,
    clock: std::sync::Arc<Clock>,
}

/// The times of a connection: ten seconds for the first head from the connection's begin on, and for others from their
/// first octet on; a minute between requests
#[derive(Debug)]
pub(super) struct Clock {
    phase: Mutex<Phase>,
    changed: Notify,
    is_broken: AtomicBool,
    has_ended: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The client has sent nothing yet, as browsers do that connect before they have a request
    New { until: Instant },
    /// Between two requests
    Idle { until: Instant },
    /// A head has begun
    Head { until: Instant },
    /// A request is answered
    Busy,
}

impl Clock {
    /// Makes a clock for a connection that has just begun
    pub(super) fn new() -> Self {
        let phase = Mutex::new(Phase::New { until: Instant::now() + HEAD });
        let (is_broken, has_ended) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { phase, changed: Notify::new(), is_broken, has_ended }
    }

    pub(super) fn set_busy(&self) {
        self.set(Phase::Busy);
    }

    pub(super) fn set_idle(&self) {
        self.set(Phase::Idle { until: Instant::now() + KEEP_ALIVE });
    }

    /// Tells that an answer has broken off
    pub(super) fn set_broken(&self) {
        self.is_broken.store(true, Relaxed);
    }

    /// Tells that the connection has ended by itself
    pub(super) fn set_ended(&self) {
        self.has_ended.store(true, Relaxed);
    }

    fn handle_octets(&self) {
        let phase = *self.phase();
        match phase {
            Phase::New { until } => self.set(Phase::Head { until }),
            Phase::Idle { .. } => self.set(Phase::Head { until: Instant::now() + HEAD }),
            Phase::Head { .. } | Phase::Busy => {}
        }
    }

    /// Waits until the client has taken too long; returns true if it had begun a head
    pub(super) async fn until_late(&self) -> bool {
        loop {
            let phase = *self.phase();
            match phase {
                Phase::Busy => self.changed.notified().await,
                Phase::New { until } | Phase::Idle { until } | Phase::Head { until } => {
                    tokio::select! {
                        () = self.changed.notified() => {}
                        () = sleep_until(until) => return matches!(phase, Phase::Head { .. }),
                    }
                }
            }
        }
    }

    fn set(&self, phase: Phase) {
        *self.phase() = phase;
        self.changed.notify_one();
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: ClientStream> HttpStream<S> {
    pub(super) const fn new(stream: S, clock: std::sync::Arc<Clock>) -> Self {
        Self { stream: Some(stream), clock }
    }

    /// Gives the stream back
    pub(super) fn into_stream(mut self) -> Option<S> {
        self.stream.take()
    }

    fn poll<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.stream {
            Some(stream) => poll(Pin::new(stream)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl<S: ClientStream> Drop for HttpStream<S> {
    fn drop(&mut self) {
        if self.clock.is_broken.load(Relaxed) || !self.clock.has_ended.load(Relaxed) {
            self.stream.iter().for_each(ClientStream::set_reset);
        }
    }
}

impl<S: ClientStream> AsyncRead for HttpStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.poll(|stream| stream.poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.clock.handle_octets();
        }
        read
    }
}

impl<S: ClientStream> AsyncWrite for HttpStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(|stream| stream.poll_write(cx, octets))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|stream| stream.poll_shutdown(cx))
    }
}

/// The time for the head of a request, from its first octet on
const HEAD: Duration = Duration::from_secs(10);

/// The time between two requests
const KEEP_ALIVE: Duration = Duration::from_mins(1);
