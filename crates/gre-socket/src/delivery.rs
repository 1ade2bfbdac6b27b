//! Reports of the network about datagrams that were sent

use std::{io, net::Ipv4Addr};

/// A datagram did not arrive, as an ICMP message says
///
/// The parts that attribute it come from the returned head of the datagram, which anybody on the
/// way may forge: a reason to give up connecting, not to end a tunnel that works.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeliveryFailure {
    /// The address that the datagram was sent to
    pub destination: Ipv4Addr,
    /// The Call ID in its GRE header, which is the peer's, if that much of it came back
    pub peer_call_id: Option<u16>,
    /// The reporter: a router on the way, or the destination itself
    pub reporter: Option<Ipv4Addr>,
    /// ICMP type and code, 3 and 2 being "protocol unreachable" (RFC 792)
    pub icmp: (u8, u8),
    /// The error number which the kernel makes of that type and code
    pub error: io::Error,
}

impl DeliveryFailure {
    /// A report about a datagram to `destination` that names neither its call nor its reporter
    pub const fn new(destination: Ipv4Addr, icmp: (u8, u8), error: io::Error) -> Self {
        Self { destination, peer_call_id: None, reporter: None, icmp, error }
    }
}

/// The receiver's Call ID in the head of an enhanced GRE header (RFC 2637 §4.1)
///
/// ICMP returns as little as 8 octets of a datagram; the Call ID is in octets 6 and 7.
pub fn call_id_of(gre: &[u8]) -> Option<u16> {
    match gre {
        [_, 0x01 | 0x81, 0x88, 0x0B, _, _, high, low, ..] => {
            Some(u16::from_be_bytes([*high, *low]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_id_is_found_in_eight_octets() {
        let data = [0x30, 0x01, 0x88, 0x0B, 0x00, 0x08, 0x12, 0x34];
        assert_eq!(call_id_of(&data), Some(0x1234));
        let with_acknowledgment = [0x30, 0x81, 0x88, 0x0B, 0x00, 0x08, 0x12, 0x34, 0, 0, 0, 5];
        assert_eq!(call_id_of(&with_acknowledgment), Some(0x1234));
    }

    #[test]
    fn what_is_too_short_or_not_enhanced_gre_has_none() {
        assert_eq!(call_id_of(&[0x30, 0x01, 0x88, 0x0B, 0x00, 0x08, 0x12]), None);
        assert_eq!(call_id_of(&[0x20, 0x00, 0x08, 0x00, 0, 0, 0x12, 0x34]), None);
        assert_eq!(call_id_of(&[]), None);
    }
}
