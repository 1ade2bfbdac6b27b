//! The steps of a script for a tunnel that is spoken to in the clear

use arbitrary::{Arbitrary, Unstructured};

use crate::script::{Writer, short};

/// A frame that is sent in the name of the server, or something that goes on meanwhile
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// A packet of this protocol with this code, identifier and data; its number is so far ahead of
    /// the server's next
    Near(u8, u8, u8, i8, &'a [u8]),
    /// The same, with any number
    Far(u8, u8, u8, u32, &'a [u8]),
    /// Any frame of a control protocol
    Frame(i8, &'a [u8]),
    /// The server sends so many IP packets
    ServerSends(u8),
    /// The client does
    Sends(u8),
    /// Hundredths of a second
    Wait(u16),
}

impl<'a> Arbitrary<'a> for Step<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let kind: u8 = u.arbitrary()?;
        Ok(match kind % 16 {
            0..8 => Self::Near(
                u.arbitrary()?,
                u.arbitrary()?,
                u.arbitrary()?,
                u.arbitrary()?,
                short(u)?,
            ),
            8 | 9 => {
                Self::Far(u.arbitrary()?, u.arbitrary()?, u.arbitrary()?, u.arbitrary()?, short(u)?)
            }
            10 => Self::Frame(u.arbitrary()?, short(u)?),
            11 => Self::ServerSends(u.arbitrary()?),
            12 => Self::Sends(u.arbitrary()?),
            _ => Self::Wait(u.arbitrary()?),
        })
    }
}

/// Scripts that no capture has, by their names
pub fn composed() -> Vec<(&'static str, Vec<u8>)> {
    let evil = [6, 6, 6, 6];
    let nak = [&[3, 6][..], &evil, &[129, 6], &evil].concat();
    vec![
        (
            "lcp",
            script(&[
                (0, 5, b"forged"),
                (0, 1, &[5, 6, 1, 2, 3, 4]),
                (0, 6, &[]),
                (0, 7, &[1, 1, 0, 4]),
                (0, 8, &[0x80, 0x21, 1, 1, 0, 4]),
                (0, 9, &[0; 8]),
            ]),
        ),
        (
            "chap",
            script(&[(1, 1, b"\x10sixteen octets!!server"), (1, 3, b"S=0"), (1, 4, b"E=691")]),
        ),
        ("ccp", script(&[(2, 1, &[18, 6, 0, 0, 0, 0]), (2, 5, &[]), (2, 6, &[]), (2, 14, &[])])),
        ("ipcp", script(&[(3, 1, &[3, 6, 10, 0, 0, 1]), (3, 3, &nak), (3, 2, &nak), (3, 5, &[])])),
        ("restart", script(&[(3, 1, &[3, 6, 10, 0, 0, 1][..]); 5])),
        ("unknown", script(&[(6, 1, &[]), (7, 1, &[]), (0, 99, &[]), (0, 8, &[0x3B, 0x12])])),
    ]
}

/// Each of these packets with the number that the server will use next, and 3 s between two
fn script(packets: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.raw(&[0]);
    for (protocol, code, data) in packets {
        writer.raw(&[0, *protocol, *code, 1, 0]).short(data).raw(&[15, 0x2C, 1]);
    }
    writer.0
}
