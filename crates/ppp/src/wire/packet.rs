//! The packets of LCP, all NCPs and CHAP (RFC 1661 §5; RFC 1994 §4)

use std::fmt;

use nom::{
    IResult, Parser,
    bytes::complete::take,
    number::complete::{be_u8, be_u16},
};
use pptp_packet::Redacted;

/// Octets that are no packet: too short, or with a length that does not fit
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed {what}")]
pub struct ParseError {
    what: &'static str,
}

impl ParseError {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what }
    }
}

/// The code of a packet (RFC 1661 §5, RFC 1570 §2, RFC 1962 §3)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Code 1
    ConfigureRequest,
    /// Code 2
    ConfigureAck,
    /// Code 3
    ConfigureNak,
    /// Code 4
    ConfigureReject,
    /// Code 5
    TerminateRequest,
    /// Code 6
    TerminateAck,
    /// Code 7
    CodeReject,
    /// 8, LCP only
    ProtocolReject,
    /// 9, LCP only
    EchoRequest,
    /// 10, LCP only
    EchoReply,
    /// 11, LCP only
    DiscardRequest,
    /// 12, LCP only
    Identification,
    /// 13, LCP only
    TimeRemaining,
    /// 14, CCP only
    ResetRequest,
    /// 15, CCP only
    ResetAck,
    /// Any other
    Unknown(u8),
}

impl From<u8> for Code {
    fn from(code: u8) -> Self {
        match code {
            1 => Self::ConfigureRequest,
            2 => Self::ConfigureAck,
            3 => Self::ConfigureNak,
            4 => Self::ConfigureReject,
            5 => Self::TerminateRequest,
            6 => Self::TerminateAck,
            7 => Self::CodeReject,
            8 => Self::ProtocolReject,
            9 => Self::EchoRequest,
            10 => Self::EchoReply,
            11 => Self::DiscardRequest,
            12 => Self::Identification,
            13 => Self::TimeRemaining,
            14 => Self::ResetRequest,
            15 => Self::ResetAck,
            other => Self::Unknown(other),
        }
    }
}

impl From<Code> for u8 {
    fn from(code: Code) -> Self {
        match code {
            Code::ConfigureRequest => 1,
            Code::ConfigureAck => 2,
            Code::ConfigureNak => 3,
            Code::ConfigureReject => 4,
            Code::TerminateRequest => 5,
            Code::TerminateAck => 6,
            Code::CodeReject => 7,
            Code::ProtocolReject => 8,
            Code::EchoRequest => 9,
            Code::EchoReply => 10,
            Code::DiscardRequest => 11,
            Code::Identification => 12,
            Code::TimeRemaining => 13,
            Code::ResetRequest => 14,
            Code::ResetAck => 15,
            Code::Unknown(other) => other,
        }
    }
}

/// A packet of LCP or an NCP; CHAP has the same header with codes of its own
///
/// `Debug` leaves the data out, which may be a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The code, as it is on the wire: its meaning depends on the protocol
    pub code: u8,
    /// Matches an answer to its request
    pub id: u8,
    /// The octets behind the header, without padding
    pub data: &'a [u8],
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, id, data } = self;
        write!(f, "Packet {{ code: {code}, id: {id}, data: {:?} }}", Redacted(data))
    }
}

impl<'a> Packet<'a> {
    /// Octets of code, identifier and length
    pub const HEADER: u16 = 4;

    /// Reads a packet; octets beyond its length are padding and ignored
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
        let parsed: IResult<&[u8], Self> = (|octets| {
            let (octets, (code, id, length)) = (be_u8, be_u8, be_u16).parse(octets)?;
            let (octets, data) = counted(octets, length, Self::HEADER)?;
            Ok((octets, Self { code, id, data }))
        })(octets);
        parsed.map(|(_, packet)| packet).map_err(|_| ParseError::new("packet"))
    }

    /// Appends the packet; data that do not fit its length field are cut off
    pub fn emit(&self, out: &mut Vec<u8>) {
        let room = usize::from(u16::MAX - Self::HEADER);
        let data = self.data.get(..room).unwrap_or(self.data);
        let length = u16::try_from(data.len()).unwrap_or_default().saturating_add(Self::HEADER);
        out.extend([self.code, self.id]);
        out.extend(length.to_be_bytes());
        out.extend(data);
    }
}

/// Takes the rest of something that says it is `length` long and of which `taken` octets are read
pub(super) fn counted(
    octets: &[u8],
    length: impl Into<usize>,
    taken: u16,
) -> IResult<&[u8], &[u8]> {
    let rest = length.into().checked_sub(usize::from(taken));
    // A length below its own header is as impossible as one beyond the end.
    take(rest.unwrap_or(usize::MAX)).parse(octets)
}

/// The body of a CHAP Challenge or Response (RFC 1994 §4.1)
///
/// `Debug` leaves the value out, which a password can be guessed from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChapValue<'a> {
    /// The challenge, or the response to it
    pub value: &'a [u8],
    /// The name of its sender; may be empty
    pub name: &'a [u8],
}

impl fmt::Debug for ChapValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = String::from_utf8_lossy(self.name);
        write!(f, "ChapValue {{ value: {:?}, name: {name:?} }}", Redacted(self.value))
    }
}

impl<'a> ChapValue<'a> {
    /// Reads the data of a Challenge or Response packet
    pub fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
        let parsed: IResult<&[u8], &[u8]> = (|data| {
            let (data, size) = be_u8(data)?;
            take(size).parse(data)
        })(data);
        let parsed = parsed.map(|(name, value)| Self { value, name });
        parsed.map_err(|_| ParseError::new("CHAP value"))
    }

    /// Appends the value and the name; a value beyond 255 octets is cut off
    pub fn emit(&self, out: &mut Vec<u8>) {
        let value = self.value.get(..usize::from(u8::MAX)).unwrap_or(self.value);
        out.push(u8::try_from(value.len()).unwrap_or_default());
        out.extend(value);
        out.extend(self.name);
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn a_packet_is_read_as_it_was_written(
            code: u8, id: u8, data in vec(any::<u8>(), 0..300), padding in vec(any::<u8>(), 0..9),
        ) {
            let packet = Packet { code, id, data: &data };
            let mut octets = Vec::new();
            packet.emit(&mut octets);
            octets.extend(padding);
            prop_assert_eq!(Packet::parse(&octets), Ok(packet));
        }

        #[test]
        fn a_chap_value_is_read_as_it_was_written(
            value in vec(any::<u8>(), 0..256), name in vec(any::<u8>(), 0..99),
        ) {
            let chap = ChapValue { value: &value, name: &name };
            let mut octets = Vec::new();
            chap.emit(&mut octets);
            prop_assert_eq!(ChapValue::parse(&octets), Ok(chap));
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..64)) {
            let _ = Packet::parse(&octets);
            let _ = ChapValue::parse(&octets);
        }

        #[test]
        fn every_code_keeps_its_number(code: u8) {
            prop_assert_eq!(u8::from(Code::from(code)), code);
        }
    }

    #[test]
    fn rfc1661_section_5_lengths_at_their_edges() {
        for (length, good) in [(0, false), (3, false), (4, true), (6, true), (7, false)] {
            assert_eq!(Packet::parse(&[1, 1, 0, length, 9, 9]).is_ok(), good, "length {length}");
        }
        assert_eq!(Packet::parse(&[1, 1, 0, 5, 9, 9]).unwrap().data, [9], "the rest is padding");
    }

    #[test]
    fn what_is_too_long_for_its_length_field_is_cut_off() {
        let mut octets = Vec::new();
        Packet { code: 1, id: 1, data: &vec![0; 70_000] }.emit(&mut octets);
        assert_eq!(Packet::parse(&octets).unwrap().data.len(), 65_531);
    }
}
