//! A host behind the server

use std::net::SocketAddrV4;

/// A host behind the server that knows as much of TCP as one connection's bulk transfer needs
///
/// It trusts the way: nothing is lost there. So it keeps nothing but numbers.
#[derive(Debug)]
pub struct Host {
    local: SocketAddrV4,
    peer: SocketAddrV4,
    /// The next number to send
    next: u32,
    /// The next number expected
    expected: u32,
    /// What the client was told of that
    acknowledged: u32,
    /// The first number that the client has no room for
    limit: u32,
    /// Of the client's windows
    scale: u8,
}

impl Host {
    /// A host that listens
    pub const fn new(local: SocketAddrV4) -> Self {
        Self {
            local,
            peer: local,
            next: 0x1000_0000,
            expected: 0,
            acknowledged: 0,
            limit: 0,
            scale: 0,
        }
    }

    /// Takes a packet of the client's, and tells whether it was the SYN
    pub fn handle(&mut self, packet: &[u8]) -> bool {
        let Some((ip, tcp)) = packet.split_first_chunk::<20>() else { return false };
        if ip[9] != TCP {
            return false; // the tunnel's own ping
        }
        let port = u16::from_be_bytes([tcp[0], tcp[1]]);
        let sequence = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let length = count(tcp.len() - usize::from(tcp[12] >> 4) * 4);
        let is_syn = tcp[13] & SYN != 0;
        if is_syn {
            let [a, b, c, d] = [ip[12], ip[13], ip[14], ip[15]];
            self.peer = SocketAddrV4::new([a, b, c, d].into(), port);
            self.acknowledged = sequence.wrapping_add(1);
            self.expected = self.acknowledged;
        } else if length > 0 {
            assert_eq!(sequence, self.expected, "nothing is lost or sent twice");
            self.expected = sequence.wrapping_add(length);
        }
        let confirmed = u32::from_be_bytes([tcp[8], tcp[9], tcp[10], tcp[11]]);
        let window = u32::from(u16::from_be_bytes([tcp[14], tcp[15]]));
        if is_syn {
            self.scale = window_scale(&tcp[20..]);
        } else {
            self.limit = confirmed.wrapping_add(window << self.scale);
        }
        is_syn
    }

    /// Whether the client has room for so many octets more
    pub fn may_send(&self, octets: usize) -> bool {
        self.limit.wrapping_sub(self.next).wrapping_sub(count(octets)).cast_signed() >= 0
    }

    /// Composes the answer to a SYN
    pub fn syn_ack(&mut self, packet: &mut Vec<u8>) {
        // maximum segment size 1460; the window scale
        self.compose(packet, SYN | ACK, &[2, 4, 0x05, 0xB4, 1, 3, 3, SCALE], &[]);
        self.next = self.next.wrapping_add(1);
    }

    /// Composes a segment
    pub fn segment(&mut self, packet: &mut Vec<u8>, data: &[u8]) {
        self.acknowledged = self.expected;
        self.compose(packet, ACK, &[], data);
        self.next = self.next.wrapping_add(count(data.len()));
    }

    /// Acknowledges up to `step` octets more; false if there is nothing to acknowledge
    pub fn acknowledge(&mut self, packet: &mut Vec<u8>, step: usize) -> bool {
        let left = self.expected.wrapping_sub(self.acknowledged);
        self.acknowledged = self.acknowledged.wrapping_add(count(step).min(left));
        self.compose(packet, ACK, &[], &[]);
        left > 0
    }

    fn compose(&self, packet: &mut Vec<u8>, flags: u8, options: &[u8], data: &[u8]) {
        let length = HEADERS + options.len() + data.len();
        let mut ip = ip_header(length);
        ip[12..16].copy_from_slice(&self.local.ip().octets());
        ip[16..].copy_from_slice(&self.peer.ip().octets());
        set_checksum(&mut ip);
        packet.clear();
        packet.extend(ip);
        packet.extend(self.local.port().to_be_bytes());
        packet.extend(self.peer.port().to_be_bytes());
        packet.extend(self.next.to_be_bytes());
        packet.extend(self.acknowledged.to_be_bytes());
        let words = u8::try_from((20 + options.len()) / 4).expect("a header");
        packet.extend([words << 4, flags]);
        packet.extend(WINDOW.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend(options);
        packet.extend(data);
        let pseudo = sum_of(&packet[12..20]) + 6 + u64::from(count(length - 20));
        let sum = checksum(pseudo, &packet[20..]);
        packet[36..38].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The header of a TCP packet of `length` octets from nowhere to nowhere (RFC 791 §3.1)
pub fn ip_header(length: usize) -> [u8; 20] {
    let mut header = *b"\x45\0\0\0\0\0\x40\0\x40\x06\0\0\0\0\0\0\0\0\0\0";
    header[2..4].copy_from_slice(&u16::try_from(length).expect("a packet").to_be_bytes());
    set_checksum(&mut header);
    header
}

fn set_checksum(header: &mut [u8; 20]) {
    header[10..12].fill(0);
    let sum = checksum(0, header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The window scale among the options of a SYN (RFC 7323 §2.2), which precede nothing
fn window_scale(options: &[u8]) -> u8 {
    match options {
        [3, 3, scale, ..] => *scale,
        [1, rest @ ..] => window_scale(rest),
        [_, len, ..] => options.get(usize::from(*len).max(2)..).map_or(0, window_scale),
        _ => 0,
    }
}

fn count(octets: usize) -> u32 {
    u32::try_from(octets).expect("no more than a packet")
}

fn checksum(begin: u64, octets: &[u8]) -> u16 {
    let mut sum = begin + sum_of(octets);
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// The sum of the octets in words of 16 bits (RFC 1071)
fn sum_of(octets: &[u8]) -> u64 {
    let (words, rest) = octets.as_chunks();
    let last = rest.first().map_or(0, |octet| u64::from(*octet) << 8);
    words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum::<u64>() + last
}

/// IPv4 and TCP, without options
pub const HEADERS: usize = 40;
const SYN: u8 = 0x02;
/// The protocol of an IPv4 header
const TCP: u8 = 6;
const ACK: u8 = 0x10;
/// The window: as much as the segments of a round, so that these are under way all the time
const WINDOW: u16 = 21_696;
const SCALE: u8 = 2;
