//! EAP with MS-CHAPv2 inside, the side that is authenticated (RFC 3748; type 26 as Windows speaks it)

use std::time::Instant;

use pptp_mschap::Password;
use pptp_packet::{Counter, Redacted};

use super::{
    account::{Account, Algorithm},
    conversation::{ChapOutcome, Conversation, Refusal},
    phase::Authenticated,
};
use crate::{
    context::{Context, PacketError, round_trips::Sent, stats::Discard},
    failure::Failure,
    wire::{
        authentication::{
            TypeData, chap,
            eap::{FAILURE, IDENTITY, MSCHAP_V2, NAK, NOTIFICATION, REQUEST, RESPONSE, SUCCESS},
        },
        frame,
        packet::{Packet, ParseError},
        protocol::AuthenticationProtocol,
    },
};

/// The client's side of EAP: answers one Request at a time; the server repeats lost ones
#[derive(Debug)]
pub(crate) struct Eap {
    conversation: Conversation,
    stage: Stage,
    /// The latest Request and its answer: the same Request gets the same answer
    last: Option<LastRequest>,
    /// The latest method that the server asked for and that we do not have
    unwanted: Option<u8>,
    naks: u8,
}

#[derive(Debug)]
struct LastRequest {
    id: u8,
    request: Redacted<Box<[u8]>>,
    /// Empty while the owner is asked
    response: Redacted<Box<[u8]>>,
    sent: Option<Sent>,
}

/// The state of the method (RFC 3748 §4.2)
#[derive(Debug)]
enum Stage {
    Talking,
    /// The server's proof is right; its Success is to come
    Proven(Authenticated),
    Over,
}

/// The outcome of a packet
#[derive(Debug)]
pub(crate) enum EapOutcome {
    Nothing,
    /// A new Request was answered
    Answered,
    PasswordChanged,
    Authenticated(Authenticated),
    Refused(Box<Refusal>),
}

impl Eap {
    pub(crate) const fn new() -> Self {
        Self {
            conversation: Conversation::new(Algorithm::MsChapV2),
            stage: Stage::Talking,
            last: None,
            unwanted: None,
            naks: 0,
        }
    }

    /// Returns true if nothing was asked yet
    pub(crate) const fn is_new(&self) -> bool {
        self.last.is_none()
    }

    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        account: &Account,
        context: &mut Context,
    ) -> Result<EapOutcome, PacketError> {
        match packet.code {
            REQUEST => self.handle_request(now, packet, account, context),
            SUCCESS => self.handle_success(now, context),
            FAILURE => Err(self.handle_failure()),
            _ => Err(PacketError::Discard(Discard::OutOfPhase)),
        }
    }

    /// Returns true if a packet would end the link: a Failure, a Success without its proof, or one
    /// method too many
    pub(crate) fn would_fail(&self, packet: &Packet<'_>) -> bool {
        if packet.code == FAILURE {
            return matches!(self.handle_failure(), PacketError::Fail(_));
        }
        let request = TypeData::parse(packet).ok().filter(|_| packet.code == REQUEST);
        let Some(request) = request.filter(|_| !self.is_repeated(packet)) else { return false };
        match request.kind {
            IDENTITY | NOTIFICATION | NAK => false,
            MSCHAP_V2 => {
                let inner = self.inner(*request.data);
                inner.is_ok_and(|inner| self.conversation.would_fail(&inner))
            }
            _ => self.naks >= MAX_NAKS,
        }
    }

    /// Returns true if this is the Request that was answered last
    fn is_repeated(&self, packet: &Packet<'_>) -> bool {
        let is_same = |last: &LastRequest| last.id == packet.id && **last.request == *packet.data;
        self.last.as_ref().is_some_and(is_same)
    }

    /// The CHAP packet in a Request, whose length has to fit into the rest
    fn inner<'p>(&self, data: &'p [u8]) -> Result<Packet<'p>, ParseError> {
        let mut inner = Packet::parse(data)?;
        if let (chap::SUCCESS, Some(answer)) = (inner.code, self.conversation.answer()) {
            // EAP's identifier tells which Request is answered; servers differ in what they put in here.
            inner.id = answer.id;
        }
        Ok(inner)
    }

    fn handle_request(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        account: &Account,
        context: &mut Context,
    ) -> Result<EapOutcome, PacketError> {
        let request = TypeData::parse(packet)?;
        if let Some(last) = self.last.as_ref().filter(|_| self.is_repeated(packet)) {
            last.transmit(context);
            return Ok(EapOutcome::Nothing);
        }
        match request.kind {
            IDENTITY => {
                self.respond(now, packet, &[IDENTITY], account.user.as_bytes(), context);
                Ok(EapOutcome::Answered)
            }
            NOTIFICATION => {
                self.respond(now, packet, &[NOTIFICATION], &[], context);
                Ok(EapOutcome::Answered)
            }
            MSCHAP_V2 => self.handle_method(now, packet, request.data.0, account, context),
            NAK => Err(PacketError::Discard(Discard::Malformed)),
            other => self.refuse_method(now, packet, other, context),
        }
    }

    /// Refuses a method by a Legacy Nak that names MS-CHAPv2 (RFC 3748 §5.3.1)
    fn refuse_method(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        method: u8,
        context: &mut Context,
    ) -> Result<EapOutcome, PacketError> {
        self.unwanted = Some(method);
        self.naks.increment();
        if self.naks > MAX_NAKS {
            return Err(refused_method(method).into());
        }
        self.respond(now, packet, &[NAK], &[MSCHAP_V2], context);
        Ok(EapOutcome::Answered)
    }

    /// Handles the CHAP packet, header included, inside a Request of our method
    fn handle_method(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        data: &[u8],
        account: &Account,
        context: &mut Context,
    ) -> Result<EapOutcome, PacketError> {
        let inner = self.inner(data)?;
        match self.conversation.handle_packet(now, &inner, account, context)? {
            ChapOutcome::Answer => {
                if self.conversation.is_pending() && matches!(self.stage, Stage::Proven(_)) {
                    // A new challenge: the proof before it does not count any more.
                    self.stage = Stage::Talking;
                }
                self.respond_with_answer(now, packet, context);
                Ok(EapOutcome::Answered)
            }
            ChapOutcome::Proven(proven) => {
                self.stage = Stage::Proven(proven.authenticated);
                self.respond(now, packet, &[MSCHAP_V2], &[chap::SUCCESS], context);
                let changed = proven.changed_password;
                Ok(if changed { EapOutcome::PasswordChanged } else { EapOutcome::Answered })
            }
            ChapOutcome::Refused(refusal) => {
                self.remember(now, packet, Box::default(), context);
                Ok(EapOutcome::Refused(refusal))
            }
        }
    }

    /// Takes a Success behind the server's proof only: before it, anyone may have sent it (RFC 3748 §4.2)
    fn handle_success(
        &mut self,
        now: Instant,
        context: &mut Context,
    ) -> Result<EapOutcome, PacketError> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Proven(authenticated) => {
                self.note_answered(now, context);
                Ok(EapOutcome::Authenticated(authenticated))
            }
            stage => {
                self.stage = stage;
                Err(PacketError::Discard(Discard::OutOfPhase))
            }
        }
    }

    /// Handles a Failure, which counts only during a conversation
    fn handle_failure(&self) -> PacketError {
        let is_over = matches!(self.stage, Stage::Over) && !self.conversation.is_pending();
        if self.last.is_none() || is_over {
            return PacketError::Discard(Discard::OutOfPhase);
        }
        let failed = || Failure::AuthFailed { code: 0, retry: false, message: String::new() };
        self.disagreement().unwrap_or_else(failed).into()
    }

    /// The failure for a method that was refused, while the server has not begun with ours
    pub(crate) fn disagreement(&self) -> Option<Failure> {
        self.unwanted.filter(|_| self.conversation.is_new()).map(refused_method)
    }

    /// Goes on without the Success, which was lost: the server does not repeat it (RFC 3748 §4.2)
    pub(crate) fn peer_went_ahead(
        &mut self,
        now: Instant,
        context: &mut Context,
    ) -> Option<Authenticated> {
        match self.handle_success(now, context) {
            Ok(EapOutcome::Authenticated(authenticated)) => Some(authenticated),
            _ => None,
        }
    }

    /// Acknowledges the refusal, after which the server's Failure would follow
    pub(crate) fn give_up(&mut self, context: &mut Context) {
        self.answer_last(&[MSCHAP_V2, chap::FAILURE], context);
    }

    /// Answers a refusal: see [`Conversation::resume`]
    pub(crate) fn resume(
        &mut self,
        now: Instant,
        refusal: Refusal,
        old: Option<&Password>,
        account: &Account,
        context: &mut Context,
    ) -> bool {
        if !self.conversation.resume(now, refusal, old, account, context) {
            return false;
        }
        if let Some(response) = self.conversation.answer().map(|answer| enclose(&answer)) {
            self.answer_last(&response, context);
        }
        true
    }

    fn answer_last(&mut self, response: &[u8], context: &mut Context) {
        if let Some(last) = &mut self.last {
            last.response = Redacted(response.into());
            last.transmit(context);
        }
    }

    fn respond_with_answer(&mut self, now: Instant, request: &Packet<'_>, context: &mut Context) {
        if let Some(response) = self.conversation.answer().map(|answer| enclose(&answer)) {
            self.respond(now, request, &response, &[], context);
        }
    }

    fn respond(
        &mut self,
        now: Instant,
        request: &Packet<'_>,
        head: &[u8],
        tail: &[u8],
        context: &mut Context,
    ) {
        self.remember(now, request, [head, tail].concat().into(), context);
        if let Some(last) = &self.last {
            last.transmit(context);
        }
    }

    fn remember(
        &mut self,
        now: Instant,
        request: &Packet<'_>,
        response: Box<[u8]>,
        context: &mut Context,
    ) {
        self.note_answered(now, context);
        self.last = Some(LastRequest {
            id: request.id,
            request: Redacted(request.data.into()),
            response: Redacted(response),
            sent: Some(context.round_trips.stamp(now)),
        });
    }

    /// Notes a packet that the server sends only behind our latest Response
    fn note_answered(&mut self, now: Instant, context: &mut Context) {
        if let Some(sent) = self.last.as_mut().and_then(|last| last.sent.take()) {
            context.round_trips.answered(now, sent);
        }
    }
}

impl LastRequest {
    fn transmit(&self, context: &mut Context) {
        if !self.response.is_empty() {
            let data = &self.response;
            context.send(frame::EAP, &Packet { code: RESPONSE, id: self.id, data });
        }
    }
}

const fn refused_method(method: u8) -> Failure {
    let offered = Some(AuthenticationProtocol::EapMethod(method));
    Failure::AuthProtocolRefused { offered }
}

/// A CHAP packet as EAP carries it
fn enclose(packet: &Packet<'_>) -> Vec<u8> {
    let mut data = vec![MSCHAP_V2];
    packet.emit(&mut data);
    data
}

/// Requests for other methods that are refused before the link is given up
const MAX_NAKS: u8 = 5;
