//! What processes take of the machine, as procfs tells it

use std::{
    collections::BTreeSet,
    fs, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

/// The processes of these names in the network namespace of the calling thread
///
/// So those of other namespaces that have the same names do not count.
pub(super) fn processes(names: &[&str]) -> io::Result<BTreeSet<u32>> {
    let here = fs::read_link("/proc/thread-self/ns/net")?;
    let is_ours = |process: &Path| {
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        // a process that has ended meanwhile has no namespace
        names.contains(&name.trim())
            && fs::read_link(process.join("ns/net")).ok() == Some(here.clone())
    };
    let all = fs::read_dir("/proc")?.filter_map(Result::ok);
    let numbers = all.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        is_ours(&entry.path()).then_some(number)
    });
    Ok(numbers.collect())
}

/// Processor time of these processes, that of the kernel on their behalf included
pub(super) fn cpu(processes: &BTreeSet<u32>) -> io::Result<Duration> {
    processes.iter().map(|process| cpu_of(*process)).sum()
}

/// What processes share with no other
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Memory {
    /// KiB as they are in a file: mostly a program's text that nobody else runs
    pub(super) clean: f64,
    /// KiB that they have written to
    pub(super) dirty: f64,
}

/// The private memory of all these processes
pub(super) fn private_memory(processes: &BTreeSet<u32>) -> io::Result<Memory> {
    processes.iter().try_fold(Memory::default(), |all, process| {
        let rollup = fs::read_to_string(folder(*process).join("smaps_rollup"))?;
        let one = private_of(&rollup);
        let one = one.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, rollup))?;
        Ok(Memory { clean: all.clean + one.clean, dirty: all.dirty + one.dirty })
    })
}

/// KiB that were resident at most in each of these processes, all together
pub(super) fn peak_memory(processes: &BTreeSet<u32>) -> io::Result<f64> {
    let of = |process: &u32| {
        let status = fs::read_to_string(folder(*process).join("status"))?;
        kib(&status, "VmHWM:").ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, status))
    };
    processes.iter().map(of).sum()
}

/// Processor time of the whole machine since it was started, interrupts included
pub(super) fn machine() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    busy(&stat).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, stat))
}

/// Processor time of all processes of a session and of those of them that have ended
pub(super) fn cpu_of_session(session: u32) -> io::Result<Duration> {
    let all = fs::read_dir("/proc")?.filter_map(Result::ok);
    // of another session, no process, or ended meanwhile: then its parent has its time
    let of_process = |entry: fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        (ticks(&stat, SESSION)? == u64::from(session)).then(|| times(&stat, UTIME..=CSTIME))?
    };
    Ok(all.filter_map(of_process).sum())
}

fn cpu_of(process: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(folder(process).join("stat"))?;
    times(&stat, UTIME..=STIME).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, stat))
}

fn folder(process: u32) -> PathBuf {
    Path::new("/proc").join(process.to_string())
}

/// The sum of these fields
fn times(stat: &str, fields: RangeInclusive<usize>) -> Option<Duration> {
    let all: Option<u64> = fields.map(|field| ticks(stat, field)).sum();
    Some(TICK * u32::try_from(all?).ok()?)
}

/// A field by its number in `proc_pid_stat(5)`; the name, which is the second, may hold spaces and brackets
fn ticks(stat: &str, field: usize) -> Option<u64> {
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(field.checked_sub(3)?)?.parse().ok()
}

/// All but idle and iowait of the line of all processors, and but guest, which user includes
fn busy(stat: &str) -> Option<Duration> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Option<Vec<u64>> =
        line.split_whitespace().map(|field| field.parse().ok()).collect();
    let fields = fields.filter(|fields| fields.len() >= 8)?;
    let ticks = fields[..3].iter().chain(&fields[5..8]).sum::<u64>();
    Some(TICK * u32::try_from(ticks).ok()?)
}

fn private_of(rollup: &str) -> Option<Memory> {
    let [clean, dirty] = ["Private_Clean:", "Private_Dirty:"].map(|field| kib(rollup, field));
    Some(Memory { clean: clean?, dirty: dirty? })
}

fn kib(text: &str, field: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

const SESSION: usize = 6;
const UTIME: usize = 14;
const STIME: usize = 15;
const CSTIME: usize = 17;
/// `USER_HZ` is 100
const TICK: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_move_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 9 9 20 0 1 0 99 1 1";
        assert_eq!(times(stat, UTIME..=STIME), Some(Duration::from_secs(3)));
        assert_eq!(times(stat, UTIME..=CSTIME), Some(Duration::from_millis(3180)));
        assert_eq!(ticks(stat, SESSION), Some(7));
    }

    #[test]
    fn waiting_is_not_busy() {
        let stat = "cpu  100 10 20 5000 300 1 2 3 50 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n";
        assert_eq!(busy(stat), Some(Duration::from_millis(1360)));
        assert_eq!(busy("cpu  100 10"), None);
    }

    #[test]
    fn private_is_clean_and_dirty() {
        let rollup =
            "0-1 ---p 0 00:00 0 [rollup]\nPrivate_Clean:      10 kB\nPrivate_Dirty:   7 kB\n";
        assert_eq!(private_of(rollup), Some(Memory { clean: 10.0, dirty: 7.0 }));
        assert_eq!(private_of("Rss: 1 kB\n"), None);
    }

    #[test]
    fn this_process_is_found_by_its_name_and_has_used_time_and_memory() {
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        let found = processes(&[name.trim()]).unwrap();
        let this = BTreeSet::from([std::process::id()]);
        assert!(found.is_superset(&this), "{found:?}");
        assert!(cpu(&this).is_ok());
        let dirty = private_memory(&this).unwrap().dirty;
        assert!(dirty > 0.0 && dirty < peak_memory(&this).unwrap(), "{dirty}");
    }
}
