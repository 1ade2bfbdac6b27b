//! The reasons why a client's octets are no message

/// The reason why a client's octets are no message of SOCKS 5
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first octet of a greeting or a request is not 5
    #[error("SOCKS version {0}: 5 is wanted")]
    Version(u8),
    /// The client speaks HTTP, and has mistaken the port
    #[error("the client speaks HTTP: this port is for SOCKS 5")]
    Http,
    /// The version of a login is not 1 (RFC 1929)
    #[error("version {0} of the login: 1 is wanted")]
    LoginVersion(u8),
    /// The client offers no method
    #[error("the client offers no method of authentication")]
    NoMethods,
    /// The reserved octet of a request, or the reserved octets of a datagram, are not 0
    #[error("a reserved octet is not 0")]
    Reserved,
    /// The kind of an address is not 1, 3 or 4
    #[error("kind {0} of address: 1, 3 and 4 are known")]
    AddressKind(u8),
    /// The name of a target is empty, or not printable ASCII
    #[error("the name of the target is empty or not printable ASCII")]
    Name,
    /// A datagram is cut off
    #[error("the datagram is cut off")]
    CutOff,
}
