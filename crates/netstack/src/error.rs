//! The reasons for which sockets fail, and the `io::Error` of each

use std::{error::Error, fmt, io, net::Ipv4Addr, sync::Arc};

/// The reason for which a socket failed, where `tokio::net` has an error number
///
/// It is inside the [`io::Error`] ([`io::Error::get_ref`]), whose [`kind`](io::Error::kind) is the one that the
/// kernel's sockets have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The peer answered a SYN with a reset, or a datagram with port unreachable
    #[error("connection refused")]
    Refused,
    /// The peer reset the connection
    #[error("connection reset by peer")]
    Reset,
    /// The peer acknowledged nothing for the user timeout, or never answered
    #[error("connection timed out")]
    TimedOut,
    /// A router or the host itself said that the host cannot be reached (RFC 792)
    #[error("no route to host")]
    HostUnreachable,
    /// A router said that the network cannot be reached (RFC 792)
    #[error("network is unreachable")]
    NetworkUnreachable,
    /// The connection was aborted on this side
    #[error("connection aborted")]
    Aborted,
    /// The stack's address changed, and the socket is bound to the old one
    #[error("the stack's address changed from {old}, and the socket's address with it")]
    AddressChanged {
        /// The address the socket had
        old: Ipv4Addr,
    },
    /// A write after shutdown
    #[error("broken pipe: the sending side has been shut down")]
    ShutDown,
    /// The address and port are in use
    #[error("address already in use")]
    AddressInUse,
    /// The address is not the stack's, or no free port is left
    #[error("cannot assign requested address")]
    AddressNotAvailable,
    /// The stack carries IPv4 only
    #[error("the stack carries IPv4 only")]
    Ipv6,
    /// The socket is not connected
    #[error("the socket is not connected")]
    NotConnected,
    /// An address or a port that no peer can have
    #[error("invalid destination address or port")]
    InvalidDestination,
    /// Port 0, which no peer can have
    #[error("{address}:0 is no destination: its port is 0")]
    PortZero {
        /// The address in front of it
        address: Ipv4Addr,
    },
    /// 127/8: this host itself, which no packet leaves for (RFC 1122 §3.2.1.3)
    #[error(
        "{address} is a loopback address, which means this host itself: nothing is sent to it \
         through the link (RFC 1122 §3.2.1.3); use the operating system's sockets for it"
    )]
    Loopback {
        /// The address
        address: Ipv4Addr,
    },
    /// 0/8, which is no host's address (RFC 1122 §3.2.1.3)
    #[error(
        "{address} is the address of no host: nothing is sent to 0.0.0.0/8 (RFC 1122 §3.2.1.3)"
    )]
    ThisNetwork {
        /// The address
        address: Ipv4Addr,
    },
    /// 240/4, which is reserved (RFC 1112 §4)
    #[error("{address} is reserved: nothing is sent to 240.0.0.0/4 (RFC 1112 §4)")]
    ReservedAddress {
        /// The address
        address: Ipv4Addr,
    },
    /// The stack's own address: no packet from it to itself could come back
    #[error("{address} is this host's own address inside the link: nothing is sent to it")]
    OwnAddress {
        /// The address
        address: Ipv4Addr,
    },
    /// A broadcast address, and the socket may not send there
    #[error("broadcast is not enabled for this socket")]
    BroadcastNotEnabled,
    /// A time to live that no packet can have
    #[error("invalid time to live")]
    TimeToLive,
    /// Not a multicast group, or more groups than the stack can hold
    #[error("not a multicast group, or too many of them")]
    MulticastGroup,
}

impl SocketError {
    /// The kind that the kernel's sockets have for it
    pub const fn kind(self) -> io::ErrorKind {
        match self {
            Self::Refused => io::ErrorKind::ConnectionRefused,
            Self::Reset => io::ErrorKind::ConnectionReset,
            Self::TimedOut => io::ErrorKind::TimedOut,
            Self::HostUnreachable => io::ErrorKind::HostUnreachable,
            Self::NetworkUnreachable => io::ErrorKind::NetworkUnreachable,
            Self::Aborted | Self::AddressChanged { .. } => io::ErrorKind::ConnectionAborted,
            Self::ShutDown => io::ErrorKind::BrokenPipe,
            Self::AddressInUse => io::ErrorKind::AddrInUse,
            Self::AddressNotAvailable => io::ErrorKind::AddrNotAvailable,
            Self::Ipv6 => io::ErrorKind::Unsupported,
            Self::NotConnected => io::ErrorKind::NotConnected,
            Self::InvalidDestination
            | Self::PortZero { .. }
            | Self::Loopback { .. }
            | Self::ThisNetwork { .. }
            | Self::ReservedAddress { .. }
            | Self::OwnAddress { .. }
            | Self::TimeToLive
            | Self::MulticastGroup => io::ErrorKind::InvalidInput,
            Self::BroadcastNotEnabled => io::ErrorKind::PermissionDenied,
        }
    }
}

impl From<SocketError> for io::Error {
    fn from(error: SocketError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// The error of every call after the stack has been shut down
///
/// Reads as its reason, and has it as its [`source`](Error::source), so that the reason's own type
/// is found from the `io::Error`.
#[derive(Debug, Clone)]
pub struct ShutDown {
    reason: Arc<dyn Error + Send + Sync>,
    kind: io::ErrorKind,
}

impl ShutDown {
    pub(crate) fn new(reason: Arc<dyn Error + Send + Sync>, kind: io::ErrorKind) -> Self {
        Self { reason, kind }
    }

    /// The reason that the owner gave
    pub fn reason(&self) -> &Arc<dyn Error + Send + Sync> {
        &self.reason
    }
}

impl fmt::Display for ShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl Error for ShutDown {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.reason)
    }
}

impl From<ShutDown> for io::Error {
    fn from(error: ShutDown) -> Self {
        Self::new(error.kind, error)
    }
}

/// A datagram is too large, or a ping for the MTU: EMSGSIZE, which has no [`io::ErrorKind`]
pub(crate) fn message_too_long() -> io::Error {
    io::Error::from_raw_os_error(EMSGSIZE)
}

/// A datagram has no destination: EDESTADDRREQ, which has no [`io::ErrorKind`]
pub(crate) fn destination_required() -> io::Error {
    io::Error::from_raw_os_error(EDESTADDRREQ)
}

const EMSGSIZE: i32 = if cfg!(windows) {
    10040
} else if cfg!(any(target_os = "linux", target_os = "android")) {
    90
} else {
    40
};

const EDESTADDRREQ: i32 = if cfg!(windows) {
    10039
} else if cfg!(any(target_os = "linux", target_os = "android")) {
    89
} else {
    39
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_shut_down_is_found_from_the_io_error() {
        let reason = Arc::new(SocketError::TimedOut);
        let error = io::Error::from(ShutDown::new(reason, io::ErrorKind::NotConnected));
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        assert_eq!(error.to_string(), SocketError::TimedOut.to_string());
        let source = error.source().and_then(|source| source.downcast_ref());
        assert_eq!(source, Some(&SocketError::TimedOut));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn numbers_without_a_kind_are_the_kernels() {
        assert!(message_too_long().to_string().starts_with("Message too long"));
        let text = destination_required().to_string();
        assert!(text.starts_with("Destination address required"), "{text}");
    }
}
