//! The times at which proofs are asked for

use std::time::{Duration, Instant};

/// The time for which users send without an answer before a proof is asked for
pub(super) const SILENCE_BEFORE_PROOF: Duration = Duration::from_secs(3);

/// The time of the latest round, and what asks for the next one
#[derive(Debug)]
pub(super) struct Schedule {
    latest_round: Option<Instant>,
    /// The first packet of a user since something of the peer opened
    unanswered_since: Option<Instant>,
}

/// The tries that a peer has that has never answered a proof
///
/// Apart from [`Schedule`], beside whose times these two octets would take eight in each link.
#[derive(Debug)]
pub(super) struct Tries {
    /// True if users have sent since the latest round, and the peer is to be asked again for that
    asks_again: bool,
    /// Times that the peer is still asked although users get answers
    left: u8,
}

impl Tries {
    pub(super) const fn new() -> Self {
        Self { asks_again: false, left: MAX_UNPROVEN_TRIES }
    }

    /// Lets the peer be asked as often as at first
    pub(super) const fn renew(&mut self) {
        self.left = MAX_UNPROVEN_TRIES;
    }

    /// Forgets that the peer is to be asked again
    pub(super) const fn stop(&mut self) {
        self.asks_again = false;
    }

    /// Notes that a user waits for an answer
    pub(super) const fn wait_for_answer(&mut self, is_provable: bool) {
        self.asks_again = !is_provable && self.left > 0;
    }

    /// Counts the round that is due as a try, if it asks the peer again
    pub(super) fn use_one(&mut self) {
        if std::mem::take(&mut self.asks_again) {
            self.left = self.left.saturating_sub(1);
        }
    }
}

impl Schedule {
    pub(super) const fn new() -> Self {
        Self { latest_round: None, unanswered_since: None }
    }

    /// Forgets the latest round and all that asks for another
    pub(super) const fn stop(&mut self) {
        (self.latest_round, self.unanswered_since) = (None, None);
    }

    /// Notes that a user waits for an answer; returns true if none did before
    pub(super) const fn wait_for_answer(&mut self, now: Instant) -> bool {
        if self.unanswered_since.is_some() {
            return false;
        }
        self.unanswered_since = Some(now);
        true
    }

    /// Notes that something of the peer opened
    pub(super) const fn answered(&mut self) {
        self.unanswered_since = None;
    }

    /// Notes the beginning of a round
    pub(super) const fn begin(&mut self, now: Instant) {
        self.latest_round = Some(now);
    }

    /// The time of the latest round, if it began after `heard`
    pub(super) fn asked_since(&self, heard: Option<Instant>) -> Option<Instant> {
        self.latest_round.filter(|at| heard.is_none_or(|heard| *at > heard))
    }

    /// The earliest time of a round that a complaint asks for
    pub(super) fn next_for_complaint(&self) -> Option<Instant> {
        self.latest_round.and_then(|at| at.checked_add(BETWEEN_ROUNDS))
    }

    /// The time at which the next round is due; `evidence` is the time of the first complaint
    pub(super) fn next(
        &self,
        evidence: Option<Instant>,
        is_provable: bool,
        tries: &Tries,
    ) -> Option<Instant> {
        let is_judged = is_provable || evidence.is_some();
        let pause = if is_judged { BETWEEN_ROUNDS } else { BETWEEN_UNANSWERED_ROUNDS };
        let earliest = self.latest_round.and_then(|at| at.checked_add(pause));
        let wanted = match (evidence, self.unanswered_since) {
            (Some(since), _) => Some(since),
            (None, _) if tries.asks_again && !is_provable => self.latest_round,
            (None, since) => since.and_then(|since| since.checked_add(SILENCE_BEFORE_PROOF)),
        };
        wanted.map(|wanted| earliest.map_or(wanted, |earliest| earliest.max(wanted)))
    }
}

/// The least time from one proof to the next
///
/// With the 4 s that a verdict takes, a path that dies right after a proof is found within 15 s; with the 10 s that it
/// takes by routers' errors, within 23 s.
const BETWEEN_ROUNDS: Duration = Duration::from_secs(10);
/// The least time between proofs with a peer that has never answered one
const BETWEEN_UNANSWERED_ROUNDS: Duration = Duration::from_mins(1);
/// Times that a peer that answers no proof is asked again while users get answers: the packets sent
/// right after coming up may have been lost, and only a peer that has answered is judged by its silence
const MAX_UNPROVEN_TRIES: u8 = 3;
