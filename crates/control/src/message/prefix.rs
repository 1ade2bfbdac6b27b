//! The header of every control message, judged octet by octet

use nom::{IResult, Parser as _, number::complete::be_u16};

use super::ControlType;

/// Octets of the header, up to and including Reserved0
pub(crate) const HEADER_LEN: usize = 12;

/// Octets of the longest message: Incoming-Call-Request
pub(super) const MAX_LEN: usize = 220;

/// Reasons why octets are not a control message
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Fewer octets than the message has
    #[error("truncated message")]
    Truncated,
    /// A length that no message has, or other than that of the octets given
    #[error("length {0}")]
    Length(u16),
    /// The magic cookie is not `1A2B3C4D`
    #[error("wrong magic cookie")]
    MagicCookie,
    /// A length other than that of the message's type
    #[error("length {length} of a {control_type}")]
    TypeLength {
        /// The message's type
        control_type: ControlType,
        /// The length that its header names
        length: u16,
    },
    /// A PPTP message type other than 1, control
    #[error("PPTP message type {0}")]
    MessageType(u16),
    /// A control type other than the 15
    #[error("control type {0}")]
    UnknownType(u16),
}

impl ParseError {
    /// Returns true if the sender may speak another protocol, rather than faulty PPTP
    pub(crate) const fn may_be_another_protocol(self) -> bool {
        matches!(self, Self::Length(_) | Self::MagicCookie)
    }
}

/// The result of reading the first octets of a message
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// More octets are needed
    Partial,
    /// The header of one of the 15 types, with its length
    Known(ControlType, usize),
    /// The header of an unknown type with a valid length: to be skipped
    Unknown(usize),
}

impl Prefix {
    /// Judges the first octets of a message, as many as have come
    ///
    /// Each field is judged as soon as its octets are there, in their order, so that the verdict
    /// does not depend on how the stream was cut, and a wrong protocol is seen in its first octets.
    pub(crate) fn judge(octets: &[u8]) -> Result<Self, ParseError> {
        let [high, low, ..] = *octets else {
            return Ok(Self::Partial);
        };
        let length = u16::from_be_bytes([high, low]);
        if !(HEADER_LEN..=MAX_LEN).contains(&usize::from(length)) {
            return Err(ParseError::Length(length));
        }
        let cookie = octets.get(4..).unwrap_or_default();
        if cookie.iter().zip(&MAGIC_COOKIE).any(|(octet, expected)| octet != expected) {
            return Err(ParseError::MagicCookie);
        }
        match fields(octets) {
            Ok((_, (message_type, control_type))) => {
                Self::of(length, message_type, ControlType::from(control_type))
            }
            Err(_) => Ok(Self::Partial),
        }
    }

    fn of(length: u16, message_type: u16, control_type: ControlType) -> Result<Self, ParseError> {
        match control_type.message_len() {
            Some(len) if message_type == CONTROL_MESSAGE => {
                if usize::from(length) == len {
                    Ok(Self::Known(control_type, len))
                } else {
                    Err(ParseError::TypeLength { control_type, length })
                }
            }
            _ => Ok(Self::Unknown(length.into())),
        }
    }
}

/// PPTP message type and control type
fn fields(octets: &[u8]) -> IResult<&[u8], (u16, u16)> {
    (be_u16, be_u16, be_u16, be_u16, be_u16)
        .map(|(_, message_type, _, _, control_type)| (message_type, control_type))
        .parse(octets)
}

/// Returns the type of the message in `octets`, which must be exactly one
pub(super) fn parse_exact(octets: &[u8]) -> Result<ControlType, ParseError> {
    match Prefix::judge(octets)? {
        Prefix::Partial => Err(ParseError::Truncated),
        Prefix::Known(control_type, len) => match octets.len().cmp(&len) {
            std::cmp::Ordering::Less => Err(ParseError::Truncated),
            std::cmp::Ordering::Equal => Ok(control_type),
            std::cmp::Ordering::Greater => {
                Err(ParseError::Length(u16::try_from(len).unwrap_or(u16::MAX)))
            }
        },
        Prefix::Unknown(_) => Err(match fields(octets) {
            Ok((_, (CONTROL_MESSAGE, control_type))) => ParseError::UnknownType(control_type),
            Ok((_, (message_type, _))) => ParseError::MessageType(message_type),
            Err(_) => ParseError::Truncated,
        }),
    }
}

/// Appends the header of a message of this type
pub(super) fn emit(control_type: ControlType, out: &mut Vec<u8>) {
    let length = control_type.message_len().and_then(|len| u16::try_from(len).ok()).unwrap_or(0);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&CONTROL_MESSAGE.to_be_bytes());
    out.extend_from_slice(&MAGIC_COOKIE);
    out.extend_from_slice(&u16::from(control_type).to_be_bytes());
    out.extend_from_slice(&[0; 2]);
}

const MAGIC_COOKIE: [u8; 4] = [0x1A, 0x2B, 0x3C, 0x4D];
const CONTROL_MESSAGE: u16 = 1;
