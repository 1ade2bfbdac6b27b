//! The reasons why octets are no frame

use crate::Service;

/// The reason why a datagram is no frame of KNXnet/IP
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The datagram is shorter than a header, or than its header says
    #[error("the datagram is cut off: {is} octets of {told}")]
    CutOff {
        /// Octets that are wanted at least
        told: usize,
        /// Octets that are there
        is: usize,
    },
    /// The header is not that of version 1.0: its first two octets are not 06 and 10
    #[error("no header of KNXnet/IP 1.0: {0:#04x} {1:#04x}")]
    Header(u8, u8),
    /// The header's total length is less than that of the header
    #[error("the total length is {0}, less than the header itself")]
    Length(u16),
    /// The body is too short for its service
    #[error("{0} is too short")]
    Short(Service),
    /// An HPAI has not 8 octets
    #[error("the HPAI of {0} has a length of {1}: 8 is wanted")]
    HpaiLength(Service, u8),
    /// An HPAI is neither of UDP nor of TCP over IPv4
    #[error("the HPAI of {0} has the host protocol {1}: 1 and 2 are known")]
    HpaiProtocol(Service, u8),
    /// A connection header has not 4 octets
    #[error("the connection header of {0} has a length of {1}: 4 is wanted")]
    ConnectionHeader(Service, u8),
}
