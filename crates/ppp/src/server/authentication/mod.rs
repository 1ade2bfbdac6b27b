//! The side that authenticates the other: PAP, the CHAP family, and MS-CHAPv2 in EAP

mod accounts;
mod chap_verifier;
mod eap;

use std::time::{Duration, Instant};

use accounts::Accounts;
use chap_verifier::{ChapVerifier, Verdict};
use eap::ServerEap;

use crate::{
    authentication::{Algorithm, Authenticated, Authentication, Keys, Outcome, peer_name},
    context::{Context, PacketError, round_trips::Sent, stats::Discard},
    failure::Failure,
    server::{behavior::ServerBehavior, config::ServerConfig},
    wire::{
        authentication::{PapRequest, pap},
        frame,
        packet::{Code, Packet},
        protocol::{AuthenticationProtocol, Protocol},
    },
};

/// The side that authenticates
#[derive(Debug)]
pub(crate) struct Authenticator {
    behavior: ServerBehavior,
    accounts: Accounts,
    method: ServerMethod,
    /// Identifier of the latest Challenge or EAP Request
    id: u8,
    is_authenticated: bool,
    /// Challenges still to be sent if no answer comes
    tries: u8,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum ServerMethod {
    None,
    Pap,
    Chap(ChapVerifier),
    Eap(Box<ServerEap>),
}

impl Authenticator {
    pub(crate) fn new(config: ServerConfig) -> Self {
        let encoding = config.authentication.encoding;
        Self {
            accounts: Accounts::new(config.secrets, config.hash_name, encoding),
            behavior: ServerBehavior {
                name: config.name,
                order: config.order,
                authentication: config.authentication,
            },
            method: ServerMethod::None,
            id: 0,
            is_authenticated: false,
            tries: 0,
            deadline: None,
        }
    }

    /// Asks the client to prove once more who it is (RFC 1994 §4.1); PAP cannot do that
    pub(crate) fn challenge_again(&mut self, now: Instant, context: &mut Context) {
        if !self.is_authenticated {
            return;
        }
        self.id = self.id.wrapping_add(1);
        match &mut self.method {
            ServerMethod::Chap(verifier) => verifier.challenge(self.id, &mut context.random),
            ServerMethod::Eap(eap) => eap.restart(self.id),
            ServerMethod::Pap | ServerMethod::None => return,
        }
        self.ask(now, context);
    }

    /// Sends the open Challenge or Request
    fn ask(&mut self, now: Instant, context: &mut Context) {
        if self.tries == 0 {
            self.tries = MAX_TRIES;
        }
        self.tries = self.tries.saturating_sub(1);
        self.deadline = now.checked_add(RESTART);
        let times = if self.behavior.authentication.repeats_challenges { 2 } else { 1 };
        for _ in 0..times {
            match &self.method {
                ServerMethod::Chap(verifier) => {
                    let data = verifier.challenge_data(&self.behavior.name);
                    let (code, id) = (chap_verifier::CHALLENGE, verifier.id());
                    context.send(frame::CHAP, &Packet { code, id, data: &data });
                }
                ServerMethod::Eap(eap) => eap.transmit(context),
                ServerMethod::Pap | ServerMethod::None => self.deadline = None,
            }
        }
    }

    fn handle_pap(
        &mut self,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<Outcome, PacketError> {
        if packet.code != pap::REQUEST {
            return Err(PacketError::Discard(Discard::OutOfPhase));
        }
        let request = PapRequest::parse(packet.data)?;
        let is_known = self.accounts.has(request.peer_id, request.password);
        let texts = &self.behavior.authentication;
        let (code, text) = if is_known {
            (pap::ACK, texts.success_text.clone().unwrap_or_default())
        } else {
            (pap::NAK, texts.failure_text.clone().unwrap_or_else(|| "Login incorrect".into()))
        };
        let length = u8::try_from(text.len()).unwrap_or_default();
        let data = [&[length], text.as_bytes()].concat();
        context.send(frame::PAP, &Packet { code, id: packet.id, data: &data });
        if !is_known {
            let failure = Failure::AuthFailed { code: 0, retry: false, message: text };
            return Err(failure.into());
        }
        let peer_name = peer_name(request.peer_id);
        Ok(self.passed(Authenticated { keys: Keys::None, peer_name }))
    }

    fn handle_chap(
        &mut self,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<Outcome, PacketError> {
        let ServerMethod::Chap(verifier) = &mut self.method else { return Ok(Outcome::Nothing) };
        let verdict =
            verifier.judge(packet, &self.behavior, &mut self.accounts, &mut context.random)?;
        self.deadline = None;
        match (&verdict, self.behavior.authentication.refuses_with) {
            (Verdict::Refused(_), Some(code)) => {
                let (data, id) = (code.data(), packet.id);
                let code = Code::TerminateRequest.into();
                context.send(frame::LCP, &Packet { code, id, data: &data });
            }
            _ => {
                if let Some(packet) = verifier.verdict() {
                    context.send(frame::CHAP, &packet);
                }
            }
        }
        match verdict {
            Verdict::Repeated | Verdict::Again => Ok(Outcome::Nothing),
            Verdict::Passed(authenticated) => Ok(self.passed(authenticated)),
            Verdict::Refused(failure) => Err(failure.into()),
        }
    }

    /// Notes that the client has passed; the keys of the first time stay
    fn passed(&mut self, authenticated: Authenticated) -> Outcome {
        self.deadline = None;
        if std::mem::replace(&mut self.is_authenticated, true) {
            return Outcome::Nothing;
        }
        Outcome::Authenticated(authenticated)
    }
}

impl Authentication for Authenticator {
    fn start(&mut self, now: Instant, protocol: AuthenticationProtocol, context: &mut Context) {
        self.id = self.id.wrapping_add(1);
        self.tries = MAX_TRIES;
        self.method = match protocol {
            AuthenticationProtocol::Pap => ServerMethod::Pap,
            AuthenticationProtocol::Eap => {
                ServerMethod::Eap(Box::new(ServerEap::new(self.id, &self.behavior)))
            }
            other => Algorithm::of(other).map_or(ServerMethod::None, |algorithm| {
                let mut verifier = ChapVerifier::new(algorithm, &self.behavior);
                verifier.challenge(self.id, &mut context.random);
                ServerMethod::Chap(verifier)
            }),
        };
        self.ask(now, context);
    }

    fn stop(&mut self) {
        self.method = ServerMethod::None;
        self.is_authenticated = false;
        self.deadline = None;
        self.tries = 0;
    }

    fn protocol(&self) -> Option<u16> {
        match &self.method {
            ServerMethod::None => None,
            ServerMethod::Pap => Some(frame::PAP),
            ServerMethod::Chap(_) => Some(frame::CHAP),
            ServerMethod::Eap(_) => Some(frame::EAP),
        }
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        _: Option<Sent>,
        context: &mut Context,
    ) -> Result<Outcome, PacketError> {
        match &mut self.method {
            ServerMethod::None => Err(PacketError::Discard(Discard::OutOfPhase)),
            ServerMethod::Pap => self.handle_pap(packet, context),
            ServerMethod::Chap(_) => self.handle_chap(packet, context),
            ServerMethod::Eap(eap) => {
                let random = &mut context.random;
                let step = eap.handle_packet(packet, &self.behavior, &mut self.accounts, random)?;
                self.deadline = None;
                match step {
                    eap::EapProgress::Ask => {
                        self.tries = MAX_TRIES;
                        self.ask(now, context);
                        Ok(Outcome::Nothing)
                    }
                    eap::EapProgress::Succeed(authenticated) => {
                        eap.conclude(eap::SUCCESS, context);
                        Ok(self.passed(authenticated))
                    }
                    eap::EapProgress::Fail(failure) => {
                        eap.conclude(eap::FAILURE, context);
                        Err(failure.into())
                    }
                }
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant, context: &mut Context) -> Result<(), Failure> {
        match self.deadline {
            Some(deadline) if deadline <= now && self.tries == 0 => {
                let is_eap = matches!(self.method, ServerMethod::Eap(_));
                let protocol = if is_eap { Protocol::Eap } else { Protocol::Chap };
                Err(Failure::NegotiationTimeout { protocol })
            }
            Some(deadline) if deadline <= now => {
                self.ask(now, context);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// Time before an unanswered Challenge is sent again
const RESTART: Duration = Duration::from_secs(3);
/// Challenges sent in all
const MAX_TRIES: u8 = 10;
