//! Fragments of IP datagrams (RFC 791 §3.2)

use std::net::Ipv4Addr;

use smoltcp::wire::Ipv4Packet;

use super::Protocol;

/// The fields that all fragments of one datagram have in common (RFC 791 §3.2)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) protocol: Protocol,
    pub(crate) identification: u16,
}

/// A fragment of a datagram
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fragment<'p> {
    pub(crate) key: Key,
    /// The header without its options
    pub(crate) header: &'p [u8; HEADER],
    /// The place of its octets in the datagram's payload
    pub(crate) offset: usize,
    pub(crate) is_last: bool,
    pub(crate) octets: &'p [u8],
}

impl<'p> Fragment<'p> {
    /// Reads a fragment
    pub(crate) fn parse(packet: &'p [u8]) -> Option<Self> {
        let ip = Ipv4Packet::new_checked(packet).ok()?;
        Some(Self {
            key: Key {
                source: ip.src_addr(),
                destination: ip.dst_addr(),
                protocol: ip.next_header().into(),
                identification: ip.ident(),
            },
            header: packet.first_chunk()?,
            offset: ip.frag_offset().into(),
            is_last: !ip.more_frags(),
            octets: ip.payload(),
        })
    }
}

/// Makes the header of a fragment that of the whole datagram, which has no options
pub(crate) fn complete_header(datagram: &mut [u8]) {
    let length = u16::try_from(datagram.len()).unwrap_or(u16::MAX);
    let mut packet = Ipv4Packet::new_unchecked(datagram);
    packet.set_version(4);
    packet.set_header_len(HEADER_LEN);
    packet.set_total_len(length);
    packet.clear_flags();
    packet.set_frag_offset(0);
    packet.fill_checksum();
}

/// Octets of a header without options (RFC 791 §3.1)
const HEADER: usize = HEADER_LEN as usize;

const HEADER_LEN: u8 = 20;
