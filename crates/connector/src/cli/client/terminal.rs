//! The place where a command writes

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use super::daemon::Failure;
use crate::{api::view::FindingView, cli::exit::Exit};

/// The place where a command writes: standard output and standard error, or a text
pub struct Terminal {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// True if a person looks at standard output
    is_person: bool,
}

impl Terminal {
    /// Makes the terminal of the process
    pub fn standard() -> Self {
        let is_person = io::stdout().is_terminal();
        Self { out: Box::new(io::stdout()), err: Box::new(io::stderr()), is_person }
    }

    /// Makes a terminal whose texts are kept
    pub fn captured() -> (Self, Captured) {
        let captured = Captured::default();
        let (out, err) = (captured.out.clone(), captured.err.clone());
        (Self { out: Box::new(out), err: Box::new(err), is_person: false }, captured)
    }

    /// Returns true if standard output is a terminal
    pub const fn is_terminal(&self) -> bool {
        self.is_person
    }

    /// Writes a line to standard output
    ///
    /// # Errors
    /// It cannot be written; the exit is a success if the reader has gone, as `head` does.
    pub fn line(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        self.octets(format!("{text}\n").as_bytes())
    }

    /// Writes a finding of a doctor to standard output, with the advice in a line of its own
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn finding(&mut self, finding: &FindingView) -> Result<(), Failure> {
        let FindingView { step, verdict, milliseconds, seen, advice, .. } = finding;
        self.line(format_args!("{verdict:7}  {step:19}  {milliseconds:>5} ms  {seen}"))?;
        match advice {
            Some(advice) => self.line(format_args!("{:38}> {advice}", "")),
            None => Ok(()),
        }
    }

    /// Writes octets to standard output
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn octets(&mut self, octets: &[u8]) -> Result<(), Failure> {
        let written = self.out.write_all(octets).and_then(|()| self.out.flush());
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::silent(Exit::Success),
            _ => Failure::new(Exit::Program, format!("cannot write: {error}")),
        })
    }

    /// Writes a line to standard error
    pub fn complain(&mut self, text: impl fmt::Display) {
        // there is no other place to tell it
        let _ = writeln!(self.err, "{text}");
    }

    /// Tells the outcome of a command, and returns its exit
    pub fn finish(&mut self, outcome: Result<Exit, Failure>) -> Exit {
        match outcome {
            Ok(exit) => exit,
            Err(failure) => {
                if !failure.message.is_empty() {
                    self.complain(format_args!("error: {}", failure.message));
                }
                failure.exit
            }
        }
    }
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal").field("is_person", &self.is_person).finish_non_exhaustive()
    }
}

/// The texts that a terminal has kept
#[derive(Debug, Clone, Default)]
pub struct Captured {
    out: Kept,
    err: Kept,
}

impl Captured {
    /// Returns the octets of standard output
    pub fn octets(&self) -> Vec<u8> {
        self.out.octets()
    }

    /// Returns the text of standard output
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.out.octets()).into_owned()
    }

    /// Returns the text of standard error
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.err.octets()).into_owned()
    }
}

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn octets(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Write for Kept {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
