//! Keys ahead of the frame that was opened last

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{
    Discard,
    header::{COHERENCY_COUNT, COUNTS},
    key::{KeyChain, SessionKey},
    plaintext::{self, Plaintext},
};

/// Keys ahead that were computed for frames that did not open
///
/// The chain does not depend on input, so no key has to be computed twice, for forged frames or for
/// genuine ones. Distances are in steps of the chain from the frame that was opened last. While all
/// frames open, this is empty.
#[derive(Debug, Default)]
pub(crate) struct Lookahead {
    /// Keys from distance 1 on
    near: VecDeque<SessionKey>,
    pursuit: Option<Pursuit>,
    used: Option<Instant>,
}

impl Lookahead {
    pub(crate) const fn is_empty(&self) -> bool {
        self.used.is_none()
    }

    /// The number of keys that must be computed to have the one at `distance`
    pub(crate) fn missing(&self, distance: usize) -> usize {
        distance.saturating_sub(self.near.len())
    }

    /// Returns the key `distance` steps after `opened`, and keeps the keys between
    pub(crate) fn near(
        &mut self,
        now: Instant,
        chain: &KeyChain,
        opened: &SessionKey,
        distance: usize,
    ) -> Option<&SessionKey> {
        self.used = Some(now);
        for _ in 0..self.missing(distance) {
            let key = chain.next(self.near.back().unwrap_or(opened));
            self.near.push_back(key);
        }
        self.near.get(distance.checked_sub(1)?)
    }

    /// Keeps a key at distance 1 that opened nothing
    pub(crate) fn push_first(&mut self, now: Instant, key: SessionKey) {
        self.used = Some(now);
        self.near.push_back(key);
    }

    /// Takes the keys up to `distance`, which becomes the new distance 0
    pub(crate) fn take_near(
        &mut self,
        distance: usize,
    ) -> impl ExactSizeIterator<Item = SessionKey> {
        self.near.drain(..distance.min(self.near.len()))
    }

    /// The pursuit, which begins behind the near keys
    pub(crate) fn pursuit(&mut self, now: Instant, opened: &SessionKey) -> &mut Pursuit {
        self.used = Some(now);
        self.pursuit.get_or_insert_with(|| Pursuit::begin(opened, &self.near))
    }

    /// Takes the key at `distance`, which becomes the new distance 0, and the keys before it
    pub(crate) fn take_pursuit(
        &mut self,
        distance: u64,
    ) -> Option<(SessionKey, VecDeque<SessionKey>)> {
        let pursuit = self.pursuit.take();
        *self = Self::default();
        pursuit?.into_keys(distance)
    }

    /// Ends the pursuit after a frame has opened, and frees empty memory
    pub(crate) fn settle(&mut self) {
        self.pursuit = None;
        if self.near.is_empty() {
            *self = Self::default();
        }
    }

    /// Drops keys that opened no frame; the distance that the pursuit reached is kept
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.near = VecDeque::new();
            self.used = None;
            if let Some(pursuit) = &mut self.pursuit {
                pursuit.before = VecDeque::new();
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> usize {
        self.near.len() + self.pursuit.as_ref().map_or(0, |pursuit| pursuit.before.len() + 1)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.used?.checked_add(LIFETIME)
    }
}

/// The search along the chain for a peer that is far ahead
#[derive(Debug)]
pub(crate) struct Pursuit {
    distance: u64,
    key: SessionKey,
    /// The keys right before it, for frames that come late
    before: VecDeque<SessionKey>,
}

impl Pursuit {
    fn begin(opened: &SessionKey, near: &VecDeque<SessionKey>) -> Self {
        let mut pursuit = Self { distance: 0, key: opened.clone(), before: VecDeque::new() };
        for key in near {
            pursuit.push(key.clone());
        }
        pursuit
    }

    /// Opens a frame with the first key that fits, and returns its distance
    ///
    /// Each step takes one from `left`.
    pub(crate) fn follow(
        &mut self,
        chain: &KeyChain,
        Search { remainder, reach, tried }: Search<'_>,
        left: &mut u64,
        ciphertext: &mut [u8],
    ) -> Result<(u64, Plaintext), Discard> {
        let mut candidate = self.first_candidate(remainder);
        while candidate <= reach {
            self.advance(chain, candidate, left)?;
            *tried = tried.saturating_add(1);
            let key = self.key_at(candidate);
            if let Some(plaintext) = key.and_then(|key| plaintext::open(chain, key, ciphertext)) {
                return Ok((candidate, plaintext));
            }
            candidate = candidate.saturating_add(COUNTS);
        }
        Err(Discard::Implausible)
    }

    /// Steps to `distance`, or as far as `left` allows
    fn advance(&mut self, chain: &KeyChain, distance: u64, left: &mut u64) -> Result<(), Discard> {
        while self.distance < distance {
            *left = left.checked_sub(1).ok_or(Discard::OverBudget)?;
            self.push(chain.next(&self.key));
        }
        Ok(())
    }

    /// The key at `distance` if the pursuit is there or has just passed it
    fn key_at(&self, distance: u64) -> Option<&SessionKey> {
        match self.steps_back(distance)? {
            0 => Some(&self.key),
            back => self.before.get(self.before.len().checked_sub(back)?),
        }
    }

    /// The lowest distance whose key is here or ahead and that is `remainder` modulo 4096
    fn first_candidate(&self, remainder: u16) -> u64 {
        let passed = u64::try_from(self.before.len()).unwrap_or_default();
        let lowest = self.distance.saturating_sub(passed).max(1);
        let further = u64::from(remainder).wrapping_sub(lowest) & u64::from(COHERENCY_COUNT);
        lowest.saturating_add(further)
    }

    fn steps_back(&self, distance: u64) -> Option<usize> {
        usize::try_from(self.distance.checked_sub(distance)?).ok()
    }

    fn push(&mut self, key: SessionKey) {
        let before = std::mem::replace(&mut self.key, key);
        if self.distance > 0 {
            if self.before.len() >= MAX_PASSED {
                self.before.pop_front();
            }
            self.before.push_back(before);
        }
        self.distance = self.distance.saturating_add(1);
    }

    fn into_keys(mut self, distance: u64) -> Option<(SessionKey, VecDeque<SessionKey>)> {
        let back = self.steps_back(distance)?;
        self.before.push_back(self.key);
        self.before.truncate(self.before.len().checked_sub(back)?);
        Some((self.before.pop_back()?, self.before))
    }
}

/// The places at which a frame's key is looked for
pub(crate) struct Search<'a> {
    /// The frame's distance modulo 4096
    pub(crate) remainder: u16,
    /// The largest distance that the frame can have
    pub(crate) reach: u64,
    /// Counts the keys that were tried
    pub(crate) tried: &'a mut u64,
}

const LIFETIME: Duration = Duration::from_secs(2);
/// Keys that are kept behind the pursuit, as many as for late frames
const MAX_PASSED: usize = 256;
