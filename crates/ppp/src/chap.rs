//! MS-CHAPv2 in CHAP, the side that is authenticated (RFC 1994, RFC 2759)

use std::time::{Duration, Instant};

use pptp_mschap::{
    AuthenticatorResponse, HashName, Password, PasswordEncoding, Side, challenge_hash, master_key,
    nt_response,
};

use crate::authentication::{Authenticated, Authentication, Keys};
use crate::config::ClientConfig;
use crate::context::{Context, Trouble};
use crate::failure::{Failure, Protocol};
use crate::frame;
use crate::packet::{ChapValue, Packet};
use crate::round_trips::Sent;
use crate::stats::Discard;

pub(crate) const CHALLENGE: u8 = 1;
pub(crate) const RESPONSE: u8 = 2;
pub(crate) const SUCCESS: u8 = 3;
pub(crate) const FAILURE: u8 = 4;

/// Octets of the value of an MS-CHAPv2 Response (RFC 2759 §4)
pub(crate) const RESPONSE_LEN: usize = 49;

/// The side that is authenticated
#[derive(Debug)]
pub(crate) struct Chap {
    user: Box<str>,
    password: Password,
    hash_name: HashName,
    encoding: PasswordEncoding,
    /// The challenge answered last, and the answer
    exchange: Option<Exchange>,
    is_authenticated: bool,
    deadline: Option<Instant>,
}

/// One challenge and the answer to it
///
/// Kept for as long as the link is, so that the same challenge gets the identical answer: without
/// what follows from both, and without a verdict to wait for it is less than 80 octets.
#[derive(Debug)]
struct Exchange {
    id: u8,
    challenge: [u8; 16],
    peer_challenge: [u8; 16],
    proof: [u8; 24],
    /// Until the server's verdict
    pending: Option<Box<Pending>>,
    /// Times the answer may still be repeated because the verdict seems lost
    repeats: u8,
}

/// What the server's Success is checked against, and what it makes valid
#[derive(Debug)]
struct Pending {
    expected: AuthenticatorResponse,
    sent: Sent,
    authenticated: Authenticated,
}

impl Chap {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self {
            user: config.user.into(),
            password: config.password,
            hash_name: config.hash_name,
            encoding: config.password_encoding,
            exchange: None,
            is_authenticated: false,
            deadline: None,
        }
    }

    fn handle_challenge(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<(), Trouble> {
        let chap = ChapValue::parse(packet.data)?;
        let challenge = chap.value.try_into().map_err(|_| Trouble::Discard(Discard::Malformed))?;
        let is_repeated = |it: &Exchange| it.id == packet.id && it.challenge == challenge;
        if !self.exchange.as_ref().is_some_and(is_repeated) {
            self.exchange = Some(self.respond(now, packet.id, challenge, chap.name, context));
            if !self.is_authenticated {
                self.deadline = now.checked_add(PATIENCE);
            }
        }
        self.send_response(context);
        Ok(())
    }

    fn respond(
        &self,
        now: Instant,
        id: u8,
        challenge: [u8; 16],
        name: &[u8],
        context: &mut Context,
    ) -> Exchange {
        let peer_challenge: [u8; 16] = context.random.draw();
        let hash = self.password.nt_hash(self.encoding);
        let user = self.user.as_bytes();
        let challenge_8 = challenge_hash(&peer_challenge, &challenge, user, self.hash_name);
        let proof = nt_response(&challenge_8, &hash);
        let pending = Box::new(Pending {
            expected: AuthenticatorResponse::new(&hash, &proof, &challenge_8),
            sent: context.round_trips.stamp(now),
            authenticated: Authenticated {
                keys: Keys::V2(Box::new(master_key(&hash, &proof).start_keys(Side::Client))),
                peer_name: peer_name(name),
            },
        });
        let (pending, repeats) = (Some(pending), MOST_REPEATS);
        Exchange { id, challenge, peer_challenge, proof, pending, repeats }
    }

    fn send_response(&self, context: &mut Context) {
        if let Some(exchange) = &self.exchange {
            let mut data = Vec::new();
            ChapValue { value: &exchange.value(), name: self.user.as_bytes() }.emit(&mut data);
            context.send(frame::CHAP, &Packet { code: RESPONSE, id: exchange.id, data: &data });
        }
    }

    /// What a verdict with this identifier is about, if it is still open
    fn conclude(&mut self, id: u8) -> Result<Box<Pending>, Trouble> {
        let exchange = self.exchange.as_mut().filter(|exchange| exchange.id == id);
        let pending = exchange.and_then(|exchange| exchange.pending.take());
        pending.ok_or(Trouble::Discard(Discard::OutOfPhase))
    }

    /// RFC 2759 §5: without the right proof the server may be anyone
    fn handle_success(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<Option<Authenticated>, Trouble> {
        let Pending { expected, sent, authenticated } = *self.conclude(packet.id)?;
        if AuthenticatorResponse::parse(packet.data) != Ok(expected) {
            return Err(Failure::ServerNotAuthentic.into());
        }
        if self.is_authenticated {
            // Challenged anew while the link is up: the keys stay those of the first time.
            return Ok(None);
        }
        context.round_trips.answered(now, sent);
        self.is_authenticated = true;
        self.deadline = None;
        Ok(Some(authenticated))
    }

    fn handle_failure(&mut self, packet: &Packet<'_>) -> Result<Option<Authenticated>, Trouble> {
        self.conclude(packet.id)?;
        let (code, retry, message) = match pptp_mschap::Failure::parse(packet.data) {
            Ok(failure) => (failure.code, failure.retry, failure.message),
            Err(_) => (0, false, String::from_utf8_lossy(packet.data).into_owned()),
        };
        Err(Failure::AuthFailed { code, retry, message }.into())
    }
}

impl Exchange {
    /// The Response value (RFC 2759 §4): peer challenge, 8 octets of zero, NT-Response, flags
    fn value(&self) -> [u8; RESPONSE_LEN] {
        let mut value = [0; RESPONSE_LEN];
        let (challenge, rest) = value.split_at_mut(16);
        challenge.copy_from_slice(&self.peer_challenge);
        if let Some(proof) = rest.get_mut(8..32) {
            proof.copy_from_slice(&self.proof);
        }
        value
    }
}

impl Authentication for Chap {
    fn start(&mut self, now: Instant, _: &mut Context) {
        self.deadline = now.checked_add(PATIENCE);
    }

    fn stop(&mut self) {
        self.exchange = None;
        self.is_authenticated = false;
        self.deadline = None;
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        lcp_ack: Option<Sent>,
        context: &mut Context,
    ) -> Result<Option<Authenticated>, Trouble> {
        match packet.code {
            CHALLENGE => {
                if let (None, Some(lcp_ack)) = (&self.exchange, lcp_ack) {
                    context.round_trips.answered(now, lcp_ack);
                }
                self.handle_challenge(now, packet, context).map(|()| None)
            }
            SUCCESS => self.handle_success(now, packet, context),
            FAILURE => self.handle_failure(packet),
            _ => Err(Trouble::Discard(Discard::OutOfPhase)),
        }
    }

    /// The server's Success was lost, and it will not send it again by itself; but it answers the
    /// same Response with the same verdict (RFC 1994 §4.1)
    fn peer_went_ahead(&mut self, context: &mut Context) {
        let Some(exchange) = &mut self.exchange else { return };
        if exchange.pending.is_none() || exchange.repeats == 0 {
            return;
        }
        exchange.repeats = exchange.repeats.saturating_sub(1);
        self.send_response(context);
    }

    fn handle_timeout(&mut self, now: Instant, _: &mut Context) -> Result<(), Failure> {
        match self.deadline {
            Some(deadline) if deadline <= now => {
                Err(Failure::NegotiationTimeout { protocol: Protocol::Chap })
            }
            _ => Ok(()),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// A name for people: what is not UTF-8 is replaced, and what is too long cut off
pub(crate) fn peer_name(name: &[u8]) -> Box<str> {
    String::from_utf8_lossy(name.get(..MOST_NAME).unwrap_or(name)).into()
}

/// Time for a Challenge after LCP, and for the verdict after a Response
const PATIENCE: Duration = Duration::from_mins(1);
/// Times the same Response is sent because the peer went ahead without us
const MOST_REPEATS: u8 = 10;
/// Octets kept of a name: that of a Windows host has 15, a DNS name 255
const MOST_NAME: usize = 255;
