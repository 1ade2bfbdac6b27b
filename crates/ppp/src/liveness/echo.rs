//! The LCP echoes that show whether the peer is still there (RFC 1661 §5.8)

use std::time::{Duration, Instant};

use pptp_packet::Counter;

use crate::{config::EchoPolicy, wire::packet::Packet};

/// The echoes of LCP: asks a silent peer, and does not ask one that sends anything
#[derive(Debug)]
pub(crate) struct Echo {
    /// A policy other than the default; boxed, since most links have the default
    policy: Option<Box<EchoPolicy>>,
    heard: Option<Instant>,
    /// The next time to look; it is not moved by every packet
    deadline: Option<Instant>,
    unanswered: u8,
    /// True from [`Self::ask_now`] until the peer is heard: the questions follow each other faster
    is_urgent: bool,
    /// The time and the identifier of the latest Echo-Request
    asked: Option<Instant>,
    id: u8,
    /// True if the peer has ever answered one
    has_answered: bool,
    /// Random octets in each Echo-Request; none in a server's
    token: Option<[u8; 4]>,
    /// True if the peer has repeated them once: then it has to every time
    repeats_token: bool,
}

/// The action that a silence calls for
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EchoAction {
    /// An Echo-Request
    Ask,
    /// The end: this many were not answered
    Dead(u8),
}

impl Echo {
    pub(crate) fn new(policy: EchoPolicy) -> Self {
        let policy = Some(policy).filter(|it| *it != EchoPolicy::default()).map(Box::new);
        Self {
            policy,
            heard: None,
            deadline: None,
            unanswered: 0,
            is_urgent: false,
            asked: None,
            id: 0,
            has_answered: false,
            token: None,
            repeats_token: false,
        }
    }

    fn policy(&self) -> EchoPolicy {
        self.policy.as_deref().copied().unwrap_or_default()
    }

    /// Adds secret octets behind the Magic-Number of each Echo-Request
    pub(crate) fn with_token(mut self, token: [u8; 4]) -> Self {
        self.token = Some(token);
        self
    }

    /// The octets of an Echo-Request behind its Magic-Number
    pub(crate) fn token(&self) -> &[u8] {
        self.token.as_ref().map_or(&[], |token| token)
    }

    /// Returns true if an Echo-Reply comes from a peer that has read one of our latest Echo-Requests
    ///
    /// pppd, accel-ppp and RFC 1661 §5.8 repeat what the request had. A peer that cuts it off is known
    /// by its Magic-Number, which it has told in LCP alone; one that has none, by the identifier.
    pub(crate) fn is_answer(
        &mut self,
        latest: u8,
        reply: &Packet<'_>,
        peer_magic: Option<u32>,
    ) -> bool {
        let is_recent = latest.wrapping_sub(reply.id) < MAX_OUTSTANDING;
        let rest = reply.data.get(4..).unwrap_or_default();
        if self.token.is_some_and(|token| rest.starts_with(&token)) {
            self.repeats_token |= is_recent;
            return is_recent;
        }
        let has_magic = |magic: u32| reply.data.starts_with(&magic.to_be_bytes());
        !self.repeats_token && reply.id == latest && peer_magic.is_none_or(has_magic)
    }

    /// Starts the echoes, since LCP is open
    pub(crate) fn start(&mut self, now: Instant) {
        let silence = self.policy().silence;
        if silence.is_zero() {
            return;
        }
        self.heard(now);
        self.deadline = now.checked_add(silence);
    }

    /// Asks the peer now, and then more often than by the policy, until it is heard
    ///
    /// The owner has a reason to think that it may be gone. Does nothing while the peer is asked in this way already,
    /// before LCP is open, and where echoes are switched off.
    pub(crate) const fn ask_now(&mut self, now: Instant) {
        if self.deadline.is_some() && !self.is_urgent {
            self.is_urgent = true;
            self.unanswered = 0;
            self.deadline = Some(now);
        }
    }

    /// Begins the wait anew, as if the peer had just been heard
    pub(crate) fn restart(&mut self, now: Instant) {
        (self.unanswered, self.is_urgent) = (0, false);
        self.deadline = now.checked_add(self.policy().silence);
    }

    /// Gives the peer the time of one more Echo-Request
    pub(crate) fn extend(&mut self, now: Instant) {
        self.deadline = now.checked_add(self.policy().interval.max(SLEPT_THROUGH));
    }

    /// Notes that an Echo-Request leaves
    pub(crate) const fn asked(&mut self, now: Instant, id: u8) {
        (self.asked, self.id) = (Some(now), id);
    }

    /// Takes an Echo-Reply; returns its round trip if it answers the latest request
    pub(crate) fn answered(&mut self, now: Instant, id: u8) -> Option<Duration> {
        self.has_answered = true;
        let at = self.asked.take_if(|_| self.id == id)?;
        Some(now.saturating_duration_since(at))
    }

    /// The time at which anything of the link came in last
    pub(crate) const fn last_heard(&self) -> Option<Instant> {
        self.heard
    }

    pub(crate) const fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Returns true if the latest Echo-Request is the last one before the peer counts as dead
    pub(crate) fn is_last_question(&self) -> bool {
        self.unanswered >= self.policy().unanswered
    }

    /// Stops the echoes, since LCP is not open any more
    pub(crate) const fn stop(&mut self) {
        self.deadline = None;
    }

    /// Notes that a frame came in
    pub(crate) const fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
        (self.unanswered, self.is_urgent) = (0, false);
    }

    /// Performs the action that is due at `now`
    ///
    /// An owner that sees a deadline much too late has slept, and the answer may be there unread:
    /// the peer is asked once more before it counts as dead.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<EchoAction> {
        let struck = self.deadline.filter(|deadline| *deadline <= now)?;
        let policy = self.policy();
        let silent_until = self.heard.and_then(|heard| heard.checked_add(policy.silence));
        if self.unanswered == 0 && !self.is_urgent && silent_until.is_some_and(|until| until > now)
        {
            self.deadline = silent_until;
            return None;
        }
        let slept = now.saturating_duration_since(struck) > SLEPT_THROUGH;
        if self.unanswered >= policy.unanswered && !slept {
            self.deadline = None;
            return Some(EchoAction::Dead(self.unanswered));
        }
        self.unanswered.increment();
        let most = if self.is_urgent { URGENT_INTERVAL } else { Duration::MAX };
        self.deadline = now.checked_add(policy.interval.min(most));
        Some(EchoAction::Ask)
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// Requests whose answers may still come
const MAX_OUTSTANDING: u8 = 16;
/// The time between two questions to a peer that may be gone: four times as long as a slow line's round trip
const URGENT_INTERVAL: Duration = Duration::from_secs(3);
/// A deadline seen so much later was slept through
const SLEPT_THROUGH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::epoch;

    const SECOND: Duration = Duration::from_secs(1);

    /// The moments at which something was done, in seconds
    fn run(echo: &mut Echo, start: Instant, heard_at: &[u32]) -> Vec<(u32, EchoAction)> {
        let mut done = Vec::new();
        for second in 0..200 {
            let now = start + second * SECOND;
            if heard_at.contains(&second) {
                echo.heard(now);
            }
            done.extend(echo.handle_timeout(now).map(|silence| (second, silence)));
        }
        done
    }

    #[test]
    fn a_silent_peer_is_asked_four_times_and_then_dead() {
        let now = epoch();
        let mut echo = Echo::new(EchoPolicy::default());
        echo.start(now);
        let asked = [30, 40, 50, 60].map(|second| (second, EchoAction::Ask));
        let expected = [&asked[..], &[(70, EchoAction::Dead(4))]].concat();
        assert_eq!(run(&mut echo, now, &[]), expected);
    }

    #[test]
    fn whoever_sends_anything_is_left_alone_for_as_long() {
        let now = epoch();
        let mut echo = Echo::new(EchoPolicy::default());
        echo.start(now);
        let done = run(&mut echo, now, &[20, 45, 76, 100, 125, 150, 175]);
        assert_eq!(done, [(75, EchoAction::Ask)], "30 s after 45, and answered at once");
    }

    #[test]
    fn a_peer_that_is_asked_now_is_dead_after_twelve_seconds_or_left_alone() {
        let now = epoch();
        let mut echo = Echo::new(EchoPolicy::default());
        echo.ask_now(now);
        assert_eq!(echo.deadline(), None, "LCP is not open");
        let asked = [10, 13, 16, 19].map(|second| (second, EchoAction::Ask));
        let dead = [&asked[..], &[(22, EchoAction::Dead(4))]].concat();
        for (heard_at, expected) in
            [(None, dead), (Some(11), vec![asked[0], (41, EchoAction::Ask)])]
        {
            let mut echo = Echo::new(EchoPolicy::default());
            echo.start(now);
            let mut done = Vec::new();
            for second in 0..45 {
                let at = now + second * SECOND;
                if second == 10 || second == 14 && heard_at.is_none() {
                    // a second call changes nothing
                    echo.ask_now(at);
                }
                if heard_at == Some(second) {
                    echo.heard(at);
                }
                done.extend(echo.handle_timeout(at).map(|action| (second, action)));
            }
            assert_eq!(done, expected);
        }
    }

    #[test]
    fn a_peer_that_was_asked_by_the_policy_gets_all_its_chances_when_it_is_asked_now() {
        let now = epoch();
        let mut echo = Echo::new(EchoPolicy::default());
        echo.start(now);
        for second in [30, 40, 50, 60] {
            assert_eq!(echo.handle_timeout(now + second * SECOND), Some(EchoAction::Ask));
        }
        echo.ask_now(now + 69 * SECOND);
        let mut actions = (69..90).filter_map(|second| echo.handle_timeout(now + second * SECOND));
        assert_eq!(actions.by_ref().take_while(|it| *it == EchoAction::Ask).count(), 4);
    }

    #[test]
    fn a_clock_that_jumps_kills_nobody() {
        let now = epoch();
        let mut echo = Echo::new(EchoPolicy::default());
        echo.start(now);
        for second in [30, 40, 50, 60] {
            assert_eq!(echo.handle_timeout(now + second * SECOND), Some(EchoAction::Ask));
        }
        assert_eq!(echo.handle_timeout(now + 3600 * SECOND), Some(EchoAction::Ask), "once more");
        echo.heard(now + 3601 * SECOND);
        assert_eq!(echo.handle_timeout(now + 3610 * SECOND), None);
    }

    #[test]
    fn a_silence_of_zero_switches_it_off() {
        let mut echo = Echo::new(EchoPolicy { silence: Duration::ZERO, ..EchoPolicy::default() });
        echo.start(epoch());
        assert_eq!(echo.deadline(), None);
    }
}
