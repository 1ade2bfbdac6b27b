//! What somebody makes who is on the way, or who knows addresses and Call ID

use std::net::Ipv4Addr;

use rand::{Rng, RngExt, rngs::StdRng};

/// A GRE datagram taken apart (RFC 2637 §4.1)
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) call_id: u16,
    pub(crate) sequence: u32,
    /// The PPP frame, from the address field on if it has one
    pub(crate) frame: Vec<u8>,
}

impl Seen {
    /// A datagram with a sequence number
    pub(crate) fn parse(gre: &[u8]) -> Option<Self> {
        let call_id = u16::from_be_bytes([gre[6], gre[7]]);
        let sequence = (gre[0] & 0x10 != 0).then(|| gre[8..12].try_into().expect("four"))?;
        let header = if gre[1] & 0x80 == 0 { 12 } else { 16 };
        let frame = gre[header..].to_vec();
        Some(Self { call_id, sequence: u32::from_be_bytes(sequence), frame })
    }

    /// Where MPPE's header is (RFC 3078 §3), if that is what it carries
    pub(crate) fn mppe_header(&self) -> Option<usize> {
        let start = if self.frame.starts_with(&[0xFF, 3]) { 2 } else { 0 };
        match self.frame[start..] {
            [0, 0xFD, ..] => Some(start + 2),
            [0xFD, ..] => Some(start + 1),
            _ => None,
        }
    }

    pub(crate) fn emit(&self) -> Vec<u8> {
        gre(self.call_id, Some(self.sequence), None, &self.frame)
    }
}

/// A GRE datagram (RFC 2637 §4.1)
pub(crate) fn gre(
    call_id: u16,
    sequence: Option<u32>,
    acknowledgment: Option<u32>,
    frame: &[u8],
) -> Vec<u8> {
    let flags = [
        0x20 | if sequence.is_some() { 0x10 } else { 0 },
        0x01 | if acknowledgment.is_some() { 0x80 } else { 0 },
    ];
    let length = u16::try_from(frame.len()).expect("a frame").to_be_bytes();
    let head = [&flags[..], &[0x88, 0x0B], &length, &call_id.to_be_bytes()].concat();
    let numbers = [sequence, acknowledgment].into_iter().flatten().flat_map(u32::to_be_bytes);
    head.into_iter().chain(numbers).chain(frame.iter().copied()).collect()
}

/// An LCP packet in its frame (RFC 1661 §5)
pub(crate) fn ppp(protocol: u16, code: u8, id: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + data.len()).expect("a packet").to_be_bytes();
    [&[0xFF, 3], &protocol.to_be_bytes()[..], &[code, id], &length, data].concat()
}

/// An IPv4 packet with UDP inside (RFC 791, RFC 768), its checksums right
pub(crate) fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).expect("a datagram").to_be_bytes();
    let ports = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
    // a checksum of 0 is none
    ip(17, from.0, to.0, &[&ports[..], &length, &[0, 0], data].concat())
}

/// An IPv4 packet, its checksum right
pub(crate) fn ip(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).expect("a packet").to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    let checksum = checksum(&packet).to_be_bytes();
    packet[10..12].copy_from_slice(&checksum);
    packet.extend(payload);
    packet
}

/// The Internet checksum (RFC 1071)
fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|word| [word[0], word.get(1).copied().unwrap_or_default()]);
    let mut sum: u32 = words.map(|word| u32::from(u16::from_be_bytes(word))).sum();
    while sum > 0xFFFF {
        sum = (sum >> 16) + (sum & 0xFFFF);
    }
    !u16::try_from(sum).expect("folded")
}

pub(crate) fn noise(rng: &mut StdRng, length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    rng.fill_bytes(&mut octets);
    octets
}

/// An octet of `octets[range]` becomes another
pub(crate) fn damage(rng: &mut StdRng, octets: &mut [u8]) {
    let at = rng.random_range(0..octets.len());
    octets[at] ^= rng.random_range(1..=u8::MAX);
}
