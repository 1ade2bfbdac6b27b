//! Every first word and every protocol type of a GRE datagram at every length it can be cut to,
//! against the header as RFC 2637 draws it

use std::ops::Range;

use crate::{Header, ParseError};

/// A payload length that fits no datagram of these tests
const FAR_TOO_LONG: u16 = u16::MAX;
const CALL_ID: u16 = 0x1234;
const PPP: u16 = 0x880B;
/// The longest header, and some octets of payload
const MAX_LEN: usize = 16 + 5;

type Verdict = Result<(Header, Range<usize>), ParseError>;

/// Bit `n` of the first word, counted from the left as the RFC draws it
fn bit(word: u16, n: u32) -> bool {
    word >> (15 - n) & 1 == 1
}

/// Returns true for a first word of enhanced GRE (RFC 2637 section 4.1): K and version 1, with any
/// S and A, and no other bit
fn is_enhanced(word: u16) -> bool {
    let (checksum, routing, key, strict_source_route) =
        (bit(word, 0), bit(word, 1), bit(word, 2), bit(word, 4));
    let recursion = (5..8).any(|n| bit(word, n));
    let flags = (9..13).any(|n| bit(word, n));
    let version = [bit(word, 13), bit(word, 14), bit(word, 15)];
    key && !(checksum || routing || strict_source_route || recursion || flags)
        && version == [false, false, true]
}

/// Octet `n` of every datagram here, from the seventh on; all differ, so that fields cannot be
/// confused
fn octet(n: usize) -> u8 {
    match n {
        6 => 0x12,
        7 => 0x34,
        _ => u8::try_from(n).unwrap() ^ 0xA0,
    }
}

fn datagram(word: u16, protocol: u16, payload: u16, length: usize) -> Vec<u8> {
    let fields = [word, protocol, payload].map(u16::to_be_bytes).concat();
    fields.into_iter().chain((6..).map(octet)).take(length).collect()
}

/// The expected result for [`datagram`] by RFC 2637; only fields that are there are judged
fn expected(word: u16, protocol: u16, payload: u16, length: usize) -> Verdict {
    if length < 6 {
        return Err(ParseError::Truncated);
    }
    if !is_enhanced(word) {
        return Err(ParseError::Flags(word));
    }
    if protocol != PPP {
        return Err(ParseError::Protocol(protocol));
    }
    let (has_sequence, has_acknowledgment) = (bit(word, 3), bit(word, 8));
    let number = |at: usize| u32::from_be_bytes([at, at + 1, at + 2, at + 3].map(octet));
    let acknowledgment = if has_sequence { 12 } else { 8 };
    let begin = 8 + 4 * (usize::from(has_sequence) + usize::from(has_acknowledgment));
    let end = begin + if has_sequence { usize::from(payload) } else { 0 };
    if length < end {
        return Err(ParseError::Truncated);
    }
    let header = Header {
        call_id: CALL_ID,
        sequence: has_sequence.then(|| number(8)),
        acknowledgment: has_acknowledgment.then(|| number(acknowledgment)),
    };
    Ok((header, begin..end))
}

fn check(word: u16, protocol: u16, payload: u16, length: usize) -> Verdict {
    let parsed = Header::parse(&datagram(word, protocol, payload, length));
    let verdict = expected(word, protocol, payload, length);
    assert_eq!(parsed, verdict, "{word:04x} {protocol:04x}, {payload} of {length}");
    parsed
}

#[test]
fn rfc2637_section_4_1_all_65536_first_words_with_octets_enough_and_too_few() {
    let mut taken = Vec::new();
    for word in 0..=u16::MAX {
        if check(word, PPP, 5, MAX_LEN).is_ok() {
            taken.push(word);
        }
        for length in [0, 1, 2, 5, 6, 7, 8] {
            let _ = check(word, PPP, 0, length);
        }
    }
    assert_eq!(taken, [0x2001, 0x2081, 0x3001, 0x3081]);
}

#[test]
fn the_four_words_that_are_taken_at_every_length_and_every_payload_length() {
    for word in [0x2001, 0x2081, 0x3001, 0x3081] {
        for length in 0..=MAX_LEN {
            for payload in (0..=10).chain([0xFF, 0x100, 0x7FFF, 0x8000, FAR_TOO_LONG]) {
                let _ = check(word, PPP, payload, length);
            }
        }
    }
}

#[test]
fn rfc2637_section_4_1_all_65536_protocol_types() {
    let taken = (0..=u16::MAX).filter(|protocol| check(0x3081, *protocol, 1, MAX_LEN).is_ok());
    assert_eq!(taken.collect::<Vec<_>>(), [PPP]);
}
