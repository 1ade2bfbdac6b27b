//! The figures of the process, and their samples

use std::{
    fs::File,
    os::unix::fs::FileExt,
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use pptp::stats::ClientStats;
use rustix::{
    fs::{CWD, Dir, Mode, OFlags, openat},
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

use super::{
    catalogue::{client, process},
    text::Text,
};

/// The files of the kernel about this process, opened once: a sandbox may forbid that later
#[derive(Debug)]
pub(super) struct Sources {
    stat: Option<File>,
    memory: Option<File>,
    files: Option<Mutex<Dir>>,
    /// The time at which the process was started; read once, so that it is the same in each scrape
    start: Option<SystemTime>,
}

/// The figures of the process; `None` where the kernel does not tell
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Figures {
    cpu: Duration,
    start: Option<SystemTime>,
    resident: Option<u64>,
    mapped: Option<u64>,
    threads: Option<u64>,
    files: Option<usize>,
    max_files: Option<u64>,
}

impl Sources {
    /// Returns the files, which the first call opens
    pub(super) fn get() -> &'static Self {
        static SOURCES: OnceLock<Sources> = OnceLock::new();
        SOURCES.get_or_init(Self::open)
    }

    fn open() -> Self {
        let stat = File::open("/proc/self/stat").ok();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let files = openat(CWD, "/proc/self/fd", flags, Mode::empty());
        Self {
            start: stat.as_ref().and_then(|stat| started(&read(stat)?)),
            stat,
            memory: File::open("/proc/self/statm").ok(),
            files: files.ok().and_then(|folder| Dir::new(folder).ok()).map(Mutex::new),
        }
    }

    /// Reads the figures
    pub(super) fn read(&self) -> Figures {
        let memory = self.memory.as_ref().and_then(read);
        let pages = |place| {
            let pages: u64 = memory.as_ref()?.split_whitespace().nth(place)?.parse().ok()?;
            pages.checked_mul(u64::try_from(page_size()).ok()?)
        };
        let stat = self.stat.as_ref().and_then(read);
        Figures {
            cpu: Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default(),
            start: self.start,
            resident: pages(1),
            mapped: pages(0),
            threads: stat.as_deref().and_then(|stat| field(stat, THREADS)),
            files: self.count_files(),
            max_files: getrlimit(Resource::Nofile).current,
        }
    }

    /// Counts the files that are open
    fn count_files(&self) -> Option<usize> {
        let mut files = self.files.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        files.rewind();
        let names = files.by_ref().map_while(Result::ok);
        Some(names.filter(|entry| !entry.file_name().to_bytes().starts_with(b".")).count())
    }
}

impl Figures {
    /// Writes the samples
    pub(super) fn write(&self, text: &mut Text) {
        text.single(process::CPU, self.cpu.as_secs_f64());
        let since = |start: SystemTime| start.duration_since(SystemTime::UNIX_EPOCH).ok();
        if let Some(start) = self.start.and_then(since) {
            text.single(process::START, start.as_secs_f64());
        }
        let figures = [
            (process::RESIDENT, self.resident),
            (process::VIRTUAL, self.mapped),
            (process::THREADS, self.threads),
            (process::FILES, self.files.and_then(|files| u64::try_from(files).ok())),
            (process::MAX_FILES, self.max_files),
        ];
        for (family, value) in figures {
            if let Some(value) = value {
                text.single(family, value);
            }
        }
    }
}

/// Writes the samples of the sockets that all tunnels share
pub(super) fn write_client(stats: &ClientStats, text: &mut Text) {
    text.single(client::BUFFER, stats.receive_buffer);
    for (family, value) in [
        (client::KERNEL_DROPS, stats.kernel_drops),
        (client::UNKNOWN_CALL, stats.unknown_call),
        (client::PANICS, stats.panics),
        (client::WAKE_PANICS, stats.wake_panics),
        (client::PAUSES, stats.pauses),
        (client::TURNS, stats.turns),
    ] {
        text.single(family, value);
    }
}

/// Reads a file of the kernel from its begin
fn read(file: &File) -> Option<String> {
    let mut octets = [0; 1024];
    let length = file.read_at(&mut octets, 0).ok()?;
    String::from_utf8(octets.get(..length)?.to_vec()).ok()
}

/// Returns a field of `stat`, counted from 1 on as in proc(5)
///
/// The second one is the name in brackets, which may have blanks and brackets in it.
fn field(stat: &str, number: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// Returns the time of the calendar at which the process was started
fn started(stat: &str) -> Option<SystemTime> {
    let since_boot = Duration::from_secs_f64(
        f64::from(u32::try_from(field(stat, START)?).ok()?)
            / f64::from(u32::try_from(clock_ticks_per_second()).ok()?),
    );
    let now = Duration::try_from(clock_gettime(ClockId::Boottime)).ok()?;
    SystemTime::now().checked_sub(now.checked_sub(since_boot)?)
}

/// The number of threads, as a field of `stat`
const THREADS: usize = 20;

/// The time of the start in ticks since the machine was started, as a field of `stat`
const START: usize = 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_hides_no_field() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 4242 100 200";
        assert_eq!((field(stat, THREADS), field(stat, START)), (Some(3), Some(4242)));
        assert_eq!(field("7 (a", THREADS), None);
    }

    #[test]
    fn the_figures_are_those_of_this_process() {
        let before = Sources::get().read();
        let held: Vec<_> = (0..8).map(|_| File::open("/proc/self/stat").unwrap()).collect();
        let after = Sources::get().read();
        // other tests of this process open and close files, too
        assert!(after.files.unwrap() >= held.len(), "{after:?}");
        assert!(after.resident.unwrap() > 1 << 20 && after.mapped >= after.resident);
        assert!(after.threads.unwrap() >= 1 && after.max_files.unwrap() > 8);
        assert!(after.cpu >= before.cpu && before.cpu > Duration::ZERO);
        let age = after.start.unwrap().elapsed().unwrap();
        assert!(age < Duration::from_hours(1), "{age:?}");
        assert_eq!(before.start, after.start);
    }
}
