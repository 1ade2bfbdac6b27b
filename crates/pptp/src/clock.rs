//! The clock of all tunnels

use std::time::Instant;

/// Returns the time of tokio's clock, which tests may pause
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
