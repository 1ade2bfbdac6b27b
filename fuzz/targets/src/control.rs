//! The control connection: a TCP stream of messages in whatever pieces, in either role

use std::time::{Duration, Instant};

use pptp_control::{
    Config, ControlConnection, Decoder, Event, Message, ParseError, ServerConfig, StopReason,
};

use crate::{heap::Heap, script::epoch};

/// The longest message (RFC 2637 §2.9)
const LONGEST: usize = 220;
/// Octets of a decoder: the longest message, and what a vector rounds up
const MOST_DECODER: isize = 2 * 220;
/// Octets of a connection whose output and events are taken: decoder, vendor, host name, configuration
const MOST_CONNECTION: isize = 2048;
/// Octets of answers that wait, beyond which the peer is ended
const MOST_OUTPUT: usize = 4096;
/// Two steps of a teardown
const TEARDOWN: Duration = Duration::from_secs(4);

/// Octets of the control connection's TCP stream
///
/// Holds: however the stream is cut, the same messages come out, and no more than one is held. Each
/// message comes to the same octets again. A connection has a deadline until it is closed, holds and
/// answers no more than its caps, and is silent afterwards.
pub fn target(data: &[u8]) {
    let whole = decode([data].into_iter());
    assert_eq!(decode(data.chunks(1)), whole, "octet by octet");
    assert_eq!(decode(pieces(data)), whole, "in pieces");
    whole.messages.iter().for_each(round_trip);
    let now = epoch();
    drive(data, now, || ControlConnection::connect(Config::default(), 1, 1, now));
    drive(data, now, || ControlConnection::accept(ServerConfig::default(), 1, now));
}

/// What a stream comes to
#[derive(Debug, Default, PartialEq)]
struct Decoded {
    messages: Vec<Message>,
    skipped: u32,
    error: Option<ParseError>,
}

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Decoded {
    let (mut decoder, mut heap) = (Decoder::new(), Heap::new());
    let mut decoded = Decoded::default();
    for mut piece in pieces {
        loop {
            let result = heap.within(|| decoder.decode(&mut piece));
            assert!(decoder.partial().len() <= LONGEST, "held beyond the longest message");
            heap.assert_at_most(MOST_DECODER);
            decoded.skipped = decoder.skipped();
            match result {
                Ok(Some(message)) => decoded.messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    decoded.error = Some(error);
                    return decoded;
                }
            }
        }
        assert!(piece.is_empty(), "asks for more with octets left");
    }
    decoded
}

/// Cut where the octets themselves say
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        let length = (usize::from(*rest.last()?) << 4) + 1;
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        rest = behind;
        Some(piece)
    })
}

fn round_trip(message: &Message) {
    let mut octets = Vec::new();
    message.emit(&mut octets);
    assert_eq!(Some(octets.len()), message.control_type().message_len());
    assert_eq!(Message::parse(&octets).as_ref(), Ok(message));
}

/// Half a second between one piece and the next
fn drive(data: &[u8], start: Instant, make: impl FnOnce() -> ControlConnection) {
    let mut heap = Heap::new();
    let mut connection = heap.within(make);
    let (mut now, mut output) = (start, Vec::with_capacity(MOST_OUTPUT + LONGEST));
    for piece in pieces(data) {
        heap.within(|| connection.handle_octets(now, piece));
        settle(&mut connection, &mut heap, &mut output, now);
        now += Duration::from_millis(500);
    }
    heap.within(|| connection.close(now, StopReason::StopLocalShutdown));
    settle(&mut connection, &mut heap, &mut output, now);
    let end = now + TEARDOWN;
    while let Some((at, _)) = connection.poll_timeout() {
        assert!(at <= end, "a teardown that takes longer than its two steps");
        now = at;
        settle(&mut connection, &mut heap, &mut output, now);
    }
    assert_silent(&mut connection, data, now);
}

/// Takes all that is due and all that comes out, and holds the connection to its rules
fn settle(connection: &mut ControlConnection, heap: &mut Heap, output: &mut Vec<u8>, now: Instant) {
    output.clear();
    let was_closed = heap.within(|| {
        connection.handle_timeout(now);
        connection.poll_transmit(output);
        let mut closed = 0;
        while let Some(event) = connection.poll_event() {
            closed += usize::from(matches!(event, Event::Closed(_)));
        }
        closed
    });
    assert!(was_closed <= 1, "closed twice");
    assert!(output.len() <= MOST_OUTPUT, "{} octets of answers", output.len());
    heap.assert_at_most(MOST_CONNECTION);
    match connection.poll_timeout() {
        Some((at, why)) => assert!(at > now, "{why:?} is still due"),
        None => assert!(connection.is_closed(), "open, and without a deadline"),
    }
}

/// Whatever comes after the end, nothing comes of it
fn assert_silent(connection: &mut ControlConnection, data: &[u8], now: Instant) {
    assert!(connection.is_closed());
    connection.handle_octets(now, data);
    connection.handle_timeout(now);
    connection.handle_eof(now);
    connection.close(now, StopReason::StopLocalShutdown);
    assert_eq!(connection.poll_event(), None, "an event after the end");
    assert!(!connection.poll_transmit(&mut Vec::new()), "output after the end");
    assert_eq!(connection.poll_timeout(), None, "a deadline after the end");
}
