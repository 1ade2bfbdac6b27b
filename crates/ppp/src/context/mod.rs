//! The state that all protocols of a link share: frames to send, randomness, counters
//!
//! | module | content |
//! |---|---|
//! | `random` | randomness from a seed |
//! | `rate` | a rate limiter, and a window of the latest sequence numbers |
//! | `round_trips` | the round trips of a negotiation, and measured round-trip times |
//! | `stats` | the counters of a link |

pub(crate) mod random;
pub(crate) mod rate;
pub(crate) mod round_trips;
pub(crate) mod stats;

use std::time::Instant;

use pptp_packet::{Counter, Queue, Redacted};
use zeroize::Zeroizing;

use crate::{
    context::{
        random::Random,
        rate::Rate,
        round_trips::RoundTrips,
        stats::{Discard, Stats},
    },
    failure::Failure,
    wire::{
        frame,
        packet::{Code, Packet, ParseError},
    },
};

/// The state that the protocols of one link share; it is lent to the one that acts
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) random: Random,
    pub(crate) round_trips: RoundTrips,
    pub(crate) stats: Stats,
    answers: Rate,
    /// Frames to send; each is made in one piece and zeroed once it is sent: it may be a PAP request
    outbox: Queue<Redacted<Zeroizing<Vec<u8>>>>,
}

impl Context {
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self {
            random: Random::new(seed),
            round_trips: RoundTrips::new(),
            stats: Stats::new(),
            answers: Rate::new(ANSWER_RATE),
            outbox: Queue::new(),
        }
    }

    /// Notes that a frame of the peer comes in, which may be answered
    pub(crate) fn note_frame(&mut self, now: Instant) {
        self.answers.renew(now);
    }

    /// Queues a packet of `protocol` to be sent
    ///
    /// Beyond [`MAX_FRAMES`], and an answer beyond [`ANSWER_RATE`], it is dropped, as the line
    /// could have lost it too. A Configure-Request takes the place of another one that still waits:
    /// if the older one arrived last, the peer would take back its Configure-Ack of the newer.
    pub(crate) fn send(&mut self, protocol: u16, packet: &Packet<'_>) {
        if packet.code == u8::from(Code::ConfigureRequest) {
            self.outbox.retain(|frame| !is_request_before(frame, protocol, packet.id));
        }
        let may_be_sent = !is_answer(packet.code.into()) || self.answers.take_another();
        if self.outbox.len() >= MAX_FRAMES || !may_be_sent {
            self.stats.outbox_overflow.increment();
            return;
        }
        let frame = Redacted(Zeroizing::new(frame::of_packet(protocol, packet)));
        self.outbox.push_back(frame);
    }

    /// The next frame to send
    pub(crate) fn poll_frame(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.outbox.pop_front().map(|Redacted(frame)| frame)
    }
}

/// Returns true if the peer decides how many of these are sent: answers, and requests of ours that
/// its requests prompt
const fn is_answer(code: Code) -> bool {
    use Code::{
        CodeReject, ConfigureAck, ConfigureNak, ConfigureReject, ConfigureRequest, EchoReply,
        ResetAck, TerminateAck,
    };
    matches!(
        code,
        ConfigureRequest
            | ConfigureAck
            | ConfigureNak
            | ConfigureReject
            | TerminateAck
            | CodeReject
            | EchoReply
            | ResetAck
    )
}

/// Returns true if a frame holds another Configure-Request of `protocol` than the one with this identifier
fn is_request_before(frame: &[u8], protocol: u16, id: u8) -> bool {
    let [high, low] = protocol.to_be_bytes();
    let request = [high, low, Code::ConfigureRequest.into()];
    frame.get(2..5) == Some(&request) && frame.get(5) != Some(&id)
}

/// The reason that a packet is dropped, or ends the link
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PacketError {
    /// The packet is dropped and counted
    Discard(Discard),
    /// The packet ends the link
    Fail(Failure),
}

impl From<Failure> for PacketError {
    fn from(failure: Failure) -> Self {
        Self::Fail(failure)
    }
}

impl From<ParseError> for PacketError {
    fn from(_: ParseError) -> Self {
        Self::Discard(Discard::Malformed)
    }
}

/// Frames that may wait to be sent: a connect needs at most five at a time
const MAX_FRAMES: usize = 64;

/// Answers in a second: servers that ask a hundred things in a second flood
const ANSWER_RATE: (u8, u8) = (100, 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_answers_a_second_and_no_more() {
        let (mut context, now) = (Context::new([0; 32]), crate::tests::epoch());
        let mut sent = 0;
        for second in 0..3 {
            for _ in 0..1000 {
                context.note_frame(now + std::time::Duration::from_secs(second));
                let code = Code::EchoReply.into();
                context.send(frame::LCP, &Packet { code, id: 1, data: &[] });
                sent += std::iter::from_fn(|| context.poll_frame()).count();
            }
        }
        assert_eq!((sent, context.stats.outbox_overflow), (300, 2700));
    }

    #[test]
    fn a_configure_request_that_waits_makes_room_for_its_successor() {
        let mut context = Context::new([0; 32]);
        let mut send = |protocol, code: Code, id| {
            context.send(protocol, &Packet { code: code.into(), id, data: &[] });
        };
        send(0x8021, Code::ConfigureRequest, 1);
        send(0x80FD, Code::ConfigureRequest, 2);
        send(0x8021, Code::ConfigureAck, 3);
        send(0x8021, Code::ConfigureRequest, 4);
        let left = std::iter::from_fn(|| context.poll_frame());
        let left = left.map(|frame| (frame[3], frame[4], frame[5])).collect::<Vec<_>>();
        assert_eq!(left, [(0xFD, 1, 2), (0x21, 2, 3), (0x21, 1, 4)]);
    }
}
