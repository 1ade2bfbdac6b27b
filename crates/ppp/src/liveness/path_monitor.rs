//! Weighs the evidence on whether packets pass inside a link that is up
//!
//! LCP echoes go in the clear, so they say nothing of the encrypted path. This machine asks for a
//! **proof** instead: an answer to a ping of the peer's inner address, or the ICMP error that a
//! router owes to a packet whose TTL ends there. It asks
//!
//! - once after the link came up,
//! - when the peer says that it cannot open our packets (**explicit evidence**),
//! - when users send and nothing of the peer opens (**silence**).
//!
//! Both directions are judged apart. A packet of the peer that opens ends a silence, and says
//! nothing about our own packets: explicit evidence is refuted by a proof only, if the peer has ever
//! given one. Silence counts only while the peer answers LCP Echo-Requests that are sent beside the
//! proof; otherwise the line may be down, and the echo policy decides.
//!
//! A link on which users get answers sends nothing of all this.

mod evidence;
mod reachability;
mod round;
mod schedule;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::liveness::proof::{Answered, Mark, ProofAnswer};
pub(crate) use evidence::Complaint;
use evidence::Evidence;
pub use evidence::NothingPasses;
pub use reachability::{Proof, Reachability};
use round::Round;
use schedule::{SILENCE_BEFORE_PROOF, Schedule, Tries};

/// The state of the data path of one link
#[derive(Debug)]
pub(crate) struct PathMonitor {
    is_enabled: bool,
    mark: Mark,
    reachability: Reachability,
    /// True if the peer has answered a proof, on this link or on one that the owner remembers
    is_provable: bool,
    /// True if a frame of ours has left since the latest complaint
    has_sent: bool,
    /// Number of the latest proof packet
    sequence: u16,
    schedule: Schedule,
    tries: Tries,
    /// The next time to look; it is not moved by every packet
    deadline: Option<Instant>,
    round: Option<Box<Round>>,
    evidence: Option<Box<Evidence>>,
}

/// The action that a deadline calls for
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProofStep {
    /// Send proof packets; with an LCP Echo-Request beside them if `echo`
    Prove { echo: bool },
    /// The first proof was not answered within 3 s
    Unproven,
    /// End the link
    Dead(NothingPasses),
}

/// The packets of one attempt to prove the path
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttemptPackets {
    /// Copies of each packet
    pub(crate) copies: u8,
    /// True if a packet that routers turn back goes with the ping
    pub(crate) asks_routers: bool,
}

impl PathMonitor {
    pub(crate) const fn new(is_enabled: bool, is_provable: bool) -> Self {
        Self {
            is_enabled,
            mark: Mark { cookie: [0; 8] },
            reachability: Reachability::Unknown,
            is_provable,
            has_sent: false,
            sequence: 0,
            schedule: Schedule::new(),
            tries: Tries::new(),
            deadline: None,
            round: None,
            evidence: None,
        }
    }

    /// Begins the first proof, since the link came up
    pub(crate) fn start(&mut self, now: Instant, cookie: [u8; 8]) {
        self.stop();
        if self.is_enabled {
            self.mark = Mark { cookie };
            self.reachability = Reachability::Unknown;
            self.tries.renew();
            self.begin_round(now, true);
        }
    }

    /// Stops, since packets do not pass any more: the link is negotiated anew, or has ended
    pub(crate) fn stop(&mut self) {
        (self.round, self.evidence) = (None, None);
        (self.has_sent, self.deadline) = (false, None);
        self.schedule.stop();
        self.tries.stop();
    }

    pub(crate) const fn reachability(&self) -> Reachability {
        self.reachability
    }

    /// Returns true if the path is proven at all
    pub(crate) const fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// Returns true if the peer has ever answered a proof, as far as is known
    pub(crate) const fn is_provable(&self) -> bool {
        self.is_enabled && self.is_provable
    }

    /// Returns the mark of this link's proof packets
    pub(crate) const fn mark(&self) -> Mark {
        self.mark
    }

    /// Notes that a packet of a user leaves, and if it wants an answer
    pub(crate) fn sent(&mut self, now: Instant, wants_answer: bool) {
        self.has_sent = true;
        if wants_answer {
            self.wait_for_answer(now);
        }
    }

    /// Notes a packet of the peer that did not open
    ///
    /// The remote network sends, so something should open. Where nothing does, users may wait for
    /// data that they do not ask for again.
    pub(crate) fn unopened(&mut self, now: Instant) {
        self.wait_for_answer(now);
    }

    fn wait_for_answer(&mut self, now: Instant) {
        if self.is_enabled && self.schedule.wait_for_answer(now) {
            self.tries.wait_for_answer(self.is_provable);
            self.deadline = self.deadline.or_else(|| now.checked_add(SILENCE_BEFORE_PROOF));
        }
    }

    /// Notes that a proof packet leaves
    pub(crate) const fn sent_proof(&mut self) {
        self.has_sent = true;
    }

    /// Returns true if complaints may mean that the two ends never had the same keys
    ///
    /// Right after coming up, as long as nothing was proven; always where proofs are switched off.
    pub(crate) fn may_have_wrong_key(&self) -> bool {
        !self.is_enabled || self.is_first_proof_open()
    }

    /// Returns true if the first proof has been asked for and has no result yet
    pub(crate) fn is_first_proof_open(&self) -> bool {
        let is_first = self.round.as_ref().is_some_and(|round| round.is_first());
        is_first && self.reachability == Reachability::Unknown
    }

    /// Notes a packet of the peer that opened and is no answer to a proof
    ///
    /// True if it is the first sign that packets pass.
    pub(crate) fn opened(&mut self) -> bool {
        self.schedule.answered();
        if self.evidence.is_some() && self.is_provable {
            // it says nothing of our own direction
        } else if self.round.as_ref().is_some_and(|round| !round.is_first()) {
            self.end_round();
        } else {
            self.evidence = None;
        }
        self.prove_by(Proof::Traffic)
    }

    /// Takes an answer to a proof; returns the time that it took, if that is known
    pub(crate) fn answered(&mut self, now: Instant, answered: Answered) -> Option<Duration> {
        let (answer, sequence) = answered;
        let round = self.round.as_ref();
        let took = round.and_then(|round| round.sent_at(sequence));
        let took = took.map(|at| now.saturating_duration_since(at));
        let is_new = self.round.is_some() && took.is_none();
        if is_new && self.evidence.is_some() {
            // an answer to a proof of an earlier round refutes nothing
            return None;
        }
        self.schedule.answered();
        self.is_provable = true;
        self.end_round();
        if answer == ProofAnswer::EchoReply {
            self.reachability = Reachability::Proven(Proof::Ping);
        } else if self.reachability != Reachability::Proven(Proof::Ping) {
            self.reachability = Reachability::Proven(Proof::RouterError);
        }
        took
    }

    /// Notes that the peer answered the LCP Echo-Request with this identifier
    pub(crate) fn echo_answered(&mut self, now: Instant, id: u8, round_trip: Duration) {
        let may_be_judged = self.is_provable;
        if let Some(round) = &mut self.round {
            round.echo_answered(now, id, round_trip, may_be_judged);
            self.deadline = round.deadline();
        }
    }

    /// Notes that the peer says that it cannot open our packets
    ///
    /// Counted only after frames of ours; asks for a proof.
    pub(crate) fn complain(&mut self, now: Instant, complaint: Complaint, round_trip: Duration) {
        if !self.is_enabled || !self.has_sent {
            return;
        }
        self.has_sent = false;
        let evidence = self.evidence.get_or_insert_with(|| Box::new(Evidence::new(now)));
        evidence.count(now, complaint);
        if let Some(round) = &mut self.round {
            round.complained(now, evidence, round_trip);
            self.deadline = round.deadline();
        } else {
            let earliest = self.schedule.next_for_complaint();
            let at = earliest.map_or(now, |earliest| earliest.max(now));
            self.deadline = Some(self.deadline.map_or(at, |deadline| deadline.min(at)));
        }
    }

    /// Notes what was sent for [`ProofStep::Prove`]: the number of the first proof packet, and the
    /// identifier of the Echo-Request
    pub(crate) fn proving(&mut self, now: Instant, echo: Option<u8>) -> u16 {
        self.sequence = self.sequence.wrapping_add(1);
        if let Some(round) = &mut self.round {
            round.attempted(now, self.sequence, echo);
            self.deadline = round.deadline();
        }
        self.sequence
    }

    /// Returns the packets of the next attempt of the current round
    ///
    /// One ping first: most servers need no more. Later attempts are sent twice, so that a line that loses
    /// packets is not taken for a silence: the Echo-Request beside them has to pass only once.
    pub(crate) fn attempt_packets(&self) -> AttemptPackets {
        let attempts = self.round.as_ref().map_or(0, |round| round.attempts());
        let is_first_round = self.round.as_ref().is_none_or(|round| round.is_first());
        let answers_pings =
            is_first_round || self.reachability == Reachability::Proven(Proof::Ping);
        let copies = if attempts > 0 && !is_first_round { 2 } else { 1 };
        AttemptPackets { copies, asks_routers: attempts > 0 || !answers_pings }
    }

    /// Performs the step that is due at `now`
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<ProofStep> {
        let struck = self.deadline.filter(|deadline| *deadline <= now)?;
        if self.round.is_none() {
            let due = self.next_round();
            if due.is_none_or(|due| due > now) {
                self.deadline = due;
                return None;
            }
            self.tries.use_one();
            self.begin_round(now, false);
        }
        let slept = now.saturating_duration_since(struck) > SLEPT_THROUGH;
        let max_wait =
            if self.is_provable || self.evidence.is_some() { PROVABLE_ATTEMPTS } else { 2 };
        let round = self.round.as_mut()?;
        match round.handle_timeout(now, max_wait, slept) {
            round::RoundAction::Attempt { echo } => {
                // the deadline follows when it is sent
                self.deadline = None;
                return Some(ProofStep::Prove { echo });
            }
            round::RoundAction::Dead => {
                let (pings, echoes) = (round.attempts(), round.echoes());
                let verdict = self
                    .evidence
                    .as_deref()
                    .map_or(NothingPasses::Silence { pings, echoes }, |evidence| {
                        evidence.verdict(pings)
                    });
                self.stop();
                return Some(ProofStep::Dead(verdict));
            }
            round::RoundAction::Over => {
                let was_first = round.is_first();
                self.end_round();
                if was_first && self.reachability == Reachability::Unknown {
                    self.reachability = Reachability::Unproven;
                    return Some(ProofStep::Unproven);
                }
            }
            round::RoundAction::Later => self.deadline = round.deadline(),
        }
        None
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn prove_by(&mut self, proof: Proof) -> bool {
        let is_news = !matches!(self.reachability, Reachability::Proven(_));
        if is_news && self.is_enabled {
            self.reachability = Reachability::Proven(proof);
        }
        is_news && self.is_enabled
    }

    /// The time of the latest proof that was asked for after `heard`
    pub(crate) fn asked_since(&self, heard: Option<Instant>) -> Option<Instant> {
        self.schedule.asked_since(heard)
    }

    /// Asks for a proof now, unless one is under way
    pub(crate) fn ask(&mut self, now: Instant) {
        if self.is_enabled && self.round.is_none() {
            self.begin_round(now, false);
        }
    }

    fn begin_round(&mut self, now: Instant, is_first: bool) {
        let by_routers = self.reachability == Reachability::Proven(Proof::RouterError);
        self.round = Some(Box::new(Round::new(now, is_first, by_routers)));
        self.schedule.begin(now);
        self.deadline = Some(now);
    }

    fn end_round(&mut self) {
        (self.round, self.evidence) = (None, None);
        self.deadline = self.next_round();
    }

    /// The time at which the next round is due
    fn next_round(&self) -> Option<Instant> {
        let evidence = self.evidence.as_ref().map(|evidence| evidence.since());
        self.schedule.next(evidence, self.is_provable, &self.tries)
    }
}

/// The most attempts of one proof with a peer that has answered one before, or that complains
const PROVABLE_ATTEMPTS: u8 = round::MAX_ATTEMPTS;
/// A deadline seen so much later was slept through, and answers may be there unread
const SLEPT_THROUGH: Duration = Duration::from_secs(1);
