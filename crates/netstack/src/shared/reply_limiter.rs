//! How often those are answered whose packets are nobody's

use super::time::Time;

/// What is left of the answers of a second: resets, echo replies, port and protocol unreachable
///
/// Whoever floods decides how many there would be. A thousand a second is what Linux sends of ICMP
/// messages by default (RFC 1812 §4.3.2.8 wants a limit).
#[derive(Debug)]
pub(crate) struct ReplyLimiter {
    since: Time,
    left: u16,
}

impl ReplyLimiter {
    pub(crate) const fn new() -> Self {
        Self { since: 0, left: MAX_REPLIES }
    }

    /// Whether one more may be answered
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

/// In microseconds
const SECOND: Time = 1_000_000;
