//! The LCP echoes that show whether the peer is still there (RFC 1661 §5.8)

use std::time::{Duration, Instant};

use pptp_packet::Counter;

use crate::config::EchoPolicy;
use crate::wire::packet::Packet;

/// Asks a silent peer, and leaves one that sends anything alone
#[derive(Debug)]
pub(crate) struct Echo {
    /// A policy other than the default; boxed, since most links have the default
    policy: Option<Box<EchoPolicy>>,
    heard: Option<Instant>,
    /// The next time to look; it is not moved by every packet
    deadline: Option<Instant>,
    unanswered: u8,
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
pub(crate) enum Silence {
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

    /// Returns whether an Echo-Reply comes from a peer that has read one of our latest Echo-Requests
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

    /// LCP is open
    pub(crate) fn start(&mut self, now: Instant) {
        let silence = self.policy().silence;
        if silence.is_zero() {
            return;
        }
        self.heard(now);
        self.deadline = now.checked_add(silence);
    }

    /// The silence so far counts for nothing, although nothing came in
    pub(crate) fn begin_anew(&mut self, now: Instant) {
        self.unanswered = 0;
        self.deadline = now.checked_add(self.policy().silence);
    }

    /// The peer gets the time of one more Echo-Request
    pub(crate) fn wait_once_more(&mut self, now: Instant) {
        self.deadline = now.checked_add(self.policy().interval.max(SLEPT_THROUGH));
    }

    /// An Echo-Request leaves
    pub(crate) const fn asked(&mut self, now: Instant, id: u8) {
        (self.asked, self.id) = (Some(now), id);
    }

    /// An Echo-Reply came in; returns its round trip if it answers the latest request
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

    /// Returns whether the latest Echo-Request is the last one before the peer counts as dead
    pub(crate) fn is_last_question(&self) -> bool {
        self.unanswered >= self.policy().unanswered
    }

    /// LCP is not open any more
    pub(crate) const fn stop(&mut self) {
        self.deadline = None;
    }

    /// Notes that a frame came in
    pub(crate) const fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
        self.unanswered = 0;
    }

    /// An owner that sees a deadline much too late has slept, and the answer may be there unread: the peer is
    /// asked once more before it counts as dead.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Silence> {
        let struck = self.deadline.filter(|deadline| *deadline <= now)?;
        let policy = self.policy();
        let silent_until = self.heard.and_then(|heard| heard.checked_add(policy.silence));
        if self.unanswered == 0 && silent_until.is_some_and(|until| until > now) {
            self.deadline = silent_until;
            return None;
        }
        let slept = now.saturating_duration_since(struck) > SLEPT_THROUGH;
        if self.unanswered >= policy.unanswered && !slept {
            self.deadline = None;
            return Some(Silence::Dead(self.unanswered));
        }
        self.unanswered.increment();
        self.deadline = now.checked_add(policy.interval);
        Some(Silence::Ask)
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// Requests whose answers may still come
const MAX_OUTSTANDING: u8 = 16;
/// A deadline seen so much later was slept through
const SLEPT_THROUGH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::epoch;

    const SECOND: Duration = Duration::from_secs(1);

    /// The moments at which something was done, in seconds
    fn run(echo: &mut Echo, start: Instant, heard_at: &[u32]) -> Vec<(u32, Silence)> {
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
        let asked = [30, 40, 50, 60].map(|second| (second, Silence::Ask));
        let expected = [&asked[..], &[(70, Silence::Dead(4))]].concat();
        assert_eq!(run(&mut echo, now, &[]), expected);
    }

    #[test]
    fn whoever_sends_anything_is_left_alone_for_as_long() {
        let now = epoch();
        let mut echo = Echo::new(EchoPolicy::default());
        echo.start(now);
        let done = run(&mut echo, now, &[20, 45, 76, 100, 125, 150, 175]);
        assert_eq!(done, [(75, Silence::Ask)], "30 s after 45, and answered at once");
    }

    #[test]
    fn a_clock_that_jumps_kills_nobody() {
        let now = epoch();
        let mut echo = Echo::new(EchoPolicy::default());
        echo.start(now);
        for second in [30, 40, 50, 60] {
            assert_eq!(echo.handle_timeout(now + second * SECOND), Some(Silence::Ask));
        }
        assert_eq!(echo.handle_timeout(now + 3600 * SECOND), Some(Silence::Ask), "once more");
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
