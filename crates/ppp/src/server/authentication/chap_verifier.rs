//! Challenge and verdict of the CHAP family: the other side of the client's `Conversation`

use pptp_mschap::{
    AuthenticatorResponse, Password, Side, challenge_hash, master_key, md5_response, nt_response,
    v1_start_key_40_56, v1_start_key_128,
};
use pptp_packet::Redacted;
use subtle::ConstantTimeEq;

use super::accounts::Accounts;
pub(super) use crate::wire::authentication::chap::CHALLENGE;
use crate::{
    authentication::{Algorithm, Authenticated, Keys, V1Keys, peer_name},
    context::{PacketError, random::Random, stats::Discard},
    failure::Failure,
    server::behavior::{ServerBehavior, ServerOrder},
    wire::{
        authentication::{
            PasswordChanged,
            chap::{CHANGE_PASSWORD_V1, CHANGE_PASSWORD_V2, FAILURE, RESPONSE, SUCCESS},
        },
        packet::{ChapValue, Packet},
    },
};

/// The verifier of one client's answers, for the CHAP family
#[derive(Debug)]
pub(crate) struct ChapVerifier {
    algorithm: Algorithm,
    /// The challenges that may be answered; after a refusal there is one more
    id: u8,
    challenge: Redacted<Vec<u8>>,
    retries: u8,
    /// The name of a client whose password was right, and has expired
    expired: Option<Vec<u8>>,
    /// Identifier, code and text of the latest verdict, given again when its Response comes again
    verdict: Option<(u8, u8, Redacted<String>)>,
}

/// The outcome of an answer
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Repeats the verdict before
    Repeated,
    /// Refused, and another answer is welcome
    Again,
    Passed(Authenticated),
    Refused(Failure),
}

/// A correct answer
struct CorrectAnswer {
    proof: Option<AuthenticatorResponse>,
    keys: Keys,
}

impl ChapVerifier {
    pub(crate) const fn new(algorithm: Algorithm, behavior: &ServerBehavior) -> Self {
        Self {
            algorithm,
            id: 0,
            challenge: Redacted(Vec::new()),
            retries: behavior.authentication.retries,
            expired: None,
            verdict: None,
        }
    }

    /// Begins anew with another challenge
    pub(crate) fn challenge(&mut self, id: u8, random: &mut Random) {
        self.id = id;
        self.challenge = Redacted(self.draw(random));
        self.expired = None;
        self.verdict = None;
    }

    fn draw(&self, random: &mut Random) -> Vec<u8> {
        let octets: [u8; 16] = random.draw();
        let length = if self.algorithm == Algorithm::MsChapV1 { 8 } else { 16 };
        octets.get(..length).unwrap_or(&octets).to_vec()
    }

    pub(crate) const fn id(&self) -> u8 {
        self.id
    }

    pub(crate) fn challenge_data(&self, name: &str) -> Vec<u8> {
        let mut data = Vec::new();
        ChapValue { value: &self.challenge, name: name.as_bytes() }.emit(&mut data);
        data
    }

    pub(crate) fn verdict(&self) -> Option<Packet<'_>> {
        let (id, code, text) = self.verdict.as_ref()?;
        Some(Packet { code: *code, id: *id, data: text.as_bytes() })
    }

    pub(crate) fn judge(
        &mut self,
        packet: &Packet<'_>,
        behavior: &ServerBehavior,
        accounts: &mut Accounts,
        random: &mut Random,
    ) -> Result<Verdict, PacketError> {
        if self.verdict.as_ref().is_some_and(|(id, ..)| *id == packet.id) {
            return Ok(Verdict::Repeated);
        }
        let is_final = self.verdict.as_ref().is_some_and(|(_, code, _)| *code == SUCCESS);
        if is_final || packet.id != self.id {
            return Err(PacketError::Discard(Discard::OutOfPhase));
        }
        match (packet.code, self.expired.take()) {
            (RESPONSE, None) => {
                let chap = ChapValue::parse(packet.data)?;
                let right = self.check(&chap, accounts);
                Ok(self.decide(right, chap.name, behavior, random))
            }
            (code @ (CHANGE_PASSWORD_V1 | CHANGE_PASSWORD_V2), Some(user)) => {
                let right = self.check_change(code, packet.data, &user, accounts);
                Ok(self.decide_change(right, &user, behavior))
            }
            _ => Err(PacketError::Discard(Discard::OutOfPhase)),
        }
    }

    fn decide(
        &mut self,
        right: Option<CorrectAnswer>,
        user: &[u8],
        behavior: &ServerBehavior,
        random: &mut Random,
    ) -> Verdict {
        match right {
            Some(_) if behavior.authentication.expired => {
                self.expired = Some(user.to_vec());
                self.refuse(648, behavior, random);
                Verdict::Again
            }
            Some(right) => self.pass(right, user, behavior),
            None if self.retries > 0 => {
                self.retries = self.retries.saturating_sub(1);
                self.refuse(691, behavior, random);
                Verdict::Again
            }
            None => Verdict::Refused(self.refuse(691, behavior, random)),
        }
    }

    fn decide_change(
        &mut self,
        right: Option<CorrectAnswer>,
        user: &[u8],
        behavior: &ServerBehavior,
    ) -> Verdict {
        if let Some(right) = right {
            return self.pass(right, user, behavior);
        }
        let message = "E=709 R=0 V=3 M=The password could not be changed";
        self.verdict = Some((self.id, FAILURE, Redacted(message.to_owned())));
        Verdict::Refused(Failure::AuthFailed { code: 709, retry: false, message: String::new() })
    }

    fn pass(&mut self, right: CorrectAnswer, user: &[u8], behavior: &ServerBehavior) -> Verdict {
        let text = behavior.success(right.proof);
        self.verdict = Some((self.id, SUCCESS, Redacted(text)));
        Verdict::Passed(Authenticated { keys: right.keys, peer_name: peer_name(user) })
    }

    /// Refuses an answer; the next one has to answer the challenge of the refusal, with the next
    /// identifier
    fn refuse(&mut self, code: u32, behavior: &ServerBehavior, random: &mut Random) -> Failure {
        let is_last = code == 691 && self.retries == 0;
        if !is_last {
            self.challenge = Redacted(self.draw(random));
        }
        let refusal = behavior.refusal(code, !is_last, &self.challenge);
        let text = behavior.authentication.failure_text.clone();
        self.verdict =
            Some((self.id, FAILURE, Redacted(text.unwrap_or_else(|| refusal.to_string()))));
        self.id = self.id.wrapping_add(1);
        let pptp_mschap::Failure { code, retry, message, .. } = refusal;
        Failure::AuthFailed { code, retry, message }
    }

    fn check(&self, chap: &ChapValue<'_>, accounts: &Accounts) -> Option<CorrectAnswer> {
        let password = accounts.password(chap.name)?;
        match self.algorithm {
            Algorithm::Md5 => {
                let secret = password.octets(accounts.encoding);
                let expected = md5_response(self.id, &secret, &self.challenge);
                let is_right: bool = expected.ct_eq(chap.value).into();
                is_right.then_some(CorrectAnswer { proof: None, keys: Keys::None })
            }
            Algorithm::MsChapV1 => {
                let ([0, ..], Some(([nt @ .., 1], []))) =
                    (chap.value, chap.value.get(24..)?.split_first_chunk::<25>())
                else {
                    return None;
                };
                self.check_v1(nt, password, accounts)
            }
            Algorithm::MsChapV2 => {
                let (peer_challenge, rest) = chap.value.split_first_chunk::<16>()?;
                let (response, [_]) = rest.get(8..)?.split_first_chunk::<24>()? else {
                    return None;
                };
                self.check_v2(peer_challenge, response, chap.name, password, accounts)
            }
        }
    }

    fn check_change(
        &self,
        code: u8,
        body: &[u8],
        user: &[u8],
        accounts: &mut Accounts,
    ) -> Option<CorrectAnswer> {
        let changed = PasswordChanged::parse(code, body)?;
        let old = accounts.password(user)?.nt_hash(accounts.encoding);
        let new = changed.change.open(&old)?;
        let response = &changed.nt_response;
        let right = match (self.algorithm, &changed.peer_challenge) {
            (Algorithm::MsChapV1, None) => self.check_v1(response, &new, accounts),
            (Algorithm::MsChapV2, Some(peer_challenge)) => {
                self.check_v2(peer_challenge, response, user, &new, accounts)
            }
            _ => None,
        }?;
        accounts.change(user, new);
        Some(right)
    }

    fn check_v1(
        &self,
        response: &[u8; 24],
        password: &Password,
        accounts: &Accounts,
    ) -> Option<CorrectAnswer> {
        let hash = password.nt_hash(accounts.encoding);
        let challenge = self.challenge.as_slice().try_into().ok()?;
        let expected = nt_response(&challenge, &hash);
        bool::from(expected.ct_eq(response)).then(|| CorrectAnswer {
            proof: None,
            keys: Keys::V1(Box::new(V1Keys {
                bits_128: v1_start_key_128(&hash, &challenge),
                bits_40_56: v1_start_key_40_56(&password.lm_hash()),
            })),
        })
    }

    fn check_v2(
        &self,
        peer_challenge: &[u8; 16],
        response: &[u8; 24],
        user: &[u8],
        password: &Password,
        accounts: &Accounts,
    ) -> Option<CorrectAnswer> {
        let hash = password.nt_hash(accounts.encoding);
        let challenge = self.challenge.as_slice().try_into().ok()?;
        let challenge = challenge_hash(peer_challenge, &challenge, user, accounts.hash_name);
        let expected = nt_response(&challenge, &hash);
        bool::from(expected.ct_eq(response)).then(|| CorrectAnswer {
            proof: Some(AuthenticatorResponse::new(&hash, response, &challenge)),
            keys: Keys::V2(Box::new(master_key(&hash, response).start_keys(Side::Server))),
        })
    }
}

impl ServerBehavior {
    /// The text of a Success: the proof, and unless the server is Windows a message
    fn success(&self, proof: Option<AuthenticatorResponse>) -> String {
        if let Some(text) = &self.authentication.success_text {
            return text.clone();
        }
        let proof = proof.map(|proof| proof.to_string()).unwrap_or_default();
        let words = match self.order {
            ServerOrder::Pppd => "M=Access granted",
            ServerOrder::AccelPpp => "M=Authentication succeeded",
            ServerOrder::Rras => "",
        };
        format!("{proof} {words}").trim().to_owned()
    }

    fn refusal(&self, code: u32, is_welcome: bool, challenge: &[u8]) -> pptp_mschap::Failure {
        let (retry, challenge, version, message) = match self.order {
            ServerOrder::Pppd => (true, Some(challenge.into()), 0, "Access denied"),
            ServerOrder::AccelPpp if !is_welcome => (false, None, 3, "Authentication failure"),
            ServerOrder::AccelPpp => (true, Some(challenge.into()), 3, "Authentication failure"),
            ServerOrder::Rras => (true, Some(challenge.into()), 3, ""),
        };
        let (version, message) = (Some(version), message.to_owned());
        pptp_mschap::Failure { code, retry, challenge, version, message }
    }
}
