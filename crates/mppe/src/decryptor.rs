//! The decryptor of stateless sessions (RFC 3078 §7.2)

use std::time::Instant;

use crate::{
    Arrival, Discard, KeyStrength, Opened, Order, Stats,
    consistent_run::ConsistentRun,
    header::{COHERENCY_COUNT, COUNTS, Header},
    key::{KeyChain, SessionKey},
    lookahead::{Lookahead, Search},
    meter::Meter,
    plaintext::{self, Plaintext},
    skipped_keys::SkippedKeys,
};

/// Decrypts one direction of a link, in place
///
/// The chain of session keys follows the frames that open. A frame ahead of them opens with the key
/// as many steps ahead as its coherency count says, and the keys of the frames it skipped are kept
/// for a while; a late frame opens with its kept key, and that key is then gone, so that nothing
/// opens twice. A frame that does not open leaves the state and its octets unchanged.
///
/// A count up to 512 ahead is tried at once. Beyond that, the coherency count may have wrapped, and
/// a forged frame could cost much. So the decryptor waits for three frames that are consistent with
/// each other. The third begins a pursuit along the chain: every place that the count allows is
/// tried, up to the place that follows from the carrier's sequence number. If 16 are consistent and
/// none opens, the peer has used up counts without sequence numbers, and the pursuit goes on to
/// 2^20 frames ahead.
///
/// The cost of pursuits is limited to 4096 key changes each second, saved up for 32 seconds, of
/// which 16,384 go to one frame. So after an outage of up to 130,000 frames two frames are lost,
/// and one more for every 16,384 frames of the outage. After a longer outage more frames are lost.
///
/// Memory: none on the heap while frames come in order. At most 256 kept keys (10 KiB), and after
/// frames that did not open at most 768 keys ahead (12 KiB), all for at most 2 seconds after their
/// last use.
#[derive(Debug)]
pub struct Decryptor {
    chain: KeyChain,
    /// The key of the frame that was opened furthest ahead
    key: SessionKey,
    /// Steps of the chain that led to it: its coherency count is one less, modulo 4096
    steps: u64,
    /// The carrier's sequence number of that frame
    sequence: Option<u32>,
    skipped: SkippedKeys,
    lookahead: Lookahead,
    run: ConsistentRun,
    meter: Meter,
    score: u16,
    stats: Stats,
}

impl Decryptor {
    /// A stateless session, before its first frame (RFC 3078 §7.2)
    ///
    /// 40 and 56 bits use the first 8 octets of the start key.
    pub fn stateless(start_key: &[u8; 16], strength: KeyStrength) -> Self {
        let chain = KeyChain::new(start_key, strength);
        let key = chain.initial();
        Self {
            chain,
            key,
            steps: 0,
            sequence: None,
            skipped: SkippedKeys::default(),
            lookahead: Lookahead::default(),
            run: ConsistentRun::default(),
            meter: Meter::new(),
            score: 0,
            stats: Stats::default(),
        }
    }

    /// Opens the octets behind the protocol number 00FD, in place
    ///
    /// `Ok` is the moment to commit the carrier's sequence number. On `Err` the state is unchanged;
    /// [`Discard::is_fatal`] tells if the link must be closed.
    ///
    /// The carrier must hand over frames at any distance ahead of the last one, because only
    /// decryption can tell if they are genuine.
    pub fn open<'p>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        frame: &'p mut [u8],
    ) -> Result<Opened<'p>, Discard> {
        let opened = self.open_in_place(now, arrival, frame);
        self.stats.kept_keys = self.skipped.len();
        match opened {
            Ok(_) => self.stats.opened = self.stats.opened.saturating_add(1),
            Err(discard) => self.stats.count(discard),
        }
        opened
    }

    /// Drops keys that are too old
    pub fn handle_timeout(&mut self, now: Instant) {
        self.skipped.expire(now);
        self.lookahead.expire(now);
        self.stats.kept_keys = self.skipped.len();
    }

    /// The time at which the oldest keys expire; `None` while frames come in order
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadlines = [self.skipped.poll_timeout(), self.lookahead.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }

    /// The counters so far
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    fn open_in_place<'p>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        frame: &'p mut [u8],
    ) -> Result<Opened<'p>, Discard> {
        let (header, ciphertext) = frame.split_first_chunk_mut().ok_or(Discard::TooShort)?;
        if ciphertext.is_empty() {
            return Err(Discard::TooShort);
        }
        let count = self.check(Header::parse(*header))?;
        let plaintext = if self.is_ahead(arrival) {
            self.open_ahead(now, arrival, count, ciphertext)?
        } else {
            self.open_behind(now, arrival, count, ciphertext)?
        };
        let (_, payload) =
            ciphertext.split_at_mut_checked(plaintext.protocol_len).ok_or(Discard::Implausible)?;
        Ok(Opened { protocol: plaintext.protocol, payload })
    }

    /// Returns the coherency count of a header that a stateless sender may have sent
    fn check(&mut self, header: Header) -> Result<u16, Discard> {
        let violation = match header {
            Header { encrypted: false, .. } => Discard::NotEncrypted,
            Header { flushed: false, .. } => Discard::NotFlushed,
            Header { at_front: true, .. } | Header { compressed: true, .. } => {
                return Err(Discard::Compressed);
            }
            _ => return Ok(header.coherency_count),
        };
        self.score = self.score.saturating_add(VIOLATION_SCORE);
        Err(if self.score >= SCORE_LIMIT { Discard::ScoreLimit } else { violation })
    }

    /// Returns true if the frame was sent after all frames that were opened
    ///
    /// The carrier also counts frames in the clear, so that a frame behind one of these may still be
    /// ahead here; and it may have taken up a new range of sequence numbers.
    fn is_ahead(&self, arrival: Arrival) -> bool {
        arrival.order == Order::Ahead
            || self.sequence.is_none_or(|opened| {
                matches!(arrival.sequence.wrapping_sub(opened), 1..=0x7FFF_FFFF)
            })
    }

    fn open_ahead(
        &mut self,
        now: Instant,
        arrival: Arrival,
        count: u16,
        ciphertext: &mut [u8],
    ) -> Result<Plaintext, Discard> {
        let distance = self.distance(count);
        let discard = match self.open_near(now, distance, ciphertext) {
            Ok(plaintext) => {
                self.commit(arrival, distance.into());
                return Ok(plaintext);
            }
            Err(discard) => discard,
        };
        let agreeing = self.run.note(arrival.sequence, count);
        if agreeing < MIN_CONSISTENT {
            return Err(discard);
        }
        let reach = self.reach(arrival, agreeing);
        let pursued = self.pursue(now, distance, reach, ciphertext);
        let (distance, plaintext) = pursued.map_err(|discard| match discard {
            Discard::Implausible if reach == MAX_REACH => Discard::OutOfReach,
            other => other,
        })?;
        self.commit(arrival, distance);
        Ok(plaintext)
    }

    /// Tries the key at `distance` if it is near
    fn open_near(
        &mut self,
        now: Instant,
        distance: u16,
        ciphertext: &mut [u8],
    ) -> Result<Plaintext, Discard> {
        match distance {
            1 if self.lookahead.is_empty() => self.open_next(now, ciphertext),
            1..=MAX_NEAR => self.open_skipping(now, distance, ciphertext),
            _ => Err(Discard::TooFarAhead),
        }
    }

    /// Opens a frame on the undisturbed path: one step, and no key is kept
    fn open_next(&mut self, now: Instant, ciphertext: &mut [u8]) -> Result<Plaintext, Discard> {
        let key = self.chain.next(&self.key);
        self.stats.rekeyed(1);
        self.stats.tried(1);
        if let Some(plaintext) = plaintext::open(&self.chain, &key, ciphertext) {
            self.key = key;
            return Ok(plaintext);
        }
        self.meter.spend(1);
        self.lookahead.push_first(now, key);
        Err(Discard::Implausible)
    }

    fn open_skipping(
        &mut self,
        now: Instant,
        distance: u16,
        ciphertext: &mut [u8],
    ) -> Result<Plaintext, Discard> {
        let end = self.steps.saturating_add(distance.into());
        let distance = usize::from(distance);
        self.pay(now, self.lookahead.missing(distance))?;
        self.stats.tried(1);
        let key = self.lookahead.near(now, &self.chain, &self.key, distance);
        let plaintext = key.and_then(|key| plaintext::open(&self.chain, key, ciphertext));
        let plaintext = plaintext.ok_or(Discard::Implausible)?;
        self.skipped.keep(now, end, self.lookahead.take_near(distance.saturating_sub(1)));
        if let Some(key) = self.lookahead.take_near(1).next() {
            self.key = key;
        }
        Ok(plaintext)
    }

    /// Looks for the key at every distance up to `reach` that is `remainder` modulo 4096
    fn pursue(
        &mut self,
        now: Instant,
        remainder: u16,
        reach: u64,
        ciphertext: &mut [u8],
    ) -> Result<(u64, Plaintext), Discard> {
        let allowance = self.meter.take_allowance(now);
        let mut left = allowance;
        let pursuit = self.lookahead.pursuit(now, &self.key);
        let search = Search { remainder, reach, tried: &mut self.stats.keys_tried };
        let found = pursuit.follow(&self.chain, search, &mut left, ciphertext);
        self.meter.give_back(allowance, left);
        self.stats.rekeyed(allowance.saturating_sub(left));
        let (distance, plaintext) = found?;
        if let Some((key, skipped)) = self.lookahead.take_pursuit(distance) {
            let end = self.steps.saturating_add(distance);
            self.skipped.keep(now, end, skipped.into_iter());
            self.key = key;
        }
        Ok((distance, plaintext))
    }

    /// The largest distance ahead at which a peer is looked for if its frames are consistent but do
    /// not open
    fn reach(&self, arrival: Arrival, agreeing: u16) -> u64 {
        if agreeing >= MIN_PERSISTENT {
            return MAX_REACH;
        }
        // The peer has sent at most that many frames since; before the first one, in all.
        let sent = match self.sequence {
            Some(opened) => u64::from(arrival.sequence.wrapping_sub(opened)),
            None => u64::from(arrival.sequence).saturating_add(1),
        };
        sent.clamp(COUNTS.saturating_sub(1), MAX_REACH.saturating_sub(1))
    }

    /// Opens a late frame; or the next one, if the carrier's number of an earlier one was damaged
    ///
    /// The key of the count that was used last, or of one near behind it, is not looked for ahead: so
    /// nothing opens twice, and a duplicate costs nothing.
    fn open_behind(
        &mut self,
        now: Instant,
        arrival: Arrival,
        count: u16,
        ciphertext: &mut [u8],
    ) -> Result<Plaintext, Discard> {
        let opened = self.open_late(now, count, ciphertext);
        let distance = self.distance(count);
        if !matches!((&opened, distance), (Err(Discard::Late), 1..=MAX_NEAR)) {
            return opened;
        }
        let plaintext = self.open_near(now, distance, ciphertext).map_err(|_| Discard::Late)?;
        self.commit(arrival, distance.into());
        Ok(plaintext)
    }

    fn open_late(
        &mut self,
        now: Instant,
        count: u16,
        ciphertext: &mut [u8],
    ) -> Result<Plaintext, Discard> {
        self.skipped.expire(now);
        let behind = COUNTS.saturating_sub(self.distance(count).into());
        let steps = self.steps.checked_sub(behind).ok_or(Discard::Late)?;
        let key = self.skipped.get(steps).ok_or(Discard::Late)?;
        self.stats.tried(1);
        let plaintext =
            plaintext::open(&self.chain, key, ciphertext).ok_or(Discard::Implausible)?;
        self.skipped.forget(steps);
        self.stats.opened_late = self.stats.opened_late.saturating_add(1);
        Ok(plaintext)
    }

    /// Updates the state after a frame has opened `distance` ahead; its key is in place already
    fn commit(&mut self, arrival: Arrival, distance: u64) {
        self.steps = self.steps.saturating_add(distance);
        self.sequence = Some(arrival.sequence);
        self.skipped.follow(self.steps);
        self.lookahead.settle();
        self.run = ConsistentRun::default();
        self.meter.earn(distance);
        self.score /= 2;
    }

    /// Pays for the key changes of a small gap, for which the pursuit leaves a reserve
    fn pay(&mut self, now: Instant, steps: usize) -> Result<(), Discard> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        if steps > self.meter.tokens(now) {
            return Err(Discard::OverBudget);
        }
        self.meter.spend(steps);
        self.stats.rekeyed(steps);
        Ok(())
    }

    /// Steps from the frame opened furthest ahead to one with this count, modulo 4096
    fn distance(&self, count: u16) -> u16 {
        let [.., high, low] = self.steps.to_be_bytes();
        let next = u16::from_be_bytes([high, low]);
        count.wrapping_add(1).wrapping_sub(next) & COHERENCY_COUNT
    }
}

/// Distance up to which a key is tried at once
const MAX_NEAR: u16 = 512;
/// Consistent frames that are needed before the chain is followed further than that
const MIN_CONSISTENT: u16 = 3;
/// Consistent frames that are needed before the carrier's sequence numbers are doubted
///
/// Linux consumes a coherency count, but no sequence number, for a packet it has no route for.
const MIN_PERSISTENT: u16 = 16;
/// The farthest that the chain is ever followed, in frames
const MAX_REACH: u64 = 1 << 20;

/// Addition to the score for a frame with a wrong D or A bit, as in Linux; a good frame halves the
/// score
const VIOLATION_SCORE: u16 = 100;
const SCORE_LIMIT: u16 = 1600;

#[cfg(test)]
mod tests;
