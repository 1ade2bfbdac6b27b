//! What a script sends to a stack, and does with it

use arbitrary::{Arbitrary, Unstructured};

use super::addresses::{PORT, UDP_PORT};
use crate::script::{Writer, long, short};

/// What happens to the stack
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// A packet as it is
    Packet(&'a [u8]),
    /// A packet with lengths and checksums put right, to our address
    Fixed(&'a [u8]),
    /// A segment to one of our connections
    Tcp {
        /// Counted back from the one that sent last
        flow: u8,
        /// TCP's flags
        flags: u8,
        /// From what we acknowledged on
        sequence: i16,
        /// From what we sent on
        acknowledgment: i16,
        /// Octets of the peer's window
        window: u16,
        /// TCP's options
        options: &'a [u8],
        /// What it carries
        payload: &'a [u8],
    },
    /// A SYN to the listener, from this port and with this number
    Syn(u16, u32),
    /// An answer to one of our datagrams, counted back from the latest of its kind
    Udp(u8, Borrow, &'a [u8]),
    /// A fragment of a UDP datagram to us: identification, flags and place (RFC 791 §3.1), its octets
    Fragment(u8, u16, &'a [u8]),
    /// A reply to our latest echo request, with an octet of it changed
    Echo(u16, u8),
    /// An ICMP error about one of our packets, counted back from the latest, of which so much is quoted
    Icmp(u8, u8, u8, u8),
    /// Hundredths of a second
    Wait(u16),
    /// Sockets are opened: a bit for each kind of user
    Use(u8),
    /// One of the users drops its sockets
    Drop(u8),
    /// The address, and the MTU
    Reconfigure(bool, u16),
}

/// What of a question stands in its answer too
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Borrow {
    /// Nothing
    Nothing,
    /// The identifier of a DNS message (RFC 1035 §4.1.1)
    DnsId,
    /// The transaction of a DHCP message (RFC 2131 §2)
    DhcpTransaction,
}

impl<'a> Arbitrary<'a> for Step<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let kind: u8 = u.arbitrary()?;
        Ok(match kind % 16 {
            0 if kind >= 0x80 => Self::Fragment(u.arbitrary()?, u.arbitrary()?, long(u)?),
            0 => Self::Packet(long(u)?),
            1 | 2 => Self::Fixed(long(u)?),
            3..6 => Self::Tcp {
                flow: u.arbitrary()?,
                flags: u.arbitrary()?,
                sequence: u.arbitrary()?,
                acknowledgment: u.arbitrary()?,
                window: u.arbitrary()?,
                options: short(u)?,
                payload: short(u)?,
            },
            6 => Self::Syn(u.arbitrary()?, u.arbitrary()?),
            7 | 8 => Self::Udp(u.arbitrary()?, borrow(kind >> 4), long(u)?),
            9 => Self::Echo(u.arbitrary()?, u.arbitrary()?),
            10 => Self::Icmp(u.arbitrary()?, u.arbitrary()?, u.arbitrary()?, u.arbitrary()?),
            11 | 12 => Self::Wait(u.arbitrary()?),
            13 => Self::Use(u.arbitrary()?),
            14 => Self::Drop(u.arbitrary()?),
            _ => Self::Reconfigure(kind & 0x80 != 0, u.arbitrary()?),
        })
    }
}

const fn borrow(bits: u8) -> Borrow {
    match bits % 3 {
        0 => Borrow::Nothing,
        1 => Borrow::DnsId,
        _ => Borrow::DhcpTransaction,
    }
}

impl Step<'_> {
    /// A packet of a capture that came to us, as a step of a seed: what it answered is ours then
    pub fn packet(writer: &mut Writer, packet: &[u8]) {
        let header = usize::from(packet[0] & 0x0F) * 4;
        let payload = packet.get(header..).unwrap_or_default();
        match (packet[9], payload) {
            (17, [0, 53, ..]) => {
                // two names are asked for at a time, one of them again by then
                (0..3).for_each(|which| Self::udp(writer, which, Borrow::DnsId, &payload[8..]));
            }
            (17, [0, 67, ..]) => Self::udp(writer, 0, Borrow::DhcpTransaction, &payload[8..]),
            (17, [_, _, ..]) => Self::udp(writer, 0, Borrow::Nothing, &payload[8..]),
            (6, [_, _, ..]) => {
                let offset = usize::from(payload[12] >> 4) * 4;
                Self::tcp(writer, payload[13], &payload[20..offset], &payload[offset..]);
            }
            (1, [0, ..]) => _ = writer.raw(&[9, 0, 0, 0]),
            _ => _ = writer.raw(&[1]).long(packet),
        }
    }

    /// A fragment, its place in octets, and whether more follow
    pub fn fragment(
        writer: &mut Writer,
        identification: u8,
        start: u16,
        more: bool,
        octets: &[u8],
    ) {
        let place = ((start / 8) | (u16::from(more) << 13)).to_le_bytes();
        writer.raw(&[0x80, identification]).raw(&place).long(octets);
    }

    /// A segment that fits
    pub fn tcp(writer: &mut Writer, flags: u8, options: &[u8], payload: &[u8]) {
        writer.raw(&[3, 0, flags, 0, 0, 0, 0, 0xFF, 0xFF]).short(options).short(payload);
    }

    /// An answer to one of our datagrams, counted back from the latest of its kind
    pub fn udp(writer: &mut Writer, which: u8, borrow: Borrow, payload: &[u8]) {
        writer.raw(&[7 | (borrow as u8) << 4, which]).long(payload);
    }
}

/// Seeds that no capture has, with their names
pub fn composed() -> Vec<(&'static str, Vec<u8>)> {
    let [syn_ack, ack, fin_ack, rst] = [0x12, 0x10, 0x11, 0x04];
    let mut client = Writer::default();
    client.raw(&[0x81]);
    for flags in [syn_ack, ack, ack, fin_ack, ack] {
        Step::tcp(&mut client, flags, &[], if flags == ack { b"some data" } else { b"" });
        client.raw(&[11, 5, 0]);
    }
    let mut listener = Writer::default();
    listener.raw(&[0x02]);
    for port in [1000_u16, 1001] {
        listener.raw(&[6]).raw(&port.to_le_bytes()).raw(&[0; 4]);
        Step::tcp(&mut listener, ack, &[], b"");
        Step::tcp(&mut listener, ack, &[], b"GET / HTTP/1.0\r\n\r\n");
    }
    Step::tcp(&mut listener, rst, &[], b"");
    let mut errors = Writer::default();
    errors.raw(&[0xFF]);
    for code in [0, 1, 3, 4] {
        errors.raw(&[10, 3, code, code, 28]).raw(&[11, 100, 0]);
    }
    errors.raw(&[14, 0, 0x8F, 0, 2, 13, 0xFF, 11, 200, 0]);
    let mut flood = Writer::default();
    flood.raw(&[0x02]);
    for port in 1000..1100_u16 {
        flood.raw(&[6]).raw(&port.to_le_bytes()).raw(&[0; 4]);
    }
    let mut fragments = Writer::default();
    fragments.raw(&[0x04]);
    // to the socket of one user: 40 octets from port 7 without a checksum, the parts in both orders
    let [high, low] = UDP_PORT.to_be_bytes();
    let datagram = [&[0, 7, high, low, 0, 48, 0, 0][..], &[0x5A; 40]].concat();
    let parts = [(0, true, &datagram[..24]), (24, false, &datagram[24..])];
    for (identification, order) in [(1, [0, 1]), (2, [1, 0])] {
        for (start, more, octets) in order.map(|part| parts[part]) {
            Step::fragment(&mut fragments, identification, start, more, octets);
        }
    }
    // one that overlaps, more datagrams than there are places for, the farthest place, and their time
    for (identification, start) in [(3, 0), (3, 16), (4, 0), (5, 0), (6, 0), (7, 0), (8, 65_504)] {
        Step::fragment(&mut fragments, identification, start, true, &datagram[..24]);
    }
    fragments.raw(&[11]).raw(&3100_u16.to_le_bytes());
    vec![
        ("fragments", fragments.0),
        ("client", client.0),
        ("listener", listener.0),
        ("errors", errors.0),
        ("flood", flood.0),
    ]
}

/// From where a SYN of a script comes
pub(super) const fn syn_ports(port: u16) -> [u16; 2] {
    [port, PORT]
}
