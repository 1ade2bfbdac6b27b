//! Packets that the stack composes itself

use std::net::{Ipv4Addr, SocketAddrV4};

use pptp_packet::Egress;
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        Icmpv4Packet, Icmpv4Repr, IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl,
        TcpPacket, TcpRepr, TcpSeqNumber, UdpPacket, UdpRepr, checksum,
    },
};

/// A TCP segment (RFC 9293 §3.1) without octets and without options
#[derive(Debug, Clone, Copy)]
pub(crate) struct BareSegment {
    pub(crate) source: SocketAddrV4,
    pub(crate) destination: SocketAddrV4,
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
    /// Composes the segment in an IP packet of 40 octets
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
        let (from, to) = (*self.source.ip(), *self.destination.ip());
        compose(from, to, IpProtocol::Tcp, repr.buffer_len(), checksums, out, |octets| {
            let mut segment = TcpPacket::new_unchecked(octets);
            repr.emit(&mut segment, &IpAddress::Ipv4(from), &IpAddress::Ipv4(to), checksums);
        });
    }
}

/// An echo request (RFC 792)
#[derive(Debug, Clone, Copy)]
pub(crate) struct EchoRequest<'a> {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
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
        compose(from, to, IpProtocol::Icmp, repr.buffer_len(), &checksums, out, |octets| {
            repr.emit(&mut Icmpv4Packet::new_unchecked(octets), &checksums);
        });
    }
}

/// Composes an IP packet of `len` octets of payload, which `emit` fills in
fn compose(
    from: Ipv4Addr,
    to: Ipv4Addr,
    protocol: IpProtocol,
    len: usize,
    checksums: &ChecksumCapabilities,
    out: &mut impl Egress,
    emit: impl FnOnce(&mut [u8]),
) {
    let ip = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: protocol,
        payload_len: len,
        hop_limit: 64,
    };
    out.compose(ip.buffer_len().saturating_add(len), |octets| {
        let mut packet = Ipv4Packet::new_unchecked(octets);
        ip.emit(&mut packet, checksums);
        emit(packet.payload_mut());
    });
}

/// The IPv4 header (RFC 791 §3.1) of a UDP datagram or of a fragment of one
///
/// Don't Fragment is clear.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IpHeader {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
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
    pub(crate) fn emit(&self, packet: &mut [u8]) {
        let ip = Ipv4Repr {
            src_addr: self.source,
            dst_addr: self.destination,
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
pub(crate) fn compose_udp(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8], room: &mut [u8]) {
    let udp = UdpRepr { src_port: from.port(), dst_port: to.port() };
    let (source, destination) = (IpAddress::Ipv4(*from.ip()), IpAddress::Ipv4(*to.ip()));
    let fill = |room: &mut [u8]| room.copy_from_slice(payload);
    let mut datagram = UdpPacket::new_unchecked(room);
    let checksums = ChecksumCapabilities::default();
    udp.emit(&mut datagram, &source, &destination, payload.len(), fill, &checksums);
}

/// The checksum of a UDP datagram (RFC 768), whose header has none yet
pub(crate) fn udp_checksum(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    length: u16,
    header: &[u8],
    payload: &[u8],
) -> u16 {
    let (source, destination) = (IpAddress::Ipv4(source), IpAddress::Ipv4(destination));
    let sum = !checksum::combine(&[
        checksum::pseudo_header(&source, &destination, IpProtocol::Udp, length.into()),
        checksum::data(header),
        checksum::data(payload),
    ]);
    // 0 would mean "no checksum"
    if sum == 0 { u16::MAX } else { sum }
}
