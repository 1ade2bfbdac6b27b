//! Challenge, answer and verdict of the CHAP family (RFC 1994, RFC 2433, RFC 2759), whatever carries
//! them: CHAP itself, or EAP

use std::time::Instant;

use pptp_mschap::{AuthenticatorResponse, Password, v1_retry_challenge};
use pptp_packet::Redacted;

use super::account::{Account, Algorithm, Answer, Proof};
use super::{Authenticated, peer_name, words};
use crate::context::round_trips::Sent;
use crate::context::stats::Discard;
use crate::context::{Context, Trouble};
use crate::failure::Failure;
use crate::wire::authentication::chap::{CHALLENGE, FAILURE, RESPONSE, SUCCESS};
use crate::wire::packet::{ChapValue, Packet};

/// The side that is authenticated
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
    /// The challenge, and behind it the data of the answer, or what it is made from
    octets: Redacted<Box<[u8]>>,
    /// Octets of the challenge
    length: u8,
    /// True if the answer is to be made anew
    is_compact: bool,
    id: u8,
    /// The answer's
    code: u8,
    /// The Failure that this is the answer to, and not a Challenge
    refusal: Option<u8>,
    /// Until the server's verdict
    pending: Option<Box<Pending>>,
    /// Times the answer may still be repeated because the verdict seems lost
    repeats: u8,
}

/// The decision of a verdict
#[derive(Debug)]
struct Pending {
    proof: Proof,
    sent: Sent,
    peer_name: Box<str>,
}

/// The outcome of a packet
#[derive(Debug)]
pub(crate) enum Step {
    /// [`Conversation::answer`] is to be sent, perhaps once more
    Answer,
    /// The server took the answer, and gave its own proof where the algorithm has one
    Proven(Proven),
    /// The server refused the login
    Refused(Box<Refusal>),
}

/// A verdict in our favour
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) authenticated: Authenticated,
    pub(crate) sent: Sent,
    /// The answer was a Change-Password
    pub(crate) changed_password: bool,
}

/// A verdict against us, and what could be said to it
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The failure that ends the link
    pub(crate) failure: Failure,
    /// True if it is about an expired password that may be changed
    pub(crate) wants_new_password: bool,
    /// True if another login would be welcome
    pub(crate) wants_other_login: bool,
    id: u8,
    /// The challenge that another answer has to be made of
    challenge: Redacted<Box<[u8]>>,
    peer_name: Box<str>,
}

impl Conversation {
    pub(crate) const fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, exchange: None }
    }

    /// Returns whether nothing was answered yet
    pub(crate) const fn is_new(&self) -> bool {
        self.exchange.is_none()
    }

    /// Returns whether a verdict is still to come
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
    ) -> Result<Step, Trouble> {
        match packet.code {
            CHALLENGE => self.handle_challenge(now, packet, account, context),
            SUCCESS => self.handle_success(packet),
            FAILURE => self.handle_failure(packet),
            _ => Err(Trouble::Discard(Discard::OutOfPhase)),
        }
    }

    fn handle_challenge(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        account: &Account,
        context: &mut Context,
    ) -> Result<Step, Trouble> {
        let chap = ChapValue::parse(packet.data)?;
        if !self.algorithm.takes(chap.value.len()) {
            return Err(Trouble::Discard(Discard::Malformed));
        }
        let is_repeated = |it: &Exchange| it.id == packet.id && it.challenge() == chap.value;
        if let Some(exchange) = self.exchange.as_mut().filter(|exchange| is_repeated(exchange)) {
            exchange.expand(self.algorithm, account);
        } else {
            let peer_challenge = context.random.draw();
            let answer = account.respond(self.algorithm, packet.id, chap.value, &peer_challenge);
            let answer = answer.ok_or(Trouble::Discard(Discard::Malformed))?;
            let exchange = Exchange::new(packet.id, chap.value, answer, peer_name(chap.name));
            self.exchange = Some(exchange(context.round_trips.stamp(now)));
        }
        Ok(Step::Answer)
    }

    /// Returns whether a verdict is against us, or has not the proof that it should have
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

    /// RFC 2759 §5: without the right proof the server may be anyone
    fn handle_success(&mut self, packet: &Packet<'_>) -> Result<Step, Trouble> {
        let (code, pending) = self.conclude(packet.id)?;
        if !pending.is_proven_by(packet) {
            return Err(Failure::ServerNotAuthentic.into());
        }
        let Pending { proof: Proof { keys, .. }, sent, peer_name } = *pending;
        let changed_password = code != RESPONSE;
        if changed_password {
            // Nothing is repeated any more, and it is large.
            self.exchange = None;
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.compact();
        }
        let authenticated = Authenticated { keys, peer_name };
        Ok(Step::Proven(Proven { authenticated, sent, changed_password }))
    }

    fn handle_failure(&mut self, packet: &Packet<'_>) -> Result<Step, Trouble> {
        let was_answered = |it: &Exchange| it.refusal == Some(packet.id) && it.pending.is_some();
        if self.exchange.as_ref().is_some_and(was_answered) {
            let repeated = self.repeat().map(|_| Step::Answer);
            return repeated.ok_or(Trouble::Discard(Discard::OutOfPhase));
        }
        let (_, pending) = self.conclude(packet.id)?;
        let challenge = self.exchange.as_ref().map(Exchange::challenge).unwrap_or_default();
        let refusal = Refusal::new(self.algorithm, packet, challenge, pending.peer_name);
        Ok(Step::Refused(Box::new(refusal)))
    }

    /// Returns the exchange that a verdict with this identifier is about, if it is still open
    fn conclude(&mut self, id: u8) -> Result<(u8, Box<Pending>), Trouble> {
        let exchange = self.exchange.as_mut().filter(|exchange| exchange.id == id);
        let concluded = exchange.and_then(|it| Some((it.code, it.pending.take()?)));
        concluded.ok_or(Trouble::Discard(Discard::OutOfPhase))
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
    /// Returns whether a Success has the server's proof, where the algorithm has one
    fn is_proven_by(&self, success: &Packet<'_>) -> bool {
        let expected = self.proof.expected.as_ref();
        expected.is_none_or(|it| AuthenticatorResponse::parse(success.data).as_ref() == Ok(it))
    }
}

impl Exchange {
    /// Lacks only when it was sent
    fn new(
        id: u8,
        challenge: &[u8],
        answer: Answer,
        peer_name: Box<str>,
    ) -> impl FnOnce(Sent) -> Self + use<> {
        let Answer { code, data, proof } = answer;
        let octets = Redacted([challenge, &data].concat().into());
        let length = u8::try_from(challenge.len()).unwrap_or(u8::MAX);
        move |sent| Self {
            octets,
            length,
            is_compact: false,
            id,
            code,
            refusal: None,
            pending: Some(Box::new(Pending { proof, sent, peer_name })),
            repeats: MAX_REPEATS,
        }
    }

    /// Keeps nothing but the challenge and our part of a Response of MS-CHAPv2
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
    /// Reads a Failure, in whatever form
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
                message: words(said.message.as_bytes()),
            },
            None => Failure::AuthFailed { code: 0, retry: false, message: words(packet.data) },
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
/// One that names none means, in MS-CHAPv1, a challenge both know how to make; in MS-CHAPv2, which has
/// no such rule, the last one is all there is.
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
