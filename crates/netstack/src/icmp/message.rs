//! ICMP messages (RFC 792)

use std::net::Ipv4Addr;

use crate::{
    SocketError,
    engine::Protocol,
    ip::{Address, Endpoint},
};

/// An ICMP message (RFC 792) that some socket waits for
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Icmp {
    EchoReply {
        ident: u16,
        sequence: u16,
    },
    /// Destination unreachable or time exceeded
    Unreachable {
        error: SocketError,
        quoted: Quoted,
    },
}

impl Icmp {
    /// Reads a message whose checksum was verified
    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        match message {
            [0x00, 0x00, _, _, i0, i1, s0, s1, ..] => Some(Self::EchoReply {
                ident: u16::from_be_bytes([*i0, *i1]),
                sequence: u16::from_be_bytes([*s0, *s1]),
            }),
            [kind, code, _, _, _, _, _, _, quoted @ ..] => Some(Self::Unreachable {
                error: unreachable(*kind, *code)?,
                quoted: Quoted::parse(quoted)?,
            }),
            _ => None,
        }
    }
}

/// The datagram that an ICMP message complains of
///
/// It is read here: the engine wants the whole datagram quoted, and RFC 792 only the header and the
/// eight octets behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quoted {
    Tcp { local: Endpoint, peer: Endpoint, sequence: i32 },
    Udp { local: Endpoint, peer: Endpoint },
    Echo { to: Address, ident: u16, sequence: u16 },
}

impl Quoted {
    fn parse(packet: &[u8]) -> Option<Self> {
        let &[
            version_ihl,
            _,
            _,
            _,
            _,
            _,
            fragment_high,
            fragment_low,
            _,
            protocol,
            _,
            _,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
            ..,
        ] = packet
        else {
            return None;
        };
        let is_first = u16::from_be_bytes([fragment_high, fragment_low]) & FRAGMENT_OFFSET == 0;
        if version_ihl >> 4 != 4 || !is_first {
            return None;
        }
        let header = usize::from(version_ihl & 0x0F).checked_mul(4)?;
        let &[p0, p1, p2, p3, p4, p5, p6, p7, ..] = packet.get(header..)? else { return None };
        let port = |high, low| u16::from_be_bytes([high, low]);
        let to = Ipv4Addr::new(d0, d1, d2, d3).into();
        let local = Endpoint::new(Ipv4Addr::new(s0, s1, s2, s3).into(), port(p0, p1));
        let peer = Endpoint::new(to, port(p2, p3));
        match Protocol::from(protocol) {
            Protocol::Tcp => {
                let sequence = i32::from_be_bytes([p4, p5, p6, p7]);
                Some(Self::Tcp { local, peer, sequence })
            }
            Protocol::Udp => Some(Self::Udp { local, peer }),
            Protocol::Icmp if (p0, p1) == (0x08, 0x00) => {
                Some(Self::Echo { to, ident: port(p4, p5), sequence: port(p6, p7) })
            }
            _ => None,
        }
    }
}

/// The bits of the fragment offset in its word (RFC 791 §3.1)
const FRAGMENT_OFFSET: u16 = 0x1FFF;

/// The error that the kernel's sockets have for a type and code
///
/// `None` for codes that end nothing: "fragmentation needed" among them, for a segment is never
/// larger than the MTU, and a path with a smaller one is the peer's segments' business.
fn unreachable(kind: u8, code: u8) -> Option<SocketError> {
    match (kind, code) {
        (0x03, 0x00 | 0x06 | 0x09 | 0x0B) => Some(SocketError::NetworkUnreachable),
        (0x03, 0x02 | 0x03) => Some(SocketError::Refused),
        (0x03, 0x01 | 0x05 | 0x07 | 0x08 | 0x0A | 0x0C..=0x0F) | (0x0B, _) => {
            Some(SocketError::HostUnreachable)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Datagram;

    /// An ICMP message of type and code that quotes `quoted`, with a good checksum
    fn icmp(kind: u8, code: u8, quoted: &[u8]) -> Vec<u8> {
        let mut message = [&[kind, code, 0, 0, 0, 0, 0, 0], quoted].concat();
        let sum = !checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    }

    /// The Internet checksum of an even number of octets (RFC 1071)
    fn checksum(octets: &[u8]) -> u16 {
        let words = octets.chunks_exact(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
        let sum: u32 = words.sum();
        let folded = (sum & 0xFFFF) + (sum >> 16);
        u16::try_from((folded & 0xFFFF) + (folded >> 16)).unwrap()
    }

    fn parse(payload: &[u8]) -> Option<Icmp> {
        let source = Ipv4Addr::new(192, 168, 1, 1).into();
        let destination = Ipv4Addr::new(10, 0, 0, 1).into();
        let datagram = Datagram { source, destination, protocol: Protocol::Icmp, payload };
        datagram.icmp().and_then(Icmp::parse)
    }

    /// The header of a 1400-octet datagram and the first eight octets behind it
    const SYN: [u8; 28] = [
        0x45, 0, 0x05, 0x78, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 168, 1, 3, 0xC0, 0x01,
        0, 80, 1, 2, 3, 4,
    ];

    #[test]
    fn rfc792_quotes_of_eight_octets_are_enough() {
        let Some(Icmp::Unreachable { error, quoted }) = parse(&icmp(3, 1, &SYN)) else {
            panic!("not parsed");
        };
        assert_eq!(error, SocketError::HostUnreachable);
        let local = "10.0.0.1:49153".parse().unwrap();
        let peer = "192.168.1.3:80".parse().unwrap();
        assert_eq!(quoted, Quoted::Tcp { local, peer, sequence: 0x0102_0304 });
        assert_eq!(parse(&icmp(3, 1, &SYN[..27])), None, "seven octets are not");
    }

    #[test]
    fn a_quoted_fragment_has_ports_only_if_it_is_the_first() {
        let quoting = |high, low| {
            let mut quoted = SYN;
            (quoted[6], quoted[7]) = (high, low);
            parse(&icmp(3, 1, &quoted))
        };
        assert!(quoting(0x20, 0).is_some(), "the first of several");
        for (high, low) in [(0x20, 1), (0, 172), (0x1F, 0)] {
            assert_eq!(quoting(high, low), None, "{high:#x} {low:#x}");
        }
    }

    #[test]
    fn codes_have_the_kernels_errors() {
        let error = |kind, code| match parse(&icmp(kind, code, &SYN)) {
            Some(Icmp::Unreachable { error, .. }) => Some(error),
            _ => None,
        };
        assert_eq!(error(3, 0), Some(SocketError::NetworkUnreachable));
        assert_eq!(error(3, 3), Some(SocketError::Refused));
        assert_eq!(error(3, 13), Some(SocketError::HostUnreachable));
        assert_eq!(error(3, 4), None, "fragmentation needed");
        assert_eq!(error(11, 0), Some(SocketError::HostUnreachable));
        assert_eq!(error(5, 0), None, "redirect");
    }

    #[test]
    fn a_bad_checksum_says_nothing() {
        let mut message = icmp(3, 1, &SYN);
        message[8] ^= 0x20;
        assert_eq!(parse(&message), None);
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets: Vec<u8>) {
            let _ = Datagram::parse(&octets);
            let _ = Quoted::parse(&octets);
            let (source, destination) = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into());
            let payload = &octets[..];
            let datagram = Datagram { source, destination, protocol: Protocol::Icmp, payload };
            let _ = (datagram.tcp(), datagram.udp(), datagram.icmp().map(Icmp::parse));
        }
    }
}
