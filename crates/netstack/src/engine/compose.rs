//! Packets that the stack composes itself

use pptp_packet::Egress;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        Icmpv4Packet, Icmpv4Repr, IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl,
        TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr, checksum,
    },
};

use super::ip_address;
use crate::ip::{Address, Endpoint};

/// A TCP segment (RFC 9293 §3.1) without octets and without options
#[derive(Debug, Clone, Copy)]
pub(crate) struct BareSegment {
    pub(crate) source: Endpoint,
    pub(crate) destination: Endpoint,
    pub(crate) control: Control,
    pub(crate) sequence: i32,
    pub(crate) acknowledgment: Option<i32>,
    pub(crate) window: u16,
}

/// The control bit of a [`BareSegment`], beside ACK
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Control {
    None,
    Fin,
    Rst,
}

impl BareSegment {
    /// Composes the segment in an IP packet
    pub(crate) fn compose(&self, out: &mut impl Egress) {
        self.compose_with(&ChecksumCapabilities::default(), out);
    }

    /// Composes the segment for the engine, without a checksum, which the engine does not verify
    pub(crate) fn compose_for_engine(&self, out: &mut impl Egress) {
        self.compose_with(&ChecksumCapabilities::ignored(), out);
    }

    fn compose_with(&self, checksums: &ChecksumCapabilities, out: &mut impl Egress) {
        let repr = TcpRepr {
            src_port: self.source.port(),
            dst_port: self.destination.port(),
            control: match self.control {
                Control::None => TcpControl::None,
                Control::Fin => TcpControl::Fin,
                Control::Rst => TcpControl::Rst,
            },
            seq_number: TcpSeqNumber(self.sequence),
            ack_number: self.acknowledgment.map(TcpSeqNumber),
            window_len: self.window,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let (from, to) = (self.source.address(), self.destination.address());
        compose(
            from,
            to,
            IpProtocol::Tcp,
            repr.buffer_len(),
            checksums,
            out,
            |octets, from, to| {
                repr.emit(&mut TcpPacket::new_unchecked(octets), &from, &to, checksums);
            },
        );
    }
}

/// An echo request (RFC 792)
#[derive(Debug, Clone, Copy)]
pub(crate) struct EchoRequest<'a> {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) identifier: u16,
    pub(crate) sequence: u16,
    pub(crate) data: &'a [u8],
}

impl EchoRequest<'_> {
    /// Composes the request in an IP packet
    pub(crate) fn compose(&self, out: &mut impl Egress) {
        let (ident, seq_no, data) = (self.identifier, self.sequence, self.data);
        let repr = Icmpv4Repr::EchoRequest { ident, seq_no, data };
        let (from, to) = (self.source, self.destination);
        let checksums = ChecksumCapabilities::default();
        compose(from, to, IpProtocol::Icmp, repr.buffer_len(), &checksums, out, |octets, _, _| {
            repr.emit(&mut Icmpv4Packet::new_unchecked(octets), &checksums);
        });
    }
}

/// Composes an IP packet of `len` octets of payload, which `emit` fills in
///
/// IPv4 only: nothing is composed for IPv6 addresses, which no socket has.
fn compose(
    from: Address,
    to: Address,
    protocol: IpProtocol,
    len: usize,
    checksums: &ChecksumCapabilities,
    out: &mut impl Egress,
    emit: impl FnOnce(&mut [u8], IpAddress, IpAddress),
) {
    let (Some(src_addr), Some(dst_addr)) = (from.v4(), to.v4()) else { return };
    let ip =
        Ipv4Repr { src_addr, dst_addr, next_header: protocol, payload_len: len, hop_limit: 64 };
    out.compose(ip.buffer_len().saturating_add(len), |octets| {
        let mut packet = Ipv4Packet::new_unchecked(octets);
        ip.emit(&mut packet, checksums);
        emit(packet.payload_mut(), src_addr.into(), dst_addr.into());
    });
}

/// The IPv4 header (RFC 791 §3.1) of a UDP datagram or of a fragment of one
///
/// Don't Fragment is clear.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IpHeader {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) hop_limit: u8,
    pub(crate) identification: u16,
    /// Octets behind the header
    pub(crate) payload_len: usize,
    /// The place of those octets in the datagram's payload
    pub(crate) offset: usize,
    pub(crate) more_fragments: bool,
}

impl IpHeader {
    /// Writes the header into the first 20 octets of `packet`
    ///
    /// IPv4 only: nothing is written for IPv6 addresses, which no socket has.
    pub(crate) fn emit(&self, packet: &mut [u8]) {
        let (source, destination) = (self.source.v4(), self.destination.v4());
        let (Some(src_addr), Some(dst_addr)) = (source, destination) else { return };
        let ip = Ipv4Repr {
            src_addr,
            dst_addr,
            next_header: IpProtocol::Udp,
            payload_len: self.payload_len,
            hop_limit: self.hop_limit,
        };
        let mut packet = Ipv4Packet::new_unchecked(packet);
        ip.emit(&mut packet, &ChecksumCapabilities::ignored());
        packet.set_ident(self.identification);
        packet.set_dont_frag(false);
        packet.set_more_frags(self.more_fragments);
        packet.set_frag_offset(u16::try_from(self.offset).unwrap_or(u16::MAX));
        packet.fill_checksum();
    }
}

/// Composes a whole UDP datagram (RFC 768): header, payload and checksum
///
/// IPv4 only, as its IP header.
pub(crate) fn compose_udp(from: Endpoint, to: Endpoint, payload: &[u8], room: &mut [u8]) {
    let (source, destination) = (ip_address(from.address()), ip_address(to.address()));
    let (Some(source), Some(destination)) = (source, destination) else { return };
    let udp = UdpRepr { src_port: from.port(), dst_port: to.port() };
    let fill = |room: &mut [u8]| room.copy_from_slice(payload);
    let mut datagram = UdpPacket::new_unchecked(room);
    let checksums = ChecksumCapabilities::default();
    udp.emit(&mut datagram, &source, &destination, payload.len(), fill, &checksums);
}

/// The checksum of a UDP datagram (RFC 768, RFC 8200 §8.1), whose header has none yet
pub(crate) fn udp_checksum(
    source: Address,
    destination: Address,
    length: u16,
    header: &[u8],
    payload: &[u8],
) -> u16 {
    let sum = !checksum::combine(&[
        // the prefix of an IPv4 address adds 0xFFFF, which changes no such sum but that of nothing (RFC 1071)
        checksum::data(&source.mapped_octets()),
        checksum::data(&destination.mapped_octets()),
        checksum::data(&[0, IpProtocol::Udp.into()]),
        length,
        checksum::data(header),
        checksum::data(payload),
    ]);
    // 0 would mean "no checksum"
    if sum == 0 { u16::MAX } else { sum }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// The octets of an address in a pseudo header
    fn octets(address: Address) -> Vec<u8> {
        match address.into() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        }
    }

    /// The sum of RFC 1071 over words
    fn sum(octets: &[u8]) -> u16 {
        let words = octets.chunks(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
        words.fold(0, |sum, word| {
            let (sum, carry) = sum.overflowing_add(word);
            sum + u16::from(carry)
        })
    }

    #[test]
    fn the_checksum_of_udp_is_over_the_pseudo_header_of_either_version() {
        let header = [0x0F, 0xA0, 0, 53, 0, 12, 0, 0];
        for [from, to] in
            [["10.0.0.1:4000", "192.168.1.3:53"], ["[fe80::1]:4000", "[2001:db8::7]:53"]]
        {
            let [from, to] = [from, to].map(|text| text.parse::<Endpoint>().unwrap().address());
            for payload in [[0; 4], [0xFF; 4], [1, 2, 3, 4], [0x80, 0, 0xFF, 0xFE]] {
                let pseudo = [octets(from), octets(to), vec![0, 17, 0, 12]].concat();
                let expected = !sum(&[&pseudo[..], &header, &payload].concat());
                assert_eq!(udp_checksum(from, to, 12, &header, &payload), expected, "{from}");
            }
        }
    }
}
