//! The server's reply to a request (RFC 1928 §6)

use std::net::SocketAddr;

use crate::{Error, Target, greeting::VERSION};

/// The outcome of a request
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// It is done; the address is the server's end of the connection, or of the relay
    Succeeded(SocketAddr),
    /// The server has a fault
    GeneralFailure,
    /// The server's rules forbid it
    NotAllowed,
    /// The network cannot be reached
    NetworkUnreachable,
    /// The host cannot be reached
    HostUnreachable,
    /// The host has refused
    ConnectionRefused,
    /// The host did not answer in time
    TtlExpired,
    /// The server does not know the command
    CommandNotSupported,
    /// The server does not know this kind of address
    AddressNotSupported,
}

impl Reply {
    /// Returns the reply to octets that are no request
    pub const fn for_error(error: Error) -> Self {
        match error {
            Error::AddressKind(_) => Self::AddressNotSupported,
            _ => Self::GeneralFailure,
        }
    }

    /// Returns the reply as octets; after a failure the connection is closed
    pub fn emit(self) -> Vec<u8> {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let (number, bound) = match self {
            Self::Succeeded(bound) => (0, bound),
            Self::GeneralFailure => (1, nowhere),
            Self::NotAllowed => (2, nowhere),
            Self::NetworkUnreachable => (3, nowhere),
            Self::HostUnreachable => (4, nowhere),
            Self::ConnectionRefused => (5, nowhere),
            Self::TtlExpired => (6, nowhere),
            Self::CommandNotSupported => (7, nowhere),
            Self::AddressNotSupported => (8, nowhere),
        };
        let mut octets = vec![VERSION, number, 0];
        Target::from(bound).emit(&mut octets);
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1928_6_each_outcome_has_its_number() {
        let bound = SocketAddr::from(([192, 168, 1, 20], 0x1234));
        assert_eq!(Reply::Succeeded(bound).emit(), [5, 0, 0, 1, 192, 168, 1, 20, 0x12, 0x34]);
        let failures = [
            Reply::GeneralFailure,
            Reply::NotAllowed,
            Reply::NetworkUnreachable,
            Reply::HostUnreachable,
            Reply::ConnectionRefused,
            Reply::TtlExpired,
            Reply::CommandNotSupported,
            Reply::AddressNotSupported,
        ];
        for (reply, number) in failures.into_iter().zip(1..) {
            assert_eq!(reply.emit(), [5, number, 0, 1, 0, 0, 0, 0, 0, 0]);
        }
        assert_eq!(Reply::for_error(Error::AddressKind(2)), Reply::AddressNotSupported);
        assert_eq!(Reply::for_error(Error::Name), Reply::GeneralFailure);
        let bound: SocketAddr = "[fe80::1]:80".parse().unwrap();
        assert_eq!(Reply::Succeeded(bound).emit().len(), 22);
    }
}
