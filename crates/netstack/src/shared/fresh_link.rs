//! When something is said again over a link that is not yet known to pass packets

use std::time::Duration;

/// The pauses after which something is said again, for as long as nothing at all has come in
///
/// pppd acknowledges the addresses some milliseconds before its interface takes packets (6 ms were
/// not enough, as captured): whoever speaks as soon as the link is up is not heard. Once any packet
/// has come in the path is known to be open, and what is not answered has its usual time.
#[derive(Debug, Default)]
pub(crate) struct FreshLinkDelays {
    over: u8,
}

impl FreshLinkDelays {
    /// How many there are
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

/// So that it is said again at 0.1, 0.3 and 0.7 s; TCP's own repetition is due at a second
const MILLISECONDS: [u64; 3] = [100, 200, 400];
