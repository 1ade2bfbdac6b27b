//! The log of this process, for tests that count its lines

use std::{
    io::{self, Write},
    sync::{Mutex, OnceLock, PoisonError},
};

use tracing_subscriber::fmt::MakeWriter;

/// The lines since the last [`take`]
struct Lines(Mutex<Vec<u8>>);

/// Begins to keep the warnings and errors of the connector; drops those that were kept before
pub(crate) fn begin() {
    static BEGUN: OnceLock<()> = OnceLock::new();
    BEGUN.get_or_init(|| {
        let log = tracing_subscriber::fmt().with_env_filter("pptp_connector=warn").with_ansi(false);
        log.with_writer(&LINES).init();
    });
    take();
}

/// Returns the lines that were kept, and forgets them
pub(crate) fn take() -> Vec<String> {
    let octets = std::mem::take(&mut *LINES.0.lock().unwrap_or_else(PoisonError::into_inner));
    String::from_utf8(octets).unwrap().lines().map(str::to_owned).collect()
}

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Write for &Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for &'static Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}
