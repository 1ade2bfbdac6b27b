//! What every protocol of a link needs to act: the way out, randomness, the count of round trips

use std::collections::VecDeque;

use crate::failure::Failure;
use crate::frame;
use crate::packet::{Packet, ParseError};
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
    /// Beyond [`MOST_FRAMES`] it is dropped: whatever it was, the way could have lost it too.
    pub(crate) fn send(&mut self, protocol: u16, packet: &Packet<'_>) {
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
