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
//! | `io_error` | its way into an [`io::Error`] and out of it |
//!
//! Those of PPP and of the control connection have names of their own: `failure` in pptp-ppp, `failed` in
//! pptp-control.

mod advice;
mod class;
mod code;
mod io_error;
mod layer;
mod retry;

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use pptp_control::Failed as ControlFailure;
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
        let Self { failure, .. } = self;
        let moment = self.moment().map_or_else(String::new, |moment| format!(" {moment}"));
        let is_told = |code: &RasCode| matches!(failure, Failure::Link(LinkFailure::AuthFailed { code: told, .. }) if *told == code.0);
        let said = self.ras_code.filter(|code| !is_told(code));
        let said = said.map_or_else(String::new, |code| format!("; Windows says: {code}"));
        format!("{failure}{moment}{said}")
    }

    /// Returns the moment at which a TCP connection was closed, if that says why
    const fn moment(&self) -> Option<&'static str> {
        if !matches!(self.failure, Failure::Control(ControlFailure::ConnectionLost)) {
            return None;
        }
        match self.phase {
            Phase::ControlConnection => Some("before it said a word"),
            Phase::Call => Some("when it was asked for the call"),
            Phase::LinkControl => Some("after it took the call, before PPP had begun"),
            _ => None,
        }
    }

    /// The failure's name, one word: for programs that read logs
    pub const fn name(&self) -> &'static str {
        self.failure.name()
    }

    /// The layer that failed
    ///
    /// A peer that hangs up in the middle of something does so because of that: the layer is the one
    /// that was being negotiated.
    pub const fn layer(&self) -> Layer {
        match self.failure.layer() {
            Some(layer) if !self.failure.is_hang_up() || matches!(self.phase, Phase::Up) => layer,
            _ => Layer::of_phase(self.phase),
        }
    }

    /// Returns the codes that the peer sent: see [`Failure::codes`]; the error code of Windows goes first
    pub fn codes(&self) -> Vec<Code> {
        let Some(said) = self.ras_code.map(Code::of_windows) else { return self.failure.codes() };
        // a login that was refused by it had no CHAP Failure
        let others = self.failure.codes().into_iter().filter(|code| code.number != said.number);
        std::iter::once(said.clone()).chain(others).collect()
    }

    /// Returns whether dialling again may help
    pub const fn retry(&self) -> Retry {
        self.failure.retry()
    }

    /// Returns the least time before the next dial: see [`Failure::retry_after`]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.failure.retry_after_in(self.phase)
    }

    /// Returns the advice, in one sentence without a period
    pub const fn advice(&self) -> &'static str {
        match self.ras_code {
            Some(code) => self.failure.advice_after(code, self.phase),
            None => self.failure.advice_in(self.phase),
        }
    }

    /// The kind of I/O error that calls on the tunnel fail with
    pub const fn io_kind(&self) -> io::ErrorKind {
        match self.failure {
            Failure::Closed => io::ErrorKind::NotConnected,
            Failure::ConnectTimeout { .. }
            | Failure::GreBlocked { .. }
            | Failure::GreFromElsewhere { .. }
            | Failure::GreUnsupported { .. } => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::ConnectionAborted,
        }
    }

    fn hint(&self) -> String {
        let times = match self.failure {
            Failure::ConnectTimeout { .. } => format!("; {}", self.timeline),
            Failure::Closed => return String::new(),
            _ => String::new(),
        };
        format!("{times}; {}", self.advice())
    }
}

/// The failure of a tunnel, for people and for programs
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The server's name is not of the form `host` or `host:port`
    #[error("{server:?} is not a server: host or host:port is wanted")]
    InvalidServer {
        /// As it was given
        server: String,
    },
    /// An option has a value that no tunnel can have
    #[error("the option {option} cannot be used as it is: {wanted} is wanted")]
    InvalidOption {
        /// The option
        option: &'static str,
        /// The value that is wanted
        wanted: &'static str,
    },
    /// The server's name could not be resolved
    #[error("the name {name:?} could not be resolved: {reason}")]
    NameNotResolved {
        /// The name
        name: String,
        /// The resolver's words
        reason: String,
    },
    /// The server has IPv6 addresses only
    #[error("{server} has no IPv4 address: PPTP's GRE is defined over IPv4 only")]
    OuterIpv6 {
        /// As it was given
        server: String,
    },
    /// All 65,535 Call IDs are in use, or were until a moment ago
    #[error("all Call IDs are in use")]
    CallIdsExhausted,
    /// The process may not open another socket
    #[error(
        "too many open files: the limit of {limit} is reached, at least {} are needed, one for each tunnel",
        limit.saturating_add(1)
    )]
    TooManyFiles {
        /// The limit of open files (`RLIMIT_NOFILE`)
        limit: u64,
    },
    /// Nothing listens on the server's port
    #[error("{address} refused the TCP connection")]
    TcpRefused {
        /// The address tried last
        address: SocketAddrV4,
    },
    /// The TCP connection could not be opened
    #[error("no TCP connection to {address}: {reason}")]
    TcpFailed {
        /// The address tried last
        address: SocketAddrV4,
        /// The kind of I/O error
        kind: io::ErrorKind,
        /// The kernel's words
        reason: String,
    },
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
    /// The runtime that the client's driver ran on was shut down
    #[error("the runtime of the client was shut down")]
    RuntimeShutDown,
    /// The tunnel was hung up on our side
    #[error("the tunnel was closed on this side")]
    Closed,
    /// A fault of this library: the tunnel's turn panicked
    #[error("internal error: {message}")]
    Internal {
        /// The panic's message
        message: String,
    },
}

impl Failure {
    /// The names of the failures that are of no other crate, in the enum's order
    const NAMES: [&str; 15] = [
        "InvalidServer",
        "InvalidOption",
        "NameNotResolved",
        "OuterIpv6",
        "CallIdsExhausted",
        "TooManyFiles",
        "TcpRefused",
        "TcpFailed",
        "GreBlocked",
        "GreFromElsewhere",
        "GreUnsupported",
        "ConnectTimeout",
        "RuntimeShutDown",
        "Closed",
        "Internal",
    ];

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
            Self::InvalidServer { .. } => "InvalidServer",
            Self::InvalidOption { .. } => "InvalidOption",
            Self::NameNotResolved { .. } => "NameNotResolved",
            Self::OuterIpv6 { .. } => "OuterIpv6",
            Self::CallIdsExhausted => "CallIdsExhausted",
            Self::TooManyFiles { .. } => "TooManyFiles",
            Self::TcpRefused { .. } => "TcpRefused",
            Self::TcpFailed { .. } => "TcpFailed",
            Self::Control(failure) => failure.name(),
            Self::GreBlocked { .. } => "GreBlocked",
            Self::GreFromElsewhere { .. } => "GreFromElsewhere",
            Self::GreUnsupported { .. } => "GreUnsupported",
            Self::Link(failure) => failure.name(),
            Self::ConnectTimeout { .. } => "ConnectTimeout",
            Self::RuntimeShutDown => "RuntimeShutDown",
            Self::Closed => "Closed",
            Self::Internal { .. } => "Internal",
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
