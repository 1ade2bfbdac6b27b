//! The watch over GRE during a connect: does the peer's arrive, and does ours reach the peer?

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use crate::Failure;

/// The watch over GRE from the Outgoing-Call-Reply until LCP is through
#[derive(Debug, Default)]
pub(crate) struct GreProbe {
    /// The start of the watch; `None` while GRE is not watched
    since: Option<Instant>,
    /// True once a datagram of the peer has arrived
    heard: bool,
    /// True once the peer has acknowledged or answered a datagram of ours
    answered: bool,
    /// The time at which a datagram of ours was composed last
    composed: Option<Instant>,
    /// The kernel's refusal to send; boxed, since hardly any tunnel has one
    refusal: Option<Box<Refusal>>,
    /// The first datagram of this call that could not be taken for one of the peer's
    stranger: Option<Box<Stranger>>,
}

/// A datagram with our Call ID that is not the peer's GRE, or whose header PPTP does not have
#[derive(Debug)]
pub(crate) enum Stranger {
    /// It came from another address than the peer's
    Elsewhere { from: Ipv4Addr, server: Ipv4Addr },
    /// Its header is not that of enhanced GRE; its first fields
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

/// A run of our datagrams that the kernel refused to send, one after the other
#[derive(Debug)]
struct Refusal {
    first: Instant,
    latest: Instant,
    reason: String,
}

impl GreProbe {
    /// Starts the watch: the call is connected
    pub(crate) fn watch(&mut self, now: Instant) {
        *self = Self { since: Some(now), ..Self::default() };
    }

    /// Ends the watch: GRE passes, or does not matter any more
    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }

    /// Notes that a datagram of the peer arrived
    pub(crate) const fn on_datagram(&mut self) {
        self.heard = true;
    }

    /// Notes that a datagram of the peer acknowledges or answers one of ours
    pub(crate) const fn on_answer(&mut self) {
        self.answered = true;
    }

    /// Remembers the first datagram of this call that cannot be the peer's
    ///
    /// Anybody may have sent it: it may explain a silence, but it never causes a failure.
    pub(crate) fn on_stranger(&mut self, stranger: Stranger) {
        if self.since.is_some() && self.stranger.is_none() {
            self.stranger = Some(Box::new(stranger));
        }
    }

    /// Returns the failure if GRE passes one way only: the peer's datagrams arrive, and it has
    /// answered none of ours for [`MAX_SILENCE`]
    pub(crate) fn one_way(&self, now: Instant) -> Option<Failure> {
        let waited = now.saturating_duration_since(self.since?);
        let is_one_way = self.heard && !self.answered && waited >= MAX_SILENCE;
        is_one_way.then(|| self.blocked(waited))
    }

    /// Notes that a datagram of ours was composed
    ///
    /// If the kernel does not send it, [`Self::on_refused`] follows.
    pub(crate) fn on_composed(&mut self, now: Instant) {
        // what was composed in the same turn may still be refused
        if self.composed.is_some_and(|composed| composed < now) && self.refused_last().is_none() {
            self.refusal = None;
        }
        self.composed = Some(now);
    }

    /// Notes that the kernel refused to send the datagram composed last
    pub(crate) fn on_refused(&mut self, now: Instant, reason: String) {
        if self.since.is_some() {
            let first = self.refusal.as_ref().map_or(now, |refusal| refusal.first);
            self.refusal = Some(Box::new(Refusal { first, latest: now, reason }));
        }
    }

    /// Returns the failure that an ICMP protocol-unreachable means
    ///
    /// It is believed only before the peer's first datagram, since anyone may forge one.
    pub(crate) fn on_unreachable(&mut self) -> Option<Failure> {
        let awaited = self.since.is_some() && !self.heard;
        awaited.then(|| self.blocked(Duration::ZERO))
    }

    /// Returns the failure, if GRE has been blocked for [`MAX_SILENCE`]
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Failure> {
        self.poll_timeout().filter(|due| *due <= now)?;
        if self.heard && self.refused_last().is_none() {
            self.refusal = None;
            return None;
        }
        Some(self.blocked(MAX_SILENCE))
    }

    /// The time by which the peer's first datagram has to arrive, or one of ours to be sent
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let refused = self.refusal.as_ref().map(|refusal| refusal.first);
        let since = if self.heard { self.since.and(refused) } else { self.since };
        since?.checked_add(MAX_SILENCE)
    }

    fn blocked(&self, after: Duration) -> Failure {
        let send_error = self.refused_last().map(|refusal| refusal.reason.clone());
        let is_silent = !self.heard && !after.is_zero() && send_error.is_none();
        if let Some(stranger) = self.stranger.as_deref().filter(|_| is_silent) {
            return stranger.into();
        }
        Failure::GreBlocked { after, heard: self.heard, send_error }
    }

    /// The refusal, unless a later datagram was composed and not refused
    fn refused_last(&self) -> Option<&Refusal> {
        self.refusal.as_deref().filter(|it| self.composed.is_none_or(|at| at <= it.latest))
    }
}

/// The time that GRE has to pass: our LCP Configure-Requests are out by then, at 0, 3, 6 and 9 s
const MAX_SILENCE: Duration = Duration::from_secs(10);
