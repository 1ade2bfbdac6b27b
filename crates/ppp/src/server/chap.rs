//! MS-CHAPv2 in CHAP, the side that authenticates (RFC 1994, RFC 2759)

use std::time::{Duration, Instant};

use pptp_mschap::{
    AuthenticatorResponse, HashName, Password, PasswordEncoding, Side, challenge_hash, master_key,
    nt_response,
};
use subtle::ConstantTimeEq;

use crate::authentication::{Authenticated, Authentication, Keys};
use crate::chap::{CHALLENGE, FAILURE, RESPONSE, RESPONSE_LEN, SUCCESS, peer_name};
use crate::config::{ServerConfig, ServerOrder};
use crate::context::{Context, Trouble};
use crate::failure::{Failure, Protocol};
use crate::frame;
use crate::packet::{ChapValue, Packet};
use crate::round_trips::Sent;
use crate::stats::Discard;

/// The side that authenticates
#[derive(Debug)]
pub(crate) struct Chap {
    name: String,
    secrets: Vec<(String, Password)>,
    hash_name: HashName,
    order: ServerOrder,
    id: u8,
    challenge: [u8; 16],
    /// Challenges still to be sent if no Response comes
    tries: u8,
    deadline: Option<Instant>,
    /// Code and text of the verdict, given again when the same Response comes again
    verdict: Option<(u8, String)>,
}

impl Chap {
    pub(crate) fn new(config: ServerConfig) -> Self {
        Self {
            name: config.name,
            secrets: config.secrets,
            hash_name: config.hash_name,
            order: config.order,
            id: 0,
            challenge: [0; 16],
            tries: 0,
            deadline: None,
            verdict: None,
        }
    }

    fn send_challenge(&mut self, now: Instant, context: &mut Context) {
        self.tries = self.tries.saturating_sub(1);
        self.deadline = now.checked_add(RESTART);
        let mut data = Vec::new();
        ChapValue { value: &self.challenge, name: self.name.as_bytes() }.emit(&mut data);
        context.send(frame::CHAP, &Packet { code: CHALLENGE, id: self.id, data: &data });
    }

    fn send_verdict(&self, context: &mut Context) {
        if let Some((code, text)) = &self.verdict {
            let packet = Packet { code: *code, id: self.id, data: text.as_bytes() };
            context.send(frame::CHAP, &packet);
        }
    }

    /// The proof and the keys, if the Response was made with the user's password
    fn check(&self, chap: &ChapValue<'_>) -> Option<(AuthenticatorResponse, Authenticated)> {
        let value: &[u8; RESPONSE_LEN] = chap.value.try_into().ok()?;
        let (peer_challenge, rest) = value.split_first_chunk::<16>()?;
        let response = rest.get(8..)?.first_chunk::<24>()?;
        let named = |(user, _): &&(String, Password)| user.as_bytes() == chap.name;
        let (_, password) = self.secrets.iter().find(named)?;
        let hash = password.nt_hash(PasswordEncoding::Utf16);
        let challenge = challenge_hash(peer_challenge, &self.challenge, chap.name, self.hash_name);
        let expected = nt_response(&challenge, &hash);
        bool::from(expected.ct_eq(response)).then(|| {
            let keys = Keys::V2(Box::new(master_key(&hash, response).start_keys(Side::Server)));
            let proof = AuthenticatorResponse::new(&hash, response, &challenge);
            (proof, Authenticated { keys, peer_name: peer_name(chap.name) })
        })
    }

    /// Windows gives the proof without a word
    fn success(&self, proof: AuthenticatorResponse) -> String {
        match self.order {
            ServerOrder::Pppd => format!("{proof} M=Access granted"),
            ServerOrder::AccelPpp => format!("{proof} M=Authentication succeeded"),
            ServerOrder::Rras => proof.to_string(),
        }
    }

    fn refusal(&self) -> pptp_mschap::Failure {
        let (retry, challenge, version, message) = match self.order {
            ServerOrder::Pppd => (true, Some(self.challenge.into()), 0, "Access denied"),
            ServerOrder::AccelPpp => (false, None, 3, "Authentication failure"),
            ServerOrder::Rras => (true, Some(self.challenge.into()), 3, ""),
        };
        let (version, message) = (Some(version), message.to_owned());
        pptp_mschap::Failure { code: 691, retry, challenge, version, message }
    }

    fn handle_response(
        &mut self,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<Option<Authenticated>, Trouble> {
        let chap = ChapValue::parse(packet.data)?;
        if packet.id != self.id
            || self.tries == 0 && self.deadline.is_none() && self.verdict.is_none()
        {
            return Err(Trouble::Discard(Discard::OutOfPhase));
        }
        if self.verdict.is_some() {
            self.send_verdict(context);
            return Ok(None);
        }
        self.deadline = None;
        match self.check(&chap) {
            Some((proof, authenticated)) => {
                self.verdict = Some((SUCCESS, self.success(proof)));
                self.send_verdict(context);
                Ok(Some(authenticated))
            }
            None => Err(self.refuse(context).into()),
        }
    }

    fn refuse(&mut self, context: &mut Context) -> Failure {
        let refusal = self.refusal();
        self.verdict = Some((FAILURE, refusal.to_string()));
        self.send_verdict(context);
        let pptp_mschap::Failure { code, retry, message, .. } = refusal;
        Failure::AuthFailed { code, retry, message }
    }
}

impl Authentication for Chap {
    fn start(&mut self, now: Instant, context: &mut Context) {
        self.id = self.id.wrapping_add(1);
        self.challenge = context.random.draw();
        self.tries = MOST_TRIES;
        self.verdict = None;
        self.send_challenge(now, context);
    }

    fn stop(&mut self) {
        self.deadline = None;
        self.tries = 0;
        self.verdict = None;
    }

    fn handle_packet(
        &mut self,
        _: Instant,
        packet: &Packet<'_>,
        _: Option<Sent>,
        context: &mut Context,
    ) -> Result<Option<Authenticated>, Trouble> {
        match packet.code {
            RESPONSE => self.handle_response(packet, context),
            _ => Err(Trouble::Discard(Discard::OutOfPhase)),
        }
    }

    fn handle_timeout(&mut self, now: Instant, context: &mut Context) -> Result<(), Failure> {
        match self.deadline {
            Some(deadline) if deadline <= now && self.tries == 0 => {
                Err(Failure::NegotiationTimeout { protocol: Protocol::Chap })
            }
            Some(deadline) if deadline <= now => {
                self.send_challenge(now, context);
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
const MOST_TRIES: u8 = 10;
