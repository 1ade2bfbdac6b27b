//! The failures of a tunnel, those of its protocols included

use std::{io, net::SocketAddrV4};

use pptp_tunnel::{ControlFailure, Failure as TunnelFailure, LinkFailure};

/// The failure of a tunnel, for people and for programs
///
/// Names, TCP, files and the runtime are this crate's own. [`Failure::Tunnel`] has those of the tunnel's
/// protocols; [`tunnel`](Self::tunnel), [`control`](Self::control) and [`link`](Self::link) find them in one step.
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
    /// The runtime that the client's driver ran on was shut down
    #[error("the runtime of the client was shut down")]
    RuntimeShutDown,
    /// A fault of this library: the tunnel's turn panicked
    #[error("internal error: {message}")]
    Internal {
        /// The panic's message
        message: String,
    },
    /// The tunnel's protocols failed, its connect took too long, or it was closed
    #[error(transparent)]
    Tunnel(#[from] TunnelFailure),
}

impl Failure {
    /// The names of the failures that are of no other crate, in the enum's order
    const NAMES: [&str; 10] = [
        "InvalidServer",
        "InvalidOption",
        "NameNotResolved",
        "OuterIpv6",
        "CallIdsExhausted",
        "TooManyFiles",
        "TcpRefused",
        "TcpFailed",
        "RuntimeShutDown",
        "Internal",
    ];

    /// The names of all failures there are
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().chain(TunnelFailure::names())
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
            Self::RuntimeShutDown => "RuntimeShutDown",
            Self::Internal { .. } => "Internal",
            Self::Tunnel(failure) => failure.name(),
        }
    }

    /// Returns the failure of the tunnel's protocols, if it is one
    pub const fn tunnel(&self) -> Option<&TunnelFailure> {
        match self {
            Self::Tunnel(failure) => Some(failure),
            _ => None,
        }
    }

    /// Returns the failure of the control connection or its call (RFC 2637), if it is one
    pub const fn control(&self) -> Option<&ControlFailure> {
        match self {
            Self::Tunnel(TunnelFailure::Control(failure)) => Some(failure),
            _ => None,
        }
    }

    /// Returns the failure of PPP, if it is one: LCP, authentication, encryption or addresses
    pub const fn link(&self) -> Option<&LinkFailure> {
        match self {
            Self::Tunnel(TunnelFailure::Link(failure)) => Some(failure),
            _ => None,
        }
    }
}

impl From<ControlFailure> for Failure {
    fn from(failure: ControlFailure) -> Self {
        Self::Tunnel(failure.into())
    }
}

impl From<LinkFailure> for Failure {
    fn from(failure: LinkFailure) -> Self {
        Self::Tunnel(failure.into())
    }
}
