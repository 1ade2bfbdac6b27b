//! The rules for control frames of a link that is up and encrypted
//!
//! They are in the clear, and the carrier lets anyone send them. Three rules, in this order:
//!
//! 1. A frame counts only [near](crate::guard::sequence_window) the last number that the peer has proven to be its own.
//! 2. One that would end the link or take a protocol out of the Opened state waits for its
//!    [confirmation](crate::guard::confirmation).
//! 3. Everything else counts at once: it changes nothing that anyone could use.
//!
//! Before the link is up, in the clear, and in the server's role all frames count at once.

use std::time::Instant;

use pptp_mppe::Arrival;

use crate::{
    authentication::Authentication,
    context::{PacketError, stats::Discard},
    failure::Failure,
    guard::confirmation::{Confirmation, ConfirmationStep, HeldFrame},
    machine::{Machine, role::Role},
    wire::{
        frame,
        packet::{Code, Packet},
    },
};

impl<R: Role> Machine<R> {
    /// Returns true if control frames are judged by the three rules now
    pub(super) fn is_guarded(&self) -> bool {
        self.is_up() && self.role.guards() && self.data_path.is_encrypted()
    }

    /// Returns true if a control frame is a copy of one that was accepted
    ///
    /// While the rules hold, a forged frame may have taken the number of a true one. So frames on
    /// which the peer depends are accepted all the same: a copy of one does no harm.
    pub(super) fn is_control_duplicate(
        &self,
        sequence: u32,
        protocol: u16,
        information: &[u8],
    ) -> bool {
        self.replay_window.contains(sequence)
            && !(self.is_guarded() && self.may_come_twice(protocol, information))
    }

    fn may_come_twice(&self, protocol: u16, information: &[u8]) -> bool {
        let Ok(packet) = Packet::parse(information) else { return false };
        match (protocol, Code::from(packet.code)) {
            (frame::LCP, Code::EchoRequest | Code::EchoReply)
            | (frame::CCP, Code::ResetRequest)
            | (frame::CHAP | frame::EAP, _) => true,
            _ => self.would_end_or_restart(protocol, &packet),
        }
    }

    /// Judges a control frame before it is acted on
    pub(super) fn judge_control(
        &mut self,
        now: Instant,
        arrival: Arrival,
        protocol: u16,
        information: &[u8],
    ) -> Result<(), Discard> {
        if !self.is_guarded() {
            return Ok(());
        }
        let packet = Packet::parse(information).map_err(|_| Discard::Malformed)?;
        if protocol == frame::LCP && self.answers_our_echo(&packet) {
            self.sequence_window.answered(now, arrival.sequence);
            return Ok(());
        }
        if !self.sequence_window.contains(now, arrival.sequence) {
            return Err(Discard::OutsideWindow);
        }
        if !self.would_end_or_restart(protocol, &packet) {
            return Ok(());
        }
        let survives_answers = self.may_restart_while_lcp_stays_open(protocol, &packet);
        if survives_answers && self.has_opened_nothing() {
            return Ok(());
        }
        let round_trip = self.context.round_trips.shortest();
        let new = || Box::new(Confirmation::new(round_trip));
        let confirmation = self.confirmation.get_or_insert_with(new);
        let sequence = arrival.sequence;
        confirmation.hold(now, protocol, information, sequence, survives_answers);
        self.check_confirmation(now);
        Err(Discard::Unconfirmed)
    }

    /// Notes that a control frame was accepted: before the rules hold, its number counts as proven
    pub(super) fn note_control(&mut self, now: Instant, sequence: u32) {
        if !self.is_guarded() {
            self.sequence_window.prove(now, sequence);
        }
    }

    /// Notes that a packet of the peer opened, which proves its number
    pub(super) fn note_opened(&mut self, now: Instant, sequence: u32) {
        self.sequence_window.prove(now, sequence);
        if let Some(confirmation) = &mut self.confirmation {
            confirmation.opened(sequence);
            self.drop_empty_confirmation();
        }
    }

    /// Notes that the peer has answered the Echo-Request with this identifier
    pub(super) fn note_echo_answer(&mut self, id: u8) {
        if let Some(confirmation) = &mut self.confirmation {
            confirmation.answered(id);
            self.drop_empty_confirmation();
        }
    }

    /// Acts on a frame that ends the link, since the carrier's signalling says that the peer has
    /// ended it
    pub(crate) fn peer_hung_up(&mut self, now: Instant) {
        let ending_frame = self.confirmation.as_mut().and_then(|it| it.take_ending_frame());
        self.confirmation = None;
        if let Some(ending_frame) = ending_frame {
            self.act_on(now, &ending_frame);
        }
    }

    /// Asks the peer where a question is due, and acts on confirmed frames; each round empties a place or asks,
    /// and the next question is due later, so that it ends
    pub(super) fn check_confirmation(&mut self, now: Instant) {
        while let Some(confirmation) = &mut self.confirmation {
            match confirmation.handle_timeout(now) {
                Some(ConfirmationStep::Ask) => {
                    let id = self.send_echo_request(now);
                    if let Some(confirmation) = &mut self.confirmation {
                        confirmation.asked(now, id);
                    }
                }
                Some(ConfirmationStep::Confirmed(frame)) => self.act_on(now, &frame),
                None => break,
            }
        }
        self.act_on_remaining(now);
        self.drop_empty_confirmation();
    }

    /// Acts on the other frames that wait, if a confirmed frame has taken the link down
    fn act_on_remaining(&mut self, now: Instant) {
        while !self.is_guarded()
            && let Some(frame) = self.confirmation.as_mut().and_then(|it| it.take_oldest())
        {
            self.act_on(now, &frame);
        }
    }

    fn act_on(&mut self, now: Instant, frame: &HeldFrame) {
        match self.take_control(now, frame.protocol, &frame.information) {
            Ok(()) => {}
            Err(PacketError::Discard(discard)) => self.context.stats.count(discard),
            Err(PacketError::Fail(failure)) => self.fail(now, failure),
        }
    }

    fn drop_empty_confirmation(&mut self) {
        if self.confirmation.as_ref().is_some_and(|it| it.is_empty()) {
            self.confirmation = None;
        }
    }

    /// Returns true if a packet that only the peer can have sent answers one of our Echo-Requests
    pub(super) fn answers_our_echo(&mut self, packet: &Packet<'_>) -> bool {
        let is_reply = Code::from(packet.code) == Code::EchoReply;
        let peer_magic = self.link.and_then(|link| link.peer_magic);
        is_reply && !self.is_our_own(packet) && self.echo.is_answer(self.id, packet, peer_magic)
    }

    /// Returns true if acting on a packet would end the link or take a protocol out of the Opened state
    ///
    /// A Reset-Request, and a Protocol-Reject of a protocol that was never sent, only lead to a
    /// proof.
    pub(super) fn would_end_or_restart(&self, protocol: u16, packet: &Packet<'_>) -> bool {
        let code = Code::from(packet.code);
        match (protocol, code) {
            (frame::LCP, Code::ProtocolReject) => self.would_reject_needed(packet),
            (frame::LCP, Code::EchoRequest | Code::EchoReply | Code::DiscardRequest)
            | (frame::CCP, Code::ResetRequest | Code::ResetAck) => false,
            (frame::LCP, _) => self.lcp.would_leave_opened(packet),
            (frame::CCP, _) => self.ccp.would_leave_opened(packet),
            (frame::IPCP, _) => self.ipcp.would_leave_opened(packet),
            (frame::IPV6CP, _) => {
                self.ipv6cp.as_ref().is_some_and(|ipv6cp| ipv6cp.would_leave_opened(packet))
            }
            (frame::PAP | frame::CHAP | frame::EAP, _) => {
                self.authentication.protocol() == Some(protocol)
                    && self.authentication.would_fail(packet)
            }
            _ => false,
        }
    }

    /// Returns true if a Configure-Request may come from a peer whose LCP stays open
    ///
    /// CCP's only until the peer has used its keys: they serve once.
    fn may_restart_while_lcp_stays_open(&self, protocol: u16, packet: &Packet<'_>) -> bool {
        Code::from(packet.code) == Code::ConfigureRequest
            && match protocol {
                frame::CCP => !self.ccp.peer_is_open(),
                frame::IPCP | frame::IPV6CP => true,
                _ => false,
            }
    }

    /// Returns true if no packet of the peer has opened yet: it may not have come up at its end
    ///
    /// A Configure-Request that was overtaken by a later one takes its IPCP out of the Opened state.
    /// Then it asks anew, and nothing passes until it is answered.
    fn has_opened_nothing(&self) -> bool {
        self.decryptor_stats().is_none_or(|stats| stats.opened == 0)
    }

    /// Returns true if a Protocol-Reject names a protocol that the link cannot do without, or IPv6's while
    /// it is open
    fn would_reject_needed(&self, packet: &Packet<'_>) -> bool {
        let Some(protocol) = packet.data.first_chunk() else { return false };
        match u16::from_be_bytes(*protocol) {
            frame::LCP | frame::PAP | frame::CHAP | frame::EAP | frame::CCP | frame::IPCP => true,
            frame::IPV6CP => self.ipv6cp.as_ref().is_some_and(|ipv6cp| ipv6cp.is_open()),
            _ => false,
        }
    }

    /// Ends the link because nothing that the peer encrypts opens, unless anyone may have sent the frame
    /// that was too much
    ///
    /// Wrong headers are no reason in a link over which a packet has opened: MPPE's header is in the
    /// clear, and the peer has shown that it can write one. And while the first proof is under way, its
    /// answer tells more than a packet that does not open.
    pub(super) fn give_up_decrypting(&mut self, now: Instant, sequence: u32, failure: Failure) {
        let has_opened = self.decryptor_stats().is_some_and(|stats| stats.opened > 0);
        let is_about_headers = failure == Failure::Undecryptable(pptp_mppe::Discard::ScoreLimit);
        let may_be_forged = !self.sequence_window.contains(now, sequence)
            || (has_opened && is_about_headers)
            || self.path_monitor.is_first_proof_open();
        if !(self.is_guarded() && may_be_forged) {
            self.fail(now, failure);
        }
    }
}
