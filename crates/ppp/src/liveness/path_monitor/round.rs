//! A proof: pings with LCP echoes beside them, until one is answered or the path is judged dead

use std::time::{Duration, Instant};

use super::evidence::Evidence;

/// The most pings of one proof
pub(crate) const MAX_ATTEMPTS: u8 = 10;

/// A proof that waits for its answer
#[derive(Debug)]
pub(crate) struct Round {
    is_first: bool,
    /// True if only routers' errors answer, which may not be asked for as often as pings
    by_routers: bool,
    began: Instant,
    attempts: Vec<Attempt>,
    next: Option<Instant>,
    /// True if the peer has complained since it began
    is_complained_of: bool,
    /// The time at which the link ends unless an answer comes before
    verdict: Option<Instant>,
    /// The longest time that an echo of it took
    slowest: Duration,
}

/// A ping, and the Echo-Request beside it
#[derive(Clone, Copy, Debug)]
struct Attempt {
    at: Instant,
    sequence: u16,
    echo: Option<u8>,
    is_echoed: bool,
}

/// The next action of a round
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoundAction {
    /// Another ping
    Attempt { echo: bool },
    /// The end of the link
    Dead,
    /// The end of the round, without an answer and without a verdict
    Over,
    /// No step is due
    Later,
}

impl Round {
    pub(crate) const fn new(now: Instant, is_first: bool, by_routers: bool) -> Self {
        Self {
            is_first,
            by_routers,
            began: now,
            attempts: Vec::new(),
            next: Some(now),
            is_complained_of: false,
            verdict: None,
            slowest: Duration::ZERO,
        }
    }

    pub(crate) const fn is_first(&self) -> bool {
        self.is_first
    }

    /// Pings so far
    pub(crate) fn attempts(&self) -> u8 {
        u8::try_from(self.attempts.len()).unwrap_or(u8::MAX)
    }

    /// Echo-Requests beside them that were answered
    pub(crate) fn echoes(&self) -> u8 {
        let echoed = self.attempts.iter().filter(|attempt| attempt.is_echoed).count();
        u8::try_from(echoed).unwrap_or(u8::MAX)
    }

    /// The time at which the ping with this number left, if it belongs to this round
    pub(crate) fn sent_at(&self, sequence: u16) -> Option<Instant> {
        let attempt = self.attempts.iter().find(|attempt| attempt.sequence == sequence);
        attempt.map(|attempt| attempt.at)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.next, self.verdict].into_iter().flatten().min()
    }

    pub(crate) fn attempted(&mut self, now: Instant, sequence: u16, echo: Option<u8>) {
        self.attempts.push(Attempt { at: now, sequence, echo, is_echoed: false });
        self.next = now.checked_add(self.pause());
    }

    /// The time from one ping to the next
    fn pause(&self) -> Duration {
        let pauses: &[u64] = if self.is_first { &FIRST_PAUSES_MILLIS } else { &[] };
        let pause = pauses.get(self.attempts.len().saturating_sub(1)).copied();
        let later = if self.by_routers { ROUTER_PAUSE_MILLIS } else { PAUSE_MILLIS };
        Duration::from_millis(pause.unwrap_or(later))
    }

    /// Notes that an Echo-Request was answered
    ///
    /// The line works. If that goes on, pings that stay without an answer do so inside the link. A line
    /// that loses echoes as well needs more of them. Where echoes came late the answers to the pings have as
    /// much time: a peer that stood still answers all that it was asked at once, and in any order.
    pub(crate) fn echo_answered(
        &mut self,
        now: Instant,
        id: u8,
        round_trip: Duration,
        may_be_judged: bool,
    ) {
        let asked = self.attempts.iter_mut().find(|attempt| attempt.echo == Some(id));
        let Some(attempt) = asked.filter(|attempt| !attempt.is_echoed) else { return };
        attempt.is_echoed = true;
        self.slowest = self.slowest.max(now.saturating_duration_since(attempt.at));
        let last = self.attempts.iter().rposition(|attempt| attempt.is_echoed).unwrap_or_default();
        let lost = self.attempts.iter().take(last).filter(|attempt| !attempt.is_echoed).count();
        let wanted =
            if lost == 0 { MIN_ECHOES } else { MIN_ECHOES.saturating_add(2).saturating_add(lost) };
        if may_be_judged && usize::from(self.echoes()) >= wanted && !self.is_first {
            let grace = LAST_PING_WAIT.max(round_trip).max(self.slowest);
            self.verdict = self.verdict.or_else(|| now.checked_add(grace));
        }
    }

    /// Notes that the peer complained once more
    ///
    /// The line may have become slower than any round trip that was measured: no ping counts as
    /// unanswered before an Echo-Request beside it was answered, or the longest time has passed that an
    /// answer may take.
    pub(crate) fn complained(&mut self, now: Instant, evidence: &Evidence, round_trip: Duration) {
        let least = if self.is_first { FIRST_COMPLAINT_TIME } else { LATER_COMPLAINT_TIME };
        let pinged = self.attempts.iter().filter(|attempt| attempt.at >= evidence.since()).count();
        self.is_complained_of = true;
        let was_time_enough =
            self.is_first || self.echoes() > 0 || evidence.lasted() >= MAX_ROUND_TRIP;
        if pinged >= MIN_PINGS && was_time_enough && evidence.is_enough(least, round_trip) {
            self.verdict = self.verdict.or(Some(now));
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, most: u8, slept: bool) -> RoundAction {
        if self.verdict.is_some_and(|verdict| verdict <= now) {
            if !slept {
                return RoundAction::Dead;
            }
            self.verdict = now.checked_add(LAST_PING_WAIT);
        }
        if self.next.is_none_or(|next| next > now) {
            return RoundAction::Later;
        }
        let is_silent = self.echoes() == 0 && !self.is_complained_of;
        let most = if is_silent { most.min(SILENT_ATTEMPTS) } else { most };
        let most = if self.is_first { FIRST_ATTEMPTS } else { most };
        let is_over = if self.is_first {
            now.saturating_duration_since(self.began) >= FIRST_PROOF_TIME
        } else {
            self.attempts() >= most
        };
        match (is_over, self.attempts() >= most) {
            (true, _) if self.verdict.is_none() => RoundAction::Over,
            (false, false) => RoundAction::Attempt { echo: !self.is_first },
            _ => {
                let end = self.is_first.then(|| self.began.checked_add(FIRST_PROOF_TIME)).flatten();
                self.next = end.filter(|end| *end > now);
                RoundAction::Later
            }
        }
    }
}

/// The time after coming up in which the path is proven, or is reported as unproven
const FIRST_PROOF_TIME: Duration = Duration::from_secs(3);
/// Pauses of the first proof, those of a SYN: pppd's interface takes packets some milliseconds late
const FIRST_PAUSES_MILLIS: [u64; 5] = [100, 200, 400, 500, 800];
const FIRST_ATTEMPTS: u8 = 6;
/// Pause of a later proof, in milliseconds
const PAUSE_MILLIS: u64 = 1000;
/// Pause of a later proof that only routers' errors can answer
///
/// Routers limit their errors. Linux gives one away each second, or each two seconds where it has no route for the
/// packet. There a question that it does not answer costs half of an answer: asked each second it never answers again.
const ROUTER_PAUSE_MILLIS: u64 = 3000;
/// The most pings of one proof while no echo is answered either: the line is down then
const SILENT_ATTEMPTS: u8 = 5;
/// Answered echoes beside unanswered pings that condemn a link, if none was lost between them
const MIN_ECHOES: usize = 4;
/// Unanswered pings that condemn a link whose peer complains
const MIN_PINGS: usize = 3;
/// The longest round trip of a line that is alive
const MAX_ROUND_TRIP: Duration = Duration::from_secs(8);
/// The time for which a peer complains before that counts, right after coming up and later
const FIRST_COMPLAINT_TIME: Duration = Duration::from_secs(1);
const LATER_COMPLAINT_TIME: Duration = Duration::from_secs(3);
/// The time in which the last ping may still be answered after the last echo
const LAST_PING_WAIT: Duration = Duration::from_millis(500);
