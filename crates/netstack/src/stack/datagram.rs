//! What the stack reads of a packet before it knows whose it is

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::wire::{
    Icmpv4Packet, IpAddress, IpProtocol, Ipv4Packet, TCP_HEADER_LEN, TcpPacket, UdpPacket,
};

use super::congestion::DEFAULT_SEGMENT;
use crate::SocketError;

/// An IPv4 datagram (RFC 791 §3.1) with a good header, and no fragment
#[derive(Debug)]
pub(super) struct Datagram<'p> {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) protocol: IpProtocol,
    pub(super) payload: &'p [u8],
}

/// Why a packet is of no use
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    Malformed,
    /// A fragment with a good header: of use once its datagram is whole
    Fragment,
}

impl<'p> Datagram<'p> {
    pub(super) fn parse(packet: &'p [u8]) -> Result<Self, Unusable> {
        let ip = Ipv4Packet::new_checked(packet).map_err(|_| Unusable::Malformed)?;
        if ip.version() != 4 || !ip.verify_checksum() {
            return Err(Unusable::Malformed);
        }
        if ip.more_frags() || ip.frag_offset() != 0 {
            return Err(Unusable::Fragment);
        }
        Ok(Self {
            source: ip.src_addr(),
            destination: ip.dst_addr(),
            protocol: ip.next_header(),
            payload: ip.payload(),
        })
    }

    /// A TCP segment (RFC 9293 §3.1) with a good checksum
    pub(super) fn tcp(&self) -> Option<Segment> {
        let tcp = TcpPacket::new_checked(self.payload).ok()?;
        if !tcp.verify_checksum(&self.source.into(), &self.destination.into()) {
            return None;
        }
        let has_options = usize::from(tcp.header_len()) > TCP_HEADER_LEN; // nearly none has
        let options = has_options.then(|| tcp.options_summary()).transpose().ok()?;
        let options = options.as_ref();
        let most = options.and_then(|options| options.max_segment_size);
        Some(Segment {
            local: SocketAddrV4::new(self.destination, tcp.dst_port()),
            peer: SocketAddrV4::new(self.source, tcp.src_port()),
            syn: tcp.syn(),
            acknowledges: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            octets: tcp.payload().len(),
            sequence: tcp.seq_number().0,
            acknowledgment: tcp.ack_number().0,
            window: tcp.window_len(),
            scale: options.and_then(|options| options.window_scale),
            most: most.map_or(DEFAULT_SEGMENT, u32::from),
            sacks: options.is_some_and(|it| it.sack_ranges.iter().any(Option::is_some)),
        })
    }

    /// A UDP datagram (RFC 768) with a good checksum: source port, destination port, payload
    pub(super) fn udp(&self) -> Option<(u16, u16, &'p [u8])> {
        let udp = UdpPacket::new_checked(self.payload).ok()?;
        let (source, destination) = (IpAddress::Ipv4(self.source), self.destination.into());
        if udp.checksum() != 0 && !udp.verify_checksum(&source, &destination) {
            return None;
        }
        Some((udp.src_port(), udp.dst_port(), udp.payload()))
    }

    pub(super) fn icmp(&self) -> Option<Icmp> {
        let icmp = Icmpv4Packet::new_checked(self.payload).ok()?;
        if !icmp.verify_checksum() {
            return None;
        }
        match self.payload {
            [0x00, 0x00, _, _, i0, i1, s0, s1, ..] => Some(Icmp::EchoReply {
                ident: u16::from_be_bytes([*i0, *i1]),
                sequence: u16::from_be_bytes([*s0, *s1]),
            }),
            [kind, code, _, _, _, _, _, _, quoted @ ..] => Some(Icmp::Unreachable {
                error: unreachable(*kind, *code)?,
                quoted: Quoted::parse(quoted)?,
            }),
            _ => None,
        }
    }
}

/// What matters of a TCP segment (RFC 9293 §3.1) beyond smoltcp's own reading of it
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "the header's control bits")]
pub(super) struct Segment {
    pub(super) local: SocketAddrV4,
    pub(super) peer: SocketAddrV4,
    pub(super) syn: bool,
    pub(super) acknowledges: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    pub(super) octets: usize,
    pub(super) sequence: i32,
    pub(super) acknowledgment: i32,
    /// In units that the SYN told
    pub(super) window: u16,
    /// A SYN's window scale (RFC 7323 §2.2)
    pub(super) scale: Option<u8>,
    /// Octets that the sender of a SYN takes in a segment
    pub(super) most: u32,
    /// Whether it tells what came out of order (RFC 2018)
    pub(super) sacks: bool,
}

/// An ICMP message (RFC 792) that some socket waits for
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Icmp {
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

/// The datagram an ICMP message complains of
///
/// Read by hand: smoltcp wants the whole datagram quoted, and RFC 792 only the header and the
/// eight octets behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoted {
    Tcp { local: SocketAddrV4, peer: SocketAddrV4, sequence: i32 },
    Udp { local: SocketAddrV4, peer: SocketAddrV4 },
    Echo { to: Ipv4Addr, ident: u16, sequence: u16 },
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
        let to = Ipv4Addr::new(d0, d1, d2, d3);
        let local = SocketAddrV4::new(Ipv4Addr::new(s0, s1, s2, s3), port(p0, p1));
        let peer = SocketAddrV4::new(to, port(p2, p3));
        match IpProtocol::from(protocol) {
            IpProtocol::Tcp => {
                let sequence = i32::from_be_bytes([p4, p5, p6, p7]);
                Some(Self::Tcp { local, peer, sequence })
            }
            IpProtocol::Udp => Some(Self::Udp { local, peer }),
            IpProtocol::Icmp if (p0, p1) == (0x08, 0x00) => {
                Some(Self::Echo { to, ident: port(p4, p5), sequence: port(p6, p7) })
            }
            _ => None,
        }
    }
}

/// Of the word that holds it, the bits of a fragment's place (RFC 791 §3.1)
const FRAGMENT_OFFSET: u16 = 0x1FFF;

/// What the kernel's sockets make of type and code
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

    /// An ICMP message of type and code that quotes `quoted`, with a good checksum
    fn icmp(kind: u8, code: u8, quoted: &[u8]) -> Vec<u8> {
        let mut message = [&[kind, code, 0, 0, 0, 0, 0, 0], quoted].concat();
        Icmpv4Packet::new_unchecked(&mut message[..]).fill_checksum();
        message
    }

    fn parse(payload: &[u8]) -> Option<Icmp> {
        let (source, destination) = (Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::new(10, 0, 0, 1));
        Datagram { source, destination, protocol: IpProtocol::Icmp, payload }.icmp()
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
            let (source, destination) = (Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
            let payload = &octets[..];
            let datagram =
                Datagram { source, destination, protocol: IpProtocol::Icmp, payload };
            let _ = (datagram.tcp(), datagram.udp(), datagram.icmp());
        }
    }
}
