//! The header of enhanced GRE (RFC 2637 section 4.1)
//!
//! Written by hand, without nom, because every packet passes here. nom's combinators are calls of
//! their own: they took 20 of the 53 ns that GRE's bookkeeping may take for a packet (Zen 4).

use std::ops::Range;

/// The header of one GRE datagram (RFC 2637 section 4.1)
///
/// Its payload length is not kept: [`Header::parse`] turns it into a range, [`Header::emit`] takes
/// it as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Call ID of the receiver: the peer's in datagrams that we send, ours in those that we receive
    pub call_id: u16,
    /// Sequence number, in datagrams with a payload
    pub sequence: Option<u32>,
    /// Highest sequence number that the sender of this datagram has received
    pub acknowledgment: Option<u32>,
}

impl Header {
    /// Octets of the longest header: with sequence and acknowledgment number
    pub const MAX_LEN: usize = 16;

    /// Reads the header at the start of `datagram`; returns it with the range of the payload
    ///
    /// Octets behind the payload length are left out of the range. Without a sequence number the
    /// range is empty for any payload length, because such a datagram carries no data.
    pub fn parse(datagram: &[u8]) -> Result<(Self, Range<usize>), ParseError> {
        let mut rest = datagram;
        let flags = u16::from_be_bytes(take(&mut rest)?);
        let protocol = u16::from_be_bytes(take(&mut rest)?);
        let length = u16::from_be_bytes(take(&mut rest)?);
        if flags & !SEQUENCE_PRESENT & !ACKNOWLEDGMENT_PRESENT != BASE {
            return Err(ParseError::Flags(flags));
        }
        if protocol != PPP {
            return Err(ParseError::Protocol(protocol));
        }
        let call_id = u16::from_be_bytes(take(&mut rest)?);
        let sequence = take_if(flags & SEQUENCE_PRESENT != 0, &mut rest)?;
        let acknowledgment = take_if(flags & ACKNOWLEDGMENT_PRESENT != 0, &mut rest)?;
        let carried = if sequence.is_some() { length.into() } else { 0 };
        let payload = rest.get(..carried).ok_or(ParseError::Truncated)?;
        let start = datagram.len().saturating_sub(rest.len());
        let header = Self { call_id, sequence, acknowledgment };
        Ok((header, start..start.saturating_add(payload.len())))
    }

    /// The octets of this header in front of a payload of `payload_length` octets
    pub fn emit(&self, payload_length: u16) -> HeaderOctets {
        let mut flags = BASE;
        let mut octets = HeaderOctets { octets: [0; Self::MAX_LEN], len: 0 };
        if self.sequence.is_some() {
            flags |= SEQUENCE_PRESENT;
        }
        if self.acknowledgment.is_some() {
            flags |= ACKNOWLEDGMENT_PRESENT;
        }
        octets.push(&flags.to_be_bytes());
        octets.push(&PPP.to_be_bytes());
        octets.push(&payload_length.to_be_bytes());
        octets.push(&self.call_id.to_be_bytes());
        for number in [self.sequence, self.acknowledgment].into_iter().flatten() {
            octets.push(&number.to_be_bytes());
        }
        octets
    }
}

/// The octets of one header, as [`Header::emit`] gives them
#[derive(Clone, Copy, Debug)]
pub struct HeaderOctets {
    octets: [u8; Header::MAX_LEN],
    len: usize,
}

impl HeaderOctets {
    /// The octets: 8, 12 or 16
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, field: &[u8]) {
        let end = self.len.saturating_add(field.len());
        if let Some(room) = self.octets.get_mut(self.len..end) {
            room.copy_from_slice(field);
            self.len = end;
        }
    }
}

/// Reasons why octets are not a datagram of enhanced GRE
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Shorter than its header, or than its header and payload length say
    #[error("truncated GRE datagram")]
    Truncated,
    /// Flags and version other than those of enhanced GRE
    #[error("GRE flags and version {0:#06x} are not those of enhanced GRE")]
    Flags(u16),
    /// A protocol type other than PPP (880B)
    #[error("GRE protocol type {0:#06x} is not PPP")]
    Protocol(u16),
}

/// Returns the Call ID of the receiver, which stands in octets 6 and 7 of the header
///
/// The flags and the protocol type are not checked: a datagram of another kind of GRE is also given
/// to the call that these octets name, which counts it. The first 8 octets of a datagram suffice.
pub const fn call_id(datagram: &[u8]) -> Option<u16> {
    match datagram {
        [_, _, _, _, _, _, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// Returns the Call ID like [`call_id`], but only if the version is 1 and the protocol type is PPP
///
/// ICMP quotes as little as 8 octets of a datagram, which is too short for [`Header::parse`].
pub const fn enhanced_call_id(datagram: &[u8]) -> Option<u16> {
    match datagram {
        [_, 0x01 | 0x81, 0x88, 0x0B, ..] => call_id(datagram),
        _ => None,
    }
}

/// Takes octets off the front of `rest`
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ParseError> {
    let (taken, behind) = rest.split_first_chunk().ok_or(ParseError::Truncated)?;
    *rest = behind;
    Ok(*taken)
}

/// Takes a number off the front of `rest` if it is there
fn take_if(is_present: bool, rest: &mut &[u8]) -> Result<Option<u32>, ParseError> {
    if is_present { take(rest).map(u32::from_be_bytes).map(Some) } else { Ok(None) }
}

/// Flags and version of enhanced GRE: a key, version 1
const BASE: u16 = 0x2001;
const SEQUENCE_PRESENT: u16 = 0x1000;
const ACKNOWLEDGMENT_PRESENT: u16 = 0x0080;
const PPP: u16 = 0x880B;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, option, prelude::*};

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.chars().filter_map(|c| c.to_digit(16)).map(|d| u8::try_from(d).unwrap()).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn datagram(header: Header, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap();
        [header.emit(length).as_slice(), payload].concat()
    }

    /// The octets, the numbers they stand for, and the octets of the payload
    #[test]
    fn rfc2637_section_4_1_golden_frames() {
        let lcp = hex("ff03c02101010004");
        let golden = [
            ("3001880b00081234 00000000 ff03c02101010004", Some(0), None, &lcp[..]),
            ("3081880b00081234 00000005 00000007 ff03c02101010004", Some(5), Some(7), &lcp),
            ("2081880b00001234 00000007", None, Some(7), &[]),
            ("2001880b00001234", None, None, &[]),
        ];
        for (octets, sequence, acknowledgment, payload) in golden {
            let octets = hex(octets);
            let header = Header { call_id: 0x1234, sequence, acknowledgment };
            assert_eq!(datagram(header, payload), octets);
            let (parsed, range) = Header::parse(&octets).unwrap();
            assert_eq!((parsed, &octets[range]), (header, payload));
        }
    }

    #[test]
    fn octets_behind_the_payload_length_are_trimmed() {
        let octets = hex("3001880b00021234 00000000 c021 ffffff");
        assert_eq!(Header::parse(&octets).unwrap().1, 12..14);
    }

    #[test]
    fn without_a_sequence_number_there_is_no_payload() {
        for octets in ["2081880b00021234 00000007 c021", "2081880b00021234 00000007"] {
            assert_eq!(Header::parse(&hex(octets)).unwrap().1, 12..12);
        }
    }

    #[test]
    fn a_datagram_cut_anywhere_is_truncated() {
        let octets = hex("3081880b00021234 00000005 00000007 c021");
        for cut in 0..octets.len() {
            assert_eq!(Header::parse(&octets[..cut]), Err(ParseError::Truncated), "at {cut}");
        }
    }

    #[test]
    fn the_call_id_is_found_in_eight_octets() {
        let data = [0x30, 0x01, 0x88, 0x0B, 0x00, 0x08, 0x12, 0x34];
        let acknowledging = [0x30, 0x81, 0x88, 0x0B, 0x00, 0x08, 0x12, 0x34, 0, 0, 0, 5];
        for octets in [&data[..], &acknowledging] {
            assert_eq!(call_id(octets), Some(0x1234));
            assert_eq!(enhanced_call_id(octets), Some(0x1234));
        }
    }

    #[test]
    fn a_datagram_that_is_too_short_has_no_call_id() {
        let octets = [0x30, 0x01, 0x88, 0x0B, 0x00, 0x08, 0x12];
        for length in 0..=octets.len() {
            assert_eq!(call_id(&octets[..length]), None);
            assert_eq!(enhanced_call_id(&octets[..length]), None);
        }
    }

    #[test]
    fn another_kind_of_gre_has_octets_for_a_call_id_but_no_enhanced_one() {
        for start in [[0x20, 0x00, 0x08, 0x00], [0x30, 0x00, 0x88, 0x0B], [0x30, 0x01, 0x08, 0x00]]
        {
            let octets = [&start[..], &[0, 0, 0x12, 0x34]].concat();
            assert_eq!(call_id(&octets), Some(0x1234));
            assert_eq!(enhanced_call_id(&octets), None);
        }
    }

    fn header() -> impl Strategy<Value = Header> {
        (any::<u16>(), option::of(any::<u32>()), option::of(any::<u32>())).prop_map(
            |(call_id, sequence, acknowledgment)| Header { call_id, sequence, acknowledgment },
        )
    }

    proptest! {
        #[test]
        fn parse_reads_what_emit_wrote(
            header in header(),
            payload in vec(any::<u8>(), 0..64),
            trailing in vec(any::<u8>(), 0..8),
        ) {
            let octets = [datagram(header, &payload), trailing].concat();
            let (parsed, range) = Header::parse(&octets).unwrap();
            prop_assert_eq!(parsed, header);
            prop_assert_eq!(call_id(&octets), Some(header.call_id));
            prop_assert_eq!(enhanced_call_id(&octets), Some(header.call_id));
            let carried: &[u8] = if header.sequence.is_some() { &payload } else { &[] };
            prop_assert_eq!(&octets[range], carried);
        }

        #[test]
        fn arbitrary_octets_give_a_range_within_them(octets in vec(any::<u8>(), 0..40)) {
            if let Ok((_, range)) = Header::parse(&octets) {
                prop_assert!(octets.get(range).is_some());
            }
        }
    }
}
