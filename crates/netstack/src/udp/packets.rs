//! The IP packets that a UDP datagram leaves in

use pptp_packet::Egress;

use crate::{
    engine::{IpHeader, compose_udp, udp_checksum},
    ip::{Endpoint, UDP_HEADER, Version},
};

/// A UDP datagram (RFC 768) on its way out, in one IP packet or in several (RFC 791 §3.2)
///
/// Don't Fragment is clear in all of them: the stack does not look for the path's MTU, so a router may
/// cut them further.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) from: Endpoint,
    pub(super) to: Endpoint,
    pub(super) ttl: u8,
    pub(super) identification: u16,
    pub(super) payload: &'a [u8],
}

/// The place of one packet's octets in the IP payload, which begins with the UDP header
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    start: usize,
    end: usize,
    is_last: bool,
}

impl Outgoing<'_> {
    /// Composes the packet that begins at octet `start` of the IP payload; returns the start of the next
    ///
    /// `start` is 0 or the result of the last call, and the MTU may differ from that call's. `None` if
    /// nothing is left behind this packet.
    pub(super) fn compose(&self, start: usize, mtu: usize, out: &mut impl Egress) -> Option<usize> {
        let header = self.to.address().version().header_len();
        let place = place(self.len(), start, mtu.saturating_sub(header));
        let octets = place.end.saturating_sub(place.start);
        out.compose(header.saturating_add(octets), |room| {
            self.emit_ip(place, octets, room);
            let room = room.get_mut(header..).unwrap_or_default();
            if place.start == 0 && place.is_last {
                compose_udp(self.from, self.to, self.payload, room);
            } else {
                self.emit_part(place, room);
            }
        });
        (!place.is_last).then_some(place.end)
    }

    /// Octets of the IP payload
    const fn len(&self) -> usize {
        UDP_HEADER.saturating_add(self.payload.len())
    }

    fn emit_ip(&self, place: Place, octets: usize, room: &mut [u8]) {
        let header = IpHeader {
            source: self.from.address(),
            destination: self.to.address(),
            hop_limit: self.ttl,
            identification: self.identification,
            payload_len: octets,
            offset: place.start,
            more_fragments: !place.is_last,
        };
        header.emit(room);
    }

    fn emit_part(&self, place: Place, room: &mut [u8]) {
        let skipped = if place.start == 0 { UDP_HEADER } else { 0 };
        let (header, room) = room.split_at_mut(skipped.min(room.len()));
        if let Some(header) = header.first_chunk_mut() {
            *header = self.header();
        }
        let start = place.start.saturating_sub(UDP_HEADER);
        let part = self.payload.get(start..start.saturating_add(room.len()));
        room.copy_from_slice(part.unwrap_or_default());
    }

    /// The UDP header, with the checksum over the whole datagram
    fn header(&self) -> [u8; UDP_HEADER] {
        let length = u16::try_from(self.len()).unwrap_or(u16::MAX);
        let ([s0, s1], [d0, d1]) = (self.from.port().to_be_bytes(), self.to.port().to_be_bytes());
        let [l0, l1] = length.to_be_bytes();
        let header = [s0, s1, d0, d1, l0, l1, 0, 0];
        let (from, to) = (self.from.address(), self.to.address());
        let sum = udp_checksum(from, to, length, &header, self.payload);
        let [c0, c1] = sum.to_be_bytes();
        [s0, s1, d0, d1, l0, l1, c0, c1]
    }
}

/// The largest place in an IP payload of `len` octets that fits one packet's `room` for it; but for the last one it
/// ends at a multiple of eight
const fn place(len: usize, start: usize, room: usize) -> Place {
    let rest = len.saturating_sub(start);
    if rest <= room {
        return Place { start, end: len, is_last: true };
    }
    Place { start, end: start.saturating_add(room & !7), is_last: false }
}

/// Octets of the largest datagram's payload (RFC 768, RFC 791 §3.1, RFC 8200 §3)
pub(super) const fn max_payload(version: Version) -> usize {
    version.max_payload().saturating_sub(UDP_HEADER)
}

#[cfg(test)]
mod tests {
    use pptp_packet::VecEgress;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::testing::{IpAddress, Ipv4Packet, UdpPacket};

    /// The packets of a datagram, each at the next of the MTUs, which repeat
    fn packets(payload: &[u8], mtus: &[usize]) -> Vec<Vec<u8>> {
        let mut out = VecEgress::new(2000);
        let datagram = Outgoing {
            from: "192.168.1.20:4000".parse().unwrap(),
            to: "192.168.1.3:161".parse().unwrap(),
            ttl: 7,
            identification: 0xABCD,
            payload,
        };
        let (mut start, mut mtus) = (Some(0), mtus.iter().cycle());
        while let Some(at) = start {
            start = datagram.compose(at, *mtus.next().unwrap(), &mut out);
        }
        assert_eq!(out.dropped, 0);
        out.packets
    }

    /// The payload, if the packets are the fragments of a good datagram in their order
    fn put_together(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut octets = Vec::new();
        for (at, packet) in packets.iter().enumerate() {
            let ip = Ipv4Packet::new_checked(&packet[..]).unwrap();
            assert!(ip.verify_checksum() && !ip.dont_frag());
            assert_eq!((ip.ident(), ip.hop_limit(), ip.header_len()), (0xABCD, 7, 20));
            assert_eq!(usize::from(ip.total_len()), packet.len());
            assert_eq!(usize::from(ip.frag_offset()), octets.len());
            assert_eq!(ip.more_frags(), at + 1 < packets.len());
            octets.extend_from_slice(ip.payload());
        }
        let udp = UdpPacket::new_checked(&octets[..]).unwrap();
        let (source, destination) = (IpAddress::v4(192, 168, 1, 20), IpAddress::v4(192, 168, 1, 3));
        assert!(udp.checksum() != 0 && udp.verify_checksum(&source, &destination));
        assert_eq!((udp.src_port(), udp.dst_port()), (4000, 161));
        assert_eq!(usize::from(udp.len()), octets.len());
        udp.payload().to_vec()
    }

    #[test]
    fn a_datagram_leaves_in_as_few_packets_as_fit() {
        for (payload, mtu, lengths) in [
            (0, 1396, &[28][..]),
            (1368, 1396, &[1396]),
            (1369, 1396, &[1396, 21]),
            (1472, 1396, &[1396, 124]),
            (1472, 1400, &[1396, 124]),
            (40, 68, &[68]),
            (41, 68, &[68, 21]),
        ] {
            let packets = packets(&vec![7; payload], &[mtu]);
            let got: Vec<_> = packets.iter().map(Vec::len).collect();
            assert_eq!(got, lengths, "{payload} octets at {mtu}");
            assert_eq!(put_together(&packets), vec![7; payload]);
        }
    }

    #[test]
    fn the_largest_datagram_fits_the_field_of_its_length() {
        let payload: Vec<_> = (0..max_payload(Version::V4)).map(|at| at.to_be_bytes()[7]).collect();
        for (mtu, count) in [(68, 1365), (1396, 48), (65_534, 2), (65_535, 1)] {
            let packets = packets(&payload, &[mtu]);
            assert_eq!(packets.len(), count, "{mtu}");
            assert!(put_together(&packets) == payload, "{mtu}");
        }
    }

    #[test]
    fn a_checksum_that_comes_to_zero_is_sent_as_ones() {
        // some pair of octets makes the sum come to zero
        let sums = (0..=u16::MAX).map(|tail| {
            let payload = [&[0; 62][..], &tail.to_be_bytes()].concat();
            let packets = packets(&payload, &[68]);
            assert_eq!(packets.len(), 2);
            (packets[0][26], packets[0][27])
        });
        let zeros = sums.fold((0, 0), |(zeros, ones), sum| match sum {
            (0, 0) => (zeros + 1, ones),
            (0xFF, 0xFF) => (zeros, ones + 1),
            _ => (zeros, ones),
        });
        assert_eq!(zeros, (0, 1));
    }

    proptest! {
        #[test]
        fn no_packet_is_larger_than_the_mtu_of_its_time(
            payload in proptest::collection::vec(any::<u8>(), 0..5000),
            mtus in proptest::collection::vec(68_usize..1500, 1..6),
        ) {
            let packets = packets(&payload, &mtus);
            for (packet, mtu) in packets.iter().zip(mtus.iter().cycle()) {
                prop_assert!(packet.len() <= *mtu);
            }
            prop_assert_eq!(put_together(&packets), payload);
        }
    }
}
