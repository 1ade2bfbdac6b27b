//! The proofs of a link, which [`PathMonitor`](crate::liveness::path_monitor::PathMonitor) asks for

use std::time::{Duration, Instant};

use pptp_packet::{Counter, PacketBuf};

use crate::{
    events::{Event, Received},
    failure::Failure,
    liveness::{
        carrier::Carrier,
        path_monitor::{AttemptPackets, Complaint, ProofStep, Reachability},
        pending_proofs::PendingProofs,
        proof::{ProofAnswer, ProofPacket, TEST_NET_ADDRESS},
    },
    machine::{Machine, role::Role},
    negotiation::role_options::AddressOptions,
    wire::protocol::AuthenticationProtocol,
};

impl<R: Role> Machine<R> {
    /// Begins to prove the path, since the link came up
    pub(super) fn begin_proof(&mut self, now: Instant) {
        let cookie = self.context.random.draw();
        self.path_monitor.start(now, cookie);
        self.check_path(now);
        self.ask_for_first_echo(now);
    }

    /// Asks for one LCP echo beside the first proof
    ///
    /// A peer that has never answered an Echo-Request is not dead for its silence. One that does answer
    /// has to show it before the line can fall silent: without this the first request leaves 30 s later,
    /// and a line that dies before that is up for ever, as long as the control connection lives.
    fn ask_for_first_echo(&mut self, now: Instant) {
        if self.path_monitor.is_enabled()
            && self.echo.deadline().is_some()
            && !self.echo.has_answered()
        {
            self.send_echo_request(now);
        }
    }

    pub(super) fn stop_proof(&mut self) {
        self.path_monitor.stop();
        self.proofs = PendingProofs::default();
    }

    /// Performs the steps that are due for the data path
    pub(super) fn check_path(&mut self, now: Instant) {
        // the end of one proof may begin the next; a bound, in case that it goes on
        for _ in 0..MAX_STEPS {
            if self.path_monitor.deadline().is_none_or(|deadline| deadline > now) {
                break;
            }
            match self.path_monitor.handle_timeout(now) {
                Some(ProofStep::Prove { echo }) => self.prove(now, echo),
                Some(ProofStep::Unproven) => self.push(Event::Reachable(Reachability::Unproven)),
                Some(ProofStep::Dead(verdict)) => self.fail(now, Failure::NothingPasses(verdict)),
                None => {}
            }
        }
    }

    fn prove(&mut self, now: Instant, echo: bool) {
        let AttemptPackets { copies, asks_routers } = self.path_monitor.attempt_packets();
        let echo = echo.then(|| self.send_echo_request(now));
        let sequence = self.path_monitor.proving(now, echo);
        let target = self.ping_target();
        let expires = if asks_routers || target.is_none() { copies } else { 0 };
        let pings = if target.is_some() { copies } else { 0 };
        self.proofs = PendingProofs { sequence, pings, expires };
    }

    /// The address that a ping goes to: the peer's inner one, otherwise its first DNS server
    fn ping_target(&self) -> Option<std::net::Ipv4Addr> {
        let facts = self.ipcp.options.facts();
        let is_usable = |address: &std::net::Ipv4Addr| {
            !address.is_unspecified()
                && !address.is_loopback()
                && !address.is_broadcast()
                && !address.is_multicast()
                && *address != facts.inner_address
        };
        let mut candidates = facts.peer_address.iter().chain(&facts.dns);
        candidates.find(|address| is_usable(address)).copied()
    }

    fn next_proof_packet(&mut self) -> Option<(ProofPacket, std::net::Ipv4Addr)> {
        if self.proofs.is_empty() {
            return None;
        }
        let target = self.ping_target();
        let PendingProofs { pings, expires, .. } = &mut self.proofs;
        let (left, proof_packet) = match target {
            Some(target) if *pings > 0 => (pings, (ProofPacket::Ping, target)),
            _ => (expires, (ProofPacket::ExpiringPing, TEST_NET_ADDRESS)),
        };
        *left = left.checked_sub(1)?;
        Some(proof_packet)
    }

    /// The next proof packet, sealed
    pub(crate) fn poll_proof(&mut self) -> Option<Vec<u8>> {
        let (proof_packet, target) = self.next_proof_packet()?;
        let source = self.ipcp.options.address();
        let octets =
            self.path_monitor.mark().emit(proof_packet, source, target, self.proofs.sequence);
        let mut packet = PacketBuf::new();
        packet.reset(octets.len()).copy_from_slice(&octets);
        if !self.seal(&mut packet) {
            return None;
        }
        self.path_monitor.sent_proof();
        let stats = &mut self.context.stats;
        stats.proofs_sent.increment();
        Some(packet.as_slice().to_vec())
    }

    /// Takes an inner packet of the peer: one for users, or the answer to a proof
    pub(super) fn take_opened<'p>(&mut self, now: Instant, packet: &'p mut [u8]) -> Received<'p> {
        if packet.get(9) == Some(&ICMP) && self.take_answer(now, packet) {
            return Received::Proof;
        }
        if self.path_monitor.opened() {
            self.push(Event::Reachable(self.path_monitor.reachability()));
        }
        Received::Ip(packet)
    }

    fn take_answer(&mut self, now: Instant, packet: &[u8]) -> bool {
        let source = self.ipcp.options.address();
        let target = || self.ping_target();
        let Some(answered) = self.path_monitor.mark().recognize(packet, source, target) else {
            return false;
        };
        let before = self.path_monitor.reachability();
        let took = self.path_monitor.answered(now, answered);
        if let (Some(took), (ProofAnswer::EchoReply, _)) = (took, answered) {
            self.context.stats.ping_round_trip.measured(took);
        }
        let reachability = self.path_monitor.reachability();
        if reachability != before {
            self.push(Event::Reachable(reachability));
        }
        true
    }

    /// Handles a complaint: the peer says that it cannot open our packets
    pub(super) fn complain(&mut self, now: Instant, complaint: Complaint) {
        let round_trip = self.context.round_trips.shortest().unwrap_or_default();
        self.path_monitor.complain(now, complaint, round_trip);
        self.check_path(now);
    }

    pub(super) fn receive_echo_reply(&mut self, now: Instant, id: u8) {
        let took = self.echo.answered(now, id);
        if let Some(took) = took {
            self.context.stats.echo_round_trip.measured(took);
        }
        let shortest = self.context.round_trips.shortest().unwrap_or_default();
        self.path_monitor.echo_answered(now, id, took.unwrap_or_default().max(shortest));
    }

    /// Handles a peer that has left Echo-Requests unanswered for as long as the policy allows
    ///
    /// One that has never answered any is not dead for that. If it has answered proofs it is asked for one
    /// more; otherwise its carrier judges, which was asked together with the last of them
    /// ([`Event::AskCarrier`]).
    pub(super) fn on_peer_silent(&mut self, now: Instant, unanswered: u8) {
        let heard = self.echo.last_heard();
        let is_mute = !self.echo.has_answered() && self.carrier.was_heard_after(heard);
        if is_mute && !self.path_monitor.is_provable() {
            // the carrier has to be heard again before the next verdict
            self.carrier = Carrier::NEW;
            return self.echo.restart(now);
        }
        if is_mute && self.awaits_proof(now, heard) {
            return self.echo.extend(now);
        }
        self.fail(now, Failure::EchoTimeout { unanswered });
    }

    /// Returns true if a proof that was asked for in this silence may still be answered; asks for one if none was
    fn awaits_proof(&mut self, now: Instant, heard: Option<Instant>) -> bool {
        let Some(asked) = self.path_monitor.asked_since(heard) else {
            self.path_monitor.ask(now);
            self.check_path(now);
            return true;
        };
        let round_trip = self.context.round_trips.shortest().unwrap_or_default();
        let max_wait = PROOF_WAIT.max(round_trip.saturating_mul(3));
        now.saturating_duration_since(asked) < max_wait
    }

    /// Returns true if the peer has proven itself and both directions are encrypted, so that nothing of ours can
    /// come back to us
    pub(super) fn has_authentic_peer(&self) -> bool {
        let is_proven = self.link.is_some_and(|link| {
            matches!(
                link.authentication,
                AuthenticationProtocol::MsChapV2 | AuthenticationProtocol::Eap
            )
        });
        is_proven && self.data_path.is_encrypted()
    }
}

const ICMP: u8 = 1;
/// The time that a peer without LCP echoes has for a proof: its five pings are a second apart
const PROOF_WAIT: Duration = Duration::from_millis(4500);
/// Steps that one deadline may lead to
const MAX_STEPS: usize = 4;
