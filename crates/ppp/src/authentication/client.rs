//! The authentication of a client: the method on which LCP agreed, and the questions to the owner

use std::time::{Duration, Instant};

use pptp_mschap::Password;

use super::{
    account::{Account, Algorithm},
    conversation::{ChapOutcome, Conversation, Proven, Refusal},
    eap::{Eap, EapOutcome},
    pap::Pap,
    phase::{Authenticated, Authentication, Outcome},
};
use crate::{
    config::{
        ClientConfig,
        questions::{Question, Questions},
    },
    context::{Context, PacketError, round_trips::Sent, stats::Discard},
    failure::Failure,
    wire::{
        frame,
        packet::Packet,
        protocol::{AuthenticationProtocol, Protocol},
    },
};

/// The authentication phase of a client
#[derive(Debug)]
pub(crate) struct ClientAuthentication {
    account: Account,
    /// Questions that may still be asked
    questions: Questions,
    /// The question that waits for its answer
    open: Option<Box<OpenQuestion>>,
    method: Method,
    is_authenticated: bool,
    deadline: Option<Instant>,
}

/// The method of authentication
#[derive(Debug)]
enum Method {
    None,
    Pap(Box<Pap>),
    Chap(Conversation),
    Eap(Box<Eap>),
}

/// A question that the owner has not answered yet
#[derive(Debug)]
struct OpenQuestion {
    refusal: Box<Refusal>,
    is_about_password: bool,
}

impl ClientAuthentication {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self {
            account: Account {
                user: config.user.into(),
                password: config.password,
                hash_name: config.hash_name,
                encoding: config.password_encoding,
            },
            questions: config.questions,
            open: None,
            method: Method::None,
            is_authenticated: false,
            deadline: None,
        }
    }

    fn handle_chap(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        lcp_ack: Option<Sent>,
        context: &mut Context,
    ) -> Result<Outcome, PacketError> {
        let Method::Chap(conversation) = &mut self.method else { return Ok(Outcome::Nothing) };
        if let Some(lcp_ack) = lcp_ack.filter(|_| conversation.is_new()) {
            context.round_trips.answered(now, lcp_ack);
        }
        let was_pending = conversation.is_pending();
        match conversation.handle_packet(now, packet, &self.account, context)? {
            ChapOutcome::Answer => {
                if let Some(answer) = conversation.answer() {
                    context.send(frame::CHAP, &answer);
                }
                if !was_pending && conversation.is_pending() && !self.is_authenticated {
                    self.deadline = now.checked_add(STEP_TIMEOUT);
                }
                Ok(Outcome::Nothing)
            }
            ChapOutcome::Proven(Proven { authenticated, sent, changed_password }) => {
                if !self.is_authenticated {
                    context.round_trips.answered(now, sent);
                }
                Ok(self.proven(authenticated, changed_password))
            }
            ChapOutcome::Refused(refusal) => self.refused(now, refusal),
        }
    }

    fn handle_eap(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        lcp_ack: Option<Sent>,
        context: &mut Context,
    ) -> Result<Outcome, PacketError> {
        let Method::Eap(eap) = &mut self.method else { return Ok(Outcome::Nothing) };
        if let Some(lcp_ack) = lcp_ack.filter(|_| eap.is_new()) {
            context.round_trips.answered(now, lcp_ack);
        }
        match eap.handle_packet(now, packet, &self.account, context)? {
            EapOutcome::Nothing => Ok(Outcome::Nothing),
            step @ (EapOutcome::Answered | EapOutcome::PasswordChanged) => {
                if !self.is_authenticated {
                    self.deadline = now.checked_add(STEP_TIMEOUT);
                }
                let is_changed = matches!(step, EapOutcome::PasswordChanged);
                Ok(if is_changed { Outcome::PasswordChanged(None) } else { Outcome::Nothing })
            }
            EapOutcome::Authenticated(authenticated) => Ok(self.proven(authenticated, false)),
            EapOutcome::Refused(refusal) => {
                let outcome = self.refused(now, refusal);
                if let (Err(_), Method::Eap(eap)) = (&outcome, &mut self.method) {
                    eap.give_up(context);
                }
                outcome
            }
        }
    }

    fn proven(&mut self, authenticated: Authenticated, changed_password: bool) -> Outcome {
        self.deadline = None;
        let was_authenticated = std::mem::replace(&mut self.is_authenticated, true);
        match (changed_password, was_authenticated) {
            (true, true) => Outcome::PasswordChanged(None),
            (true, false) => Outcome::PasswordChanged(Some(authenticated)),
            (false, false) => Outcome::Authenticated(authenticated),
            (false, true) => Outcome::AuthenticatedAgain(authenticated.keys),
        }
    }

    /// Asks the owner about a refusal, once and if the configuration says so; otherwise ends the
    /// link
    fn refused(&mut self, now: Instant, refusal: Box<Refusal>) -> Result<Outcome, PacketError> {
        let is_about_password = refusal.wants_new_password;
        let may_ask = if is_about_password {
            &mut self.questions.new_password
        } else {
            &mut self.questions.other_credentials
        };
        let is_welcome = is_about_password || refusal.wants_other_login;
        if !(is_welcome && std::mem::take(may_ask)) {
            return Err(refusal.failure.into());
        }
        let Failure::AuthFailed { code, message, .. } = refusal.failure.clone() else {
            return Err(refusal.failure.into());
        };
        self.deadline = now.checked_add(STEP_TIMEOUT);
        self.open = Some(Box::new(OpenQuestion { refusal, is_about_password }));
        Ok(Outcome::Ask(if is_about_password {
            Question::NewPassword { message }
        } else {
            Question::OtherCredentials { code, message }
        }))
    }

    /// Answers [`Question::NewPassword`]
    pub(crate) fn change_password(
        &mut self,
        now: Instant,
        new: Password,
        context: &mut Context,
    ) -> Result<(), Failure> {
        let Some(open) = self.open.take_if(|open| open.is_about_password) else { return Ok(()) };
        let failure = open.refusal.failure.clone();
        if new == self.account.password {
            return Err(failure);
        }
        let old = std::mem::replace(&mut self.account.password, new);
        self.resume(now, *open.refusal, Some(&old), context).then_some(()).ok_or(failure)
    }

    /// Answers [`Question::OtherCredentials`]
    pub(crate) fn log_in_as(
        &mut self,
        now: Instant,
        user: String,
        password: Password,
        context: &mut Context,
    ) -> Result<(), Failure> {
        let Some(open) = self.open.take_if(|open| !open.is_about_password) else { return Ok(()) };
        let failure = open.refusal.failure.clone();
        if *user == *self.account.user && password == self.account.password {
            return Err(failure);
        }
        self.account.user = user.into();
        self.account.password = password;
        self.resume(now, *open.refusal, None, context).then_some(()).ok_or(failure)
    }

    /// Leaves the question without an answer
    pub(crate) fn give_up(&mut self, context: &mut Context) -> Result<(), Failure> {
        let Some(open) = self.open.take() else { return Ok(()) };
        if let Method::Eap(eap) = &mut self.method {
            eap.give_up(context);
        }
        Err(open.refusal.failure)
    }

    fn resume(
        &mut self,
        now: Instant,
        refusal: Refusal,
        old: Option<&Password>,
        context: &mut Context,
    ) -> bool {
        self.deadline = now.checked_add(STEP_TIMEOUT);
        match &mut self.method {
            Method::Chap(conversation) => {
                let resumed = conversation.resume(now, refusal, old, &self.account, context);
                if let Some(answer) = conversation.answer().filter(|_| resumed) {
                    context.send(frame::CHAP, &answer);
                }
                resumed
            }
            Method::Eap(eap) => eap.resume(now, refusal, old, &self.account, context),
            Method::Pap(_) | Method::None => false,
        }
    }
}

impl Authentication for ClientAuthentication {
    fn start(&mut self, now: Instant, protocol: AuthenticationProtocol, context: &mut Context) {
        // A login that was refused is not tried again because LCP was negotiated anew.
        let patience = if self.open.is_some() { Duration::ZERO } else { STEP_TIMEOUT };
        self.deadline = now.checked_add(patience);
        self.method = match protocol {
            _ if self.open.is_some() => Method::None,
            AuthenticationProtocol::Pap => {
                Method::Pap(Box::new(Pap::start(now, &self.account, context)))
            }
            AuthenticationProtocol::Eap => Method::Eap(Box::new(Eap::new())),
            other => Algorithm::of(other)
                .map_or(Method::None, |algorithm| Method::Chap(Conversation::new(algorithm))),
        };
    }

    fn stop(&mut self) {
        self.method = Method::None;
        self.is_authenticated = false;
        self.deadline = None;
    }

    fn protocol(&self) -> Option<u16> {
        match &self.method {
            Method::None => None,
            Method::Pap(_) => Some(frame::PAP),
            Method::Chap(_) => Some(frame::CHAP),
            Method::Eap(_) => Some(frame::EAP),
        }
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        lcp_ack: Option<Sent>,
        context: &mut Context,
    ) -> Result<Outcome, PacketError> {
        if self.open.is_some() {
            // No packet is answered with the password that was refused.
            return Err(PacketError::Discard(Discard::OutOfPhase));
        }
        match &mut self.method {
            Method::Pap(pap) => match pap.handle_packet(now, packet, context)? {
                Outcome::Authenticated(authenticated) => Ok(self.proven(authenticated, false)),
                other => Ok(other),
            },
            Method::Chap(_) => self.handle_chap(now, packet, lcp_ack, context),
            Method::Eap(_) => self.handle_eap(now, packet, lcp_ack, context),
            Method::None => Err(PacketError::Discard(Discard::OutOfPhase)),
        }
    }

    /// Repeats the Response, because the server's verdict was lost
    ///
    /// The server does not send its verdict again by itself, but it answers the same Response with
    /// the same verdict (RFC 1994 §4.1).
    fn peer_went_ahead(&mut self, now: Instant, context: &mut Context) -> Outcome {
        match &mut self.method {
            Method::Pap(pap) => pap.repeat(now, &self.account, context),
            Method::Chap(conversation) => {
                if let Some(answer) = conversation.repeat() {
                    context.send(frame::CHAP, &answer);
                }
            }
            Method::Eap(eap) => {
                if let Some(authenticated) = eap.peer_went_ahead(now, context) {
                    return self.proven(authenticated, false);
                }
            }
            Method::None => {}
        }
        Outcome::Nothing
    }

    fn would_fail(&self, packet: &Packet<'_>) -> bool {
        match &self.method {
            Method::Chap(conversation) => conversation.would_fail(packet),
            Method::Eap(eap) => eap.would_fail(packet),
            Method::Pap(_) | Method::None => false,
        }
    }

    fn disagreement(&self) -> Option<Failure> {
        if let Some(open) = &self.open {
            return Some(open.refusal.failure.clone());
        }
        match &self.method {
            Method::Eap(eap) => eap.disagreement(),
            Method::None | Method::Pap(_) | Method::Chap(_) => None,
        }
    }

    fn handle_timeout(&mut self, now: Instant, context: &mut Context) -> Result<(), Failure> {
        if let Method::Pap(pap) = &mut self.method {
            return pap.handle_timeout(now, &self.account, context);
        }
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        self.give_up(context)?;
        let protocol =
            if matches!(self.method, Method::Eap(_)) { Protocol::Eap } else { Protocol::Chap };
        Err(Failure::NegotiationTimeout { protocol })
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.method {
            Method::Pap(pap) => pap.deadline(),
            _ => self.deadline,
        }
    }
}

/// Time for a Challenge after LCP, for the verdict after a Response, and for the owner's answer
const STEP_TIMEOUT: Duration = Duration::from_mins(1);
