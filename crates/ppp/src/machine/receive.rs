//! The frames that come in: one function for each protocol

use std::time::Instant;

use pptp_mppe::Arrival;

#[cfg(feature = "server")]
use crate::machine::role::IpcpStart;
use crate::{
    authentication::Authentication,
    context::{PacketError, rate::Rate, stats::Discard},
    encryption::wrong_key,
    events::{Phase, Received},
    failure::Failure,
    liveness::path_monitor::Complaint,
    machine::{Machine, PROTOCOL_REJECT_RATE, role::Role},
    wire::{
        frame,
        packet::{Code, Packet},
        protocol::Protocol,
    },
};

impl<R: Role> Machine<R> {
    pub(crate) fn handle_frame<'p>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        frame: &'p mut [u8],
    ) -> Received<'p> {
        self.context.note_frame(now);
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
                self.replay_window.insert(arrival.sequence);
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
            Err(PacketError::Discard(discard)) => Err(discard),
            Err(PacketError::Fail(failure)) => {
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
    ) -> Result<(), PacketError> {
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

    fn receive_lcp(&mut self, now: Instant, packet: &Packet<'_>) -> Result<(), PacketError> {
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
                return Err(PacketError::Discard(Discard::OutOfPhase));
            }
            code => {
                let layer = self.lcp.handle_packet(now, packet, &mut self.context)?;
                if code == Code::TerminateRequest && self.phase != Phase::Terminating {
                    // the peer hung up; an earlier refusal may be the reason
                    let failure = self.ended_by_peer(Protocol::Lcp, packet);
                    self.end_with(failure);
                    return Ok(());
                }
                self.lcp_changed(now, layer);
            }
        }
        self.echo.heard(now);
        Ok(())
    }

    fn answer_echo(&mut self, request: &Packet<'_>) -> Result<(), PacketError> {
        let (Some(link), true) = (&self.link, self.lcp.answers_echo()) else {
            return Err(PacketError::Discard(Discard::OutOfPhase));
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

    /// Returns true if an Echo-Reply came back to its sender: the line is looped, and no peer is there
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
    ) -> Result<(), PacketError> {
        let protocol = packet.data.first_chunk().ok_or(PacketError::Discard(Discard::Malformed))?;
        if !self.lcp.is_open() {
            return Err(PacketError::Discard(Discard::OutOfPhase));
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
            // a protocol that we never sent
            other => return self.on_unsent_protocol_rejected(now, other),
        };
        Err(Failure::RejectedProtocol { protocol }.into())
    }

    /// Handles a Protocol-Reject of a protocol that was never sent
    ///
    /// Right after CCP came up, several such protocols mean that the peer opens our packets with another key.
    /// Later one such frame means that the peer is out of step, or that the frame is forged: it is evidence,
    /// and a proof is asked for. The same holds where anyone may have sent the frame and a packet
    /// has opened, since both keys come from one login.
    fn on_unsent_protocol_rejected(
        &mut self,
        now: Instant,
        rejected: u16,
    ) -> Result<(), PacketError> {
        let has_opened = self.decryptor_stats().is_some_and(|stats| stats.opened > 0);
        let may_have_wrong_key =
            self.path_monitor.may_have_wrong_key() && !(self.is_guarded() && has_opened);
        let Some(cipher) = self.data_path.cipher_mut() else { return Ok(()) };
        let Some(complaint) = wrong_key::complaint(rejected) else { return Ok(()) };
        if complaint == Complaint::UnsentProtocol
            && may_have_wrong_key
            && let Some(wrong) = cipher.mismatch.rejected(rejected)
        {
            return Err(Failure::WrongKey(wrong).into());
        }
        self.complain(now, complaint);
        Ok(())
    }

    /// Takes packets of the agreed protocol only: an old pppd failed on EAP that it had not asked
    /// for
    fn receive_authentication(
        &mut self,
        now: Instant,
        protocol: u16,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        if self.authentication.protocol() != Some(protocol) {
            return Err(PacketError::Discard(Discard::OutOfPhase));
        }
        let lcp_ack = self.lcp.ack();
        let authentication = &mut self.authentication;
        let outcome = authentication.handle_packet(now, packet, lcp_ack, &mut self.context)?;
        self.echo.heard(now);
        self.conclude(now, outcome);
        Ok(())
    }

    fn receive_ipcp(&mut self, now: Instant, packet: &Packet<'_>) -> Result<(), PacketError> {
        #[cfg(feature = "server")]
        if self.turns_ipcp_away(packet) {
            return Ok(());
        }
        #[cfg(feature = "server")]
        self.open_ipcp_on_request(now);
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

    /// Opens IPCP when the client's request comes, in a server that was deaf to IPCP
    #[cfg(feature = "server")]
    fn open_ipcp_on_request(&mut self, now: Instant) {
        let is_deaf = self.role.ipcp_start() == IpcpStart::DeafAtFirst && self.ipcp.is_initial();
        if is_deaf && (self.ccp.is_open() || self.data_path.is_clear()) {
            self.ipcp.open(now, &mut self.context);
            self.ipcp.up(now, &mut self.context);
        }
    }

    /// Rejects a protocol that is not known, at a limited rate (RFC 1661 §5.7)
    pub(super) fn reject_protocol(
        &mut self,
        now: Instant,
        protocol: u16,
        information: &[u8],
    ) -> PacketError {
        let new = || Box::new(Rate::new(PROTOCOL_REJECT_RATE));
        let may = self.protocol_rejects.get_or_insert_with(new).take(now);
        if let (true, Some(link)) = (may, &self.link) {
            self.id = self.id.wrapping_add(1);
            let mut data = [&protocol.to_be_bytes(), information].concat();
            data.truncate(usize::from(link.peer_mru.saturating_sub(Packet::HEADER)));
            let code = Code::ProtocolReject.into();
            self.context.send(frame::LCP, &Packet { code, id: self.id, data: &data });
        }
        PacketError::Discard(Discard::UnknownProtocol)
    }
}
