//! The counters of a link

use std::time::Duration;

use pptp_packet::Counter;

use crate::{context::round_trips::RoundTripTime, liveness::path_monitor::Reachability};

/// The reason that a frame that came in was dropped
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discard {
    /// Not a PPP frame, or a packet in it that breaks its own lengths
    Malformed,
    /// A control frame whose sequence number came before
    Duplicate,
    /// The frame's protocol does not belong to this phase (RFC 1661 §3.2)
    OutOfPhase,
    /// IP in the clear, although that was not agreed
    Plaintext,
    /// The packet is in the clear, as was agreed, and does not look like an IPv4 packet
    Implausible,
    /// MPPE did not open it
    Undecryptable(pptp_mppe::Discard),
    /// MPPE opened the frame, but it holds no IPv4 packet, and IPV6CP is not open
    InnerProtocol,
    /// The frame's protocol is not known; the peer is told by a Protocol-Reject
    UnknownProtocol,
    /// The link has ended, or was never opened
    Dead,
    /// A control frame in the clear whose number is too far from those that the peer has proven to
    /// be its own
    OutsideWindow,
    /// A control frame in the clear that would end or restart the link: it waits until the peer was asked
    Unconfirmed,
}

/// The counters of a link since it was made
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// [`Discard::Malformed`]
    pub malformed: u64,
    /// [`Discard::Duplicate`]
    pub duplicates: u64,
    /// [`Discard::OutOfPhase`] and [`Discard::Dead`]
    pub out_of_phase: u64,
    /// [`Discard::Plaintext`]
    pub plaintext: u64,
    /// [`Discard::Implausible`]
    pub implausible: u64,
    /// [`Discard::Undecryptable`]; the decryptor keeps count of each reason
    pub undecryptable: u64,
    /// [`Discard::InnerProtocol`]
    pub inner_protocol: u64,
    /// [`Discard::UnknownProtocol`]
    pub unknown_protocol: u64,
    /// [`Discard::OutsideWindow`]
    pub outside_window: u32,
    /// [`Discard::Unconfirmed`]: those that count later, and those that were forged
    pub unconfirmed: u32,
    /// Answers whose request was answered before, or is no longer asked: accepted and ignored
    pub stale_answers: u64,
    /// Echo-Requests sent
    pub echo_requests: u64,
    /// Reset-Requests answered: the peer's decryptor was out of step
    ///
    /// Those that were sent are counted by the decryptor.
    pub reset_requests: u64,
    /// Frames not sent because too many were waiting already, or were answered in that second
    pub outbox_overflow: u64,
    /// Times the peer began to negotiate anew after the link was up
    pub renegotiations: u64,
    /// The shortest time between a request of ours and its answer
    pub shortest_round_trip: Option<Duration>,
    /// Proof packets sent to see whether packets pass inside the link
    pub proofs_sent: u64,
    /// The reachability inside the link
    pub reachability: Reachability,
    /// Round trips of LCP Echo-Requests
    pub echo_round_trip: RoundTripTime,
    /// Round trips of the pings that prove the data path
    pub ping_round_trip: RoundTripTime,
}

impl Stats {
    pub(crate) const fn new() -> Self {
        Self {
            malformed: 0,
            duplicates: 0,
            out_of_phase: 0,
            plaintext: 0,
            implausible: 0,
            undecryptable: 0,
            inner_protocol: 0,
            unknown_protocol: 0,
            outside_window: 0,
            unconfirmed: 0,
            stale_answers: 0,
            echo_requests: 0,
            reset_requests: 0,
            outbox_overflow: 0,
            renegotiations: 0,
            shortest_round_trip: None,
            proofs_sent: 0,
            reachability: Reachability::Unknown,
            echo_round_trip: RoundTripTime::NONE,
            ping_round_trip: RoundTripTime::NONE,
        }
    }

    pub(crate) fn count(&mut self, discard: Discard) {
        let counter = match discard {
            Discard::Malformed => &mut self.malformed,
            Discard::Duplicate => &mut self.duplicates,
            Discard::OutOfPhase | Discard::Dead => &mut self.out_of_phase,
            Discard::Plaintext => &mut self.plaintext,
            Discard::Implausible => &mut self.implausible,
            Discard::Undecryptable(_) => &mut self.undecryptable,
            Discard::InnerProtocol => &mut self.inner_protocol,
            Discard::UnknownProtocol => &mut self.unknown_protocol,
            Discard::OutsideWindow => return self.outside_window.increment(),
            Discard::Unconfirmed => return self.unconfirmed.increment(),
        };
        counter.increment();
    }
}
