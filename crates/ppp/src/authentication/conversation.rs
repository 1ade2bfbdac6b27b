//! Challenge, answer and verdict of the CHAP family (RFC 1994, RFC 2433, RFC 2759), carried by CHAP
//! or EAP

use std::time::Instant;

use pptp_mschap::{AuthenticatorResponse, Password, v1_retry_challenge};
use pptp_packet::Redacted;

use super::{
    account::{Account, Algorithm, ChapAnswer, ExpectedAnswer},
    phase::{Authenticated, peer_name, peer_text},
};
use crate::{
    context::{Context, PacketError, round_trips::Sent, stats::Discard},
    failure::Failure,
    wire::{
        authentication::chap::{CHALLENGE, FAILURE, RESPONSE, SUCCESS},
        packet::{ChapValue, Packet},
    },
};

/// The client's side of a conversation of the CHAP family
#[derive(Debug)]
pub(crate) struct Conversation {
    algorithm: Algorithm,
    /// The challenge answered last, and the answer
    exchange: Option<Exchange>,
}

/// One challenge and the answer to it
///
/// Kept for as long as the link is, so that the same challenge gets the identical answer: two
/// challenges, once there is no verdict to wait for, from which the answer is made anew.
#[derive(Debug)]
struct Exchange {
    /// The challenge, then the data of the answer, or the part from which the answer is made anew
    octets: Redacted<Box<[u8]>>,
    /// Octets of the challenge
    length: u8,
    /// True if the answer is to be made anew
    is_compact: bool,
    id: u8,
    /// The code of the answer
    code: u8,
    /// The identifier of the Failure that this answers; `None` if it answers a Challenge
    refusal: Option<u8>,
    /// The data for the server's verdict, until it comes
    pending: Option<Box<Pending>>,
    /// Times the answer may still be repeated because the verdict seems lost
    repeats: u8,
}

/// The data by which the server's verdict is judged
#[derive(Debug)]
struct Pending {
    expected: ExpectedAnswer,
    sent: Sent,
    peer_name: Box<str>,
}

/// The outcome of a packet
#[derive(Debug)]
pub(crate) enum ChapOutcome {
    /// [`Conversation::answer`] is to be sent, perhaps once more
    Answer,
    /// The server took the answer, and gave its own proof where the algorithm has one
    Proven(Proven),
    /// The server refused the login
    Refused(Box<Refusal>),
}

/// A Success of the server
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) authenticated: Authenticated,
    pub(crate) sent: Sent,
    /// True if the answer was a Change-Password
    pub(crate) changed_password: bool,
}

/// A Failure of the server, and the answers that are still possible
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The failure that ends the link
    pub(crate) failure: Failure,
    /// True if it is about an expired password that may be changed
    pub(crate) wants_new_password: bool,
    /// True if another login would be welcome
    pub(crate) wants_other_login: bool,
    id: u8,
    /// The challenge for another answer
    challenge: Redacted<Box<[u8]>>,
    peer_name: Box<str>,
}

impl Conversation {
    pub(crate) const fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, exchange: None }
    }

    /// Returns true if nothing was answered yet
    pub(crate) const fn is_new(&self) -> bool {
        self.exchange.is_none()
    }

    /// Returns true if a verdict is still to come
    pub(crate) fn is_pending(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| exchange.pending.is_some())
    }

    /// The answer to send
    pub(crate) fn answer(&self) -> Option<Packet<'_>> {
        let exchange = self.exchange.as_ref()?;
        Some(Packet { code: exchange.code, id: exchange.id, data: exchange.answer() })
    }

    /// The answer once more, because its verdict seems lost
    pub(crate) fn repeat(&mut self) -> Option<Packet<'_>> {
        let exchange = self.exchange.as_mut()?;
        exchange.pending.as_ref()?;
        exchange.repeats = exchange.repeats.checked_sub(1)?;
        self.answer()
    }

    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        account: &Account,
        context: &mut Context,
    ) -> Result<ChapOutcome, PacketError> {
        match packet.code {
            CHALLENGE => self.handle_challenge(now, packet, account, context),
            SUCCESS => self.handle_success(packet),
            FAILURE => self.handle_failure(packet),
            _ => Err(PacketError::Discard(Discard::OutOfPhase)),
        }
    }

    fn handle_challenge(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        account: &Account,
        context: &mut Context,
    ) -> Result<ChapOutcome, PacketError> {
        let chap = ChapValue::parse(packet.data)?;
        if !self.algorithm.takes(chap.value.len()) {
            return Err(PacketError::Discard(Discard::Malformed));
        }
        let is_repeated = |it: &Exchange| it.id == packet.id && it.challenge() == chap.value;
        if let Some(exchange) = self.exchange.as_mut().filter(|exchange| is_repeated(exchange)) {
            exchange.expand(self.algorithm, account);
        } else {
            let peer_challenge = context.random.draw();
            let answer = account.respond(self.algorithm, packet.id, chap.value, &peer_challenge);
            let answer = answer.ok_or(PacketError::Discard(Discard::Malformed))?;
            let exchange = Exchange::new(packet.id, chap.value, answer, peer_name(chap.name));
            self.exchange = Some(exchange(context.round_trips.stamp(now)));
        }
        Ok(ChapOutcome::Answer)
    }

    /// Returns true if a verdict is a Failure, or a Success without the server's proof
    pub(crate) fn would_fail(&self, packet: &Packet<'_>) -> bool {
        let exchange = self.exchange.as_ref().filter(|exchange| exchange.id == packet.id);
        let Some(pending) = exchange.and_then(|exchange| exchange.pending.as_ref()) else {
            return false;
        };
        match packet.code {
            SUCCESS => !pending.is_proven_by(packet),
            FAILURE => true,
            _ => false,
        }
    }

    /// Takes a Success, which in MS-CHAPv2 has to prove the server (RFC 2759 §5)
    fn handle_success(&mut self, packet: &Packet<'_>) -> Result<ChapOutcome, PacketError> {
        let (code, pending) = self.conclude(packet.id)?;
        if !pending.is_proven_by(packet) {
            return Err(Failure::ServerNotAuthentic.into());
        }
        let Pending { expected: ExpectedAnswer { keys, .. }, sent, peer_name } = *pending;
        let changed_password = code != RESPONSE;
        if changed_password {
            // The exchange is large, and nothing is repeated any more.
            self.exchange = None;
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.compact();
        }
        let authenticated = Authenticated { keys, peer_name };
        Ok(ChapOutcome::Proven(Proven { authenticated, sent, changed_password }))
    }

    fn handle_failure(&mut self, packet: &Packet<'_>) -> Result<ChapOutcome, PacketError> {
        let was_answered = |it: &Exchange| it.refusal == Some(packet.id) && it.pending.is_some();
        if self.exchange.as_ref().is_some_and(was_answered) {
            let repeated = self.repeat().map(|_| ChapOutcome::Answer);
            return repeated.ok_or(PacketError::Discard(Discard::OutOfPhase));
        }
        let (_, pending) = self.conclude(packet.id)?;
        let challenge = self.exchange.as_ref().map(Exchange::challenge).unwrap_or_default();
        let refusal = Refusal::new(self.algorithm, packet, challenge, pending.peer_name);
        Ok(ChapOutcome::Refused(Box::new(refusal)))
    }

    /// Returns the exchange that a verdict with this identifier is about, if it is still open
    fn conclude(&mut self, id: u8) -> Result<(u8, Box<Pending>), PacketError> {
        let exchange = self.exchange.as_mut().filter(|exchange| exchange.id == id);
        let concluded = exchange.and_then(|it| Some((it.code, it.pending.take()?)));
        concluded.ok_or(PacketError::Discard(Discard::OutOfPhase))
    }

    /// Answers a refusal: with another login, or with the password changed from `old`
    ///
    /// False if there is no such answer.
    pub(crate) fn resume(
        &mut self,
        now: Instant,
        refusal: Refusal,
        old: Option<&Password>,
        account: &Account,
        context: &mut Context,
    ) -> bool {
        let (id, random) = (refusal.id.wrapping_add(1), &mut context.random);
        let answer = match old {
            None => account.respond(self.algorithm, id, &refusal.challenge, &random.draw()),
            Some(old) => account
                .change_password(old, self.algorithm, &refusal.challenge, random)
                .and_then(Result::ok),
        };
        let Some(answer) = answer else { return false };
        let exchange = Exchange::new(id, &refusal.challenge, answer, refusal.peer_name);
        let exchange = exchange(context.round_trips.stamp(now));
        self.exchange = Some(Exchange { refusal: Some(refusal.id), ..exchange });
        true
    }
}

impl Pending {
    /// Returns true if a Success has the server's proof, where the algorithm has one
    fn is_proven_by(&self, success: &Packet<'_>) -> bool {
        let response = self.expected.authenticator_response.as_ref();
        response.is_none_or(|it| AuthenticatorResponse::parse(success.data).as_ref() == Ok(it))
    }
}

impl Exchange {
    /// Returns a function that makes the exchange from the time of sending
    fn new(
        id: u8,
        challenge: &[u8],
        answer: ChapAnswer,
        peer_name: Box<str>,
    ) -> impl FnOnce(Sent) -> Self + use<> {
        let ChapAnswer { code, data, expected } = answer;
        let octets = Redacted([challenge, &data].concat().into());
        let length = u8::try_from(challenge.len()).unwrap_or(u8::MAX);
        move |sent| Self {
            octets,
            length,
            is_compact: false,
            id,
            code,
            refusal: None,
            pending: Some(Box::new(Pending { expected, sent, peer_name })),
            repeats: MAX_REPEATS,
        }
    }

    /// Keeps only the challenge, and our part of an MS-CHAPv2 Response
    fn compact(&mut self) {
        let ours = ChapValue::parse(self.answer()).ok().and_then(|chap| chap.value.get(..16));
        self.octets = Redacted([self.challenge(), ours.unwrap_or_default()].concat().into());
        self.is_compact = true;
    }

    fn expand(&mut self, algorithm: Algorithm, account: &Account) {
        if !std::mem::take(&mut self.is_compact) {
            return;
        }
        let ours = self.answer().try_into().unwrap_or_default();
        if let Some(answer) = account.respond(algorithm, self.id, self.challenge(), &ours) {
            self.octets = Redacted([self.challenge(), &answer.data].concat().into());
        }
    }

    fn challenge(&self) -> &[u8] {
        self.octets.get(..self.length.into()).unwrap_or_default()
    }

    fn answer(&self) -> &[u8] {
        self.octets.get(self.length.into()..).unwrap_or_default()
    }
}

impl Refusal {
    /// Reads a Failure, with the fields of MS-CHAP or as plain text
    fn new(
        algorithm: Algorithm,
        packet: &Packet<'_>,
        answered: &[u8],
        peer_name: Box<str>,
    ) -> Self {
        let said = pptp_mschap::Failure::parse(packet.data).ok();
        let failure = match &said {
            Some(said) => Failure::AuthFailed {
                code: said.code,
                retry: said.retry,
                message: peer_text(said.message.as_bytes()),
            },
            None => Failure::AuthFailed { code: 0, retry: false, message: peer_text(packet.data) },
        };
        let code = said.as_ref().map_or(0, |said| said.code);
        let is_ms_chap = algorithm != Algorithm::Md5;
        // MS-CHAPv1's first packet of this kind carries the hashes under a key that it names.
        let knows_packet = algorithm != Algorithm::MsChapV1
            || said.as_ref().is_none_or(|it| it.version != Some(1));
        Self {
            failure,
            wants_new_password: is_ms_chap && code == PASSWORD_EXPIRED && knows_packet,
            wants_other_login: is_ms_chap
                && code != PASSWORD_EXPIRED
                && said.as_ref().is_some_and(|said| said.retry),
            id: packet.id,
            challenge: Redacted(next_challenge(
                algorithm,
                said.and_then(|said| said.challenge),
                answered,
            )),
            peer_name,
        }
    }
}

/// Returns the challenge to answer after a Failure: the one that it names (RFC 2433 §7, RFC 2759 §6)
///
/// If it names none, both ends of MS-CHAPv1 derive the next challenge from the last one. MS-CHAPv2
/// has no such rule, so the last challenge is answered again.
fn next_challenge(algorithm: Algorithm, named: Option<Vec<u8>>, answered: &[u8]) -> Box<[u8]> {
    match (named, <[u8; 8]>::try_from(answered)) {
        (Some(named), _) if algorithm.takes(named.len()) => named.into(),
        (_, Ok(previous)) if algorithm == Algorithm::MsChapV1 => {
            v1_retry_challenge(previous).into()
        }
        _ => answered.into(),
    }
}

/// `ERROR_PASSWD_EXPIRED` (RFC 2759 §6)
const PASSWORD_EXPIRED: u32 = 648;
/// Times the same answer is sent because its verdict seems lost
const MAX_REPEATS: u8 = 10;
