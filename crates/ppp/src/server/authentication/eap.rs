//! EAP with MS-CHAPv2 inside, the side that authenticates (RFC 3748)

use pptp_packet::Redacted;

use super::accounts::Accounts;
use super::examination::{CHALLENGE, Examination, Verdict};
use crate::authentication::{Algorithm, Authenticated};
use crate::context::random::Random;
use crate::context::stats::Discard;
use crate::context::{Context, Trouble};
use crate::failure::Failure;
use crate::server::behavior::ServerBehavior;
pub(super) use crate::wire::authentication::eap::{FAILURE, SUCCESS};
use crate::wire::authentication::eap::{
    IDENTITY, MD5_CHALLENGE, MSCHAP_V2, NAK, REQUEST, RESPONSE,
};
use crate::wire::authentication::{Typed, chap};
use crate::wire::frame;
use crate::wire::packet::Packet;
use crate::wire::protocol::AuthenticationProtocol;

/// Asks one thing at a time, until it is answered
#[derive(Debug)]
pub(crate) struct Eap {
    examination: Examination,
    stage: Stage,
    id: u8,
    /// Type and data of the open Request
    request: Redacted<Vec<u8>>,
    /// Methods still to be proposed before the right one
    proposals: Vec<u8>,
}

#[derive(Debug)]
enum Stage {
    Identity,
    Proposal(u8),
    Method,
    /// The client has to acknowledge our proof
    Passed(Authenticated),
    /// The client has to acknowledge that it is out
    Refused(Failure),
    Over,
}

/// The outcome of a Response
#[derive(Debug)]
pub(crate) enum Step {
    /// There is a Request to be sent
    Ask,
    Succeed(Authenticated),
    Fail(Failure),
}

impl Eap {
    pub(crate) fn new(id: u8, behavior: &ServerBehavior) -> Self {
        let mut eap = Self {
            examination: Examination::new(Algorithm::MsChapV2, behavior),
            stage: Stage::Identity,
            id: 0,
            request: Redacted(Vec::new()),
            proposals: behavior.authentication.eap_proposals.clone(),
        };
        eap.restart(id);
        eap
    }

    pub(crate) fn restart(&mut self, id: u8) {
        self.stage = Stage::Identity;
        self.id = id;
        self.request = Redacted(vec![IDENTITY]);
    }

    pub(crate) fn transmit(&self, context: &mut Context) {
        let packet = Packet { code: REQUEST, id: self.id, data: &self.request };
        context.send(frame::EAP, &packet);
    }

    /// Sends Success or Failure
    pub(crate) fn conclude(&mut self, code: u8, context: &mut Context) {
        self.stage = Stage::Over;
        context.send(frame::EAP, &Packet { code, id: self.id, data: &[] });
    }

    pub(crate) fn handle_packet(
        &mut self,
        packet: &Packet<'_>,
        behavior: &ServerBehavior,
        accounts: &mut Accounts,
        random: &mut Random,
    ) -> Result<Step, Trouble> {
        if packet.code != RESPONSE || packet.id != self.id {
            return Err(Trouble::Discard(Discard::OutOfPhase));
        }
        let response = Typed::parse(packet)?;
        match (std::mem::replace(&mut self.stage, Stage::Over), response.kind, response.data.0) {
            (Stage::Identity, IDENTITY, _) => Ok(self.propose(behavior, random)),
            (Stage::Proposal(_), NAK, wanted)
                if wanted.contains(&MSCHAP_V2) && behavior.authentication.eap_has_mschap_v2 =>
            {
                Ok(self.propose(behavior, random))
            }
            (Stage::Proposal(method), ..) => {
                let offered = Some(AuthenticationProtocol::EapMethod(method));
                Ok(Step::Fail(Failure::AuthProtocolRefused { offered }))
            }
            (Stage::Method, MSCHAP_V2, data) => {
                self.stage = Stage::Method;
                self.examine(data, behavior, accounts, random)
            }
            (Stage::Passed(authenticated), MSCHAP_V2, [chap::SUCCESS]) => {
                Ok(Step::Succeed(authenticated))
            }
            (Stage::Refused(failure), MSCHAP_V2, [chap::FAILURE]) => Ok(Step::Fail(failure)),
            (stage, ..) => {
                self.stage = stage;
                Err(Trouble::Discard(Discard::OutOfPhase))
            }
        }
    }

    fn ask(&mut self, request: Vec<u8>) -> Step {
        self.id = self.id.wrapping_add(1);
        self.request = Redacted(request);
        Step::Ask
    }

    fn propose(&mut self, behavior: &ServerBehavior, random: &mut Random) -> Step {
        if !self.proposals.is_empty() {
            let method = self.proposals.remove(0);
            self.stage = Stage::Proposal(method);
            // What the others say first does not matter: none of them gets an answer.
            let challenge: [u8; 16] = random.draw();
            let rest = if method == MD5_CHALLENGE { &challenge[..] } else { &[] };
            let length = u8::try_from(rest.len()).unwrap_or_default();
            return self.ask([&[method, length], rest].concat());
        }
        self.stage = Stage::Method;
        self.examination.challenge(self.id.wrapping_add(1), random);
        let data = self.examination.challenge_data(&behavior.name);
        let id = self.examination.id();
        self.ask(enclose(&Packet { code: CHALLENGE, id, data: &data }))
    }

    fn examine(
        &mut self,
        data: &[u8],
        behavior: &ServerBehavior,
        accounts: &mut Accounts,
        random: &mut Random,
    ) -> Result<Step, Trouble> {
        let inner = Packet::parse(data)?;
        let verdict = self.examination.judge(&inner, behavior, accounts, random)?;
        self.stage = match verdict {
            Verdict::Repeated | Verdict::Again => Stage::Method,
            Verdict::Passed(authenticated) => Stage::Passed(authenticated),
            Verdict::Refused(failure) => Stage::Refused(failure),
        };
        let request = self.examination.verdict().map(|verdict| enclose(&verdict));
        Ok(self.ask(request.unwrap_or_default()))
    }
}

/// A CHAP packet as EAP carries it
fn enclose(packet: &Packet<'_>) -> Vec<u8> {
    let mut data = vec![MSCHAP_V2];
    packet.emit(&mut data);
    data
}
