//! The signals that end a command

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{client::Failure, exit::Exit};

/// SIGINT and SIGTERM
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals from now on
    pub(super) fn new() -> Result<Self, Failure> {
        let take = |kind| {
            let taken = signal(kind);
            taken.map_err(|error| Failure::new(Exit::Program, format!("no signals: {error}")))
        };
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
        })
    }

    /// Waits for SIGINT or SIGTERM
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
