//! Fragments of IP datagrams (RFC 791 §3.2)

use smoltcp::wire::Ipv4Packet;

use super::Protocol;
use crate::ip::{Address, IPV4_HEADER};

/// The fields that all fragments of one datagram have in common (RFC 791 §3.2)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) protocol: Protocol,
    /// 16 bits in IPv4, 32 bits in IPv6 (RFC 8200 §4.5)
    pub(crate) identification: u32,
}

/// A fragment of a datagram
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment<'p> {
    pub(crate) key: Key,
    /// The IPv4 header without its options
    pub(crate) header: &'p [u8; IPV4_HEADER],
    /// The place of its octets in the datagram's payload
    pub(crate) offset: usize,
    pub(crate) is_last: bool,
    pub(crate) octets: &'p [u8],
}

impl<'p> Fragment<'p> {
    /// Reads an IPv4 fragment
    pub(crate) fn parse(packet: &'p [u8]) -> Option<Self> {
        let ip = Ipv4Packet::new_checked(packet).ok()?;
        Some(Self {
            key: Key {
                source: ip.src_addr().into(),
                destination: ip.dst_addr().into(),
                protocol: ip.next_header().into(),
                identification: ip.ident().into(),
            },
            header: packet.first_chunk()?,
            offset: ip.frag_offset().into(),
            is_last: !ip.more_frags(),
            octets: ip.payload(),
        })
    }
}

/// Makes the IPv4 header of a fragment that of the whole datagram, which has no options
pub(crate) fn complete_header(datagram: &mut [u8]) {
    let length = u16::try_from(datagram.len()).unwrap_or(u16::MAX);
    let mut packet = Ipv4Packet::new_unchecked(datagram);
    packet.set_version(4);
    packet.set_header_len(u8::try_from(IPV4_HEADER).unwrap_or(0));
    packet.set_total_len(length);
    packet.clear_flags();
    packet.set_frag_offset(0);
    packet.fill_checksum();
}
