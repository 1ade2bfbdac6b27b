//! The datagrams that records may have been in

use std::{net::Ipv4Addr, time::Duration};

use pptp_gre::Header;
use pptp_tunnel::Record;

use super::{Datagram, Ends};
use crate::record::Direction;

/// Packs records into datagrams: one for each control message, however TCP cut it, and for each frame
pub(super) struct Wire {
    ends: Ends,
    sent: Stream,
    received: Stream,
}

/// One direction of the control connection
#[derive(Default)]
struct Stream {
    /// Octets in datagrams before
    passed: u32,
    /// The beginning of a message
    begun: Vec<u8>,
    /// The time at which the last octet of `begun` was recorded
    at: Duration,
}

impl Wire {
    pub(super) fn new(ends: Ends) -> Self {
        Self { ends, sent: Stream::default(), received: Stream::default() }
    }

    /// Gives the datagrams that end with `record` to `each`
    pub(super) fn take(&mut self, record: &Record, mut each: impl FnMut(Datagram)) {
        let direction = direction(record);
        if record.kind.is_frame() {
            return each(self.gre(direction, record));
        }
        let stream = self.stream(direction);
        stream.begun.extend_from_slice(&record.octets);
        stream.at = record.at;
        while let Some(message) = self.stream(direction).next_message() {
            each(self.segment(direction, record.at, message));
        }
    }

    /// Gives the datagrams of messages whose end was not recorded to `each`
    pub(super) fn finish(mut self, mut each: impl FnMut(Datagram)) {
        for direction in [Direction::Outbound, Direction::Inbound] {
            let stream = self.stream(direction);
            let (at, octets) = (stream.at, std::mem::take(&mut stream.begun));
            if !octets.is_empty() {
                let (length, comment) = match message_length(&octets) {
                    Some(length) => (length, CUT_OFF),
                    None => (octets.len(), NO_MESSAGE),
                };
                each(self.segment(direction, at, Message { octets, length, comment }));
            }
        }
    }

    fn stream(&mut self, direction: Direction) -> &mut Stream {
        match direction {
            Direction::Outbound => &mut self.sent,
            Direction::Inbound => &mut self.received,
        }
    }

    /// A PPP frame in enhanced GRE (RFC 2637 §4.1)
    fn gre(&self, direction: Direction, record: &Record) -> Datagram {
        let call_id = match direction {
            Direction::Outbound => self.ends.peer_call_id,
            Direction::Inbound => self.ends.call_id,
        };
        let frame = record.octets.get(..MAX_PAYLOAD).unwrap_or(&record.octets);
        let header = Header { call_id, sequence: record.sequence, acknowledgment: None };
        let header = header.emit(u16::try_from(frame.len()).unwrap_or_default());
        let octets = [header.as_slice(), frame].concat();
        let length = octets.len();
        let comment = if record.is_redacted() { SECRET_REMOVED } else { "" };
        self.ipv4(PROTOCOL_GRE, Message { octets, length, comment }, direction, record.at)
    }

    /// Octets of the control connection in a TCP segment (RFC 9293 §3.1)
    fn segment(&mut self, direction: Direction, at: Duration, message: Message) -> Datagram {
        let Message { octets, length, comment } = message;
        let stream = self.stream(direction);
        let sequence = FIRST_SEQUENCE.wrapping_add(stream.passed);
        stream.passed = stream.passed.wrapping_add(u32::try_from(length).unwrap_or_default());
        let other = match direction {
            Direction::Outbound => &self.received,
            Direction::Inbound => &self.sent,
        };
        let acknowledgment = FIRST_SEQUENCE.wrapping_add(other.passed);
        let Ends { local, server, .. } = self.ends;
        let (from, to) = turned(direction, local, server);
        let mut segment = Vec::with_capacity(octets.len() + 20);
        segment.extend(from.port().to_be_bytes());
        segment.extend(to.port().to_be_bytes());
        segment.extend(sequence.to_be_bytes());
        segment.extend(acknowledgment.to_be_bytes());
        segment.extend([0x50, PSH_ACK, 0xFF, 0xFF, 0, 0, 0, 0]);
        segment.extend(octets);
        let length = length + 20;
        let pseudo = [&from.ip().octets()[..], &to.ip().octets(), &[0, PROTOCOL_TCP]].concat();
        let tcp_length = u16::try_from(length).unwrap_or_default().to_be_bytes();
        let sum = checksum(&[&pseudo, &tcp_length, &segment]);
        segment[16..18].copy_from_slice(&sum);
        self.ipv4(PROTOCOL_TCP, Message { octets: segment, length, comment }, direction, at)
    }

    /// A datagram (RFC 791 §3.1)
    fn ipv4(&self, protocol: u8, payload: Message, direction: Direction, at: Duration) -> Datagram {
        let Message { octets: payload, length, comment } = payload;
        let Ends { local, server, .. } = self.ends;
        let (from, to) = turned(direction, *local.ip(), *server.ip());
        let length = length + 20;
        let mut octets = Vec::with_capacity(payload.len() + 20);
        octets.extend([0x45, 0]);
        octets.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        octets.extend([0, 0, DONT_FRAGMENT, 0, 64, protocol, 0, 0]);
        octets.extend(Ipv4Addr::octets(&from));
        octets.extend(Ipv4Addr::octets(&to));
        let sum = checksum(&[&octets]);
        octets[10..12].copy_from_slice(&sum);
        octets.extend(payload);
        Datagram { at, direction, octets, length, comment }
    }
}

/// Octets of which `length` there were
struct Message {
    octets: Vec<u8>,
    length: usize,
    comment: &'static str,
}

impl Stream {
    /// Takes a message that is there whole, or octets that are none
    fn next_message(&mut self) -> Option<Message> {
        let (length, comment) = match message_length(&self.begun) {
            Some(length) if length <= self.begun.len() => (length, ""),
            Some(_) => return None,
            None if self.begun.len() < TO_COOKIE => return None,
            None => (self.begun.len().min(MAX_PAYLOAD), NO_MESSAGE),
        };
        let rest = self.begun.split_off(length);
        Some(Message { octets: std::mem::replace(&mut self.begun, rest), length, comment })
    }
}

/// The length that a control message says it has (RFC 2637 §2)
fn message_length(octets: &[u8]) -> Option<usize> {
    let length = u16::from_be_bytes(*octets.first_chunk()?);
    let is_message = octets.get(4..TO_COOKIE) == Some(&MAGIC_COOKIE) && length >= 12;
    is_message.then_some(usize::from(length).min(MAX_PAYLOAD))
}

const MAGIC_COOKIE: [u8; 4] = [0x1A, 0x2B, 0x3C, 0x4D];
/// Octets of a control message up to the end of its cookie
const TO_COOKIE: usize = 8;
/// The most octets of payload in a datagram with the longest headers used here
const MAX_PAYLOAD: usize = 65_535 - 20 - 20;
/// TCP's sequence number before the first octet
const FIRST_SEQUENCE: u32 = 1;

const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_GRE: u8 = 47;
const PSH_ACK: u8 = 0x18;
/// With it an identification of 0 is right (RFC 6864 §4.1)
const DONT_FRAGMENT: u8 = 0x40;

const SECRET_REMOVED: &str = "a secret was here: its octets were recorded as zeros";
const CUT_OFF: &str = "the beginning of a control message whose end was not recorded";
const NO_MESSAGE: &str = "not the beginning of a control message";

fn direction(record: &Record) -> Direction {
    if record.kind.is_sent() { Direction::Outbound } else { Direction::Inbound }
}

/// Source and destination
fn turned<T>(direction: Direction, local: T, server: T) -> (T, T) {
    match direction {
        Direction::Outbound => (local, server),
        Direction::Inbound => (server, local),
    }
}

/// The Internet checksum (RFC 1071) of parts that follow each other, each but the last of an even length
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let mut sum = 0_u32;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        let word = [pair[0], pair.get(1).copied().unwrap_or_default()];
        sum += u32::from(u16::from_be_bytes(word));
    }
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    let [_, _, high, low] = (!sum).to_be_bytes();
    [high, low]
}
