//! One scrape at a time, and the answer to it

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::Instant,
};

use super::{process::Sources, text::Format};

/// The scrapes of a daemon: one at a time, on a thread of its own
///
/// Requests that come meanwhile wait for it. They get the same text if it was begun after they came.
#[derive(Debug)]
pub struct Exporter {
    /// The latest text, as long as somebody has it; locked for the time of a scrape
    latest: Arc<Mutex<Latest>>,
    texts: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Latest {
    begun: Option<Instant>,
    format: Option<Format>,
    text: Weak<Held>,
}

/// A text, and its place among those that are held
#[derive(Debug)]
struct Held {
    text: String,
    _place: OwnedSemaphorePermit,
}

/// The body of an answer: parts of a text that several answers share
///
/// It fails when it was not taken within [`Answer::PATIENCE`]: a client that is slow on purpose does not hold the text
/// for longer.
#[derive(Debug)]
pub struct Answer {
    text: Bytes,
    deadline: Instant,
}

/// The reason why there is no scrape
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoScrape {
    /// Slow clients have as many texts as may be held
    TooMany,
    /// The writer has panicked: a fault of the program
    Panicked,
}

impl Exporter {
    /// Makes it, and opens the kernel's files about this process
    pub fn new() -> Self {
        Sources::get();
        Self { latest: Arc::default(), texts: Arc::new(Semaphore::new(MAX_TEXTS)) }
    }

    /// Returns the text of a scrape that is begun now or was begun meanwhile
    ///
    /// `take` reads what may be awaited, and `write` makes the text of it on a thread that may block.
    ///
    /// # Errors
    /// See [`NoScrape`].
    ///
    /// # Cancel safety
    /// A text that is being written is written to its end, and no other meanwhile.
    pub async fn scrape<S: Send + 'static>(
        &self,
        format: Format,
        take: impl Future<Output = S>,
        write: impl FnOnce(S, Format) -> String + Send + 'static,
    ) -> Result<Answer, NoScrape> {
        let came = Instant::now();
        let mut latest = Arc::clone(&self.latest).lock_owned().await;
        if let Some(text) = latest.since(came, format) {
            return Ok(Answer::new(text));
        }
        let place = Arc::clone(&self.texts).try_acquire_owned();
        let place = place.map_err(|_| NoScrape::TooMany)?;
        let begun = Instant::now();
        let taken = take.await;
        let written = spawn_blocking(move || {
            let text = Arc::new(Held { text: write(taken, format), _place: place });
            *latest =
                Latest { begun: Some(begun), format: Some(format), text: Arc::downgrade(&text) };
            drop::<OwnedMutexGuard<_>>(latest);
            text
        });
        written.await.map(Answer::new).map_err(|_| NoScrape::Panicked)
    }
}

impl Latest {
    /// The text, if it was begun since then
    fn since(&self, came: Instant, format: Format) -> Option<Arc<Held>> {
        let is_new = self.begun.is_some_and(|begun| begun >= came) && self.format == Some(format);
        self.text.upgrade().filter(|_| is_new)
    }
}

impl Default for Exporter {
    fn default() -> Self {
        Self::new()
    }
}

/// The octets of a text that several answers hold
struct Shared(Arc<Held>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.text.as_bytes()
    }
}

impl Answer {
    /// The time within which an answer has to be taken
    pub const PATIENCE: Duration = Duration::from_secs(30);

    fn new(text: Arc<Held>) -> Self {
        Self { text: Bytes::from_owner(Shared(text)), deadline: Instant::now() + Self::PATIENCE }
    }

    /// Returns the octets that are left
    pub fn octets(&self) -> &[u8] {
        &self.text
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.text.is_empty() {
            return Poll::Ready(None);
        }
        if Instant::now() > self.deadline {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        let length = self.text.len().min(PART);
        Poll::Ready(Some(Ok(Frame::data(self.text.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.text.len()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for NoScrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "{MAX_TEXTS} clients have not taken their answers yet"),
            Self::Panicked => f.write_str("the writer of metrics has panicked; see the log"),
        }
    }
}

/// The octets of a text that are handed over at a time
const PART: usize = 64 << 10;

/// Texts at a time: 10,000 sites have one of 12 MB
const MAX_TEXTS: usize = 4;

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        sync::{
            atomic::{AtomicUsize, Ordering},
            mpsc,
        },
    };

    use http_body_util::BodyExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn scrapes_that_come_meanwhile_share_the_next_one() {
        let (exporter, count) = (Arc::new(Exporter::new()), Arc::new(AtomicUsize::new(0)));
        let (begun, has_begun) = oneshot::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let exporter = Arc::clone(&exporter);
            async move {
                let write = move |(), _| {
                    let _ = begun.send(());
                    may_go.recv().unwrap();
                    "first".to_owned()
                };
                exporter.scrape(Format::Classic, ready(()), write).await.unwrap()
            }
        });
        has_begun.await.unwrap();
        let scrape = |format: Format| {
            let (exporter, count) = (Arc::clone(&exporter), Arc::clone(&count));
            tokio::spawn(async move {
                let write = move |(), _| count.fetch_add(1, Ordering::Relaxed).to_string();
                exporter.scrape(format, ready(()), write).await.unwrap()
            })
        };
        let others = [scrape(Format::Classic), scrape(Format::Classic)];
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap().octets(), b"first", "it was begun before they came");
        let [one, two] = others;
        let (one, two) = (one.await.unwrap(), two.await.unwrap());
        assert_eq!((one.octets(), two.octets()), (&b"0"[..], &b"0"[..]), "one text for both");
        assert_eq!(scrape(Format::OpenMetrics).await.unwrap().octets(), b"1", "another form");
        assert_eq!(scrape(Format::OpenMetrics).await.unwrap().octets(), b"2", "a later one");
    }

    #[tokio::test]
    async fn slow_clients_hold_four_texts_at_most() {
        let exporter = Exporter::new();
        let scrape = || exporter.scrape(Format::Classic, ready(()), |(), _| "text".to_owned());
        let mut held = Vec::new();
        for _ in 0..MAX_TEXTS {
            held.push(scrape().await.unwrap());
        }
        assert_eq!(scrape().await.unwrap_err(), NoScrape::TooMany);
        held.pop();
        scrape().await.unwrap();
        // a panic of the writer frees its place, and the next scrape succeeds
        let panics = exporter.scrape(Format::Classic, ready(()), |(), _| panic!("a fault"));
        assert_eq!(panics.await.unwrap_err(), NoScrape::Panicked);
        scrape().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_in_time_fails() {
        let exporter = Exporter::new();
        let write = |(), _| "x".repeat(PART + 1);
        let mut answer = exporter.scrape(Format::Classic, ready(()), write).await.unwrap();
        assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap().len(), PART);
        tokio::time::advance(Answer::PATIENCE + Duration::from_secs(1)).await;
        assert_eq!(answer.frame().await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
