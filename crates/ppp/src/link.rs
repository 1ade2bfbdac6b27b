//! The link: one type for both roles

use std::time::Instant;

use pptp_mppe::Arrival;
use pptp_packet::PacketBuf;

use crate::config::ClientConfig;
#[cfg(feature = "server")]
use crate::config::ServerConfig;
use crate::events::{Event, Phase, Timer};
use crate::stats::{Discard, Stats};

/// One PPP link, from the first Configure-Request to the last Terminate-Ack
///
/// Inputs are [`Link::handle_frame`] and [`Link::handle_timeout`]; after any of them, and after a
/// command, the owner asks [`Link::poll_event`] and [`Link::poll_frame`] until both are empty, and
/// [`Link::poll_timeout`] once.
#[derive(Debug)]
pub struct Link {}

/// What became of a frame that came in
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'p> {
    /// Accepted: an inner IP packet, opened in place
    Ip(&'p mut [u8]),
    /// Accepted: a well-formed control frame
    Control,
    /// Dropped and counted; its sequence number is not to be acknowledged
    Discarded(Discard),
}

impl Link {
    /// The side that authenticates itself and is given an address
    ///
    /// All randomness (Magic-Numbers, challenges) comes from `seed`: it has to be fresh and secret.
    pub fn client(config: ClientConfig, seed: [u8; 32]) -> Self {
        todo!()
    }

    /// The side that checks who the other is and assigns its address
    #[cfg(feature = "server")]
    pub fn server(config: ServerConfig, seed: [u8; 32]) -> Self {
        todo!()
    }

    /// The carrier is up: sends LCP's Configure-Request at once
    pub fn open(&mut self, now: Instant) {
        todo!()
    }

    /// Ends the link: sends a Terminate-Request; [`Event::Closed`] follows within 2 s
    ///
    /// Does nothing if the link has ended already.
    pub fn close(&mut self, now: Instant) {
        todo!()
    }

    /// Takes one PPP frame as it was in the carrier, and opens it in place
    ///
    /// `arrival` tells where the carrier's sequence number stands: MPPE needs it for late frames, and
    /// control frames that come twice are found by it.
    pub fn handle_frame<'p>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        frame: &'p mut [u8],
    ) -> Received<'p> {
        todo!()
    }

    /// Does what is due at `now`; too early does nothing
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }

    /// Turns an inner IP packet into a PPP frame, in its headroom
    ///
    /// Only while [`Link::is_up`]: otherwise the packet is left as it was, and false comes back. The frames must go out in the
    /// order in which they were sealed.
    pub fn seal(&mut self, packet: &mut PacketBuf) -> bool {
        todo!()
    }

    /// The next control frame to send, complete with address and control field
    pub fn poll_frame(&mut self) -> Option<Vec<u8>> {
        todo!()
    }

    /// The next thing to know
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }

    /// When [`Link::handle_timeout`] wants to be called, and why
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        todo!()
    }

    /// Whether IP packets pass
    pub fn is_up(&self) -> bool {
        todo!()
    }

    /// How far the link has come
    pub fn phase(&self) -> Phase {
        todo!()
    }

    /// Round trips of the negotiation so far
    ///
    /// Counted by cause: each request remembers how many had passed when it was sent, and its answer
    /// makes it one more. Without loss this is the time it took divided by the round-trip time.
    pub fn round_trips(&self) -> u16 {
        todo!()
    }

    /// What the link has counted
    pub fn stats(&self) -> Stats {
        todo!()
    }

    /// What the decryptor has counted, once there is one
    pub fn decryptor_stats(&self) -> Option<&pptp_mppe::Stats> {
        todo!()
    }
}
