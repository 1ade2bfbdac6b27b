use std::{io, net::SocketAddrV4, time::Duration};

use pptp_control::{Failed as ControlFailure, GeneralError, PeerMisbehaved, StartResult};
use pptp_ppp::Failure as LinkFailure;

use crate::{Ladder, Phase};

/// Why a tunnel did not come up, or ended: what, in which phase, and what took how long
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {failure} (phase: {phase}){hint}", name = self.failure.name(), hint = self.hint())]
#[non_exhaustive]
pub struct TunnelError {
    /// The phase in which it happened
    pub phase: Phase,
    /// What happened
    pub failure: Failure,
    /// What each phase took
    pub ladder: Ladder,
}

impl TunnelError {
    /// A failure in the phase that the ladder has reached
    pub const fn new(failure: Failure, ladder: Ladder) -> Self {
        Self { phase: ladder.phase(), failure, ladder }
    }

    /// The failure's name, one word: for programs that read logs
    pub const fn name(&self) -> &'static str {
        self.failure.name()
    }

    /// The kind of I/O error that calls on the tunnel fail with
    pub const fn io_kind(&self) -> io::ErrorKind {
        match self.failure {
            Failure::Closed => io::ErrorKind::NotConnected,
            Failure::ConnectTimeout { .. } | Failure::GreBlocked { .. } => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::ConnectionAborted,
        }
    }

    /// The I/O error that calls on the tunnel fail with
    pub fn to_io(&self) -> io::Error {
        io::Error::new(self.io_kind(), self.clone())
    }

    fn hint(&self) -> String {
        let advice = self.failure.advice();
        let times = match self.failure {
            Failure::ConnectTimeout { .. } => format!("; {}", self.ladder),
            _ => String::new(),
        };
        if advice.is_empty() { times } else { format!("{times}; {advice}") }
    }
}

/// What went wrong, for people and for programs
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
        /// What it should be
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
    #[error("GRE (IP protocol 47) does not pass: nothing {}{}", waited(*.after), sent(.send_error.as_ref()))]
    GreBlocked {
        /// How long was waited for the first one; zero if a router said that GRE does not pass
        after: Duration,
        /// Why our own datagrams could not be sent, if the kernel refused them
        send_error: Option<String>,
    },
    /// PPP failed: LCP, authentication, encryption or addresses
    #[error(transparent)]
    Link(#[from] LinkFailure),
    /// The connect took too long in all
    #[error("not connected within {} s", limit.as_secs_f32())]
    ConnectTimeout {
        /// How long it was allowed to take
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

/// Whether dialling again may help
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The same configuration may well succeed soon
    Soon,
    /// It may succeed some day: something outside has to change first
    Later,
    /// Not with this configuration; trying again may even do harm (an account locked)
    Never,
}

impl Failure {
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
            Self::Control(failure) => control_name(failure),
            Self::GreBlocked { .. } => "GreBlocked",
            Self::Link(failure) => link_name(failure),
            Self::ConnectTimeout { .. } => "ConnectTimeout",
            Self::RuntimeShutDown => "RuntimeShutDown",
            Self::Closed => "Closed",
            Self::Internal { .. } => "Internal",
        }
    }

    /// What to do about it, or nothing if there is nothing to say
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::TcpRefused { .. } => {
                "nothing listens there: is this the PPTP server, and is PPTP switched on?"
            }
            Self::TcpFailed { .. } => {
                "check the address, the route and firewalls for TCP port 1723"
            }
            Self::OuterIpv6 { .. } => "give the server's IPv4 address",
            Self::TooManyFiles { .. } => "raise it: ulimit -n, or LimitNOFILE= in systemd",
            Self::GreBlocked { .. } => {
                "let IP protocol 47 pass both ways in every firewall and NAT on the path"
            }
            Self::Control(failure) => control_advice(failure),
            Self::Link(failure) => link_advice(failure),
            Self::Internal { .. } => "please report this",
            _ => "",
        }
    }

    /// Whether dialling again may help
    pub const fn retry(&self) -> Retry {
        match self {
            Self::InvalidServer { .. } | Self::InvalidOption { .. } | Self::OuterIpv6 { .. } => {
                Retry::Never
            }
            Self::GreBlocked { .. }
            | Self::CallIdsExhausted
            | Self::TooManyFiles { .. }
            | Self::Control(ControlFailure::NotPptp { .. }) => Retry::Later,
            Self::Link(failure) => link_retry(failure),
            _ => Retry::Soon,
        }
    }
}

const fn control_name(failure: &ControlFailure) -> &'static str {
    match failure {
        ControlFailure::NotPptp { .. } => "NotPptp",
        ControlFailure::NoControlReply => "NoControlReply",
        ControlFailure::VersionUnsupported { .. } => "VersionUnsupported",
        ControlFailure::ControlRefused { .. } => "ControlRefused",
        ControlFailure::NoCallReply => "NoCallReply",
        ControlFailure::CallRefused { .. } => "CallRefused",
        ControlFailure::CallDisconnected { .. } => "CallDisconnected",
        ControlFailure::StoppedByPeer { .. } => "StoppedByPeer",
        ControlFailure::Recognized(_) => "Recognized",
        ControlFailure::EchoTimeout => "ControlEchoTimeout",
        ControlFailure::ConnectionLost => "ConnectionLost",
        ControlFailure::PeerMisbehaved(PeerMisbehaved::LostSync(_)) => "LostSync",
        ControlFailure::PeerMisbehaved(_) => "ControlMisbehaved",
        _ => "ControlFailed",
    }
}

const fn control_advice(failure: &ControlFailure) -> &'static str {
    match failure {
        ControlFailure::NotPptp { .. } => "something else than a PPTP server listens on this port",
        ControlFailure::NoControlReply => {
            "the server accepts TCP but does not speak PPTP: is this the right host and port?"
        }
        ControlFailure::ControlRefused { result: StartResult::NotAuthorized, .. } => {
            "the server does not let this client in: some choose by the client host name"
        }
        ControlFailure::ControlRefused { error: GeneralError::NoResource, .. }
        | ControlFailure::CallRefused { error: GeneralError::NoResource, .. } => {
            "the server is full: try again later"
        }
        ControlFailure::CallRefused { .. } => "some servers want a phone number in the call",
        ControlFailure::Recognized(_) => "name its quirks before the next connect",
        _ => "",
    }
}

const fn link_name(failure: &LinkFailure) -> &'static str {
    match failure {
        LinkFailure::AuthFailed { .. } => "AuthFailed",
        LinkFailure::ServerNotAuthentic => "ServerNotAuthentic",
        LinkFailure::AuthProtocolRefused { .. } => "AuthProtocolRefused",
        LinkFailure::EncryptionUnavailable { .. } => "EncryptionUnavailable",
        LinkFailure::EncryptionLost => "EncryptionLost",
        LinkFailure::NoAddress => "NoAddress",
        LinkFailure::Loopback => "Loopback",
        LinkFailure::EchoTimeout { .. } => "EchoTimeout",
        LinkFailure::NegotiationTimeout { .. } => "NegotiationTimeout",
        LinkFailure::NoAgreement { .. } => "NoAgreement",
        LinkFailure::TerminatedByPeer { .. } => "TerminatedByPeer",
        LinkFailure::RejectedProtocol { .. } => "RejectedProtocol",
        LinkFailure::RejectedCode { .. } => "RejectedCode",
        LinkFailure::Undecryptable(_) => "Undecryptable",
        LinkFailure::PeerMisbehaved(_) => "LinkMisbehaved",
        _ => "LinkFailed",
    }
}

const fn link_advice(failure: &LinkFailure) -> &'static str {
    match failure {
        LinkFailure::AuthFailed { code: 691, .. } => {
            "check the user, its domain (DOMAIN\\user) and the password"
        }
        LinkFailure::AuthFailed { .. } => "the account's settings on the server decide this",
        LinkFailure::AuthProtocolRefused { .. } => "switch MS-CHAPv2 on at the server",
        LinkFailure::EncryptionUnavailable { .. } => "switch MPPE with 128 bits on at the server",
        LinkFailure::NoAddress => "the server's address pool may be empty",
        _ => "",
    }
}

const fn link_retry(failure: &LinkFailure) -> Retry {
    match failure {
        // 646: not at this hour
        LinkFailure::AuthFailed { code: 646, .. }
        | LinkFailure::AuthProtocolRefused { .. }
        | LinkFailure::EncryptionUnavailable { .. }
        | LinkFailure::NoAddress
        | LinkFailure::RejectedProtocol { .. } => Retry::Later,
        LinkFailure::AuthFailed { .. } | LinkFailure::ServerNotAuthentic => Retry::Never,
        _ => Retry::Soon,
    }
}

fn waited(after: Duration) -> String {
    if after.is_zero() {
        "can arrive, as an ICMP message says".into()
    } else {
        format!("was heard in answer within {} s", after.as_secs())
    }
}

fn sent(error: Option<&String>) -> String {
    error.map_or_else(String::new, |error| format!(", and ours could not be sent: {error}"))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn an_error_tells_what_where_and_what_to_do() {
        let mut ladder = Ladder::new(Instant::now());
        ladder.enter(ladder.started(), Phase::Authentication);
        let failure =
            LinkFailure::AuthFailed { code: 691, retry: true, message: "Access denied".into() };
        let text = TunnelError::new(failure.into(), ladder).to_string();
        assert!(text.starts_with("AuthFailed: "), "{text}");
        for part in ["691", "Access denied", "phase: authentication", "check the user"] {
            assert!(text.contains(part), "{part:?} is missing: {text}");
        }
    }

    #[test]
    fn a_timeout_tells_where_the_time_went() {
        let start = Instant::now();
        let mut ladder = Ladder::new(start);
        ladder.enter(start + Duration::from_millis(7), Phase::TcpConnect);
        ladder.end(start + Duration::from_secs(3));
        let failure = Failure::ConnectTimeout { limit: Duration::from_secs(3) };
        let text = TunnelError::new(failure, ladder).to_string();
        assert!(text.contains("name resolution 7 ms, TCP connect 2993 ms"), "{text}");
    }

    #[test]
    fn the_same_password_is_not_tried_again() {
        let wrong = LinkFailure::AuthFailed { code: 691, retry: true, message: String::new() };
        assert_eq!(Failure::from(wrong).retry(), Retry::Never);
        assert_eq!(Failure::from(ControlFailure::ConnectionLost).retry(), Retry::Soon);
    }
}
