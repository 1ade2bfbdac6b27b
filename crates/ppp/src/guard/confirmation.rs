//! Holds frames that would end or restart the link until the peer has confirmed them
//!
//! Control frames are in the clear, so anyone who can send a datagram in the peer's name can write
//! one. The peer itself can tell: one that has hung up or started over answers no Echo-Request and
//! sends nothing that opens, and one that has not does both. So such a frame waits, and the peer is
//! asked.
//!
//! | what comes | what follows |
//! |---|---|
//! | the answer to an Echo-Request sent after the frame | the frame is dropped: it was forged |
//! | a packet that opens and has a later number | the same |
//! | three Echo-Requests unanswered, 1.5 s at least | the frame counts |
//! | the control connection says that the call is over | a Terminate-Request counts |
//!
//! A peer that starts only an NCP anew still answers Echo-Requests. Its Configure-Request is not
//! dropped at the answer: it counts when it has come [`MIN_COPIES`] times and nothing opened between
//! them, which takes the 9 s of three restart timers. So does CCP's until the peer has used its keys; later
//! there are none for another beginning, so that believing it would end the link.

use std::time::{Duration, Instant};

use pptp_packet::Counter;

use crate::wire::{frame, packet::Code};

/// The frames that are asked about, at most [`MAX_FRAMES`] with one of each protocol and code
#[derive(Debug)]
pub(crate) struct Confirmation {
    frames: Vec<HeldFrame>,
    /// Time between two Echo-Requests
    interval: Duration,
    /// The time of the latest Echo-Request
    asked_at: Option<Instant>,
}

/// A frame that waits for its confirmation
#[derive(Debug)]
pub(crate) struct HeldFrame {
    /// The number of its protocol
    pub(crate) protocol: u16,
    /// Its packet; of several copies the latest, since the peer waits for an answer to that one
    pub(crate) information: Box<[u8]>,
    /// The carrier's number of the first copy
    sequence: u32,
    /// The time of the first copy
    since: Instant,
    copies: u8,
    /// The time of the latest copy that was counted
    copied_at: Instant,
    /// Echo-Requests sent since it came, and the identifier of the first
    asked: u8,
    first_question: Option<u8>,
    /// True if the peer has answered one: its LCP is open
    is_answered: bool,
    /// True if such an answer does not refute it
    survives_answers: bool,
}

/// The next step of a confirmation
#[derive(Debug)]
pub(crate) enum ConfirmationStep {
    /// Send an Echo-Request, and tell [`Confirmation::asked`]
    Ask,
    /// Act on this frame
    Confirmed(HeldFrame),
}

impl Confirmation {
    /// A confirmation without frames; `round_trip` is the shortest that was measured
    pub(crate) fn new(round_trip: Option<Duration>) -> Self {
        let two = round_trip.unwrap_or_default().saturating_mul(2);
        let interval = two.clamp(MIN_INTERVAL, MAX_INTERVAL);
        Self { frames: Vec::new(), interval, asked_at: None }
    }

    /// Returns true if no frame waits
    pub(crate) const fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Takes a frame that is not acted on yet; false if there is no room for it
    ///
    /// With `survives_answers` it may come from a peer whose LCP stays open.
    pub(crate) fn hold(
        &mut self,
        now: Instant,
        protocol: u16,
        information: &[u8],
        sequence: u32,
        survives_answers: bool,
    ) -> bool {
        let code = information.first();
        let is_copy =
            |it: &&mut HeldFrame| it.protocol == protocol && it.information.first() == code;
        if let Some(frame) = self.frames.iter_mut().find(is_copy) {
            frame.copy(now, information);
            return true;
        }
        if self.frames.len() >= MAX_FRAMES {
            return false;
        }
        let frame = HeldFrame::new(now, protocol, information, sequence);
        self.frames.push(HeldFrame { survives_answers, ..frame });
        true
    }

    /// Notes that an Echo-Request with this identifier was sent
    pub(crate) fn asked(&mut self, now: Instant, id: u8) {
        self.asked_at = Some(now);
        for frame in self.frames.iter_mut().filter(|frame| frame.needs_question()) {
            frame.asked.increment();
            frame.first_question.get_or_insert(id);
        }
    }

    /// Notes that the peer has answered the Echo-Request with this identifier
    pub(crate) fn answered(&mut self, id: u8) {
        for frame in &mut self.frames {
            frame.is_answered |= frame.was_asked_by(id);
        }
        self.frames.retain(|frame| !frame.is_answered || frame.survives_answers);
    }

    /// Notes that a packet with this number opened
    pub(crate) fn opened(&mut self, sequence: u32) {
        self.frames.retain(|frame| sequence.wrapping_sub(frame.sequence).cast_signed() <= 0);
    }

    /// Takes out the oldest frame with which a peer ends the link, because the control connection has
    /// ended
    pub(crate) fn take_ending_frame(&mut self) -> Option<HeldFrame> {
        let position = self.frames.iter().position(HeldFrame::is_ending_frame)?;
        Some(self.frames.remove(position))
    }

    /// Takes out the oldest frame, confirmed or not
    pub(crate) fn take_oldest(&mut self) -> Option<HeldFrame> {
        (!self.frames.is_empty()).then(|| self.frames.remove(0))
    }

    /// Performs the step that is due at `now`; called again until no step is left
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<ConfirmationStep> {
        let interval = self.interval;
        self.frames.retain(|frame| !frame.is_forgotten(now));
        for frame in &mut self.frames {
            frame.ask_again_if_slept(now, interval);
        }
        let position = self.frames.iter().position(|frame| frame.is_confirmed(now, interval));
        if let Some(position) = position {
            return Some(ConfirmationStep::Confirmed(self.frames.remove(position)));
        }
        self.ask_at().is_some_and(|at| at <= now).then_some(ConfirmationStep::Ask)
    }

    /// The time at which [`Confirmation::handle_timeout`] has a step
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let due = self.frames.iter().filter_map(|frame| frame.due(self.interval));
        due.chain(self.ask_at()).min()
    }

    /// The time at which the next Echo-Request is due
    fn ask_at(&self) -> Option<Instant> {
        let frame = self.frames.iter().find(|frame| frame.needs_question())?;
        let next = self.asked_at.and_then(|at| at.checked_add(self.interval));
        Some(next.map_or(frame.since, |next| next.max(frame.since)))
    }
}

impl HeldFrame {
    fn new(now: Instant, protocol: u16, information: &[u8], sequence: u32) -> Self {
        Self {
            protocol,
            information: information.into(),
            sequence,
            since: now,
            copies: 1,
            copied_at: now,
            asked: 0,
            first_question: None,
            is_answered: false,
            survives_answers: false,
        }
    }

    fn copy(&mut self, now: Instant, information: &[u8]) {
        self.information = information.into();
        if now.saturating_duration_since(self.copied_at) >= COPY_INTERVAL {
            self.copies.increment();
            self.copied_at = now;
        }
    }

    const fn needs_question(&self) -> bool {
        self.asked < MAX_QUESTIONS && !self.is_answered
    }

    /// Returns true if an Echo-Request with this identifier was sent after the frame came
    fn was_asked_by(&self, id: u8) -> bool {
        self.first_question.is_some_and(|first| id.wrapping_sub(first) < MAX_ID_DISTANCE)
    }

    fn code(&self) -> Code {
        self.information.first().copied().unwrap_or_default().into()
    }

    fn is_ending_frame(&self) -> bool {
        match self.protocol {
            frame::LCP | frame::CCP | frame::IPCP => self.code() == Code::TerminateRequest,
            frame::CHAP | frame::EAP => true,
            _ => false,
        }
    }

    /// The time at which the questions have been unanswered for long enough
    fn silent_until(&self, interval: Duration) -> Option<Instant> {
        let all = interval.saturating_mul(MAX_QUESTIONS.into());
        self.since.checked_add(all.max(MIN_SILENCE))
    }

    fn is_confirmed(&self, now: Instant, interval: Duration) -> bool {
        if self.is_answered {
            return self.copies >= MIN_COPIES;
        }
        self.asked >= MAX_QUESTIONS && self.silent_until(interval).is_some_and(|at| at <= now)
    }

    /// Returns true if it has not come often enough in time for a peer whose LCP stays open
    fn is_forgotten(&self, now: Instant) -> bool {
        self.is_answered && now.saturating_duration_since(self.since) >= MAX_WAIT
    }

    /// Asks again after a sleep: a deadline that is seen much too late was slept through, and the
    /// answer may be there unread
    fn ask_again_if_slept(&mut self, now: Instant, interval: Duration) {
        let due = self.silent_until(interval).filter(|_| !self.is_answered);
        if due.is_some_and(|due| now.saturating_duration_since(due) > SLEPT_THROUGH) {
            self.since = now;
            self.asked = 0;
        }
    }

    fn due(&self, interval: Duration) -> Option<Instant> {
        if !self.is_answered {
            return self.silent_until(interval).filter(|_| self.asked >= MAX_QUESTIONS);
        }
        if self.copies >= MIN_COPIES {
            return Some(self.copied_at);
        }
        self.since.checked_add(MAX_WAIT)
    }
}

/// Frames that wait at a time
const MAX_FRAMES: usize = 4;
/// Echo-Requests for one frame
const MAX_QUESTIONS: u8 = 3;
/// The shortest time between two Echo-Requests
const MIN_INTERVAL: Duration = Duration::from_millis(200);
/// The longest time between them: a round trip of more than a second is not waited for twice
const MAX_INTERVAL: Duration = Duration::from_secs(2);
/// The shortest silence that confirms
const MIN_SILENCE: Duration = Duration::from_millis(1500);
/// Times that a Configure-Request comes if LCP stays open, and the time between two that count: RFC
/// 1661's restart timer of 3 s, less the jitter of a line
const MIN_COPIES: u8 = 4;
const COPY_INTERVAL: Duration = Duration::from_millis(2500);
/// The time for which such a Configure-Request is remembered
const MAX_WAIT: Duration = Duration::from_secs(15);
/// A deadline seen so much later was slept through
const SLEPT_THROUGH: Duration = Duration::from_secs(1);
/// Identifiers up to here lie behind the first question, those above before it
const MAX_ID_DISTANCE: u8 = 128;

#[cfg(test)]
mod tests;
