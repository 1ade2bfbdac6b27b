//! What a script does to a link

use arbitrary::{Arbitrary, Unstructured};

use crate::script::{Writer, long, short};

/// What happens to the client's link
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// A packet of the protocol that is fuzzed, as it is
    Packet(&'a [u8]),
    /// A packet of that protocol, with the identifier of our latest one
    Same(&'a [u8]),
    /// Our latest packet of that protocol, with this code, and its data changed: place, difference
    Answer(u8, &'a [u8]),
    /// Any frame
    Frame(&'a [u8]),
    /// The carrier's numbers go back by so many
    Late(u8),
    /// An IP packet in the clear, of so many octets
    Plain(u16),
    /// So many of the server's frames arrive
    Server(u8),
    /// The client sends an IP packet of so many octets
    Send(u16),
    /// Hundredths of a second
    Wait(u16),
    /// The client negotiates anew
    Renegotiate,
    /// The server negotiates anew
    ServerRenegotiates,
    /// An answer to what the client was asked: 0 none, else another login
    Reply(u8),
    /// The client hangs up
    Close,
}

impl<'a> Arbitrary<'a> for Step<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let kind: u8 = u.arbitrary()?;
        Ok(match kind % 16 {
            0 => Self::Packet(long(u)?),
            1..4 => Self::Same(short(u)?),
            4 | 5 => Self::Answer(u.arbitrary()?, short(u)?),
            6 => Self::Frame(long(u)?),
            7 => Self::Late(u.arbitrary()?),
            8 => Self::Plain(u.arbitrary()?),
            9 | 10 => Self::Server(u.arbitrary()?),
            11 => Self::Send(u.arbitrary()?),
            12 => Self::Wait(u.arbitrary()?),
            13 => Self::Renegotiate,
            14 => Self::Reply(u.arbitrary()?),
            _ if kind & 0x80 == 0 => Self::ServerRenegotiates,
            _ => Self::Close,
        })
    }
}

impl Step<'_> {
    /// A packet of a capture as a step of a seed
    pub fn packet(writer: &mut Writer, packet: &[u8]) {
        writer.raw(&[0]).long(packet);
    }

    /// A packet of a capture that answers one of ours
    pub fn same(writer: &mut Writer, packet: &[u8]) {
        writer.raw(&[1]).short(packet);
    }

    /// Our latest packet comes back with this code
    pub fn answer(writer: &mut Writer, code: u8) {
        writer.raw(&[4, code]).short(&[]);
    }

    /// A frame of a capture as a step of a seed
    pub fn frame(writer: &mut Writer, frame: &[u8]) {
        writer.raw(&[6]).long(frame);
    }

    /// An IP packet in the clear, and one of ours
    pub fn plain(writer: &mut Writer, length: u16) {
        writer.raw(&[8]).raw(&length.to_le_bytes()).raw(&[11]).raw(&length.to_le_bytes());
    }

    /// So many frames of the server arrive, less one
    pub fn server(writer: &mut Writer, count: u8) {
        writer.raw(&[9, count]);
    }
}
