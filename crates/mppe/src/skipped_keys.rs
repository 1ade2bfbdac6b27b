//! Keys of skipped frames, kept for those that come late

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::key::SessionKey;

/// Keys of frames that were skipped, by their place in the chain
///
/// At most the newest [`MAX_KEYS`] keys are kept. A key opens one frame. It is kept for
/// [`LIFETIME`] after its gap was seen, and for [`MAX_FRAMES_BACK`] frames. Without keys there is
/// no memory on the heap.
#[derive(Debug, Default)]
pub(crate) struct SkippedKeys {
    // in the order of the chain, and so of their gaps
    keys: VecDeque<SkippedKey>,
}

#[derive(Debug)]
struct SkippedKey {
    steps: u64,
    seen: Instant,
    key: SessionKey,
}

impl SkippedKeys {
    /// Keeps the keys of a gap that ends before `end` steps of the chain
    ///
    /// `end` is the place of the frame that was opened behind the gap.
    pub(crate) fn keep(
        &mut self,
        now: Instant,
        end: u64,
        keys: impl ExactSizeIterator<Item = SessionKey>,
    ) {
        let skipped = keys.len();
        let too_many = skipped.saturating_sub(MAX_KEYS);
        let begin = end.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
        for (steps, key) in (begin..end).zip(keys).skip(too_many) {
            if self.keys.len() >= MAX_KEYS {
                self.keys.pop_front();
            }
            self.keys.push_back(SkippedKey { steps, seen: now, key });
        }
    }

    /// Drops keys too far behind the frame that was opened at `steps`
    pub(crate) fn follow(&mut self, steps: u64) {
        self.forget_while(|kept| steps.saturating_sub(kept.steps) > MAX_FRAMES_BACK);
    }

    /// Drops keys that are too old
    pub(crate) fn expire(&mut self, now: Instant) {
        self.forget_while(|kept| now.saturating_duration_since(kept.seen) >= LIFETIME);
    }

    /// The key of the frame at `steps`
    pub(crate) fn get(&self, steps: u64) -> Option<&SessionKey> {
        self.keys.get(self.index(steps)?).map(|kept| &kept.key)
    }

    /// Drops the key of the frame at `steps`, which was opened
    pub(crate) fn forget(&mut self, steps: u64) {
        if let Some(index) = self.index(steps) {
            self.keys.remove(index);
        }
        self.forget_while(|_| false);
    }

    /// The time at which the oldest key expires
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.keys.front()?.seen.checked_add(LIFETIME)
    }

    pub(crate) fn len(&self) -> u16 {
        u16::try_from(self.keys.len()).unwrap_or(u16::MAX)
    }

    fn index(&self, steps: u64) -> Option<usize> {
        self.keys.binary_search_by_key(&steps, |kept| kept.steps).ok()
    }

    fn forget_while(&mut self, condition: impl Fn(&SkippedKey) -> bool) {
        while self.keys.front().is_some_and(&condition) {
            self.keys.pop_front();
        }
        if self.keys.is_empty() {
            self.keys = VecDeque::new();
        }
    }
}

const MAX_KEYS: usize = 256;
const LIFETIME: Duration = Duration::from_secs(2);
const MAX_FRAMES_BACK: u64 = 2048;
