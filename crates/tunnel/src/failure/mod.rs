//! Failures of a tunnel, and the answers that each of them has
//!
//! A new failure has a row in each of these files:
//!
//! | file | answer |
//! |---|---|
//! | this one | its name, its fields, and its words |
//! | `layer` | the layer at which it happened |
//! | `class` | the one who has to act first |
//! | `code` | the codes on the wire, by their RFC's names |
//! | `retry` | the time to dial again |
//! | `advice` | the sentence for people |
//!
//! Those of PPP and of the control connection have names of their own: `failure` in pptp-ppp and in
//! pptp-control.

mod advice;
mod class;
mod code;
mod layer;
mod retry;

use std::{net::Ipv4Addr, time::Duration};

use pptp_control::Failure as ControlFailure;
use pptp_ppp::{Failure as LinkFailure, RasCode};

pub use self::{class::Class, code::Code, layer::Layer, retry::Retry};

use crate::{ConnectTimeline, Phase};

/// The reason why a tunnel did not come up, or ended: the failure, its phase, and the time of each phase
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {told} (phase: {phase}){hint}", name = self.name(), told = self.told(), hint = self.hint())]
#[non_exhaustive]
pub struct TunnelError {
    /// The phase in which it happened
    pub phase: Phase,
    /// The failure
    pub failure: Failure,
    /// The time that each phase took
    pub timeline: ConnectTimeline,
    /// The error code of Windows that the peer said in its Terminate-Request
    pub ras_code: Option<RasCode>,
}

impl TunnelError {
    /// A failure in the phase that the timeline has reached
    pub const fn new(failure: Failure, timeline: ConnectTimeline) -> Self {
        Self { phase: timeline.phase(), failure, timeline, ras_code: None }
    }

    /// With the error code of Windows that the peer said
    #[must_use]
    pub const fn with_ras_code(mut self, code: Option<RasCode>) -> Self {
        self.ras_code = code;
        self
    }

    /// Returns the failure in words, with the moment and the peer's number, as far as known
    pub fn told(&self) -> String {
        self.failure.told_in(self.phase, self.ras_code)
    }

    /// The failure's name, one word: for programs that read logs
    pub const fn name(&self) -> &'static str {
        self.failure.name()
    }

    /// The layer that failed: see [`Failure::layer_in`]
    pub const fn layer(&self) -> Layer {
        self.failure.layer_in(self.phase)
    }

    /// Returns the codes that the peer sent: see [`Failure::codes_with`]
    pub fn codes(&self) -> Vec<Code> {
        self.failure.codes_with(self.ras_code)
    }

    /// Returns whether dialling again may help
    pub const fn retry(&self) -> Retry {
        self.failure.retry()
    }

    /// Returns the least time before the next dial: see [`Failure::retry_after`]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.failure.retry_after()
    }

    /// Returns the advice, in one sentence without a period
    pub const fn advice(&self) -> &'static str {
        self.failure.advice_in(self.phase, self.ras_code)
    }

    fn hint(&self) -> String {
        self.failure.hint(self.advice(), &self.timeline)
    }
}

/// The failure of a tunnel's protocols, for people and for programs
///
/// The owner of the tunnel has failures of its own before and around them: names, TCP, files, the runtime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The control connection or its call failed (RFC 2637)
    #[error(transparent)]
    Control(#[from] ControlFailure),
    /// The call is connected, but no GRE datagram of the server arrives
    #[error("GRE (IP protocol 47) does not pass: {}{}", waited(*.after, *.heard), sent(.send_error.as_ref()))]
    GreBlocked {
        /// The time of the wait for the first one; zero if a router said that GRE does not pass
        after: Duration,
        /// True if the server's own arrived, so that ours are lost on the way
        heard: bool,
        /// The kernel's reason, if it refused to send our own datagrams
        send_error: Option<String>,
    },
    /// The call is connected, and its GRE arrives from another address than that of the server
    ///
    /// Only what comes from the server's own address is taken.
    #[error("GRE of this call arrives from {from}, not from {server}")]
    GreFromElsewhere {
        /// The address that it comes from
        from: Ipv4Addr,
        /// The address of the control connection
        server: Ipv4Addr,
    },
    /// The call is connected, and the server's GRE has a header that PPTP does not have
    #[error("GRE of this call arrives with a header that PPTP does not have: {}", header(*.flags, *.protocol))]
    GreUnsupported {
        /// Flags and version (RFC 2637 §4.1)
        flags: u16,
        /// Protocol type; 880B is PPP's
        protocol: u16,
    },
    /// PPP failed: LCP, authentication, encryption or addresses
    #[error(transparent)]
    Link(#[from] LinkFailure),
    /// The connect took too long in all
    #[error("not connected within {} s", limit.as_secs_f32())]
    ConnectTimeout {
        /// The time that it was allowed to take
        limit: Duration,
    },
    /// The tunnel was hung up on our side
    #[error("the tunnel was closed on this side")]
    Closed,
}

impl Failure {
    /// The names of the failures that are of no other crate, in the enum's order
    const NAMES: [&str; 5] =
        ["GreBlocked", "GreFromElsewhere", "GreUnsupported", "ConnectTimeout", "Closed"];

    /// The names of all failures there are
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .chain(ControlFailure::NAMES.iter().copied())
            .chain(LinkFailure::NAMES.iter().copied())
    }

    /// The failure's name, one word
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Control(failure) => failure.name(),
            Self::GreBlocked { .. } => "GreBlocked",
            Self::GreFromElsewhere { .. } => "GreFromElsewhere",
            Self::GreUnsupported { .. } => "GreUnsupported",
            Self::Link(failure) => failure.name(),
            Self::ConnectTimeout { .. } => "ConnectTimeout",
            Self::Closed => "Closed",
        }
    }

    /// Returns the failure in words, with the moment and the peer's number, as far as known
    pub fn told_in(&self, phase: Phase, ras_code: Option<RasCode>) -> String {
        let moment = self.moment(phase).map_or_else(String::new, |moment| format!(" {moment}"));
        let is_told = |code: &RasCode| matches!(self, Self::Link(LinkFailure::AuthFailed { code: told, .. }) if *told == code.0);
        let said = ras_code.filter(|code| !is_told(code));
        let said = said.map_or_else(String::new, |code| format!("; Windows says: {code}"));
        format!("{self}{moment}{said}")
    }

    /// Returns the end of an error's text: the advice, and where the time went if that is the matter
    pub fn hint(&self, advice: &str, timeline: &ConnectTimeline) -> String {
        match self {
            Self::ConnectTimeout { .. } => format!("; {timeline}; {advice}"),
            Self::Closed => String::new(),
            _ => format!("; {advice}"),
        }
    }

    /// Returns the moment at which a TCP connection was closed, if that says why
    const fn moment(&self, phase: Phase) -> Option<&'static str> {
        if !matches!(self, Self::Control(ControlFailure::ConnectionLost)) {
            return None;
        }
        match phase {
            Phase::ControlConnection => Some("before it said a word"),
            Phase::Call => Some("when it was asked for the call"),
            Phase::LinkControl => Some("after it took the call, before PPP had begun"),
            _ => None,
        }
    }
}

fn waited(after: Duration, heard: bool) -> String {
    let seconds = after.as_secs();
    match (after.is_zero(), heard) {
        (true, _) => "nothing can arrive, as an ICMP message says".into(),
        (false, true) => {
            format!("the server's arrives, but it took note of none of ours for {seconds} s")
        }
        (false, false) => format!("nothing was heard in answer within {seconds} s"),
    }
}

fn header(flags: u16, protocol: u16) -> String {
    let checksum = if flags & CHECKSUM_PRESENT == 0 { "" } else { ", which carry a checksum" };
    format!("flags and version {flags:04x}{checksum}, protocol type {protocol:04x}")
}

/// RFC 2637 §4.1: C, always 0
const CHECKSUM_PRESENT: u16 = 0x8000;

fn sent(error: Option<&String>) -> String {
    error.map_or_else(String::new, |error| format!(", and ours could not be sent: {error}"))
}

#[cfg(test)]
mod tests;
