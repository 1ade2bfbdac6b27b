//! The header of enhanced GRE (RFC 2637 section 4.1)

use std::ops::Range;

/// The header of one GRE datagram (RFC 2637 section 4.1)
///
/// Its payload length is not kept: [`Header::parse`] turns it into a range, [`Header::emit`] takes
/// it as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Call ID of the receiver: the peer's in what we send, ours in what we get
    pub call_id: u16,
    /// Sequence number, in datagrams with a payload
    pub sequence: Option<u32>,
    /// Highest sequence number that the sender of this datagram has received
    pub acknowledgment: Option<u32>,
}

impl Header {
    /// Octets of the longest header: with sequence and acknowledgment number
    pub const MAX_LEN: usize = 16;

    /// Reads the header at the start of `datagram`, and where in it the payload is
    ///
    /// Octets behind the payload length are left out of the range. Without a sequence number the
    /// range is empty whatever the length says: such a datagram carries no data.
    pub fn parse(datagram: &[u8]) -> Result<(Self, Range<usize>), ParseError> {
        todo!("{datagram:?}")
    }

    /// The octets of this header in front of a payload of `payload_length` octets
    pub fn emit(&self, payload_length: u16) -> HeaderOctets {
        todo!("{payload_length}")
    }

    /// Octets of this header: 8, 12 or 16
    pub const fn len(&self) -> usize {
        todo!()
    }
}

/// The octets of one header, as [`Header::emit`] gives them
#[derive(Clone, Copy, Debug)]
pub struct HeaderOctets {
    octets: [u8; Header::MAX_LEN],
    len: usize,
}

impl HeaderOctets {
    /// The octets
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }
}

/// Why octets are no datagram of enhanced GRE
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Shorter than its header, or than its header and payload length say
    #[error("truncated GRE datagram")]
    Truncated,
    /// Flags and version other than those of enhanced GRE
    #[error("GRE flags and version {0:#06x} are not those of enhanced GRE")]
    Flags(u16),
    /// A protocol type other than PPP (880B)
    #[error("GRE protocol type {0:#06x} is not PPP")]
    Protocol(u16),
}
