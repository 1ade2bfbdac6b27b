//! The clock of the network: tokio's

use tokio::time::Instant;

/// Now, in virtual time if tokio's clock is paused
pub(super) fn now() -> Instant {
    Instant::now()
}
