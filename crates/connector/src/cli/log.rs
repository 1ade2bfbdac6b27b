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

impl Log {
    /// Begins a log that is written to `out`
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn begin(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, received) = sync_channel(MAX_WAITING);
        let lost = Arc::<AtomicU64>::default();
        let also_lost = Arc::clone(&lost);
        let named = thread::Builder::new().name("log".to_owned());
        named.spawn(move || write(out, &received, &also_lost))?;
        Ok(Self { lines, lost })
    }

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

    #[test]
    fn a_log_that_nobody_takes_holds_nobody_and_what_is_lost_is_told_later() {
        let place = Place::default();
        let log_of_place = Log::begin(place.clone()).unwrap();
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
        let log_of_place = Log::begin(place.clone()).unwrap();
        log(&log_of_place, "one\n");
        log(&log_of_place, "two\n");
        log_of_place.flush(Duration::from_mins(1));
        assert_eq!(place.text(), "one\ntwo\n");
    }
}
