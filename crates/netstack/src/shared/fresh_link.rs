//! The times of repetitions over a link that is not yet known to pass packets

use std::time::Duration;

/// The pauses between repetitions, for as long as no packet at all has come in
///
/// pppd acknowledges the addresses some milliseconds before its interface takes packets (6 ms were
/// not enough, as captured). A packet that leaves as soon as the link is up is lost. Once any packet
/// has come in, the path is known to be open, and the usual times apply.
#[derive(Debug, Default)]
pub(crate) struct FreshLinkDelays {
    over: u8,
}

impl FreshLinkDelays {
    /// The number of pauses
    pub(crate) const COUNT: usize = MILLISECONDS.len();
}

impl Iterator for FreshLinkDelays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = MILLISECONDS.get(usize::from(self.over))?;
        self.over = self.over.saturating_add(1);
        Some(Duration::from_millis(*pause))
    }
}

/// The pauses, so that repetitions leave at 0.1, 0.3 and 0.7 s; TCP's own is due at a second
const MILLISECONDS: [u64; 3] = [100, 200, 400];
