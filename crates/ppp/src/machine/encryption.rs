//! The packets of CCP, and what follows from them: a cipher, a link in the clear, or the end
//!
//! [`DataPath`](crate::encryption::data_path::DataPath) keeps the promise that a link which was
//! encrypted never goes on in the clear.

use std::time::Instant;

use pptp_packet::Counter;

use crate::{
    authentication::Keys,
    context::PacketError,
    encryption::{
        agreed::{Agreed, CcpPolicy, Encryption},
        cipher::Cipher,
        data_path::EncryptOutcome,
    },
    failure::Failure,
    liveness::path_monitor::Complaint,
    machine::{Machine, role::Role},
    negotiation::{
        negotiator::Layer,
        role_options::{EncryptionOptions, LinkOptions},
    },
    wire::{
        frame,
        options::Options,
        packet::{Code, Packet},
        protocol::Protocol,
    },
};
#[cfg(feature = "server")]
use crate::{context::stats::Discard, machine::role::IpcpStart};

impl<R: Role> Machine<R> {
    /// Starts with the keys of the authentication: opens CCP, or lets packets go in the clear
    pub(super) fn start_encryption(&mut self, now: Instant, keys: Keys) {
        let has_keys = !matches!(keys, Keys::None);
        self.data_path.begin(now, self.ccp.options.ccp_policy(has_keys), keys);
        if matches!(self.data_path.ccp_policy(), CcpPolicy::Require | CcpPolicy::Prefer) {
            self.open_ccp(now);
        }
    }

    fn open_ccp(&mut self, now: Instant) {
        self.ccp.open(now, &mut self.context);
        self.ccp.up(now, &mut self.context);
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
        if self.data_path.ccp_policy() == CcpPolicy::Require {
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
            EncryptOutcome::Started => {
                self.ccp.options.require_encryption();
                self.lcp.options.require_keys();
                self.go_down(now);
            }
            EncryptOutcome::Unchanged => {}
            EncryptOutcome::OtherEncryption => return self.fail(now, Failure::EncryptionLost),
            EncryptOutcome::NoKeys => return self.fail(now, self.ccp.options.unavailable()),
        }
        self.on_data_path_decided(now);
    }

    /// Goes on without CCP: in the clear if the policy lets it, otherwise the link ends
    fn go_clear(&mut self, now: Instant) {
        if !self.data_path.go_clear() {
            return self.fail(now, self.ccp.options.unavailable());
        }
        self.on_data_path_decided(now);
    }

    /// Goes on in the clear where CCP is still open: it is closed
    fn give_up_encryption(&mut self, now: Instant) {
        self.go_clear(now);
        self.ccp.close(now, &mut self.context);
    }

    /// Goes on once the data path is decided
    pub(super) fn on_data_path_decided(&mut self, now: Instant) {
        #[cfg(feature = "server")]
        if self.role.ipcp_start() == IpcpStart::ClosedAtFirst {
            self.ipcp.open(now, &mut self.context);
        }
        #[cfg(feature = "server")]
        if self.role.ipcp_start() != IpcpStart::AtOnce {
            self.begin_ipv6(now);
        }
        // a server that keeps IPCP closed until here has not heard one of our requests
        self.ipcp.reset_restart_counter();
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

    pub(super) fn receive_ccp(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        information: &[u8],
    ) -> Result<(), PacketError> {
        match self.data_path.ccp_policy() {
            CcpPolicy::Require | CcpPolicy::Prefer => {}
            CcpPolicy::Listen => self.open_ccp_on_request(now, packet),
            CcpPolicy::Refuse => return Err(self.refuse_ccp(now, packet, information)),
            #[cfg(feature = "server")]
            CcpPolicy::Ignore => return Err(PacketError::Discard(Discard::OutOfPhase)),
        }
        self.data_path.note_ccp();
        match Code::from(packet.code) {
            Code::ResetRequest => self.answer_reset(now, packet),
            Code::ResetAck => {}
            code => self.negotiate_encryption(now, code, packet)?,
        }
        self.echo.heard(now);
        Ok(())
    }

    /// Opens CCP when the peer begins with it; until CCP is open the data path is undecided
    fn open_ccp_on_request(&mut self, now: Instant, packet: &Packet<'_>) {
        if Code::from(packet.code) == Code::ConfigureRequest && self.ccp.is_initial() {
            self.open_ccp(now);
            self.go_down(now);
            self.data_path.wait_for_ccp();
        }
    }

    fn refuse_ccp(&mut self, now: Instant, packet: &Packet<'_>, information: &[u8]) -> PacketError {
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
    ) -> Result<(), PacketError> {
        let was_used = self.ccp.peer_is_open();
        let may_be_clear = self.data_path.ccp_policy() != CcpPolicy::Require;
        let is_end = code == Code::TerminateRequest;
        // taken from the state before the packet is handled
        let failure = (is_end && !may_be_clear).then(|| self.ended_by_peer(Protocol::Ccp, packet));
        let layer = match self.ccp.handle_packet(now, packet, &mut self.context) {
            Err(PacketError::Fail(_)) if may_be_clear => {
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

    /// Returns true if an encrypted packet is not opened, but answered as a server does that cannot open it
    #[cfg(feature = "server")]
    pub(super) fn turns_mppe_away(&mut self, information: &[u8]) -> bool {
        if self.data_path.cipher().is_none() {
            return false;
        }
        self.id = self.id.wrapping_add(1);
        self.role.turns_mppe_away(self.id, information, &mut self.context)
    }

    /// Returns true if a request of IPCP gets a Terminate-Ack, as some servers do until their CCP is open
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
    pub(super) fn ccp_rejected(&mut self, now: Instant) -> Result<(), PacketError> {
        let failure = self.encryption_ended();
        if self.ccp.protocol_rejected(now, &mut self.context).is_none() {
            return Ok(());
        }
        if self.data_path.ccp_policy() == CcpPolicy::Require {
            return Err(failure.into());
        }
        self.go_clear(now);
        Ok(())
    }

    /// The failure of the link if the peer closes CCP now
    pub(super) fn encryption_ended(&self) -> Failure {
        if self.ccp.peer_is_open() {
            return Failure::EncryptionLost;
        }
        self.ccp.options.unavailable()
    }

    /// Returns the reason that the peer may have to hang up now, as far as encryption goes
    pub(super) fn encryption_disagreement(&self) -> Option<Failure> {
        let options = &self.ccp.options;
        if self.data_path.ccp_policy() == CcpPolicy::Refuse {
            let offered = options.offered()?;
            return Some(Failure::EncryptionDemanded { offered: Some(offered) });
        }
        options.disagreement().filter(|_| !self.ccp.is_open())
    }

    /// Answers a Reset-Request at once, and in stateless mode too: after one packet it could not
    /// open, a Linux peer drops everything until the Reset-Ack comes
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
