//! Whether GRE passes, the peer's and ours

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use crate::Failure;

/// Watches GRE from the Outgoing-Call-Reply until LCP is through
#[derive(Debug, Default)]
pub(crate) struct Passage {
    /// Since when it is watched
    since: Option<Instant>,
    /// Whether a datagram of the peer has arrived
    heard: bool,
    /// Whether the peer took note of one of ours
    answered: bool,
    /// When a datagram of ours was composed last
    composed: Option<Instant>,
    /// Boxed: hardly any tunnel has one
    refusal: Option<Box<Refusal>>,
    /// The first datagram of this call that could not be taken for one of the peer's
    stranger: Option<Box<Stranger>>,
}

/// A datagram with our Call ID that is not the peer's GRE, or not as PPTP has it
#[derive(Debug)]
pub(crate) enum Stranger {
    /// Its source address
    Elsewhere { from: Ipv4Addr, server: Ipv4Addr },
    /// The first fields of its header
    Unsupported { flags: u16, protocol: u16 },
}

impl From<&Stranger> for Failure {
    fn from(stranger: &Stranger) -> Self {
        match *stranger {
            Stranger::Elsewhere { from, server } => Self::GreFromElsewhere { from, server },
            Stranger::Unsupported { flags, protocol } => Self::GreUnsupported { flags, protocol },
        }
    }
}

/// Datagrams of ours that the kernel would not send, with none between them that it did
#[derive(Debug)]
struct Refusal {
    first: Instant,
    latest: Instant,
    reason: String,
}

impl Passage {
    /// The call is connected
    pub(crate) fn watch(&mut self, now: Instant) {
        *self = Self { since: Some(now), ..Self::default() };
    }

    /// It passes, or does not matter any more
    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }

    /// A datagram of the peer arrived
    pub(crate) const fn hear(&mut self) {
        self.heard = true;
    }

    /// A datagram of the peer acknowledges or answers one of ours
    pub(crate) const fn answer(&mut self) {
        self.answered = true;
    }

    /// A datagram of this call arrived that cannot be the peer's; the first one is remembered
    ///
    /// Anybody may have sent it: it explains a silence, and never makes one.
    pub(crate) fn note(&mut self, stranger: Stranger) {
        if self.since.is_some() && self.stranger.is_none() {
            self.stranger = Some(Box::new(stranger));
        }
    }

    /// What is behind it if LCP does not get along although the peer's datagrams arrive: it has got
    /// none of ours
    pub(crate) fn one_way(&self, now: Instant) -> Option<Failure> {
        let waited = now.saturating_duration_since(self.since?);
        let is_one_way = self.heard && !self.answered && waited >= PATIENCE;
        is_one_way.then(|| self.blocked(waited))
    }

    /// A datagram of ours was composed: if it does not pass, [`Self::refused`] follows
    pub(crate) fn compose(&mut self, now: Instant) {
        // what was composed in the same turn may still be refused
        if self.composed.is_some_and(|composed| composed < now) && self.refused_last().is_none() {
            self.refusal = None;
        }
        self.composed = Some(now);
    }

    /// The kernel refused to send the datagram composed last
    pub(crate) fn refuse(&mut self, now: Instant, reason: String) {
        if self.since.is_some() {
            let first = self.refusal.as_ref().map_or(now, |refusal| refusal.first);
            self.refusal = Some(Box::new(Refusal { first, latest: now, reason }));
        }
    }

    /// What an ICMP protocol-unreachable means: before the peer's first datagram it is believed
    pub(crate) fn unreachable(&mut self) -> Option<Failure> {
        let awaited = self.since.is_some() && !self.heard;
        awaited.then(|| self.blocked(Duration::ZERO))
    }

    /// The failure, if GRE is blocked for so long
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Failure> {
        self.poll_timeout().filter(|due| *due <= now)?;
        if self.heard && self.refused_last().is_none() {
            self.refusal = None;
            return None;
        }
        Some(self.blocked(PATIENCE))
    }

    /// Until when the peer's first datagram has to be there, or one of ours to have been sent
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let refused = self.refusal.as_ref().map(|refusal| refusal.first);
        let since = if self.heard { self.since.and(refused) } else { self.since };
        since?.checked_add(PATIENCE)
    }

    fn blocked(&self, after: Duration) -> Failure {
        let send_error = self.refused_last().map(|refusal| refusal.reason.clone());
        let is_silent = !self.heard && !after.is_zero() && send_error.is_none();
        if let Some(stranger) = self.stranger.as_deref().filter(|_| is_silent) {
            return stranger.into();
        }
        Failure::GreBlocked { after, heard: self.heard, send_error }
    }

    /// The refusal, unless a datagram was composed after it and not refused
    fn refused_last(&self) -> Option<&Refusal> {
        self.refusal.as_deref().filter(|it| self.composed.is_none_or(|at| at <= it.latest))
    }
}

/// Three of our LCP Configure-Requests are out by then, at 0, 3, 6 and 9 s
const PATIENCE: Duration = Duration::from_secs(10);
