//! The log of the process: lines that a thread writes, so that a reader who has stopped holds nothing else

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

/// The log of the process: lines that a thread writes
///
/// A full pipe and a terminal that was stopped by Ctrl-S take no line. Then so many wait; further ones are lost, and
/// their number is told later.
#[derive(Debug, Clone)]
pub(super) struct Log {
    lines: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

/// A log whose thread has not begun: lines wait
///
/// The thread is made once the process is confined, since it has what the process has at that moment.
pub(super) struct WaitingLog {
    log: Log,
    /// Its place and its lines; `None` once the thread has them
    waiting: Option<(Box<dyn Write + Send>, Receiver<Message>)>,
}

/// A line for the log
#[derive(Debug)]
pub(super) struct Line<'a> {
    log: &'a Log,
    text: Vec<u8>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// All lines before this one are written
    Flushed(Sender<()>),
}

impl WaitingLog {
    /// Makes a log that will be written to `out`
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        let (lines, received) = sync_channel(MAX_WAITING);
        let log = Log { lines, lost: Arc::default() };
        Self { log, waiting: Some((Box::new(out), received)) }
    }

    /// Returns the log, which takes lines from now on
    pub(super) fn log(&self) -> Log {
        self.log.clone()
    }

    /// Begins the thread; nothing if it has begun
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        let Some((out, received)) = self.waiting.take() else { return Ok(()) };
        let lost = Arc::clone(&self.log.lost);
        let named = thread::Builder::new().name("log".to_owned());
        named.spawn(move || write(out, &received, &lost)).map(|_| ())
    }

    /// Has the last lines written, but waits no longer than `patience` for the thread
    pub(super) fn finish(self, patience: Duration) {
        let Self { log, waiting } = self;
        match waiting {
            None => log.flush(patience),
            // what the thread would do
            Some((mut out, received)) => {
                for message in received.try_iter() {
                    if let Message::Line(text) = message {
                        _ = out.write_all(&text);
                    }
                }
                tell_lost(&mut out, &log.lost);
            }
        }
    }
}

impl Log {
    /// Waits until what was logged is written, but not for longer than `patience`
    pub(super) fn flush(&self, patience: Duration) {
        let end = Instant::now().checked_add(patience);
        let left = || end.map_or(patience, |end| end.saturating_duration_since(Instant::now()));
        let (done, written) = channel();
        let mut message = Message::Flushed(done);
        while !left().is_zero() {
            match self.lines.try_send(message) {
                Ok(()) => {
                    // a reader who takes nothing has had his time
                    let _ = written.recv_timeout(left());
                    return;
                }
                Err(TrySendError::Full(back)) => message = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            thread::sleep(PAUSE.min(left()));
        }
    }

    fn take(&self, text: Vec<u8>) {
        if self.lines.try_send(Message::Line(text)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { log: self, text: Vec::new() }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.log.take(std::mem::take(&mut self.text));
    }
}

/// Writes lines as they come; behind those that waited, how many were lost
fn write(mut out: impl Write, received: &Receiver<Message>, lost: &AtomicU64) {
    let mut since_told = 0_usize;
    loop {
        let next = received.try_recv();
        if next.is_err() || since_told >= MAX_WAITING {
            tell_lost(&mut out, lost);
            since_told = 0;
        }
        let next = next.or_else(|_| received.recv());
        // what nobody reads any more is of no use, and there is no other place to tell it
        match next {
            Ok(Message::Line(text)) => _ = out.write_all(&text),
            Ok(Message::Flushed(done)) => {
                tell_lost(&mut out, lost);
                let _ = done.send(());
            }
            Err(_) => return,
        }
        since_told = since_told.saturating_add(1);
    }
}

fn tell_lost(out: &mut impl Write, lost: &AtomicU64) {
    let lost = lost.swap(0, Ordering::Relaxed);
    if lost > 0 {
        let _ = writeln!(out, "{lost} lines of the log are lost: nobody has taken them in time");
    }
}

/// Lines that wait to be taken: some 200 KiB
const MAX_WAITING: usize = 1024;

/// The time between two looks for a place in the queue, at the end of the program
const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use super::*;

    /// A place that takes lines only while it is not locked
    #[derive(Debug, Clone, Default)]
    struct Place(Arc<Mutex<Vec<u8>>>);

    impl Place {
        fn text(&self) -> String {
            let octets = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            String::from_utf8(octets).unwrap()
        }
    }

    impl Write for Place {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(log: &Log, text: &str) {
        log.make_writer().write_all(text.as_bytes()).unwrap();
    }

    fn begun(place: &Place) -> Log {
        let mut waiting = WaitingLog::new(place.clone());
        waiting.begin().unwrap();
        waiting.log()
    }

    #[test]
    fn what_was_logged_before_the_thread_is_written_with_it_and_without_it() {
        for begins in [true, false] {
            let place = Place::default();
            let mut waiting = WaitingLog::new(place.clone());
            for nth in 0..=MAX_WAITING {
                log(&waiting.log(), &format!("line {nth}\n"));
            }
            assert_eq!(place.text(), "", "nothing is written yet");
            if begins {
                waiting.begin().unwrap();
                waiting.begin().unwrap();
            }
            waiting.finish(Duration::from_mins(1));
            let text = place.text();
            assert!(text.starts_with("line 0\nline 1\n"), "{begins}");
            assert!(text.contains(&format!("line {}\n", MAX_WAITING - 1)), "{begins}");
            assert!(text.contains("1 lines of the log are lost"), "{begins}");
        }
    }

    #[test]
    fn a_log_that_nobody_takes_holds_nobody_and_what_is_lost_is_told_later() {
        let place = Place::default();
        let log_of_place = begun(&place);
        let stopped = place.0.lock().unwrap();
        for nth in 0..3000 {
            log(&log_of_place, &format!("line {nth}\n"));
        }
        log_of_place.flush(Duration::from_millis(30));
        drop(stopped);
        log_of_place.flush(Duration::from_mins(1));
        let text = place.text();
        let told = text.lines().position(|line| line.ends_with("in time"));
        assert!(told.is_some_and(|at| at >= MAX_WAITING), "told behind what waited: {told:?}");
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("line ")).collect();
        assert_eq!(lines[0], "line 0");
        // one more may be in the hands of the thread
        assert!((MAX_WAITING..=MAX_WAITING + 1).contains(&lines.len()), "{}", lines.len());
        let told = format!("{} lines of the log are lost", 3000 - lines.len());
        assert!(text.contains(&told), "{told}");
    }

    #[test]
    fn what_was_logged_is_there_after_a_flush() {
        let place = Place::default();
        let log_of_place = begun(&place);
        log(&log_of_place, "one\n");
        log(&log_of_place, "two\n");
        log_of_place.flush(Duration::from_mins(1));
        assert_eq!(place.text(), "one\ntwo\n");
    }
}
