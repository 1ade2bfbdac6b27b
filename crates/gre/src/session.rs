//! The GRE session of one call

use std::time::{Duration, Instant};

use pptp_packet::PacketBuf;

use crate::{Discard, Header, Verdict};

/// The GRE session of one call (RFC 2637 sections 4.2 to 4.4)
///
/// In a turn: any number of [`check`](Self::check), [`commit`](Self::commit) and
/// [`handle_acknowledgment`](Self::handle_acknowledgment), then what goes out through
/// [`seal`](Self::seal), then [`poll_acknowledgment`](Self::poll_acknowledgment) once, then
/// [`poll_timeout`](Self::poll_timeout). So one acknowledgment answers a whole batch.
#[derive(Debug)]
pub struct Session {
    stats: Stats,
}

impl Session {
    /// The session of a call that the peer knows by `peer_call_id`
    ///
    /// `peer_window` is the receive window of its Outgoing-Call-Reply, in packets; 0 means that it
    /// named none, and nothing is paced then.
    pub fn new(peer_call_id: u16, peer_window: u16, now: Instant) -> Self {
        todo!("{peer_call_id} {peer_window} {now:?}")
    }

    /// Judges the sequence number of a datagram, without making it count
    ///
    /// The verdict is provisional: it is for [`commit`](Self::commit) once the payload was
    /// accepted, and is dropped otherwise. All that may change here is the candidate for a new
    /// base that the forward-jump guard holds.
    pub fn check(&mut self, header: &Header) -> Result<Verdict, Discard> {
        todo!("{header:?}")
    }

    /// Makes the sequence number of an accepted payload count, and owes the peer its acknowledgment
    pub fn commit(&mut self, now: Instant, verdict: Verdict) {
        todo!("{now:?} {verdict:?}")
    }

    /// Takes the peer's acknowledgment of our datagrams
    ///
    /// One that names a number never sent, or one acknowledged before, is counted and ignored.
    pub fn handle_acknowledgment(&mut self, now: Instant, acknowledgment: u32) {
        todo!("{now:?} {acknowledgment}")
    }

    /// Ends what is over at `now`: an adaptive time-out
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!("{now:?}")
    }

    /// Puts the GRE header in front of a PPP frame, with the next sequence number
    ///
    /// An acknowledgment that is owed rides along.
    pub fn seal(&mut self, now: Instant, packet: &mut PacketBuf) {
        todo!("{now:?} {packet:?}")
    }

    /// A bare acknowledgment, if one is due: two datagrams wait for it, or one for 100 ms
    ///
    /// Called once, at the end of a turn.
    pub fn poll_acknowledgment(&mut self, now: Instant) -> Option<[u8; 12]> {
        todo!("{now:?}")
    }

    /// Until when the peer's full window asks for a pause, or `None` to send now
    ///
    /// The window is advisory: a pause lasts at most 50 ms and ends without an acknowledgment.
    pub fn may_send(&self, now: Instant) -> Option<Instant> {
        todo!("{now:?}")
    }

    /// The next deadline and why it exists
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        todo!()
    }

    /// What was counted so far
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The smoothed round-trip time, once an acknowledgment was timed
    pub fn round_trip_time(&self) -> Option<Duration> {
        todo!()
    }

    /// Whether the peer let three time-outs pass without ever acknowledging anything
    pub fn peer_never_acknowledges(&self) -> bool {
        todo!()
    }
}

/// Why a session has a deadline
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// A received datagram waits for its acknowledgment: [`Session::poll_acknowledgment`] has one
    Acknowledgment,
    /// Our datagrams wait for the peer's acknowledgment (RFC 2637 section 4.4)
    AdaptiveTimeout,
}

/// What a session counted
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams committed
    pub committed: u64,
    /// Datagrams sealed
    pub sealed: u64,
    /// Sequence numbers passed over when a datagram ahead was committed; late ones come off again
    pub missing: u64,
    /// Datagrams committed behind the highest number
    pub late: u32,
    /// Datagrams discarded because their number was committed before
    pub duplicates: u32,
    /// Datagrams beyond the forward-jump guard
    pub beyond_guard: u32,
    /// New bases adopted there
    pub jumps: u32,
    /// Bare acknowledgments sent
    pub acknowledgments_sent: u32,
    /// Acknowledgments of the peer that were taken
    pub acknowledgments_taken: u32,
    /// Acknowledgments of the peer that were ignored: of numbers never sent, or old ones
    pub acknowledgments_ignored: u32,
    /// Adaptive time-outs
    pub timeouts: u32,
}
