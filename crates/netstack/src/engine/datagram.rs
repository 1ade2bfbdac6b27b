//! IP datagrams, TCP segments and UDP datagrams, as they come in

use smoltcp::wire::{Icmpv4Packet, IpProtocol, Ipv4Packet, TcpPacket, UdpPacket};

use super::ip_address;
use crate::ip::{Address, Endpoint, TCP_HEADER};

/// An IP datagram with a good header, and no fragment
#[derive(Debug)]
pub(crate) struct Datagram<'p> {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) protocol: Protocol,
    pub(crate) payload: &'p [u8],
}

/// The reason for which a packet is of no use
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    Malformed,
    /// A fragment with a good header: of use once its datagram is whole
    Fragment,
}

impl<'p> Datagram<'p> {
    /// Reads an IPv4 datagram (RFC 791 §3.1)
    pub(crate) fn parse(packet: &'p [u8]) -> Result<Self, Unusable> {
        let ip = Ipv4Packet::new_checked(packet).map_err(|_| Unusable::Malformed)?;
        if ip.version() != 4 || !ip.verify_checksum() {
            return Err(Unusable::Malformed);
        }
        if ip.more_frags() || ip.frag_offset() != 0 {
            return Err(Unusable::Fragment);
        }
        Ok(Self {
            source: ip.src_addr().into(),
            destination: ip.dst_addr().into(),
            protocol: ip.next_header().into(),
            payload: ip.payload(),
        })
    }

    /// A TCP segment (RFC 9293 §3.1) with a good checksum
    pub(crate) fn tcp(&self) -> Option<Segment> {
        let tcp = TcpPacket::new_checked(self.payload).ok()?;
        if !tcp.verify_checksum(&ip_address(self.source)?, &ip_address(self.destination)?) {
            return None;
        }
        let has_options = usize::from(tcp.header_len()) > TCP_HEADER; // nearly none has
        let options = has_options.then(|| tcp.options_summary()).transpose().ok()?;
        let options = options.as_ref();
        Some(Segment {
            local: Endpoint::new(self.destination, tcp.dst_port()),
            peer: Endpoint::new(self.source, tcp.src_port()),
            syn: tcp.syn(),
            acknowledges: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            octets: tcp.payload().len(),
            sequence: tcp.seq_number().0,
            acknowledgment: tcp.ack_number().0,
            window: tcp.window_len(),
            scale: options.and_then(|options| options.window_scale),
            most: options.and_then(|options| options.max_segment_size),
            sacks: options.is_some_and(|it| it.sack_ranges.iter().any(Option::is_some)),
        })
    }

    /// A UDP datagram (RFC 768) with a good checksum: source port, destination port, payload
    pub(crate) fn udp(&self) -> Option<(u16, u16, &'p [u8])> {
        let udp = UdpPacket::new_checked(self.payload).ok()?;
        let (source, destination) = (ip_address(self.source)?, ip_address(self.destination)?);
        if udp.checksum() != 0 && !udp.verify_checksum(&source, &destination) {
            return None;
        }
        Some((udp.src_port(), udp.dst_port(), udp.payload()))
    }

    /// Returns the octets of an ICMP message (RFC 792), if its checksum is good
    pub(crate) fn icmp(&self) -> Option<&'p [u8]> {
        let icmp = Icmpv4Packet::new_checked(self.payload).ok()?;
        icmp.verify_checksum().then_some(self.payload)
    }
}

/// The protocol of an IP datagram's payload
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Icmp,
    Igmp,
    Tcp,
    Udp,
    Other(u8),
}

impl From<IpProtocol> for Protocol {
    fn from(protocol: IpProtocol) -> Self {
        match protocol {
            IpProtocol::Icmp => Self::Icmp,
            IpProtocol::Igmp => Self::Igmp,
            IpProtocol::Tcp => Self::Tcp,
            IpProtocol::Udp => Self::Udp,
            other => Self::Other(other.into()),
        }
    }
}

impl From<u8> for Protocol {
    fn from(number: u8) -> Self {
        IpProtocol::from(number).into()
    }
}

/// The fields of a TCP segment (RFC 9293 §3.1) that this crate needs beside the engine
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "the header's control bits")]
pub(crate) struct Segment {
    pub(crate) local: Endpoint,
    pub(crate) peer: Endpoint,
    pub(crate) syn: bool,
    pub(crate) acknowledges: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    pub(crate) octets: usize,
    pub(crate) sequence: i32,
    pub(crate) acknowledgment: i32,
    /// The window, in the units of the SYN's scale
    pub(crate) window: u16,
    /// A SYN's window scale (RFC 7323 §2.2)
    pub(crate) scale: Option<u8>,
    /// A SYN's maximum segment size (RFC 9293 §3.7.1)
    pub(crate) most: Option<u16>,
    /// True if it has SACK blocks (RFC 2018)
    pub(crate) sacks: bool,
}
