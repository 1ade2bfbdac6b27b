//! The clock of all sessions

use std::time::Instant;

/// Returns the time of tokio's clock, which tests may pause
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
