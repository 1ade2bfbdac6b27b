//! The side that authenticates and assigns addresses, in the manner of three real servers

mod authentication;
pub(crate) mod behavior;
mod ccp;
pub(crate) mod config;
pub(crate) mod faults;
mod ipcp;
mod lcp;
pub(crate) mod slow_start;

use std::time::Instant;

use crate::authentication::Keys;
use crate::context::Context;
use crate::context::random::Random;
use crate::failure::ras::RasCode;
use crate::liveness::echo::Echo;
use crate::machine::role::{IpcpStart, Role};
use crate::machine::{Machine, Parts};
use crate::negotiation::ipv6cp;
use crate::negotiation::negotiator::Negotiator;
use crate::wire::frame;
use crate::wire::packet::Code;
use crate::wire::protocol::Protocol;
use behavior::{OnNak, ServerOrder};
use config::ServerConfig;
use faults::{Deafness, Echoes, LinkFaults};
use slow_start::{SlowStart, Start};

/// The side that authenticates the other and assigns its address
#[derive(Debug)]
pub(crate) struct Server {
    order: ServerOrder,
    identification: Option<String>,
    seconds_remaining: Option<u32>,
    slow_start: Option<SlowStart>,
    turns_ipcp_away: bool,
    start: Start,
    faults: LinkFaults,
    is_deaf: bool,
    farewell: Vec<(Protocol, RasCode)>,
}

impl Role for Server {
    type Lcp = lcp::Lcp;
    type Authentication = authentication::Authenticator;
    type Ccp = ccp::Ccp;
    type Ipcp = ipcp::Ipcp;

    fn ipcp_start(&self) -> IpcpStart {
        match self.order {
            ServerOrder::Pppd => IpcpStart::ClosedAtFirst,
            ServerOrder::AccelPpp => IpcpStart::DeafAtFirst,
            ServerOrder::Rras => IpcpStart::AtOnce,
        }
    }

    fn postpone(&mut self, now: Instant, keys: Keys, random: &mut Random) -> Option<Keys> {
        let Some(times) = &self.slow_start else { return Some(keys) };
        self.start.postpone(now, keys, times, random);
        None
    }

    fn due(&mut self, now: Instant) -> Option<Keys> {
        self.start.due(now)
    }

    fn deadline(&self) -> Option<Instant> {
        self.start.deadline()
    }

    fn is_deaf_to_network(&self) -> bool {
        self.start.is_waiting()
    }

    fn note_ccp_ack(&mut self, now: Instant) {
        self.start.note_ack(now);
    }

    fn turns_ipcp_away(&self) -> bool {
        self.turns_ipcp_away
    }

    fn turns_mppe_away(&mut self, id: u8, information: &[u8], context: &mut Context) -> bool {
        let missed_ack = self.start.missed_ack.then_some(Deafness::RejectsMppe);
        let deaf = missed_ack.or(self.faults.deaf);
        if let Some(deafness) = deaf {
            deafness.answer(id, information, context);
        }
        deaf.is_some()
    }

    fn garble(&self, encrypted: &mut [u8]) {
        if self.faults.garbles {
            for octet in encrypted {
                *octet = !*octet;
            }
        }
    }

    fn echo_magic(&self, own: [u8; 4], request: &[u8]) -> Option<[u8; 4]> {
        self.faults.echoes.magic(own, request)
    }

    fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    fn farewell(&self) -> Vec<(u16, Vec<u8>)> {
        let farewell = self.farewell.iter();
        farewell.map(|(protocol, code)| (protocol.number(), code.data())).collect()
    }

    /// Returns remarks with the Magic-Number 0, which stands for an end without one
    fn remarks(&self) -> Vec<(Code, Vec<u8>)> {
        let magic = [0; 4];
        let identification = self.identification.as_ref().map(|text| text.as_bytes().to_vec());
        let remaining = self.seconds_remaining.map(|seconds| seconds.to_be_bytes().to_vec());
        let remarks = [(Code::Identification, identification), (Code::TimeRemaining, remaining)];
        let said = remarks.into_iter().filter_map(|(code, data)| Some((code, data?)));
        said.map(|(code, data)| (code, [&magic[..], &data].concat())).collect()
    }
}

impl Machine<Server> {
    /// Ends LCP with an error code of Windows, and waits for the client to hang up
    ///
    /// From here on it answers no Echo-Request, and opens nothing: its LCP is in the Closing state (RFC 1661 §4.2).
    pub(crate) fn terminate(&mut self, code: RasCode) {
        let (deaf, echoes) = (Some(Deafness::Silent), Echoes::Unanswered);
        self.set_faults(LinkFaults { deaf, echoes, ..self.role.faults });
        self.send_terminate_request(frame::LCP, &code.data());
    }

    /// Switches failures on and off
    pub(crate) const fn set_faults(&mut self, faults: LinkFaults) {
        self.role.faults = faults;
    }

    /// Has the client prove once more who it is
    pub(crate) fn challenge(&mut self, now: Instant) {
        self.authentication.challenge_again(now, &mut self.context);
    }
}

/// A server as `config` describes it
pub(crate) fn machine(config: ServerConfig, seed: [u8; 32]) -> Machine<Server> {
    let first_identifier = config.extras.first_identifier.unwrap_or(1);
    let parts = Parts {
        role: Server {
            order: config.order,
            identification: config.extras.identification.clone(),
            seconds_remaining: config.extras.seconds_remaining,
            slow_start: config.extras.slow_start.clone(),
            turns_ipcp_away: config.extras.turns_ipcp_away,
            start: Start::default(),
            faults: LinkFaults::default(),
            is_deaf: config.authentication.on_nak == OnNak::Deaf,
            farewell: config.extras.farewell.clone(),
        },
        lcp: Negotiator::new(lcp::Lcp::new(&config)).counting_from(first_identifier),
        ccp: Negotiator::new(ccp::Ccp::new(&config)),
        ipcp: Negotiator::new(ipcp::Ipcp::new(&config)),
        ipv6cp: ipv6cp::negotiator(config.ipv6),
        echo: Echo::new(config.echo),
        id: 0,
        proof: crate::config::ProofPolicy { is_enabled: false, has_answered: false },
        carrier_limit: config.carrier_limit,

        authentication: authentication::Authenticator::new(config),
    };
    Machine::new(parts, seed)
}
