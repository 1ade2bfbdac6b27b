//! The phases of a link: what starts what, what ends it, and what comes out

mod early;
mod encryption;
mod ended;
mod gate;
mod guard;
mod identification;
mod ipv6;
mod mtu;
mod phases;
mod proving;
mod receive;
pub(crate) mod role;

use std::fmt;
use std::time::Instant;

use pptp_packet::{Counter, Queue};

use zeroize::Zeroizing;

use crate::authentication::Authentication;
use crate::config::ProofPolicy;
use crate::context::Context;
use crate::context::rate::{Rate, Window};
use crate::context::stats::Stats;
use crate::encryption::cipher::Cipher;
use crate::encryption::data_path::DataPath;
use crate::events::{Event, Phase, Timer};
use crate::failure::Failure;
use crate::guard::confirmation::Confirmation;
use crate::guard::near::Near;
use crate::guard::pinned::Pinned;
use crate::liveness::carrier::Carrier;
use crate::liveness::echo::{Echo, Silence};
use crate::liveness::path_monitor::{PathMonitor, Reachability};
use crate::liveness::pending_proofs::PendingProofs;
use crate::machine::early::EarlyFrames;
use crate::machine::role::Role;
use crate::negotiation::ipv6cp::Ipv6cp;
use crate::negotiation::negotiator::{Layer, Negotiator};
use crate::negotiation::role_options::LinkFacts;
use crate::wire::frame;
use crate::wire::packet::{Code, Packet};
use crate::wire::protocol::Protocol;

/// A link of one role
///
/// What comes in is in `receive`; here is what follows from it.
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
    window: Window,
    /// Control frames that came before their phase
    early: EarlyFrames,
    /// Boxed, as the next one: hardly any link has them
    protocol_rejects: Option<Box<Rate>>,
    /// Identifier of our latest Echo-Request or Protocol-Reject
    id: u8,
    /// The numbers that control frames may have while the link is up
    near: Near,
    /// The addresses of the first time up
    pinned: Option<Box<Pinned>>,
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

#[cfg(test)]
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
            window: Window::new(),
            early: EarlyFrames::default(),
            protocol_rejects: None,
            id: parts.id,
            near: Near::default(),
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

    /// Performs all that is due at `now`
    ///
    /// From the lowest layer up: LCP and the login may end the link, which makes the rest needless, and
    /// CCP goes before IPCP, since an IPCP that gives up would hide the failure of CCP.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.phase != Phase::Dead {
            self.handle_negotiation_timeout(now);
        }
        // a link that has just ended asks no more questions
        if self.phase != Phase::Dead {
            self.handle_liveness_timeout(now);
        }
    }

    /// Repeats requests, and gives up the protocols that had no answer
    fn handle_negotiation_timeout(&mut self, now: Instant) {
        if self.lcp.handle_timeout(now, &mut self.context) == Some(Layer::Finished) {
            return self.give_up_lcp(now);
        }
        if let Err(failure) = self.authentication.handle_timeout(now, &mut self.context) {
            return self.fail(now, failure);
        }
        #[cfg(feature = "server")]
        if let (Some(keys), Phase::Authentication) = (self.role.due(now), self.phase) {
            self.begin_network(now, keys);
        }
        if self.ccp.handle_timeout(now, &mut self.context) == Some(Layer::Finished) {
            self.ccp_timed_out(now);
        }
        if self.ipcp.handle_timeout(now, &mut self.context) == Some(Layer::Finished) {
            return self.fail(now, Failure::NegotiationTimeout { protocol: Protocol::Ipcp });
        }
        if let Some(ipv6cp) = &mut self.ipv6cp {
            let layer = ipv6cp.handle_timeout(now, &mut self.context);
            self.ipv6_changed(layer);
        }
    }

    /// Probes an open link: resets, Echo-Requests, proofs, confirmations
    fn handle_liveness_timeout(&mut self, now: Instant) {
        self.check_encryption_deadlines(now);
        match self.echo.handle_timeout(now) {
            Some(Silence::Ask) => {
                self.send_echo_request(now);
                if self.echo.is_last_question() && !self.echo.has_answered() {
                    self.push(Event::AskCarrier);
                }
            }
            Some(Silence::Dead(unanswered)) => self.fall_silent(now, unanswered),
            None => {}
        }
        self.check_path(now);
        self.check_confirmation(now);
    }

    pub(crate) fn poll_frame(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.context.poll_frame()
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let lcp = match self.phase {
            Phase::Dead => return None,
            Phase::Terminating => Timer::Terminate,
            _ => Timer::Restart(Protocol::Lcp),
        };
        let cipher = self.data_path.cipher();
        let ipv6cp = self.ipv6cp.as_ref().and_then(|ipv6cp| ipv6cp.deadline());
        let confirmation = self.confirmation.as_ref().and_then(|it| it.deadline());
        let deadlines = [
            (self.lcp.deadline(), lcp),
            (self.authentication.deadline(), Timer::Authentication),
            (self.ccp.deadline(), Timer::Restart(Protocol::Ccp)),
            (self.ipcp.deadline(), Timer::Restart(Protocol::Ipcp)),
            (ipv6cp, Timer::Restart(Protocol::Ipv6cp)),
            (self.echo.deadline(), Timer::Echo),
            (self.path_monitor.deadline(), Timer::Proof),
            (cipher.and_then(Cipher::kept_keys), Timer::KeptKeys),
            (cipher.and_then(Cipher::reset_request), Timer::ResetRequest),
            (self.data_path.clear_at(), Timer::Encryption),
            #[cfg(feature = "server")]
            (self.role.deadline(), Timer::Authentication),
            (confirmation, Timer::Confirmation),
        ];
        let deadlines = deadlines.into_iter().filter_map(|(at, timer)| Some((at?, timer)));
        deadlines.min_by_key(|(at, _)| *at)
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

    /// Tells a remark on which nothing depends: an owner that does not look does not get it
    fn tell(&mut self, event: Event) {
        if self.events.len() < MAX_REMARKS {
            self.push(event);
        }
    }

    /// Tells the owner an event, unless the link has ended: nothing is told behind the end
    fn push(&mut self, event: Event) {
        if self.phase != Phase::Dead {
            self.push_also_dead(event);
        }
    }

    /// Tells an event; the end itself is told by a link that is dead already
    ///
    /// An owner that does not look loses the oldest events: the last one tells how it ended.
    fn push_also_dead(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

/// Events that wait for an owner that does not look
const MAX_EVENTS: usize = 32;
/// Events behind which a mere remark of the peer is not told
const MAX_REMARKS: usize = 4;
/// Protocol-Rejects in a second
const PROTOCOL_REJECT_RATE: (u8, u8) = (10, 1);
