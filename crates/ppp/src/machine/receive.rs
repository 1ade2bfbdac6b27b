//! The frames that come in: one function for each protocol

use std::time::Instant;

use pptp_mppe::Arrival;

use crate::authentication::Authentication;
use crate::context::Trouble;
use crate::context::rate::Rate;
use crate::context::stats::Discard;
use crate::encryption::wrong_key;
use crate::events::Phase;
use crate::events::Received;
use crate::failure::Failure;
use crate::liveness::path_monitor::Complaint;
#[cfg(feature = "server")]
use crate::machine::role::IpcpStart;
use crate::machine::role::Role;
use crate::machine::{Machine, PROTOCOL_REJECT_RATE};
use crate::wire::frame;
use crate::wire::packet::{Code, Packet};
use crate::wire::protocol::Protocol;

impl<R: Role> Machine<R> {
    pub(crate) fn handle_frame<'p>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        frame: &'p mut [u8],
    ) -> Received<'p> {
        self.context.hear(now);
        let received = self.receive(now, arrival, frame);
        self.take_early(now);
        received.unwrap_or_else(|discard| {
            self.context.stats.count(discard);
            Received::Discarded(discard)
        })
    }

    fn receive<'p>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        frame: &'p mut [u8],
    ) -> Result<Received<'p>, Discard> {
        if self.phase == Phase::Dead {
            return Err(Discard::Dead);
        }
        let (protocol, information) = frame::parse(frame).map_err(|_| Discard::Malformed)?;
        #[cfg(feature = "server")]
        if protocol == frame::MPPE && self.turns_mppe_away(information) {
            return Ok(Received::Control);
        }
        match protocol {
            frame::MPPE => self.open_encrypted(now, arrival, information),
            frame::IP | frame::IPV6 => self.take_clear(now, protocol, information),
            ..frame::FIRST_CONTROL_PROTOCOL => Err(Discard::Plaintext),
            _ if self.is_control_duplicate(arrival.sequence, protocol, information) => {
                Err(Discard::Duplicate)
            }
            _ => {
                self.judge_control(now, arrival, protocol, information)?;
                self.receive_control(now, protocol, information)?;
                self.window.insert(arrival.sequence);
                self.note_control(now, arrival.sequence);
                Ok(Received::Control)
            }
        }
    }

    fn receive_control(
        &mut self,
        now: Instant,
        protocol: u16,
        information: &[u8],
    ) -> Result<(), Discard> {
        self.pass_gate(now, protocol, information)?;
        match self.take_control(now, protocol, information) {
            Ok(()) => Ok(()),
            Err(Trouble::Discard(discard)) => Err(discard),
            Err(Trouble::Fail(failure)) => {
                self.fail(now, failure);
                Ok(())
            }
        }
    }

    /// Acts on a control frame that has passed the gate
    pub(super) fn take_control(
        &mut self,
        now: Instant,
        protocol: u16,
        information: &[u8],
    ) -> Result<(), Trouble> {
        let packet = Packet::parse(information);
        match protocol {
            frame::LCP => self.receive_lcp(now, &packet?),
            frame::PAP | frame::CHAP | frame::EAP => {
                self.receive_authentication(now, protocol, &packet?)
            }
            frame::CCP => self.receive_ccp(now, &packet?, information),
            frame::IPCP => self.receive_ipcp(now, &packet?),
            frame::IPV6CP if self.ipv6cp.is_some() => self.receive_ipv6cp(now, &packet?),
            _ => Err(self.reject_protocol(now, protocol, information)),
        }
    }

    fn receive_lcp(&mut self, now: Instant, packet: &Packet<'_>) -> Result<(), Trouble> {
        match Code::from(packet.code) {
            Code::ProtocolReject => self.receive_protocol_reject(now, packet)?,
            Code::EchoRequest => self.answer_echo(packet)?,
            Code::EchoReply if self.is_our_own(packet) => return Ok(()),
            Code::EchoReply => {
                if self.answers_our_echo(packet) {
                    self.note_echo_answer(packet.id);
                }
                self.receive_echo_reply(now, packet.id);
            }
            Code::DiscardRequest => {}
            Code::Identification => self.note_identification(packet),
            Code::TimeRemaining => self.note_time_remaining(packet),
            #[cfg(feature = "server")]
            Code::ConfigureNak | Code::ConfigureReject if self.role.is_deaf() => {
                return Err(Trouble::Discard(Discard::OutOfPhase));
            }
            code => {
                let layer = self.lcp.handle_packet(now, packet, &mut self.context)?;
                if code == Code::TerminateRequest && self.phase != Phase::Terminating {
                    self.end_by_peer(packet);
                    return Ok(());
                }
                self.lcp_changed(now, layer);
            }
        }
        self.echo.heard(now);
        Ok(())
    }

    /// The peer hung up; if it was asked for too much before, that is why
    fn end_by_peer(&mut self, packet: &Packet<'_>) {
        let failure = self.ended_by_peer(Protocol::Lcp, packet);
        self.end_with(failure);
    }

    fn answer_echo(&mut self, request: &Packet<'_>) -> Result<(), Trouble> {
        let (Some(link), true) = (&self.link, self.lcp.answers_echo()) else {
            return Err(Trouble::Discard(Discard::OutOfPhase));
        };
        let magic = link.magic.unwrap_or_default().to_be_bytes();
        #[cfg(feature = "server")]
        let Some(magic) = self.role.echo_magic(magic, request.data) else { return Ok(()) };
        let mut data = magic.to_vec();
        data.extend(request.data.get(data.len()..).unwrap_or_default());
        data.truncate(usize::from(link.peer_mru.saturating_sub(Packet::HEADER)));
        let code = Code::EchoReply.into();
        self.context.send(frame::LCP, &Packet { code, id: request.id, data: &data });
        self.lcp.note_peer_is_open();
        Ok(())
    }

    /// Returns whether an Echo-Reply came back to its sender: the line is looped, and no peer is there
    ///
    /// A link whose peer has proven that it knows the password, and that is encrypted both ways, is not
    /// looped: there a reply with our Magic-Number comes of a peer that copies it (RFC 1661 §5.8 wants
    /// its own).
    pub(super) fn is_our_own(&self, reply: &Packet<'_>) -> bool {
        if self.phase == Phase::Up && self.has_authentic_peer() {
            return false;
        }
        let magic = self.link.and_then(|link| link.magic).map(u32::to_be_bytes);
        magic.is_some_and(|magic| reply.data.starts_with(&magic))
    }

    /// Takes a Protocol-Reject, in the Opened state only (RFC 1661 §5.7)
    fn receive_protocol_reject(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
    ) -> Result<(), Trouble> {
        let protocol = packet.data.first_chunk().ok_or(Trouble::Discard(Discard::Malformed))?;
        if !self.lcp.is_open() {
            return Err(Trouble::Discard(Discard::OutOfPhase));
        }
        let protocol = match u16::from_be_bytes(*protocol) {
            frame::CCP => return self.ccp_rejected(now),
            frame::LCP => Protocol::Lcp,
            frame::PAP => Protocol::Pap,
            frame::CHAP => Protocol::Chap,
            frame::EAP => Protocol::Eap,
            frame::IPCP => Protocol::Ipcp,
            frame::IPV6CP if self.ipv6cp.is_some() => {
                if let Some(ipv6cp) = &mut self.ipv6cp {
                    let layer = ipv6cp.protocol_rejected(now, &mut self.context);
                    self.ipv6_changed(layer);
                }
                return Ok(());
            }
            // what we never sent
            other => return self.doubt_keys(now, other),
        };
        Err(Failure::RejectedProtocol { protocol }.into())
    }

    /// Random protocols right after CCP came up: the peer opens what we encrypt with another key
    ///
    /// Later the same means that the peer has lost the way, or is forged: it is evidence that asks for
    /// a proof. So it is where anybody may have sent them and a packet has opened: both keys come of
    /// one login.
    fn doubt_keys(&mut self, now: Instant, rejected: u16) -> Result<(), Trouble> {
        let has_opened = self.decryptor_stats().is_some_and(|stats| stats.opened > 0);
        let may_have_wrong_key =
            self.path_monitor.may_have_wrong_key() && !(self.is_guarded() && has_opened);
        let Some(cipher) = self.data_path.cipher_mut() else { return Ok(()) };
        let Some(complaint) = wrong_key::complaint(rejected) else { return Ok(()) };
        if complaint == Complaint::UnsentProtocol
            && may_have_wrong_key
            && let Some(wrong) = cipher.doubt.rejected(rejected)
        {
            return Err(Failure::WrongKey(wrong).into());
        }
        self.complain(now, complaint);
        Ok(())
    }

    /// Takes packets of the agreed protocol alone: an old pppd failed over EAP that it had not asked for
    fn receive_authentication(
        &mut self,
        now: Instant,
        protocol: u16,
        packet: &Packet<'_>,
    ) -> Result<(), Trouble> {
        if self.authentication.protocol() != Some(protocol) {
            return Err(Trouble::Discard(Discard::OutOfPhase));
        }
        let lcp_ack = self.lcp.ack();
        let authentication = &mut self.authentication;
        let outcome = authentication.handle_packet(now, packet, lcp_ack, &mut self.context)?;
        self.echo.heard(now);
        self.conclude(now, outcome);
        Ok(())
    }

    fn receive_ipcp(&mut self, now: Instant, packet: &Packet<'_>) -> Result<(), Trouble> {
        #[cfg(feature = "server")]
        if self.turns_ipcp_away(packet) {
            return Ok(());
        }
        #[cfg(feature = "server")]
        self.hear_ipcp(now);
        let layer = self.ipcp.handle_packet(now, packet, &mut self.context)?;
        if Code::from(packet.code) == Code::TerminateRequest {
            return Err(self.ended_by_peer(Protocol::Ipcp, packet).into());
        }
        if self.ccp.is_open() {
            // a Terminate-Ack that was on its way when CCP opened
            self.ipcp.ask_again_if_turned_away(now, &mut self.context);
        }
        self.ipcp_changed(now, layer);
        self.echo.heard(now);
        Ok(())
    }

    /// A server that was deaf to IPCP begins when the client's request comes
    #[cfg(feature = "server")]
    fn hear_ipcp(&mut self, now: Instant) {
        let is_deaf = self.role.ipcp_start() == IpcpStart::DeafAtFirst && self.ipcp.is_initial();
        if is_deaf && (self.ccp.is_open() || self.data_path.is_clear()) {
            self.ipcp.open(now, &mut self.context);
            self.ipcp.up(now, &mut self.context);
        }
    }

    /// Told to the peer, though not for ever (RFC 1661 §5.7)
    pub(super) fn reject_protocol(
        &mut self,
        now: Instant,
        protocol: u16,
        information: &[u8],
    ) -> Trouble {
        let new = || Box::new(Rate::new(PROTOCOL_REJECT_RATE));
        let may = self.protocol_rejects.get_or_insert_with(new).take(now);
        if let (true, Some(link)) = (may, &self.link) {
            self.id = self.id.wrapping_add(1);
            let mut data = [&protocol.to_be_bytes(), information].concat();
            data.truncate(usize::from(link.peer_mru.saturating_sub(Packet::HEADER)));
            let code = Code::ProtocolReject.into();
            self.context.send(frame::LCP, &Packet { code, id: self.id, data: &data });
        }
        Trouble::Discard(Discard::UnknownProtocol)
    }
}
