//! The peer's sequence numbers, and the acknowledgments that we owe it (RFC 2637 section 4.3)

use std::time::{Duration, Instant};

use pptp_packet::Counter;

/// The place of a sequence number relative to the highest one committed
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Ahead of it, or the first of the call
    Ahead,
    /// Behind it: a late frame, or an old duplicate
    Behind,
}

/// The requirement that a payload must meet before a [`Verdict`] may be committed
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// An accepted payload: one that was opened by MPPE, or a well-formed PPP control frame
    AcceptedPayload,
    /// Opened by MPPE to a plausible packet: the number lies beyond the forward-jump guard, where
    /// a well-formed frame alone proves nothing
    DecryptedPayload,
}

/// A provisional judgment on one sequence number, to be committed if the payload is accepted
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a verdict counts only once it is committed"]
pub struct Verdict {
    /// The sequence number judged
    pub sequence: u32,
    /// Its place relative to the highest number committed
    pub order: Order,
    /// The requirement that its payload must meet
    pub requirement: Requirement,
    /// True if later numbers are counted from this one, and no longer from the highest one
    new_base: bool,
}

/// Reasons why a datagram carries nothing for the layer above
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// The datagram has no sequence number: a bare acknowledgment
    #[error("no sequence number")]
    Unsequenced,
    /// Its sequence number is one of the latest 64 and was committed before
    #[error("duplicate sequence number")]
    Duplicate,
}

/// The effect of committing a verdict
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    /// The next number, or one ahead that passes over `missing` others
    Next { missing: u32 },
    /// A number that is a new base
    Jump,
    /// A number behind the highest
    Late,
    /// A number that was committed before
    Repeated,
}

/// The receiving side of a session
#[derive(Debug, Default)]
pub(crate) struct Receive {
    highest: Option<u32>,
    /// Bit n is set if the number `highest - n` was committed
    seen: u64,
    candidate: Option<Candidate>,
    /// Numbers committed since the last acknowledgment
    unacknowledged: u32,
    acknowledge_by: Option<Instant>,
}

/// Datagrams at another place of the number space, which may be the peer's new stream
#[derive(Clone, Copy, Debug)]
struct Candidate {
    next: u32,
    in_sequence: u8,
}

impl Receive {
    pub(crate) fn check(&mut self, sequence: u32) -> Result<Verdict, Discard> {
        let Some(distance) = self.distance(sequence) else {
            return Ok(Verdict::new(sequence, Order::Ahead, Requirement::AcceptedPayload));
        };
        if self.has_seen(distance) {
            return Err(Discard::Duplicate);
        }
        if (1..=MAX_DISTANCE).contains(&distance) {
            return Ok(Verdict::new(sequence, Order::Ahead, Requirement::AcceptedPayload));
        }
        if self.note_candidate(sequence) >= MIN_NEW_STREAM {
            return Ok(Verdict::new_base(sequence, Requirement::AcceptedPayload));
        }
        Ok(if distance.is_positive() {
            Verdict::new_base(sequence, Requirement::DecryptedPayload)
        } else if distance >= -MAX_DISTANCE {
            Verdict::new(sequence, Order::Behind, Requirement::AcceptedPayload)
        } else {
            Verdict::new(sequence, Order::Behind, Requirement::DecryptedPayload)
        })
    }

    pub(crate) fn commit(&mut self, now: Instant, verdict: Verdict) -> Committed {
        let distance = self.distance(verdict.sequence);
        if distance.is_none_or(|distance| distance >= -MAX_LATE_DISTANCE) {
            self.candidate = None;
        }
        match distance {
            _ if verdict.new_base => {
                self.advance(now, verdict.sequence);
                self.seen = 1;
                Committed::Jump
            }
            Some(distance) if self.has_seen(distance) => Committed::Repeated,
            Some(distance @ ..=0) => {
                self.seen |= bit(distance);
                Committed::Late
            }
            distance => {
                let distance = distance.map_or(1, i32::unsigned_abs);
                self.advance(now, verdict.sequence);
                self.seen = self.seen.checked_shl(distance).unwrap_or(0) | 1;
                Committed::Next { missing: distance.saturating_sub(1) }
            }
        }
    }

    /// Takes the number to acknowledge, if an acknowledgment is owed
    pub(crate) fn take_acknowledgment(&mut self) -> Option<u32> {
        let owed = self.highest.filter(|_| self.unacknowledged > 0);
        self.unacknowledged = 0;
        self.acknowledge_by = None;
        owed
    }

    /// Returns true if an acknowledgment should be sent without waiting for a datagram with data
    pub(crate) fn is_acknowledgment_due(&self, now: Instant) -> bool {
        self.unacknowledged >= MAX_UNACKNOWLEDGED || self.acknowledge_by.is_some_and(|by| by <= now)
    }

    pub(crate) const fn acknowledge_by(&self) -> Option<Instant> {
        self.acknowledge_by
    }

    fn advance(&mut self, now: Instant, sequence: u32) {
        self.highest = Some(sequence);
        self.unacknowledged.increment();
        self.acknowledge_by = now.checked_add(ACKNOWLEDGMENT_DELAY);
    }

    /// Counts datagrams in sequence that are not ahead within reach
    ///
    /// Late ones are committed and end the count. So it reaches eight only where the highest number
    /// is not the peer's: a forged control frame or a damaged header put it there, or the first one
    /// was forged.
    fn note_candidate(&mut self, sequence: u32) -> u8 {
        let in_sequence = match self.candidate {
            Some(candidate) if candidate.next == sequence => {
                candidate.in_sequence.saturating_add(1)
            }
            _ => 1,
        };
        self.candidate = Some(Candidate { next: sequence.wrapping_add(1), in_sequence });
        in_sequence
    }

    pub(crate) const fn highest(&self) -> Option<u32> {
        self.highest
    }

    /// The distance of `sequence` ahead of the highest committed number; negative behind it
    fn distance(&self, sequence: u32) -> Option<i32> {
        self.highest.map(|highest| sequence.wrapping_sub(highest).cast_signed())
    }

    fn has_seen(&self, distance: i32) -> bool {
        self.seen & bit(distance) != 0
    }
}

impl Verdict {
    /// Returns true if later numbers are counted from this one
    pub const fn is_new_base(&self) -> bool {
        self.new_base
    }

    /// A verdict for a number that was committed before, with a payload that may be another one
    pub(crate) const fn repeated(sequence: u32) -> Self {
        Self::new(sequence, Order::Behind, Requirement::DecryptedPayload)
    }

    const fn new(sequence: u32, order: Order, requirement: Requirement) -> Self {
        Self { sequence, order, requirement, new_base: false }
    }

    const fn new_base(sequence: u32, requirement: Requirement) -> Self {
        Self { sequence, order: Order::Ahead, requirement, new_base: true }
    }
}

/// The bit of a number at or behind the highest; 0 for a number that [`Receive::seen`] does not reach
fn bit(distance: i32) -> u64 {
    if distance > 0 { 0 } else { 1_u64.checked_shl(distance.unsigned_abs()).unwrap_or(0) }
}

/// The largest distance to the highest committed number, ahead or behind, at which a datagram still
/// belongs to the stream
const MAX_DISTANCE: i32 = 6000;

/// Datagrams in sequence, none of them committed, that begin a new stream
const MIN_NEW_STREAM: u8 = 8;

/// The largest distance behind the highest number at which a datagram counts as late. If one that
/// is farther behind is accepted, then the highest number is not the peer's, because MPPE keeps no
/// more keys of late frames.
const MAX_LATE_DISTANCE: i32 = 256;

/// Committed numbers that may wait for an acknowledgment; with that many, one is due at once
const MAX_UNACKNOWLEDGED: u32 = 2;

/// The time that a single number may wait; FreeBSD's and Windows's windows stall much above that
const ACKNOWLEDGMENT_DELAY: Duration = Duration::from_millis(100);
