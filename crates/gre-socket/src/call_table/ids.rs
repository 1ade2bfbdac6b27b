//! The free Call IDs

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use pptp_packet::Counter;
use rand::Rng;

use crate::Shard;

/// The time for which a Call ID is given to no other call after its own has ended
///
/// The peer may go on sending for the old call until it notices; a late datagram must not reach
/// the new one.
pub const CALL_ID_QUARANTINE: Duration = Duration::from_mins(2);

/// The error that all Call IDs of the shard are in use or in quarantine
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no Call ID is free: {in_use} in use, {in_quarantine} at rest after their calls ended")]
pub struct Exhausted {
    /// IDs of calls in the table
    pub in_use: usize,
    /// IDs of calls that ended less than [`CALL_ID_QUARANTINE`] ago
    pub in_quarantine: usize,
}

/// The numbers that a Call ID of a shard can be
pub(super) struct CallIds {
    /// A bit for each of 65,536, set while it is in use or in quarantine, or if it belongs to another shard
    taken: Box<[u64; WORDS]>,
    /// Numbers in quarantine, those that have been there longest first; none is here twice
    quarantined: VecDeque<(Instant, u16)>,
    in_use: usize,
}

impl CallIds {
    pub(super) fn new(shard: Shard) -> Self {
        let mut ids = Self { taken: Box::new([0; WORDS]), quarantined: VecDeque::new(), in_use: 0 };
        let is_ours = |id| id != 0 && shard.contains(id);
        (0..=u16::MAX).filter(|id| !is_ours(*id)).for_each(|id| ids.set(id, true));
        ids
    }

    /// Takes the first free number at or after a random one
    pub(super) fn take(&mut self, rng: &mut impl Rng, now: Instant) -> Result<u16, Exhausted> {
        self.end_quarantines(now);
        let [.., high, low] = rng.next_u32().to_be_bytes();
        let id = self
            .free_from(u16::from_be_bytes([high, low]))
            .ok_or(Exhausted { in_use: self.in_use, in_quarantine: self.quarantined.len() })?;
        self.set(id, true);
        self.in_use.increment();
        Ok(id)
    }

    /// Keeps a number that was taken in quarantine until [`CALL_ID_QUARANTINE`] after `now`
    pub(super) fn quarantine(&mut self, id: u16, now: Instant) {
        self.quarantined.push_back((now, id));
        self.in_use = self.in_use.saturating_sub(1);
    }

    pub(super) const fn in_use(&self) -> usize {
        self.in_use
    }

    fn end_quarantines(&mut self, now: Instant) {
        while let Some(&(since, id)) = self.quarantined.front() {
            if now.saturating_duration_since(since) < CALL_ID_QUARANTINE {
                break;
            }
            self.quarantined.pop_front();
            self.set(id, false);
        }
    }

    /// The first free number at or after `start`, going round
    fn free_from(&self, start: u16) -> Option<u16> {
        let (word, bit) = place(start);
        let rest_of_first = self.taken.get(word).map(|taken| taken | !(u64::MAX << bit));
        let others = self.taken.iter().copied().cycle().skip(word).skip(1).take(WORDS);
        let words = rest_of_first.into_iter().chain(others);
        let (steps, taken) = words.enumerate().find(|(_, taken)| *taken != u64::MAX)?;
        let number = word.wrapping_add(steps) % WORDS * 64;
        u16::try_from(number | taken.trailing_ones() as usize).ok()
    }

    fn set(&mut self, id: u16, taken: bool) {
        let (word, bit) = place(id);
        if let Some(word) = self.taken.get_mut(word) {
            *word = *word & !(1 << bit) | u64::from(taken) << bit;
        }
    }
}

impl fmt::Debug for CallIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallIds")
            .field("in_use", &self.in_use)
            .field("in_quarantine", &self.quarantined.len())
            .finish_non_exhaustive()
    }
}

/// A number's word and bit
const fn place(id: u16) -> (usize, u32) {
    ((id >> 6) as usize, (id & 63) as u32)
}

const WORDS: usize = 1024;
