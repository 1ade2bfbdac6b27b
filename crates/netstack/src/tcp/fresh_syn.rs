//! The first SYN of a link that is not yet known to pass packets

use crate::shared::{
    fresh_link::FreshLinkDelays,
    time::{NEVER, Time, micros},
};

/// A SYN that is sent again soon, for as long as nothing at all has come in
///
/// RFC 6298 §2.1 has it leave again only a second later, where a link that has just come up is
/// likely to lose the first: see [`FreshLinkDelays`].
#[derive(Debug)]
pub(super) struct FreshSyn {
    syn: Vec<u8>,
    due: Time,
    pauses: FreshLinkDelays,
}

impl FreshSyn {
    /// A copy of `syn`, which leaves for the first time now
    pub(super) fn new(syn: Vec<u8>, now: Time) -> Self {
        let mut opening = Self { syn, due: now, pauses: FreshLinkDelays::default() };
        opening.wait(now);
        opening
    }

    /// The time at which [`FreshSyn::take_due`] has a packet
    pub(super) const fn deadline(&self) -> Time {
        self.due
    }

    /// The SYN, if it is to leave again
    pub(super) fn take_due(&mut self, now: Time) -> Option<Vec<u8>> {
        if now < self.due {
            return None;
        }
        self.wait(now);
        Some(self.syn.clone())
    }

    fn wait(&mut self, now: Time) {
        self.due = self.pauses.next().map_or(NEVER, |pause| now.saturating_add(micros(pause)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_more_leave_within_the_first_second() {
        let mut opening = FreshSyn::new(vec![1], 0);
        let due = [100_000, 300_000, 700_000];
        for at in due {
            assert_eq!(opening.deadline(), at);
            assert_eq!(opening.take_due(at - 1), None);
            assert_eq!(opening.take_due(at), Some(vec![1]));
        }
        assert_eq!((opening.deadline(), opening.take_due(9_000_000)), (NEVER, None));
    }
}
