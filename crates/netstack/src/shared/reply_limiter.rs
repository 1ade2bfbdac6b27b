//! The rate limit of answers to packets that are for no socket

use super::time::Time;

/// The rate limiter of resets, echo replies, port and protocol unreachable
///
/// Without it a flood would decide how many of them leave. A thousand a second is the default of Linux for
/// ICMP messages (RFC 1812 §4.3.2.8 wants a limit).
#[derive(Debug)]
pub(crate) struct ReplyLimiter {
    since: Time,
    left: u16,
}

impl ReplyLimiter {
    pub(crate) const fn new() -> Self {
        Self { since: 0, left: MAX_REPLIES }
    }

    /// Returns true if one more packet may be answered, and counts it
    pub(crate) const fn answers(&mut self, now: Time) -> bool {
        if now.saturating_sub(self.since) >= SECOND {
            self.since = now;
            self.left = MAX_REPLIES;
        }
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        true
    }
}

const MAX_REPLIES: u16 = 1000;

/// A second in microseconds
const SECOND: Time = 1_000_000;
