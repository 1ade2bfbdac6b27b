//! The hang-up that a tunnel's users have asked for

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// The state of a hang-up; boxed, since most tunnels are not hanging up
#[derive(Default)]
pub(crate) struct HangUp(Option<Box<State>>);

#[derive(Default)]
struct State {
    /// The users have left: hang up as soon as there is something to hang up
    is_requested: bool,
    /// The time by which the machine is told, even if the sockets' octets have not left yet
    by: Option<Instant>,
    /// Nothing is left on the wire, the control connection included
    has_left: bool,
    /// The signal for tasks that wait for that, made for the first of them
    signal: Option<CancellationToken>,
}

impl HangUp {
    /// Asks for a hang-up before there is a machine
    pub(crate) fn request(&mut self) {
        self.0.get_or_insert_default().is_requested = true;
    }

    /// Gives what the sockets wrote [`MAX_FLUSH_TIME`] to leave; a second call changes nothing
    pub(crate) fn begin(&mut self, now: Instant) {
        let state = self.0.get_or_insert_default();
        state.by.get_or_insert_with(|| now + MAX_FLUSH_TIME);
    }

    pub(crate) fn is_requested(&self) -> bool {
        self.0.as_ref().is_some_and(|state| state.is_requested)
    }

    /// The time by which the machine has to be told, while it has not been told
    pub(crate) fn by(&self) -> Option<Instant> {
        self.0.as_ref().and_then(|state| state.by)
    }

    /// Notes that the machine has been told
    pub(crate) fn told(&mut self) {
        if let Some(state) = &mut self.0 {
            state.by = None;
        }
    }

    /// Returns a signal that is cancelled once nothing is left on the wire
    pub(crate) fn signal(&mut self) -> CancellationToken {
        let state = self.0.get_or_insert_default();
        let signal = state.signal.get_or_insert_with(CancellationToken::new).clone();
        if state.has_left {
            signal.cancel();
        }
        signal
    }

    /// Notes that nothing is left on the wire; returns the signal, to be cancelled without the lock
    pub(crate) fn leave(&mut self) -> Option<CancellationToken> {
        let state = self.0.get_or_insert_default();
        state.has_left = true;
        state.signal.take()
    }
}

/// The time that a hang-up gives the octets which the sockets wrote before
const MAX_FLUSH_TIME: Duration = Duration::from_secs(2);
