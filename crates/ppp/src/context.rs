//! What every protocol of a link needs to act: the way out, randomness, the count of round trips

use std::collections::VecDeque;

use crate::failure::Failure;
use crate::frame;
use crate::packet::{Code, Packet, ParseError};
use crate::random::Random;
use crate::round_trips::RoundTrips;
use crate::stats::{Discard, Stats};

/// Shared by the protocols of one link, and lent to whichever of them acts
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) random: Random,
    pub(crate) round_trips: RoundTrips,
    pub(crate) stats: Stats,
    outbox: VecDeque<Vec<u8>>,
}

impl Context {
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self {
            random: Random::new(seed),
            round_trips: RoundTrips::new(),
            stats: Stats::new(),
            outbox: VecDeque::new(),
        }
    }

    /// Queues a packet of `protocol` to be sent
    ///
    /// Beyond [`MOST_FRAMES`] it is dropped: whatever it was, the way could have lost it too. A
    /// Configure-Request takes the place of another one that still waits: if the way let the older one arrive
    /// last, the peer would take back its Configure-Ack of the newer.
    pub(crate) fn send(&mut self, protocol: u16, packet: &Packet<'_>) {
        if packet.code == u8::from(Code::ConfigureRequest) {
            self.outbox.retain(|frame| !is_request_before(frame, protocol, packet.id));
        }
        if self.outbox.len() >= MOST_FRAMES {
            self.stats.outbox_overflow = self.stats.outbox_overflow.saturating_add(1);
            return;
        }
        let mut octets = Vec::with_capacity(packet.data.len().saturating_add(4));
        packet.emit(&mut octets);
        self.outbox.push_back(frame::control(protocol, &octets));
    }

    /// The next frame to send
    pub(crate) fn poll_frame(&mut self) -> Option<Vec<u8>> {
        let frame = self.outbox.pop_front();
        if self.outbox.is_empty() {
            // An idle link keeps no memory for the frames of its connect.
            self.outbox = VecDeque::new();
        }
        frame
    }
}

/// Whether a frame holds another Configure-Request of `protocol` than the one with this identifier
fn is_request_before(frame: &[u8], protocol: u16, id: u8) -> bool {
    let [high, low] = protocol.to_be_bytes();
    let request = [high, low, Code::ConfigureRequest.into()];
    frame.get(2..5) == Some(&request) && frame.get(5) != Some(&id)
}

/// Why a packet led to nothing
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is dropped and counted
    Discard(Discard),
    /// It ends the link
    Fail(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Fail(failure)
    }
}

impl From<ParseError> for Trouble {
    fn from(_: ParseError) -> Self {
        Self::Discard(Discard::Malformed)
    }
}

/// Frames that may wait to be sent: a connect needs at most five at a time
const MOST_FRAMES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

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
