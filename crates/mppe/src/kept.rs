//! Keys of skipped frames, kept for those that come late

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::key::SessionKey;

/// Keys of frames that were skipped, by their place in the chain
///
/// Of all gaps the newest [`MOST`] keys; a key is good for one frame, for [`LIFETIME`] after its gap
/// was seen and for [`FARTHEST`] frames. While there is none, there is no memory either.
#[derive(Debug, Default)]
pub(crate) struct KeptKeys {
    // in the order of the chain, and so of their gaps
    keys: VecDeque<Kept>,
}

#[derive(Debug)]
struct Kept {
    steps: u64,
    seen: Instant,
    key: SessionKey,
}

impl KeptKeys {
    /// Keeps the keys of a gap that ends before `end` steps of the chain
    ///
    /// `end` is where the frame stands that was opened behind the gap.
    pub(crate) fn keep(
        &mut self,
        now: Instant,
        end: u64,
        keys: impl ExactSizeIterator<Item = SessionKey>,
    ) {
        let skipped = keys.len();
        let too_many = skipped.saturating_sub(MOST);
        let begin = end.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
        for (steps, key) in (begin..end).zip(keys).skip(too_many) {
            if self.keys.len() >= MOST {
                self.keys.pop_front();
            }
            self.keys.push_back(Kept { steps, seen: now, key });
        }
    }

    /// Forgets what is too far behind the frame that was opened at `steps`
    pub(crate) fn follow(&mut self, steps: u64) {
        self.forget_while(|kept| steps.saturating_sub(kept.steps) > FARTHEST);
    }

    /// Forgets what is too old
    pub(crate) fn expire(&mut self, now: Instant) {
        self.forget_while(|kept| now.saturating_duration_since(kept.seen) >= LIFETIME);
    }

    /// The key of the frame at `steps`
    pub(crate) fn get(&self, steps: u64) -> Option<&SessionKey> {
        self.keys.get(self.index(steps)?).map(|kept| &kept.key)
    }

    /// Forgets the key of the frame at `steps`, which was opened
    pub(crate) fn forget(&mut self, steps: u64) {
        if let Some(index) = self.index(steps) {
            self.keys.remove(index);
        }
        self.forget_while(|_| false);
    }

    /// When the oldest key will be too old
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.keys.front()?.seen.checked_add(LIFETIME)
    }

    pub(crate) fn len(&self) -> u16 {
        u16::try_from(self.keys.len()).unwrap_or(u16::MAX)
    }

    fn index(&self, steps: u64) -> Option<usize> {
        self.keys.binary_search_by_key(&steps, |kept| kept.steps).ok()
    }

    fn forget_while(&mut self, condition: impl Fn(&Kept) -> bool) {
        while self.keys.front().is_some_and(&condition) {
            self.keys.pop_front();
        }
        if self.keys.is_empty() {
            self.keys = VecDeque::new();
        }
    }
}

const MOST: usize = 256;
const LIFETIME: Duration = Duration::from_secs(2);
const FARTHEST: u64 = 2048;
