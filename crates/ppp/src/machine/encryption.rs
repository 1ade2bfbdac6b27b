//! The packets of CCP, and what follows from them: a cipher, a link in the clear, or the end
//!
//! [`DataPath`](crate::encryption::data_path::DataPath) keeps the promise that a link which was
//! encrypted never goes on in the clear.

use std::time::Instant;

use pptp_mppe::is_plausible_ipv4;
use pptp_packet::{Counter, PacketBuf};

use crate::authentication::Keys;
use crate::context::Trouble;
use crate::context::stats::Discard;
use crate::encryption::agreed::{Agreed, Encryption, Stance};
use crate::encryption::cipher::Cipher;
use crate::encryption::data_path::Encrypting;
use crate::events::Phase;
use crate::events::Received;
use crate::failure::Failure;
use crate::liveness::path_monitor::Complaint;
use crate::machine::Machine;
#[cfg(feature = "server")]
use crate::machine::role::IpcpStart;
use crate::machine::role::Role;
use crate::negotiation::negotiator::Layer;
use crate::negotiation::role_options::{EncryptionOptions, LinkOptions};
use crate::wire::frame;
use crate::wire::packet::{Code, Options, Packet};
use crate::wire::protocol::Protocol;

impl<R: Role> Machine<R> {
    /// Begins with what the authentication has left: CCP is opened, or packets go in the clear
    pub(super) fn start_encryption(&mut self, now: Instant, keys: Keys) {
        let has_keys = !matches!(keys, Keys::None);
        self.data_path.begin(now, self.ccp.options.stance(has_keys), keys);
        if matches!(self.data_path.stance(), Stance::Require | Stance::Prefer) {
            self.open_ccp(now);
        }
    }

    fn open_ccp(&mut self, now: Instant) {
        self.ccp.open(now, &mut self.context);
        self.ccp.up(now, &mut self.context);
    }

    /// Encrypts an inner packet, or leaves it in the clear if that was agreed; false while the link
    /// is not up
    pub(crate) fn seal(&mut self, packet: &mut PacketBuf) -> bool {
        let (true, Some(link)) = (self.is_up(), &self.link) else { return false };
        #[cfg(feature = "server")]
        let spoil = |encrypted: &mut [u8]| self.role.garble(encrypted);
        #[cfg(not(feature = "server"))]
        let spoil = |_: &mut [u8]| {};
        self.data_path.seal(packet, link.form, spoil)
    }

    /// Takes an IP packet in the clear, only if both ends agreed on a link in the clear
    pub(super) fn take_clear<'p>(
        &mut self,
        now: Instant,
        protocol: u16,
        packet: &'p mut [u8],
    ) -> Result<Received<'p>, Discard> {
        if !(self.data_path.is_clear() && self.is_up() && self.wants(protocol)) {
            return Err(Discard::Plaintext);
        }
        if protocol == frame::IP && !is_plausible_ipv4(packet) {
            return Err(Discard::Implausible);
        }
        self.echo.heard(now);
        self.ipcp.note_peer_is_open();
        Ok(self.take_opened(now, packet))
    }

    /// Acts on a change of CCP's layer; `was_used`: the peer had encrypted before
    pub(super) fn ccp_changed(&mut self, now: Instant, layer: Option<Layer>, was_used: bool) {
        match layer {
            Some(Layer::Up) => match self.ccp.options.agreed() {
                Agreed::Encrypted { send, receive } => {
                    self.encrypt(now, send, receive);
                    self.ipcp.ask_again_if_turned_away(now, &mut self.context);
                }
                Agreed::Clear => self.go_clear(now),
                Agreed::OneWay => self.fail(now, self.ccp.options.unavailable()),
            },
            // The keys were used, and only a new authentication gives others.
            Some(Layer::Down) if was_used => self.fail(now, Failure::EncryptionLost),
            Some(Layer::Down) => {
                self.go_down(now);
                self.data_path.wait_for_ccp();
            }
            Some(Layer::Finished) => self.go_clear(now),
            None => {}
        }
    }

    /// Ends the link, or goes on in the clear, since CCP got no answer
    pub(super) fn ccp_timed_out(&mut self, now: Instant) {
        if self.data_path.stance() == Stance::Require {
            self.fail(now, Failure::NegotiationTimeout { protocol: Protocol::Ccp });
        } else {
            self.go_clear(now);
        }
    }

    /// Encrypts both directions
    ///
    /// The start keys of an authentication serve once: CCP negotiated anew, before the peer used
    /// it, has to come to the same.
    fn encrypt(&mut self, now: Instant, send: Encryption, receive: Encryption) {
        let reset = self.ccp.options.stateful_reset();
        match self.data_path.encrypt(send, receive, reset) {
            // the options insist from here on: an LCP or CCP that begins anew must not offer the clear
            Encrypting::Begun => {
                self.ccp.options.insist();
                self.lcp.options.require_keys();
                self.go_down(now);
            }
            Encrypting::GoesOn => {}
            Encrypting::OtherKind => return self.fail(now, Failure::EncryptionLost),
            Encrypting::WithoutKeys => return self.fail(now, self.ccp.options.unavailable()),
        }
        self.settled(now);
    }

    /// Goes on without CCP: in the clear if the policy lets it, otherwise the link ends
    fn go_clear(&mut self, now: Instant) {
        if !self.data_path.go_clear() {
            return self.fail(now, self.ccp.options.unavailable());
        }
        self.settled(now);
    }

    /// Goes on in the clear where CCP is still open: it is closed
    fn give_up_encryption(&mut self, now: Instant) {
        self.go_clear(now);
        self.ccp.close(now, &mut self.context);
    }

    /// Goes on once it is decided how packets go
    pub(super) fn settled(&mut self, now: Instant) {
        #[cfg(feature = "server")]
        if self.role.ipcp_start() == IpcpStart::ClosedAtFirst {
            self.ipcp.open(now, &mut self.context);
        }
        #[cfg(feature = "server")]
        if self.role.ipcp_start() != IpcpStart::AtOnce {
            self.begin_ipv6(now);
        }
        // a server that keeps IPCP closed until here has not heard one of our requests
        self.ipcp.forgive_silence();
        self.come_up(now);
    }

    pub(super) fn check_encryption_deadlines(&mut self, now: Instant) {
        if let Some(cipher) = self.data_path.cipher_mut() {
            cipher.handle_timeout(now);
        }
        self.ask_for_reset(now);
        if self.data_path.clear_at().is_some_and(|at| at <= now) {
            self.go_clear(now);
        }
    }

    pub(super) fn open_encrypted<'p>(
        &mut self,
        now: Instant,
        arrival: pptp_mppe::Arrival,
        information: &'p mut [u8],
    ) -> Result<Received<'p>, Discard> {
        let is_open = self.ccp.is_open();
        let wants_ipv6 = self.wants(frame::IPV6);
        let cipher = self.data_path.cipher_mut().filter(|_| is_open);
        let cipher = cipher.ok_or(Discard::OutOfPhase)?;
        let opened = match cipher.open(now, arrival, information) {
            Ok(opened) => opened,
            Err(discard) => {
                self.undecryptable(now, arrival.sequence, discard);
                return Err(Discard::Undecryptable(discard));
            }
        };
        self.ccp.note_peer_is_open();
        self.echo.heard(now);
        if opened.protocol != frame::IP && !(opened.protocol == frame::IPV6 && wants_ipv6) {
            return Err(Discard::InnerProtocol);
        }
        self.note_opened(now, arrival.sequence);
        if self.phase != Phase::Up {
            return Err(Discard::OutOfPhase);
        }
        self.ipcp.note_peer_is_open();
        Ok(self.take_opened(now, opened.payload))
    }

    fn undecryptable(&mut self, now: Instant, sequence: u32, discard: pptp_mppe::Discard) {
        let is_up = self.phase == Phase::Up;
        // a late packet or a copy need not open, and a stranger does not hit a number nearby
        let is_noise = discard == pptp_mppe::Discard::Implausible;
        if is_up && is_noise && self.near.contains(now, sequence) {
            self.path_monitor.unopened(now);
        }
        let cipher = self.data_path.cipher().filter(|_| is_up);
        if let Some(wrong) = cipher.and_then(Cipher::wrong_key) {
            self.give_up_decrypting(now, sequence, Failure::WrongKey(wrong));
        } else if discard.is_fatal() {
            self.give_up_decrypting(now, sequence, Failure::Undecryptable(discard));
        } else {
            self.ask_for_reset(now);
        }
    }

    /// A stateful session that lost a frame is to begin anew (RFC 1962 §4.1)
    fn ask_for_reset(&mut self, now: Instant) {
        let is_due = |cipher: &mut Cipher| cipher.poll_reset_request(now);
        if self.data_path.cipher_mut().is_some_and(is_due) {
            self.id = self.id.wrapping_add(1);
            let code = Code::ResetRequest.into();
            self.context.send(frame::CCP, &Packet { code, id: self.id, data: &[] });
        }
    }

    pub(super) fn receive_ccp(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        information: &[u8],
    ) -> Result<(), Trouble> {
        match self.data_path.stance() {
            Stance::Require | Stance::Prefer => {}
            Stance::Listen => self.listen_to_ccp(now, packet),
            Stance::Refuse => return Err(self.refuse_ccp(now, packet, information)),
            #[cfg(feature = "server")]
            Stance::Ignore => return Err(Trouble::Discard(Discard::OutOfPhase)),
        }
        self.data_path.hear_ccp();
        match Code::from(packet.code) {
            Code::ResetRequest => self.answer_reset(now, packet),
            Code::ResetAck => {}
            code => self.negotiate_encryption(now, code, packet)?,
        }
        self.echo.heard(now);
        Ok(())
    }

    /// The peer begins with CCP: so do we, and until it has come to something nothing is settled
    fn listen_to_ccp(&mut self, now: Instant, packet: &Packet<'_>) {
        if Code::from(packet.code) == Code::ConfigureRequest && self.ccp.is_initial() {
            self.open_ccp(now);
            self.go_down(now);
            self.data_path.wait_for_ccp();
        }
    }

    fn refuse_ccp(&mut self, now: Instant, packet: &Packet<'_>, information: &[u8]) -> Trouble {
        if let (Code::ConfigureRequest, Ok(request)) =
            (Code::from(packet.code), Options::parse(packet.data))
        {
            self.ccp.options.note_refused(&request);
        }
        self.reject_protocol(now, frame::CCP, information)
    }

    fn negotiate_encryption(
        &mut self,
        now: Instant,
        code: Code,
        packet: &Packet<'_>,
    ) -> Result<(), Trouble> {
        let was_used = self.ccp.peer_is_open();
        let may_be_clear = self.data_path.stance() != Stance::Require;
        let is_end = code == Code::TerminateRequest;
        // what it was before the packet is taken
        let failure = (is_end && !may_be_clear).then(|| self.ended_by_peer(Protocol::Ccp, packet));
        let layer = match self.ccp.handle_packet(now, packet, &mut self.context) {
            Err(Trouble::Fail(_)) if may_be_clear => {
                self.give_up_encryption(now);
                return Ok(());
            }
            outcome => outcome?,
        };
        if is_end && may_be_clear {
            self.give_up_encryption(now);
            return Ok(());
        }
        if let Some(failure) = failure {
            return Err(failure.into());
        }
        if code == Code::ConfigureRequest && self.ccp.has_acknowledged(packet) {
            // A server that is deaf to IPCP until its CCP is open hears it now.
            self.ipcp.prompt(now, &mut self.context);
            if let Some(ipv6cp) = &mut self.ipv6cp {
                ipv6cp.prompt(now, &mut self.context);
            }
        }
        #[cfg(feature = "server")]
        if code == Code::ConfigureAck {
            self.role.note_ccp_ack(now);
        }
        self.ccp_changed(now, layer, was_used);
        Ok(())
    }

    /// Returns whether an encrypted packet is not opened, but answered as a server does that cannot open it
    #[cfg(feature = "server")]
    pub(super) fn turns_mppe_away(&mut self, information: &[u8]) -> bool {
        if self.data_path.cipher().is_none() {
            return false;
        }
        self.id = self.id.wrapping_add(1);
        self.role.turns_mppe_away(self.id, information, &mut self.context)
    }

    /// Returns whether a request of IPCP gets a Terminate-Ack, as some servers do until their CCP is open
    #[cfg(feature = "server")]
    pub(super) fn turns_ipcp_away(&mut self, packet: &Packet<'_>) -> bool {
        let is_request = Code::from(packet.code) == Code::ConfigureRequest;
        let turns_away = is_request && self.role.turns_ipcp_away() && !self.ccp.is_open();
        if turns_away {
            let code = Code::TerminateAck.into();
            self.context.send(frame::IPCP, &Packet { code, id: packet.id, data: &[] });
        }
        turns_away
    }

    /// Goes on without CCP, which the peer does not know
    pub(super) fn ccp_rejected(&mut self, now: Instant) -> Result<(), Trouble> {
        let failure = self.encryption_ended();
        if self.ccp.protocol_rejected(now, &mut self.context).is_none() {
            return Ok(());
        }
        if self.data_path.stance() == Stance::Require {
            return Err(failure.into());
        }
        self.go_clear(now);
        Ok(())
    }

    /// The failure that it is if the peer closes CCP now
    pub(super) fn encryption_ended(&self) -> Failure {
        if self.ccp.peer_is_open() {
            return Failure::EncryptionLost;
        }
        self.ccp.options.unavailable()
    }

    /// Returns the reason that the peer may have to hang up now, as far as encryption goes
    pub(super) fn encryption_disagreement(&self) -> Option<Failure> {
        let options = &self.ccp.options;
        if self.data_path.stance() == Stance::Refuse {
            let offered = options.offered()?;
            return Some(Failure::EncryptionDemanded { offered: Some(offered) });
        }
        options.disagreement().filter(|_| !self.ccp.is_open())
    }

    /// Answers at once, and in stateless mode too: after one packet it could not open, a Linux peer drops
    /// everything until the Reset-Ack comes
    fn answer_reset(&mut self, now: Instant, request: &Packet<'_>) {
        let stats = &mut self.context.stats;
        stats.reset_requests.increment();
        if self.data_path.cipher_mut().is_some_and(Cipher::handle_reset_request) {
            self.complain(now, Complaint::ResetRequest);
        }
        let code = Code::ResetAck.into();
        self.context.send(frame::CCP, &Packet { code, id: request.id, data: &[] });
    }
}
