//! EAP with MS-CHAPv2 inside, the side that authenticates (RFC 3748)

use pptp_packet::Redacted;

use super::{
    accounts::Accounts,
    chap_verifier::{CHALLENGE, ChapVerifier, Verdict},
};
pub(super) use crate::wire::authentication::eap::{FAILURE, SUCCESS};
use crate::{
    authentication::{Algorithm, Authenticated},
    context::{Context, PacketError, random::Random, stats::Discard},
    failure::Failure,
    server::behavior::ServerBehavior,
    wire::{
        authentication::{
            TypeData, chap,
            eap::{IDENTITY, MD5_CHALLENGE, MSCHAP_V2, NAK, REQUEST, RESPONSE},
        },
        frame,
        packet::Packet,
        protocol::AuthenticationProtocol,
    },
};

/// The server's side of EAP: sends one Request at a time, until it is answered
#[derive(Debug)]
pub(crate) struct ServerEap {
    verifier: ChapVerifier,
    stage: ServerEapStage,
    id: u8,
    /// Type and data of the open Request
    request: Redacted<Vec<u8>>,
    /// Methods still to be proposed before the right one
    proposals: Vec<u8>,
}

#[derive(Debug)]
enum ServerEapStage {
    Identity,
    Proposal(u8),
    Method,
    /// The client has to acknowledge our proof
    Passed(Authenticated),
    /// The client has to acknowledge the refusal
    Refused(Failure),
    Over,
}

/// The outcome of a Response
#[derive(Debug)]
pub(crate) enum EapProgress {
    /// There is a Request to be sent
    Ask,
    Succeed(Authenticated),
    Fail(Failure),
}

impl ServerEap {
    pub(crate) fn new(id: u8, behavior: &ServerBehavior) -> Self {
        let mut eap = Self {
            verifier: ChapVerifier::new(Algorithm::MsChapV2, behavior),
            stage: ServerEapStage::Identity,
            id: 0,
            request: Redacted(Vec::new()),
            proposals: behavior.authentication.eap_proposals.clone(),
        };
        eap.restart(id);
        eap
    }

    pub(crate) fn restart(&mut self, id: u8) {
        self.stage = ServerEapStage::Identity;
        self.id = id;
        self.request = Redacted(vec![IDENTITY]);
    }

    pub(crate) fn transmit(&self, context: &mut Context) {
        let packet = Packet { code: REQUEST, id: self.id, data: &self.request };
        context.send(frame::EAP, &packet);
    }

    /// Sends Success or Failure
    pub(crate) fn conclude(&mut self, code: u8, context: &mut Context) {
        self.stage = ServerEapStage::Over;
        context.send(frame::EAP, &Packet { code, id: self.id, data: &[] });
    }

    pub(crate) fn handle_packet(
        &mut self,
        packet: &Packet<'_>,
        behavior: &ServerBehavior,
        accounts: &mut Accounts,
        random: &mut Random,
    ) -> Result<EapProgress, PacketError> {
        if packet.code != RESPONSE || packet.id != self.id {
            return Err(PacketError::Discard(Discard::OutOfPhase));
        }
        let response = TypeData::parse(packet)?;
        match (
            std::mem::replace(&mut self.stage, ServerEapStage::Over),
            response.kind,
            response.data.0,
        ) {
            (ServerEapStage::Identity, IDENTITY, _) => Ok(self.propose(behavior, random)),
            (ServerEapStage::Proposal(_), NAK, wanted)
                if wanted.contains(&MSCHAP_V2) && behavior.authentication.eap_has_mschap_v2 =>
            {
                Ok(self.propose(behavior, random))
            }
            (ServerEapStage::Proposal(method), ..) => {
                let offered = Some(AuthenticationProtocol::EapMethod(method));
                Ok(EapProgress::Fail(Failure::AuthProtocolRefused { offered }))
            }
            (ServerEapStage::Method, MSCHAP_V2, data) => {
                self.stage = ServerEapStage::Method;
                self.examine(data, behavior, accounts, random)
            }
            (ServerEapStage::Passed(authenticated), MSCHAP_V2, [chap::SUCCESS]) => {
                Ok(EapProgress::Succeed(authenticated))
            }
            (ServerEapStage::Refused(failure), MSCHAP_V2, [chap::FAILURE]) => {
                Ok(EapProgress::Fail(failure))
            }
            (stage, ..) => {
                self.stage = stage;
                Err(PacketError::Discard(Discard::OutOfPhase))
            }
        }
    }

    fn ask(&mut self, request: Vec<u8>) -> EapProgress {
        self.id = self.id.wrapping_add(1);
        self.request = Redacted(request);
        EapProgress::Ask
    }

    fn propose(&mut self, behavior: &ServerBehavior, random: &mut Random) -> EapProgress {
        if !self.proposals.is_empty() {
            let method = self.proposals.remove(0);
            self.stage = ServerEapStage::Proposal(method);
            // The data of the other methods do not matter: no client answers those.
            let challenge: [u8; 16] = random.draw();
            let rest = if method == MD5_CHALLENGE { &challenge[..] } else { &[] };
            let length = u8::try_from(rest.len()).unwrap_or_default();
            return self.ask([&[method, length], rest].concat());
        }
        self.stage = ServerEapStage::Method;
        self.verifier.challenge(self.id.wrapping_add(1), random);
        let data = self.verifier.challenge_data(&behavior.name);
        let id = self.verifier.id();
        self.ask(enclose(&Packet { code: CHALLENGE, id, data: &data }))
    }

    fn examine(
        &mut self,
        data: &[u8],
        behavior: &ServerBehavior,
        accounts: &mut Accounts,
        random: &mut Random,
    ) -> Result<EapProgress, PacketError> {
        let inner = Packet::parse(data)?;
        let verdict = self.verifier.judge(&inner, behavior, accounts, random)?;
        self.stage = match verdict {
            Verdict::Repeated | Verdict::Again => ServerEapStage::Method,
            Verdict::Passed(authenticated) => ServerEapStage::Passed(authenticated),
            Verdict::Refused(failure) => ServerEapStage::Refused(failure),
        };
        let request = self.verifier.verdict().map(|verdict| enclose(&verdict));
        Ok(self.ask(request.unwrap_or_default()))
    }
}

/// A CHAP packet as EAP carries it
fn enclose(packet: &Packet<'_>) -> Vec<u8> {
    let mut data = vec![MSCHAP_V2];
    packet.emit(&mut data);
    data
}
