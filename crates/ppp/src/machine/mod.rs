//! The phases of a link: what starts what, what ends it, and what comes out

mod early;
mod encryption;
mod ended;
mod guard;
mod identification;
mod ipv6;
mod proving;
mod receive;
pub(crate) mod role;

use std::fmt;
use std::time::Instant;

use pptp_packet::Queue;

use zeroize::Zeroizing;

use crate::authentication::{Authenticated, Authentication, Keys, Outcome};
use crate::config::ProofPolicy;
use crate::context::Context;
use crate::context::rate::{Rate, Window};
use crate::context::stats::Stats;
use crate::encryption::cipher::Cipher;
use crate::encryption::data_path::DataPath;
use crate::events::{Event, Negotiated, Phase, Timer};
use crate::failure::{Failure, Rule};
use crate::guard::confirmation::Confirmation;
use crate::guard::near::Near;
use crate::guard::pinned::Pinned;
use crate::liveness::carrier::Carrier;
use crate::liveness::echo::{Echo, Silence};
use crate::liveness::path_monitor::PathMonitor;
use crate::liveness::pending_proofs::PendingProofs;
use crate::machine::early::Early;
use crate::machine::role::{IpcpStart, Role};
use crate::negotiation::ipv6cp::Ipv6cp;
use crate::negotiation::negotiator::{Layer, Negotiator};
use crate::negotiation::role_options::LinkFacts;
use crate::negotiation::role_options::{AddressOptions, LinkOptions};
use crate::wire::frame;
use crate::wire::packet::{Code, Packet};
use crate::wire::protocol::Protocol;

/// A link of one role
///
/// What comes in is in `receive`; here is what follows from it.
pub(crate) struct Machine<R: Role> {
    pub(crate) role: R,
    pub(crate) phase: Phase,
    pub(crate) lcp: Negotiator<R::Lcp>,
    pub(crate) authentication: R::Authentication,
    pub(crate) ccp: Negotiator<R::Ccp>,
    pub(crate) ipcp: Negotiator<R::Ipcp>,
    pub(crate) ipv6cp: Option<Box<Negotiator<Ipv6cp>>>,
    pub(crate) echo: Echo,
    pub(crate) path_monitor: PathMonitor,
    /// Proof packets that wait to be sent
    pub(crate) proofs: PendingProofs,
    pub(crate) context: Context,
    /// What LCP agreed on, while it is open
    pub(crate) link: Option<LinkFacts>,
    pub(crate) data_path: DataPath,
    /// Control frames that came in lately
    pub(crate) window: Window,
    /// Those that came before their phase; boxed, since hardly any link has some
    #[expect(clippy::box_collection, reason = "16 octets less in each idle link")]
    pub(crate) early: Option<Box<Vec<Early>>>,
    /// Boxed, as the next one: hardly any link has them
    pub(crate) protocol_rejects: Option<Box<Rate>>,
    /// Identifier of our latest Echo-Request or Protocol-Reject
    pub(crate) id: u8,
    /// The numbers that control frames may have while the link is up
    pub(crate) near: Near,
    /// The addresses of the first time up
    pinned: Option<Box<Pinned>>,
    /// Whether the link has not been up since the latest login
    is_new_login: bool,
    /// Frames that wait for a confirmation; boxed, since hardly any link has some
    pub(crate) confirmation: Option<Box<Confirmation>>,
    peer_name: Box<str>,
    carrier_limit: u16,
    pub(crate) carrier: Carrier,
    renegotiations: Option<Box<Rate>>,
    events: Queue<Event>,
}

/// What a log wants to know; the rest is long, and some of it is secret
impl<R: Role> fmt::Debug for Machine<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, lcp, ccp, ipcp, .. } = self;
        let [lcp, ccp, ipcp] = [lcp.state(), ccp.state(), ipcp.state()];
        write!(f, "Machine {{ {phase:?}, LCP {lcp:?}, CCP {ccp:?}, IPCP {ipcp:?} }}")
    }
}

#[cfg(test)]
impl<R: Role> Machine<R> {
    /// What each part tells of itself, in both forms
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

/// What a machine is made of; the rest is the same for both roles
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
            early: None,
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

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.phase == Phase::Dead {
            return;
        }
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

    /// Something happened to LCP
    pub(crate) fn lcp_changed(&mut self, now: Instant, layer: Option<Layer>) {
        match layer {
            Some(Layer::Up) => match self.lcp.options.facts() {
                Ok(facts) => self.authenticate(now, facts),
                Err(failure) => self.fail(now, failure),
            },
            Some(Layer::Down) if self.phase != Phase::Terminating => self.start_over(now),
            Some(Layer::Finished) => self.give_up_lcp(now),
            _ => {}
        }
    }

    fn authenticate(&mut self, now: Instant, facts: LinkFacts) {
        self.link = Some(facts);
        self.echo.start(now);
        self.enter(Phase::Authentication);
        self.authentication.start(now, facts.authentication, &mut self.context);
    }

    /// LCP is negotiated anew: everything above it has to begin again, keys included
    fn start_over(&mut self, now: Instant) {
        self.lower_network_layer(now);
        if self.renegotiates(now) {
            self.enter(Phase::LinkControl);
        }
    }

    /// LCP does not carry anything above it any more
    fn lower_network_layer(&mut self, now: Instant) {
        self.ccp.down(now, &mut self.context);
        self.ipcp.down(now, &mut self.context);
        self.end_ipv6(now);
        if self.role.ipcp_start() != IpcpStart::AtOnce {
            self.ipcp.close(now, &mut self.context);
        }
        self.authentication.stop();
        self.early = None;
        self.echo.stop();
        self.link = None;
        self.forget_encryption();
    }

    fn forget_encryption(&mut self) {
        self.stop_proof();
        self.data_path.reset();
    }

    fn give_up_lcp(&mut self, now: Instant) {
        if self.phase == Phase::Terminating {
            return self.end(Event::Closed);
        }
        let timeout = Failure::NegotiationTimeout { protocol: Protocol::Lcp };
        let failure = self.lcp.options.disagreement().unwrap_or(timeout);
        self.fail(now, failure);
    }

    /// What came of an authentication packet
    pub(crate) fn conclude(&mut self, now: Instant, outcome: Outcome) {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Authenticated(authenticated) => self.authenticated(now, authenticated),
            Outcome::AuthenticatedAgain(keys) => self.data_path.renew_keys(keys),
            Outcome::PasswordChanged(authenticated) => {
                self.push(Event::PasswordChanged);
                if let Some(authenticated) = authenticated {
                    self.authenticated(now, authenticated);
                }
            }
            Outcome::Ask(question) => self.push(Event::Ask(question)),
        }
    }

    /// Both ends have proven who they are
    fn authenticated(&mut self, now: Instant, authenticated: Authenticated) {
        self.peer_name = authenticated.peer_name;
        self.is_new_login = true;
        #[cfg(feature = "server")]
        let Some(keys) = self.role.postpone(now, authenticated.keys, &mut self.context.random)
        else {
            return;
        };
        #[cfg(not(feature = "server"))]
        let keys = authenticated.keys;
        self.begin_network(now, keys);
    }

    /// CCP and the network protocols begin
    fn begin_network(&mut self, now: Instant, keys: Keys) {
        self.enter(Phase::Network);
        #[cfg(feature = "server")]
        for (protocol, data) in self.role.farewell() {
            self.send_terminate_request(protocol, &data);
        }
        self.start_encryption(now, keys);
        match self.role.ipcp_start() {
            IpcpStart::AtOnce => {
                self.ipcp.open(now, &mut self.context);
                self.ipcp.up(now, &mut self.context);
                self.begin_ipv6(now);
            }
            #[cfg(feature = "server")]
            IpcpStart::ClosedAtFirst => {
                self.ipcp.up(now, &mut self.context);
            }
            #[cfg(feature = "server")]
            IpcpStart::DeafAtFirst => {}
        }
        if self.data_path.is_clear() {
            self.settled(now);
        }
    }

    /// Something happened to IPCP
    pub(crate) fn ipcp_changed(&mut self, now: Instant, layer: Option<Layer>) {
        match layer {
            Some(Layer::Up) => self.come_up(now),
            Some(Layer::Down) => self.go_down(now),
            Some(Layer::Finished) => self.fail(now, Failure::NoAddress),
            None => {}
        }
    }

    /// Up needs IPCP, and that how packets go is settled
    pub(crate) fn come_up(&mut self, now: Instant) {
        let is_settled = self.data_path.is_open(self.ccp.is_open());
        if let (Phase::Network, true, true, Some(link)) =
            (self.phase, is_settled, self.ipcp.is_open(), self.link)
        {
            if let Err(failure) = self.pin_addresses() {
                return self.fail(now, failure);
            }
            let negotiated = self.negotiated(&link);
            self.enter(Phase::Up);
            self.push(Event::Up(negotiated));
            if let Some(cipher) = self.data_path.cipher_mut() {
                cipher.begin();
            }
            self.begin_proof(now);
            #[cfg(feature = "server")]
            for (code, data) in self.role.remarks() {
                self.id = self.id.wrapping_add(1);
                let packet = Packet { code: code.into(), id: self.id, data: &data };
                self.context.send(frame::LCP, &packet);
            }
        }
    }

    /// Keeps the addresses of the first time up, and refuses others later
    fn pin_addresses(&mut self) -> Result<(), Failure> {
        let facts = self.ipcp.options.facts();
        let is_new_login = std::mem::take(&mut self.is_new_login);
        if let Some(pinned) = self.pinned.as_ref().filter(|_| self.role.pins_addresses()) {
            pinned.check(&facts)?;
        }
        let now = Pinned::new(&facts);
        match &mut self.pinned {
            Some(pinned) if is_new_login => pinned.request = now.request,
            Some(_) => {}
            pinned @ None => *pinned = Some(Box::new(now)),
        }
        Ok(())
    }

    /// The facts of a link that is up have changed
    pub(crate) fn tell_up(&mut self) {
        if let Some(link) = self.link {
            let negotiated = self.negotiated(&link);
            self.push(Event::Up(negotiated));
        }
    }

    fn negotiated(&self, link: &LinkFacts) -> Negotiated {
        let addresses = self.ipcp.options.facts();
        let encryption = self.data_path.cipher().map(Cipher::encryption);
        Negotiated {
            mru: link.mru,
            peer_mru: link.peer_mru,
            magic: link.magic,
            peer_magic: link.peer_magic,
            pfc: link.form.pfc,
            acfc: link.form.acfc,
            authentication: link.authentication,
            peer_name: self.peer_name.to_string(),
            encryption,
            address: addresses.address,
            peer_address: addresses.peer_address,
            dns: addresses.dns,
            request: self.pinned.as_ref().map_or(addresses.request, |pinned| pinned.request),
            ipv6: self.ipv6_addresses(),
            mtu: mtu(link, self.carrier_limit, encryption.is_some()),
        }
    }

    pub(crate) fn go_down(&mut self, now: Instant) {
        self.stop_proof();
        if self.phase == Phase::Up && self.renegotiates(now) {
            self.enter(Phase::Network);
        }
    }

    /// Whether the link may be negotiated anew once more
    fn renegotiates(&mut self, now: Instant) -> bool {
        if self.phase == Phase::Up {
            let stats = &mut self.context.stats;
            stats.renegotiations = stats.renegotiations.saturating_add(1);
            self.push(Event::Renegotiating);
        }
        let rate = self.renegotiations.get_or_insert_with(|| Box::new(Rate::new(RENEGOTIATIONS)));
        let may = rate.take(now);
        if !may {
            self.fail(now, Failure::PeerMisbehaved(Rule::EndlessRenegotiation));
        }
        may
    }

    /// Ends the link for a reason of ours: the peer is told once, and not waited for
    pub(crate) fn fail(&mut self, now: Instant, failure: Failure) {
        if self.phase == Phase::Dead {
            return;
        }
        self.lcp.close(now, &mut self.context);
        self.end_with(failure);
    }

    /// Ends the link because the peer did
    pub(crate) fn end_with(&mut self, failure: Failure) {
        let phase = self.phase;
        self.end(Event::Down { phase, failure });
    }

    fn end(&mut self, event: Event) {
        if self.phase == Phase::Dead {
            return;
        }
        self.phase = Phase::Dead;
        self.confirmation = None;
        self.forget_encryption();
        self.authentication.stop();
        self.push(event);
    }

    /// Sends an LCP Echo-Request, and returns its identifier
    ///
    /// A client's has random octets behind its Magic-Number, which an answer has to repeat
    /// (RFC 1661 §5.8).
    pub(crate) fn send_echo_request(&mut self, now: Instant) -> u8 {
        self.id = self.id.wrapping_add(1);
        self.echo.asked(now, self.id);
        let stats = &mut self.context.stats;
        stats.echo_requests = stats.echo_requests.saturating_add(1);
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

    /// Something to know that nothing depends on: an owner that does not look does not get it
    pub(crate) fn tell(&mut self, event: Event) {
        if self.events.len() < MOST_REMARKS {
            self.push(event);
        }
    }

    /// An owner that does not look loses the oldest events: the last one tells how it ended
    pub(crate) fn push(&mut self, event: Event) {
        if self.events.len() >= MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

/// Octets of the largest inner packet: it has to fit the Information field that either end and the
/// carrier allow, and if it is encrypted, the inner protocol and MPPE's header with it
///
/// Not below what IPv4 wants of every link, unless the peer will not take that much.
fn mtu(link: &LinkFacts, carrier_limit: u16, is_encrypted: bool) -> u16 {
    let overhead = if is_encrypted { MPPE_OVERHEAD } else { 0 };
    let carrier = carrier_limit.saturating_sub(link.form.header_len());
    let information = link.mru.min(link.peer_mru).min(carrier);
    let floor = LEAST_MTU.min(link.peer_mru.saturating_sub(overhead));
    information.saturating_sub(overhead).max(floor)
}

/// MPPE's header, and the protocol of what is encrypted
const MPPE_OVERHEAD: u16 = 4;
/// What every IPv4 host takes (RFC 791 §3.1)
const LEAST_MTU: u16 = 576;
/// Events that wait for an owner that does not look
const MOST_EVENTS: usize = 32;
/// Events behind which a mere remark of the peer is not told
const MOST_REMARKS: usize = 4;
/// Protocol-Rejects in a second
pub(crate) const PROTOCOL_REJECTS: (u8, u8) = (10, 1);
/// Negotiations begun anew in a minute
const RENEGOTIATIONS: (u8, u8) = (8, 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::protocol::AuthenticationProtocol;

    fn link(mru: u16, peer_mru: u16) -> LinkFacts {
        let form = frame::Form::default();
        let authentication = AuthenticationProtocol::MsChapV2;
        LinkFacts { mru, peer_mru, magic: None, peer_magic: None, form, authentication }
    }

    #[test]
    fn the_inner_mtu_follows_the_least_of_three() {
        let encrypted = |link, carrier| mtu(&link, carrier, true);
        assert_eq!(encrypted(link(1400, 1400), 1464), 1396);
        assert_eq!(encrypted(link(1500, 1436), 1464), 1432, "accel-ppp's MRU");
        assert_eq!(encrypted(link(1500, 1500), 1464), 1456, "an Ethernet path");
        assert_eq!(encrypted(link(1500, 128), 1464), 124, "a peer that takes no more");
        assert_eq!(encrypted(link(200, 1500), 1464), 576);
        let form = frame::Form { acfc: true, pfc: true };
        assert_eq!(encrypted(LinkFacts { form, ..link(1500, 1500) }, 1464), 1459);
    }

    #[test]
    fn in_the_clear_there_is_no_overhead_but_the_header() {
        let clear = |link, carrier| mtu(&link, carrier, false);
        assert_eq!(clear(link(1400, 1400), 1464), 1400);
        assert_eq!(clear(link(1500, 1500), 1464), 1460, "FF03 and 0021 on an Ethernet path");
        assert_eq!(clear(link(1500, 128), 1464), 128);
        assert_eq!(clear(link(200, 1500), 1464), 576);
        let form = frame::Form { acfc: true, pfc: true };
        assert_eq!(clear(LinkFacts { form, ..link(1500, 1500) }, 1464), 1463);
    }
}
