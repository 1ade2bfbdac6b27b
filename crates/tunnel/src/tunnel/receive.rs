//! The way of a GRE datagram up: its header, its sequence number, its frame, and what commits them

use std::{net::Ipv4Addr, time::Instant};

use pptp_gre::{Discard, Header, ParseError, Requirement, Session, Verdict};
use pptp_packet::Counter;
use pptp_ppp::{
    Arrival, Order, Received,
    frame::{is_control_frame, is_lcp_answer},
};

use super::{Stage, Tunnel};
use crate::{gre_probe::Stranger, recorder::Kind};

impl Tunnel {
    /// Takes one GRE datagram, from its GRE header on, and opens it in place
    ///
    /// The caller has compared its source address with the control connection's peer. Returns the IP packet
    /// in it, if it holds one that counts.
    pub fn handle_gre<'p>(&mut self, now: Instant, datagram: &'p mut [u8]) -> Option<&'p mut [u8]> {
        if self.stage == Stage::Finished {
            return None;
        }
        let (header, payload) = match Header::parse(datagram) {
            Ok(parsed) => parsed,
            Err(error) => {
                self.counters.malformed.increment();
                self.note_unsupported(error, datagram);
                return None;
            }
        };
        if header.call_id != self.control.call_id() {
            self.counters.other_call.increment();
            return None;
        }
        let Some(session) = &mut self.session else {
            self.keep_early(datagram);
            return None;
        };
        self.gre_probe.on_datagram();
        if let Some(acknowledgment) = header.acknowledgment {
            self.gre_probe.on_answer();
            session.handle_acknowledgment(now, acknowledgment);
        }
        let frame = datagram.get_mut(payload)?;
        let verdict = match (session.check(&header), header.sequence) {
            (Ok(verdict), _) => verdict,
            (Err(Discard::Duplicate), Some(sequence))
                if !is_control_frame(frame) || self.stage == Stage::Up =>
            {
                Session::check_again(sequence)
            }
            (Err(_), _) => return None,
        };
        if is_control_frame(frame) {
            self.recorder.frame(now, Kind::FrameReceived, verdict.sequence, frame);
            if is_lcp_answer(frame) {
                self.gre_probe.on_answer();
            }
        }
        if self.ordered.is_some() && !is_control_frame(frame) {
            return self.handle_ordered(now, verdict, frame);
        }
        self.open_frame(now, verdict, frame)?.packet()
    }

    /// The number of useful datagrams so far: IP packets, new acknowledgments, and PPP frames while
    /// the tunnel is negotiated
    ///
    /// An owner that limits floods compares it before and after its inputs. A datagram may count twice.
    pub fn useful_datagrams(&self) -> u64 {
        let Some(session) = &self.session else { return 0 };
        let stats = session.stats();
        let negotiated = if self.stage == Stage::Up { 0 } else { stats.committed };
        let acknowledgments = u64::from(stats.acknowledgments_taken);
        self.counters.ip_received.saturating_add(acknowledgments).saturating_add(negotiated)
    }

    /// The network or the kernel said that GRE to the peer does not pass
    ///
    /// Before the first datagram of the peer, an ICMP protocol-unreachable ends the connect: that
    /// is the answer of a host that knows no GRE. Later it is no more than a remark, since anyone may
    /// forge one.
    pub fn handle_gre_error(&mut self, now: Instant, error: GreError) {
        match error {
            GreError::ProtocolUnreachable => {
                if let Some(failure) = self.gre_probe.on_unreachable() {
                    self.fail(now, failure);
                }
            }
            GreError::NotSent(reason) => self.gre_probe.on_refused(now, reason),
            GreError::FromElsewhere { from, server } => {
                self.gre_probe.on_stranger(Stranger::Elsewhere { from, server });
            }
        }
    }

    fn note_unsupported(&mut self, error: ParseError, datagram: &[u8]) {
        if let (ParseError::Flags(_) | ParseError::Protocol(_), [f0, f1, p0, p1, ..]) =
            (error, datagram)
        {
            let (flags, protocol) =
                (u16::from_be_bytes([*f0, *f1]), u16::from_be_bytes([*p0, *p1]));
            self.gre_probe.on_stranger(Stranger::Unsupported { flags, protocol });
        }
    }

    /// Hands a frame to PPP, and commits its number if that takes it
    pub(super) fn open_frame<'p>(
        &mut self,
        now: Instant,
        verdict: Verdict,
        frame: &'p mut [u8],
    ) -> Option<Opened<'p>> {
        let arrival = Arrival { sequence: verdict.sequence, order: order(verdict.order) };
        let session = self.session.as_mut()?;
        match self.link.handle_frame(now, arrival, frame) {
            Received::Ip(packet) => {
                session.commit(now, verdict);
                self.counters.received(packet.len());
                return Some(Opened::Packet(packet));
            }
            Received::Proof => {
                session.commit(now, verdict);
                self.link_events(now);
                return Some(Opened::Proof);
            }
            Received::Control if verdict.requirement == Requirement::AcceptedPayload => {
                session.commit(now, verdict);
                if let Some(ordered) = &mut self.ordered {
                    ordered.pass(now, verdict.sequence);
                }
            }
            // a discarded frame may still be the one that was too much
            Received::Control | Received::Discarded(_) => {}
        }
        self.link_events(now);
        None
    }

    fn keep_early(&mut self, datagram: &[u8]) {
        let octets = self.early.iter().map(Vec::len).sum::<usize>().saturating_add(datagram.len());
        let has_room = self.early.len() < MAX_EARLY && octets <= MAX_EARLY_OCTETS;
        if self.stage == Stage::Connecting && has_room {
            self.early.push(datagram.to_vec());
        } else {
            self.counters.too_early.increment();
        }
    }
}

/// An inner packet that came up
#[derive(Debug)]
pub(super) enum Opened<'p> {
    /// One for users
    Packet(&'p mut [u8]),
    /// The answer to a proof of the data path
    Proof,
}

impl<'p> Opened<'p> {
    /// The packet, if it is for users
    pub(super) fn packet(self) -> Option<&'p mut [u8]> {
        match self {
            Self::Packet(packet) => Some(packet),
            Self::Proof => None,
        }
    }
}

/// The reason why GRE to the peer does not pass
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GreError {
    /// ICMP: the peer, or a router before it, does not know the protocol (RFC 792)
    ProtocolUnreachable,
    /// The kernel refused to send a datagram, in these words
    NotSent(String),
    /// A datagram with our Call ID arrived from another address than the peer's; it was not taken
    FromElsewhere {
        /// Its source
        from: Ipv4Addr,
        /// The peer's address
        server: Ipv4Addr,
    },
}

/// GRE frames kept until the Outgoing-Call-Reply is there
const MAX_EARLY: usize = 16;

/// The octets of all of them: so early there is only LCP, some 60 octets each
const MAX_EARLY_OCTETS: usize = 8 << 10;

const fn order(order: pptp_gre::Order) -> Order {
    match order {
        pptp_gre::Order::Ahead => Order::Ahead,
        pptp_gre::Order::Behind => Order::Behind,
    }
}
