//! What a script does to a tunnel

use arbitrary::{Arbitrary, Unstructured};

use crate::script::{Writer, long, short};

/// What happens to the client's tunnel
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// Octets of the control connection
    Control(&'a [u8]),
    /// A control message of this type, as long as it has to be, with these first fields
    Message(u8, &'a [u8]),
    /// Any datagram
    Gre(&'a [u8]),
    /// A frame of the call, its number so far behind the next
    Frame(i8, &'a [u8]),
    /// The same, with an acknowledgment so far behind what was sent
    Acknowledged(i8, u8, &'a [u8]),
    /// A packet of this protocol, with the identifier of our latest one
    Same(u8, &'a [u8]),
    /// Our latest packet of this protocol, with this code, and its data changed: place, difference
    Answer(u8, u8, &'a [u8]),
    /// An IP packet in the clear, of so many octets
    Plain(i8, u16),
    /// One of the server's latest datagrams, with the octet at this place changed by this
    Again(u8, u16, u8),
    /// We send so many IP packets of this length
    Send(u8, u16),
    /// The server does
    ServerSends(u8, u16),
    /// The next datagrams are lost: so many to the client, so many to the server
    Lose(u8, u8),
    /// The server's next datagram takes so many hundredths of a second longer
    Delay(u8),
    /// Whether turns have room for datagrams from here on
    Room(bool),
    /// Hundredths of a second
    Wait(u16),
    /// ICMP says that the peer knows no GRE
    Unreachable,
    /// The kernel refuses to send a datagram
    NotSent,
    /// The control connection is closed
    Eof,
    /// The client hangs up
    Close,
    /// The client negotiates anew
    Renegotiate,
    /// An answer to a question about the login
    Reply(u8),
    /// The server closes, negotiates anew, or has the client prove once more who it is
    Server(u8),
}

impl<'a> Arbitrary<'a> for Step<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let kind: u8 = u.arbitrary()?;
        Ok(match kind % 32 {
            0 => Self::Control(long(u)?),
            1 => Self::Message(u.arbitrary()?, short(u)?),
            2 => Self::Gre(long(u)?),
            3 | 4 => Self::Frame(u.arbitrary()?, long(u)?),
            5 => Self::Acknowledged(u.arbitrary()?, u.arbitrary()?, long(u)?),
            6 | 7 => Self::Same(u.arbitrary()?, short(u)?),
            8 | 9 => Self::Answer(u.arbitrary()?, u.arbitrary()?, short(u)?),
            10 => Self::Plain(u.arbitrary()?, u.arbitrary()?),
            11 | 12 => Self::Again(u.arbitrary()?, u.arbitrary()?, u.arbitrary()?),
            13 => Self::Send(u.arbitrary()?, u.arbitrary()?),
            14 | 15 => Self::ServerSends(u.arbitrary()?, u.arbitrary()?),
            16 => Self::Lose(u.arbitrary()?, u.arbitrary()?),
            17 => Self::Delay(u.arbitrary()?),
            18 => Self::Room(u.arbitrary::<u8>()? & 1 == 0),
            19..23 => Self::Wait(u.arbitrary()?),
            23 => Self::Reply(u.arbitrary()?),
            24 => Self::Server(u.arbitrary()?),
            25 => Self::Renegotiate,
            26 => Self::Unreachable,
            27 => Self::NotSent,
            28 => Self::Eof,
            29 => Self::Close,
            // most of a script should go on
            _ => Self::Wait(1),
        })
    }
}

impl Step<'_> {
    /// Octets of a capture's control connection as a step of a seed
    pub fn control(writer: &mut Writer, octets: &[u8]) {
        writer.raw(&[0]).long(octets);
    }

    /// A datagram of a capture as a step of a seed
    pub fn gre(writer: &mut Writer, datagram: &[u8]) {
        writer.raw(&[2]).long(datagram);
    }

    /// We send IP packets
    pub fn send(writer: &mut Writer, count: u8, length: u16) {
        writer.raw(&[13, count]).raw(&length.to_le_bytes());
    }

    /// The server sends IP packets
    pub fn server_sends(writer: &mut Writer, count: u8, length: u16) {
        writer.raw(&[14, count]).raw(&length.to_le_bytes());
    }

    /// The next datagrams to the client are lost
    pub fn lose(writer: &mut Writer, count: u8) {
        writer.raw(&[16, count, 0]);
    }

    /// The server's next datagram comes later
    pub fn delay(writer: &mut Writer, time: u8) {
        writer.raw(&[17, time]);
    }

    /// An IP packet in the clear
    pub fn plain(writer: &mut Writer, length: u16) {
        writer.raw(&[10, 0]).raw(&length.to_le_bytes());
    }

    /// Time passes
    pub fn wait(writer: &mut Writer, time: u16) {
        writer.raw(&[19]).raw(&time.to_le_bytes());
    }

    /// The server closes, negotiates anew, or has the client prove once more who it is
    pub fn server(writer: &mut Writer, act: u8) {
        writer.raw(&[24, act]);
    }
}

/// A control message of a type, as long as it has to be (RFC 2637 §2), filled up with zeros
pub(super) fn message(kind: u8, fields: &[u8]) -> Vec<u8> {
    const LENGTHS: [u8; 15] = [156, 156, 16, 16, 16, 20, 168, 32, 220, 24, 28, 16, 148, 40, 24];
    let length = LENGTHS.get(usize::from(kind).wrapping_sub(1)).copied().unwrap_or(16);
    let mut message = vec![0, length, 0, 1, 0x1A, 0x2B, 0x3C, 0x4D, 0, kind, 0, 0];
    message.extend(fields);
    message.resize(length.into(), 0);
    message
}
