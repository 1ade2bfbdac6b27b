//! The first SYN of a link that is not yet known to pass packets

use super::device::{NEVER, Time};

/// A SYN that is sent again soon, for as long as nothing at all has come in
///
/// pppd acknowledges the addresses some milliseconds before its interface takes packets (6 ms were
/// not enough, as captured): whoever connects as soon as the link is up loses the first SYN, and
/// RFC 6298 §2.1 has the next leave a second later. Once any packet has come in the path is known to
/// be open, and a SYN that is not answered has the whole second.
#[derive(Debug)]
pub(super) struct Opening {
    syn: Vec<u8>,
    due: Time,
    /// Until the one after the next
    pause: Time,
}

impl Opening {
    /// `syn` leaves for the first time
    pub(super) const fn new(syn: Vec<u8>, now: Time) -> Self {
        Self { syn, due: now.saturating_add(FIRST), pause: 2 * FIRST }
    }

    /// When [`Opening::take_due`] has something to say
    pub(super) const fn deadline(&self) -> Time {
        self.due
    }

    /// The SYN, if it is to leave again
    pub(super) fn take_due(&mut self, now: Time) -> Option<Vec<u8>> {
        if now < self.due {
            return None;
        }
        self.due = if self.pause > LAST { NEVER } else { now.saturating_add(self.pause) };
        self.pause = self.pause.saturating_mul(2);
        Some(self.syn.clone())
    }
}

/// Microseconds until it is sent again: at 0.1, 0.3 and 0.7 s, and then smoltcp's own at a second
const FIRST: Time = 100_000;
/// The longest pause
const LAST: Time = 400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_more_leave_within_the_first_second() {
        let mut opening = Opening::new(vec![1], 0);
        let due = [100_000, 300_000, 700_000];
        for at in due {
            assert_eq!(opening.deadline(), at);
            assert_eq!(opening.take_due(at - 1), None);
            assert_eq!(opening.take_due(at), Some(vec![1]));
        }
        assert_eq!((opening.deadline(), opening.take_due(9_000_000)), (NEVER, None));
    }
}
