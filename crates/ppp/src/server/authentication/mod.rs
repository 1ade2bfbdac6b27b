//! The side that authenticates the other: PAP, the CHAP family, and MS-CHAPv2 in EAP

mod accounts;
mod eap;
mod examination;

use std::time::{Duration, Instant};

use accounts::Accounts;
use eap::Eap;
use examination::{Examination, Verdict};

use crate::authentication::{Algorithm, Authenticated, Authentication, Keys, Outcome, peer_name};
use crate::context::round_trips::Sent;
use crate::context::stats::Discard;
use crate::context::{Context, Trouble};
use crate::failure::Failure;
use crate::server::behavior::ServerBehavior;
use crate::server::config::ServerConfig;
use crate::wire::authentication::{PapRequest, pap};
use crate::wire::frame;
use crate::wire::packet::{Code, Packet};
use crate::wire::protocol::{AuthenticationProtocol, Protocol};

/// The side that authenticates
#[derive(Debug)]
pub(crate) struct Authenticator {
    behavior: ServerBehavior,
    accounts: Accounts,
    method: Method,
    /// Identifier of the latest Challenge or EAP Request
    id: u8,
    is_authenticated: bool,
    /// Challenges still to be sent if no answer comes
    tries: u8,
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Method {
    None,
    Pap,
    Chap(Examination),
    Eap(Box<Eap>),
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
            method: Method::None,
            id: 0,
            is_authenticated: false,
            tries: 0,
            deadline: None,
        }
    }

    /// Has the client prove once more who it is (RFC 1994 §4.1); PAP has no such thing
    pub(crate) fn challenge_again(&mut self, now: Instant, context: &mut Context) {
        if !self.is_authenticated {
            return;
        }
        self.id = self.id.wrapping_add(1);
        match &mut self.method {
            Method::Chap(examination) => examination.challenge(self.id, &mut context.random),
            Method::Eap(eap) => eap.restart(self.id),
            Method::Pap | Method::None => return,
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
                Method::Chap(examination) => {
                    let data = examination.challenge_data(&self.behavior.name);
                    let (code, id) = (examination::CHALLENGE, examination.id());
                    context.send(frame::CHAP, &Packet { code, id, data: &data });
                }
                Method::Eap(eap) => eap.transmit(context),
                Method::Pap | Method::None => self.deadline = None,
            }
        }
    }

    fn handle_pap(
        &mut self,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<Outcome, Trouble> {
        if packet.code != pap::REQUEST {
            return Err(Trouble::Discard(Discard::OutOfPhase));
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
    ) -> Result<Outcome, Trouble> {
        let Method::Chap(examination) = &mut self.method else { return Ok(Outcome::Nothing) };
        let verdict =
            examination.judge(packet, &self.behavior, &mut self.accounts, &mut context.random)?;
        self.deadline = None;
        match (&verdict, self.behavior.authentication.refuses_with) {
            (Verdict::Refused(_), Some(code)) => {
                let (data, id) = (code.data(), packet.id);
                let code = Code::TerminateRequest.into();
                context.send(frame::LCP, &Packet { code, id, data: &data });
            }
            _ => {
                if let Some(packet) = examination.verdict() {
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
            AuthenticationProtocol::Pap => Method::Pap,
            AuthenticationProtocol::Eap => Method::Eap(Box::new(Eap::new(self.id, &self.behavior))),
            other => Algorithm::of(other).map_or(Method::None, |algorithm| {
                let mut examination = Examination::new(algorithm, &self.behavior);
                examination.challenge(self.id, &mut context.random);
                Method::Chap(examination)
            }),
        };
        self.ask(now, context);
    }

    fn stop(&mut self) {
        self.method = Method::None;
        self.is_authenticated = false;
        self.deadline = None;
        self.tries = 0;
    }

    fn protocol(&self) -> Option<u16> {
        match &self.method {
            Method::None => None,
            Method::Pap => Some(frame::PAP),
            Method::Chap(_) => Some(frame::CHAP),
            Method::Eap(_) => Some(frame::EAP),
        }
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        _: Option<Sent>,
        context: &mut Context,
    ) -> Result<Outcome, Trouble> {
        match &mut self.method {
            Method::None => Err(Trouble::Discard(Discard::OutOfPhase)),
            Method::Pap => self.handle_pap(packet, context),
            Method::Chap(_) => self.handle_chap(packet, context),
            Method::Eap(eap) => {
                let random = &mut context.random;
                let step = eap.handle_packet(packet, &self.behavior, &mut self.accounts, random)?;
                self.deadline = None;
                match step {
                    eap::Step::Ask => {
                        self.tries = MAX_TRIES;
                        self.ask(now, context);
                        Ok(Outcome::Nothing)
                    }
                    eap::Step::Succeed(authenticated) => {
                        eap.conclude(eap::SUCCESS, context);
                        Ok(self.passed(authenticated))
                    }
                    eap::Step::Fail(failure) => {
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
                let is_eap = matches!(self.method, Method::Eap(_));
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
