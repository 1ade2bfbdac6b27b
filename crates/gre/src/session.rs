//! The GRE session of one call

use std::time::{Duration, Instant};

use pptp_packet::{Counter, PacketBuf};

use crate::{
    Discard, Header, Requirement, Verdict,
    receive::{Committed, Receive},
    transmit::Transmit,
};

/// The GRE session of one call (RFC 2637 sections 4.2 to 4.4)
///
/// In a turn, first any number of [`check`](Self::check), [`commit`](Self::commit) and
/// [`handle_acknowledgment`](Self::handle_acknowledgment) are called. Then all datagrams with data
/// go through [`seal`](Self::seal). [`poll_acknowledgment`](Self::poll_acknowledgment) is called
/// once after that, and [`poll_timeout`](Self::poll_timeout) last. So one acknowledgment answers a
/// whole batch.
#[derive(Debug)]
pub struct Session {
    peer_call_id: u16,
    receive: Receive,
    transmit: Transmit,
    stats: Stats,
    /// True if acknowledgments are only sent in datagrams with data
    #[cfg(feature = "server")]
    only_with_data: bool,
}

impl Session {
    /// The session of a call that the peer knows by `peer_call_id`
    ///
    /// `peer_window` is the receive window of its Outgoing-Call-Reply, in packets; 0 means that it
    /// named none, and nothing is paced then. `now` starts nothing yet: the first deadline comes
    /// with the first datagram.
    pub fn new(peer_call_id: u16, peer_window: u16, _now: Instant) -> Self {
        Self {
            peer_call_id,
            receive: Receive::default(),
            transmit: Transmit::new(peer_window),
            stats: Stats::default(),
            #[cfg(feature = "server")]
            only_with_data: false,
        }
    }

    /// Returns the session with another first sequence number than 0
    ///
    /// For a peer in tests: Linux's pptp.ko begins with 1.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn starting_at(self, first: u32) -> Self {
        let transmit = Transmit::starting_at(self.transmit.offered(), first);
        Self { transmit, ..self }
    }

    /// Returns the session with acknowledgments in datagrams with data only
    ///
    /// For a peer in tests: Linux's pptp.ko has no bare acknowledgments.
    #[cfg(feature = "server")]
    #[must_use]
    pub fn acknowledging_only_with_data(self) -> Self {
        Self { only_with_data: true, ..self }
    }

    /// Judges the sequence number of a datagram, without making it count
    ///
    /// The verdict is provisional: it is for [`commit`](Self::commit) once the payload was
    /// accepted, and is dropped otherwise. All that may change here is the candidate for a new
    /// base that the forward-jump guard holds.
    pub fn check(&mut self, header: &Header) -> Result<Verdict, Discard> {
        let verdict = self.receive.check(header.sequence.ok_or(Discard::Unsequenced)?);
        match verdict {
            Err(_) => self.stats.duplicates.increment(),
            Ok(Verdict { requirement: Requirement::DecryptedPayload, .. }) => {
                self.stats.beyond_guard.increment();
            }
            Ok(_) => {}
        }
        verdict
    }

    /// The verdict for an encrypted payload whose number was committed before
    ///
    /// A forged control frame may have taken the number of a true packet, and MPPE knows a duplicate
    /// without any number. Anything else with such a number is a duplicate.
    pub const fn check_again(sequence: u32) -> Verdict {
        Verdict::repeated(sequence)
    }

    /// Commits the sequence number of an accepted payload, which is then to be acknowledged
    ///
    /// A datagram without a payload cannot be accepted, and is not committed: no peer sends one,
    /// and a forged one must change nothing.
    pub fn commit(&mut self, now: Instant, verdict: Verdict) {
        self.stats.committed.increment();
        match self.receive.commit(now, verdict) {
            Committed::Next { missing } => {
                self.stats.missing = self.stats.missing.saturating_add(missing.into());
            }
            Committed::Jump => self.stats.jumps.increment(),
            Committed::Late => {
                self.stats.late.increment();
                self.stats.missing = self.stats.missing.saturating_sub(1);
            }
            Committed::Repeated => {}
        }
    }

    /// Takes the peer's acknowledgment of our datagrams
    ///
    /// One that names a number never sent, or one acknowledged before, is counted and ignored.
    pub fn handle_acknowledgment(&mut self, now: Instant, acknowledgment: u32) {
        if self.transmit.handle_acknowledgment(now, acknowledgment) {
            self.stats.acknowledgments_taken.increment();
        } else {
            self.stats.acknowledgments_ignored.increment();
        }
    }

    /// Handles an adaptive time-out that has passed at `now`
    ///
    /// An acknowledgment that became due is for [`poll_acknowledgment`](Self::poll_acknowledgment).
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.transmit.handle_timeout(now) {
            self.stats.timeouts.increment();
        }
    }

    /// Puts the GRE header in front of a PPP frame, with the next sequence number
    ///
    /// An acknowledgment that is owed is sent with it. The frame needs 16 octets of headroom.
    pub fn seal(&mut self, now: Instant, packet: &mut PacketBuf) {
        let length = u16::try_from(packet.len());
        debug_assert!(length.is_ok(), "a PPP frame fits a datagram");
        let header = self.next_header(now).emit(length.unwrap_or(u16::MAX));
        let sealed = packet.prepend_slice(header.as_slice());
        debug_assert!(sealed, "the headroom has room for the GRE header");
    }

    /// Returns the header of the next datagram with a payload, for a caller that writes both in one
    /// step
    ///
    /// Takes the next sequence number, and an acknowledgment that is owed: the datagram must go
    /// out.
    pub fn next_header(&mut self, now: Instant) -> Header {
        self.stats.sealed.increment();
        Header {
            call_id: self.peer_call_id,
            sequence: Some(self.transmit.take_sequence(now)),
            acknowledgment: self.receive.take_acknowledgment(),
        }
    }

    /// A bare acknowledgment, if one is due: two datagrams wait for it, or one for 100 ms
    ///
    /// Called once, at the end of a turn, when all that could carry it has been sealed.
    pub fn poll_acknowledgment(&mut self, now: Instant) -> Option<[u8; 12]> {
        if self.waits_for_data() || !self.receive.is_acknowledgment_due(now) {
            return None;
        }
        let acknowledgment = self.receive.take_acknowledgment();
        let header = Header { call_id: self.peer_call_id, sequence: None, acknowledgment };
        let octets = header.emit(0).as_slice().try_into().ok()?;
        self.stats.acknowledgments_sent.increment();
        Some(octets)
    }

    /// Returns true if an acknowledgment waits for data, without a limit of time
    #[cfg_attr(
        not(feature = "server"),
        expect(clippy::unused_self, reason = "only a server in tests has something to look at")
    )]
    const fn waits_for_data(&self) -> bool {
        #[cfg(feature = "server")]
        {
            self.only_with_data
        }
        #[cfg(not(feature = "server"))]
        {
            false
        }
    }

    /// Drops an owed acknowledgment, as if it had been sent
    ///
    /// For a peer in tests: some real ones never acknowledge anything.
    #[cfg(feature = "server")]
    pub fn forget_acknowledgment(&mut self) {
        let _ = self.receive.take_acknowledgment();
    }

    /// The end of the pause that the peer's full window asks for; `None` to send now
    ///
    /// The window is advisory: a pause lasts at most 50 ms and ends without an acknowledgment.
    pub fn may_send(&self, now: Instant) -> Option<Instant> {
        self.transmit.may_send(now)
    }

    /// The next deadline and why it exists
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let due = self.receive.acknowledge_by().filter(|_| !self.waits_for_data());
        let acknowledgment = due.map(|at| (at, Timer::Acknowledgment));
        let adaptive = self.transmit.timeout_at().map(|at| (at, Timer::AdaptiveTimeout));
        [acknowledgment, adaptive].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// The counters so far
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The Call ID that our datagrams carry
    pub fn peer_call_id(&self) -> u16 {
        self.peer_call_id
    }

    /// The highest sequence number committed
    pub const fn highest(&self) -> Option<u32> {
        self.receive.highest()
    }

    /// The smoothed round-trip time, once an acknowledgment was timed
    ///
    /// It holds the peer's delay in acknowledging, so it is an upper bound.
    pub fn round_trip_time(&self) -> Option<Duration> {
        self.transmit.round_trip().smoothed()
    }

    /// Returns true if the peer let three time-outs pass and has never acknowledged anything
    pub fn peer_never_acknowledges(&self) -> bool {
        self.transmit.peer_never_acknowledges()
    }
}

/// Reasons for a deadline of a session
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// A received datagram waits for its acknowledgment: [`Session::poll_acknowledgment`] has one
    Acknowledgment,
    /// Our datagrams wait for the peer's acknowledgment (RFC 2637 section 4.4)
    AdaptiveTimeout,
}

/// Counters of a session
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
