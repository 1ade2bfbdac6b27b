//! Parts of a bench that play in processes of their own, and in a network of their own
//!
//! A part is this very program started again, and the environment tells it which part to play. So a
//! program that uses this calls [`parts::play`](crate::parts::play) first in its `main`. A part ends
//! with the process that started it.

use std::{
    env,
    io::{self, BufRead, BufReader, Lines, Read},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio, exit},
    thread,
    time::Duration,
};

/// The part that this process was started for, if it was: it ends with the process that started it
pub(crate) fn requested() -> Option<String> {
    let part = env::var(PART).ok()?;
    end_with_parent();
    Some(part)
}

/// A process that plays a part
#[derive(Debug)]
pub struct Part {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Its end tells the process to end
    _alive: Option<ChildStdin>,
}

impl Part {
    /// Starts a process that plays `part`, in the network of this one
    pub fn start(part: &str) -> io::Result<Self> {
        Self::spawn(&mut Command::new(env::current_exe()?), part)
    }

    /// The same in a network of its own with a loopback and nothing else: needs root
    pub fn start_apart(part: &str) -> io::Result<Self> {
        const UP: &str = "ip link set lo up && exec \"$0\"";
        let program = env::current_exe()?;
        Self::spawn(Command::new("unshare").args(["--net", "sh", "-c", UP]).arg(program), part)
    }

    /// The same in the network namespace of a program that runs others in it, which `command` begins
    pub(crate) fn start_behind(command: &mut Command, part: &str) -> io::Result<Self> {
        Self::spawn(command.arg(env::current_exe()?), part)
    }

    fn spawn(command: &mut Command, part: &str) -> io::Result<Self> {
        let command = command.env(PART, part).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let stdout = process.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let alive = process.stdin.take();
        Ok(Self { process, lines: BufReader::new(stdout).lines(), _alive: alive })
    }

    /// The next line that it prints
    ///
    /// # Errors
    /// `UnexpectedEof` if it ended instead.
    pub fn line(&mut self) -> io::Result<String> {
        self.lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }

    /// The next line, as numbers
    ///
    /// # Errors
    /// As [`Part::line`]; `InvalidData` if it is something else.
    pub fn numbers<const N: usize>(&mut self) -> io::Result<[f64; N]> {
        let line = self.line()?;
        let numbers: Result<Vec<_>, _> = line.split(' ').map(str::parse).collect();
        let numbers = numbers.ok().and_then(|numbers| numbers.try_into().ok());
        numbers.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, line))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // it may have ended already
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ends this process when the one that started it has ended, or does not end it
fn end_with_parent() {
    thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        exit(1);
    });
    thread::spawn(|| {
        thread::sleep(MOST);
        exit(2);
    });
}

/// Which part a process is to play
const PART: &str = "PPTP_BENCH_PART";
/// No part takes longer
const MOST: Duration = Duration::from_mins(10);
