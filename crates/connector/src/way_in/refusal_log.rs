//! The log of a listener's refusals: a line for each, and few lines a second

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::{client::Origin, refusal::Refusal, way::Way};

/// The log of a listener's refusals
///
/// [`BURST`] lines at once and one a second; what had no line is counted, and told by the next one.
#[derive(Debug)]
pub(super) struct RefusalLog {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lines: u64,
    since: Instant,
    untold: u64,
}

impl RefusalLog {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { lines: 0, since: Instant::now(), untold: 0 }) }
    }

    /// Writes a line, if there may be one now; the listener is named by its settings as they are now
    pub(super) fn write(&self, listener: &Way, client: Origin, refusal: &Refusal) {
        let Some(untold) = self.may_write() else { return };
        if untold == 0 {
            tracing::warn!("{listener}: {client} was refused: {refusal}");
        } else {
            tracing::warn!(
                "{listener}: {client} was refused: {refusal} ({untold} more were refused since \
                 the line before)"
            );
        }
    }

    /// Returns the number of refusals without a line if there may be one now
    fn may_write(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = state.since.elapsed().as_secs();
        if seconds > 0 {
            state.lines = state.lines.saturating_sub(seconds);
            state.since = Instant::now();
        }
        if state.lines >= BURST {
            state.untold = state.untold.saturating_add(1);
            return None;
        }
        state.lines += 1;
        Some(std::mem::take(&mut state.untold))
    }
}

/// Lines that may come at once
const BURST: u64 = 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_refusals_is_ten_lines_and_a_number() {
        let log = RefusalLog::new();
        let written = (0..1000).filter(|_| log.may_write().is_some()).count();
        assert_eq!(written, 10);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(log.may_write(), Some(990));
        assert_eq!(log.may_write(), None);
    }
}
