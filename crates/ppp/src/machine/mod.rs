//! The machine of a link: its state and its outputs
//!
//! | module | content |
//! |---|---|
//! | `role` | the differences between a client and a server |
//! | `phases` | the phases of a link: their order, their start and their end |
//! | `receive` | the frames that come in: one function for each protocol |
//! | `gate`, `early` | the frames that a phase lets in, and those that came too early |
//! | `guard` | the rules for control frames of a link that is up and encrypted |
//! | `encryption` | the packets of CCP, and what follows from them |
//! | `packets` | inner packets, on the way out and on the way in |
//! | `mtu` | the MTU of inner packets |
//! | `proving` | the proofs that packets pass |
//! | `timeouts` | the deadlines of a link, and what is due at them |
//! | `ipv6` | IPv6 beside IPv4 |
//! | `identification` | remarks of the peer that ask for nothing (RFC 1570 §2) |
//! | `ended` | the reason that the peer ended the link |

mod early;
mod encryption;
mod ended;
mod gate;
mod guard;
mod identification;
mod ipv6;
mod mtu;
mod packets;
mod phases;
mod proving;
mod receive;
pub(crate) mod role;
mod timeouts;

use std::{fmt, time::Instant};

use pptp_packet::{Counter, Queue};

use zeroize::Zeroizing;

use crate::{
    config::ProofPolicy,
    context::{
        Context,
        rate::{Rate, ReplayWindow},
        stats::Stats,
    },
    encryption::{cipher::Cipher, data_path::DataPath},
    events::{Event, Phase},
    guard::{confirmation::Confirmation, pinned::PinnedAddresses, sequence_window::SequenceWindow},
    liveness::{
        carrier::Carrier,
        echo::Echo,
        path_monitor::{PathMonitor, Reachability},
        pending_proofs::PendingProofs,
    },
    machine::{early::EarlyFrames, role::Role},
    negotiation::{ipv6cp::Ipv6cp, negotiator::Negotiator, role_options::LinkFacts},
    wire::{
        frame,
        packet::{Code, Packet},
    },
};

/// A link of one role
///
/// The inputs are in `receive`, the phases in `phases`, the deadlines in `timeouts`.
pub(crate) struct Machine<R: Role> {
    pub(crate) role: R,
    phase: Phase,
    pub(crate) lcp: Negotiator<R::Lcp>,
    pub(crate) authentication: R::Authentication,
    ccp: Negotiator<R::Ccp>,
    ipcp: Negotiator<R::Ipcp>,
    ipv6cp: Option<Box<Negotiator<Ipv6cp>>>,
    echo: Echo,
    path_monitor: PathMonitor,
    /// Proof packets that wait to be sent
    proofs: PendingProofs,
    pub(crate) context: Context,
    /// The outcome of LCP, while it is open
    link: Option<LinkFacts>,
    data_path: DataPath,
    /// Control frames that came in lately
    replay_window: ReplayWindow,
    /// Control frames that came before their phase
    early: EarlyFrames,
    /// Boxed, as the next one: hardly any link has them
    protocol_rejects: Option<Box<Rate>>,
    /// Identifier of our latest Echo-Request or Protocol-Reject
    id: u8,
    /// The numbers that control frames may have while the link is up
    sequence_window: SequenceWindow,
    /// The addresses of the first time up
    pinned: Option<Box<PinnedAddresses>>,
    /// True if the link has not been up since the latest login
    is_new_login: bool,
    /// Frames that wait for a confirmation; boxed, since hardly any link has some
    confirmation: Option<Box<Confirmation>>,
    peer_name: Box<str>,
    carrier_limit: u16,
    carrier: Carrier,
    renegotiations: Option<Box<Rate>>,
    events: Queue<Event>,
}

/// Writes the phase and the states for a log; the rest is long, and some of it is secret
impl<R: Role> fmt::Debug for Machine<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, lcp, ccp, ipcp, .. } = self;
        let [lcp, ccp, ipcp] = [lcp.state(), ccp.state(), ipcp.state()];
        write!(f, "Machine {{ {phase:?}, LCP {lcp:?}, CCP {ccp:?}, IPCP {ipcp:?} }}")
    }
}

#[cfg(all(test, feature = "server"))]
impl<R: Role> Machine<R> {
    /// Returns the `Debug` output of each part, in both forms
    pub(crate) fn details(&self) -> String {
        let Self {
            role, lcp, authentication, ccp, ipcp, context, data_path, early, events, ..
        } = self;
        let negotiators: [&dyn fmt::Debug; 3] = [lcp, ccp, ipcp];
        let others: [&dyn fmt::Debug; 6] =
            [role, authentication, context, data_path, early, events];
        let all = negotiators.into_iter().chain(others);
        all.map(|part| format!("{part:?}\n{part:#?}")).collect::<Vec<_>>().join("\n")
    }
}

/// The parts in which the machines of the two roles differ
#[derive(Debug)]
pub(crate) struct Parts<R: Role> {
    pub(crate) role: R,
    pub(crate) lcp: Negotiator<R::Lcp>,
    pub(crate) authentication: R::Authentication,
    pub(crate) ccp: Negotiator<R::Ccp>,
    pub(crate) ipcp: Negotiator<R::Ipcp>,
    pub(crate) ipv6cp: Option<Box<Negotiator<Ipv6cp>>>,
    pub(crate) echo: Echo,
    /// The identifier before the first of ours
    pub(crate) id: u8,
    pub(crate) proof: ProofPolicy,
    pub(crate) carrier_limit: u16,
}

impl<R: Role> Machine<R> {
    pub(crate) fn new(parts: Parts<R>, seed: [u8; 32]) -> Self {
        Self {
            role: parts.role,
            phase: Phase::Dead,
            lcp: parts.lcp,
            authentication: parts.authentication,
            ccp: parts.ccp,
            ipcp: parts.ipcp,
            ipv6cp: parts.ipv6cp,
            echo: parts.echo,
            path_monitor: PathMonitor::new(parts.proof.is_enabled, parts.proof.has_answered),
            proofs: PendingProofs::default(),
            context: Context::new(seed),
            link: None,
            data_path: DataPath::new(),
            replay_window: ReplayWindow::new(),
            early: EarlyFrames::default(),
            protocol_rejects: None,
            id: parts.id,
            sequence_window: SequenceWindow::default(),
            pinned: None,
            is_new_login: false,
            confirmation: None,
            peer_name: Box::default(),
            carrier_limit: parts.carrier_limit,
            carrier: Carrier::NEW,
            renegotiations: None,
            events: Queue::new(),
        }
    }

    pub(crate) fn open(&mut self, now: Instant) {
        if self.phase != Phase::Dead || !self.lcp.is_initial() {
            return;
        }
        self.enter(Phase::LinkControl);
        self.lcp.open(now, &mut self.context);
        self.lcp.up(now, &mut self.context);
    }

    pub(crate) fn close(&mut self, now: Instant) {
        match self.phase {
            Phase::Dead | Phase::Terminating => return,
            _ => self.enter(Phase::Terminating),
        }
        self.lower_network_layer(now);
        self.lcp.close(now, &mut self.context);
    }

    pub(crate) fn renegotiate(&mut self, now: Instant) {
        if self.lcp.is_open() {
            self.lcp.down(now, &mut self.context);
            self.start_over(now);
            if self.phase == Phase::LinkControl {
                self.lcp.up(now, &mut self.context);
            }
        }
    }

    /// Asks the peer for a sign of life at the next [`Self::handle_timeout`]
    pub(crate) const fn check_peer(&mut self, now: Instant) {
        self.echo.ask_now(now);
    }

    pub(crate) fn poll_frame(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.context.poll_frame()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Notes that a packet of a user leaves, which wants an answer or does not
    pub(crate) fn note_sent(&mut self, now: Instant, wants_answer: bool) {
        self.path_monitor.sent(now, wants_answer);
    }

    /// Notes a sign of life of the carrier
    pub(crate) const fn note_carrier_alive(&mut self, now: Instant) {
        self.carrier.heard(now);
    }

    /// The time at which anything of the peer came in last
    pub(crate) const fn last_heard(&self) -> Option<Instant> {
        self.echo.last_heard()
    }

    pub(crate) const fn reachability(&self) -> Reachability {
        self.path_monitor.reachability()
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    pub(crate) const fn round_trips(&self) -> u16 {
        self.context.round_trips.count()
    }

    pub(crate) fn stats(&self) -> Stats {
        let shortest_round_trip = self.context.round_trips.shortest();
        Stats {
            shortest_round_trip,
            reachability: self.path_monitor.reachability(),
            ..self.context.stats
        }
    }

    pub(crate) fn decryptor_stats(&self) -> Option<&pptp_mppe::Stats> {
        self.data_path.cipher().map(Cipher::decryptor_stats)
    }

    /// Sends an LCP Echo-Request, and returns its identifier
    ///
    /// A client's has random octets behind its Magic-Number, which an answer has to repeat
    /// (RFC 1661 §5.8).
    fn send_echo_request(&mut self, now: Instant) -> u8 {
        self.id = self.id.wrapping_add(1);
        self.echo.asked(now, self.id);
        let stats = &mut self.context.stats;
        stats.echo_requests.increment();
        let magic = self.link.and_then(|link| link.magic).unwrap_or_default().to_be_bytes();
        let data = [&magic[..], self.echo.token()].concat();
        let code = Code::EchoRequest.into();
        self.context.send(frame::LCP, &Packet { code, id: self.id, data: &data });
        self.id
    }

    #[cfg(feature = "server")]
    pub(crate) fn send_terminate_request(&mut self, protocol: u16, data: &[u8]) {
        self.id = self.id.wrapping_add(1);
        let code = Code::TerminateRequest.into();
        self.context.send(protocol, &Packet { code, id: self.id, data });
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.push(Event::Phase(phase));
    }

    /// Tells a remark on which nothing depends; it is dropped if the owner does not poll
    fn push_remark(&mut self, event: Event) {
        if self.events.len() < MAX_REMARKS {
            self.push(event);
        }
    }

    /// Tells the owner an event, unless the link has ended: nothing is told behind the end
    fn push(&mut self, event: Event) {
        if self.phase != Phase::Dead {
            self.push_even_if_dead(event);
        }
    }

    /// Tells an event; the end itself is told by a link that is dead already
    ///
    /// An owner that does not poll loses the oldest events: the last one tells how it ended.
    fn push_even_if_dead(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

/// Events that wait for an owner that does not poll
const MAX_EVENTS: usize = 32;
/// Waiting events with which a remark of the peer is dropped
const MAX_REMARKS: usize = 4;
/// Protocol-Rejects in a second
const PROTOCOL_REJECT_RATE: (u8, u8) = (10, 1);
