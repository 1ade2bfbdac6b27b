//! The side that authenticates and assigns addresses, in the manner of three real servers
//!
//! | module | content |
//! |---|---|
//! | `config` | the configuration of a server's link |
//! | `behavior` | the manner of a server: order of messages, encryption, authentication |
//! | `lcp`, `ccp`, `ipcp` | the options of the three protocols, as a server negotiates them |
//! | `authentication` | the check of a login: PAP, the CHAP family, MS-CHAPv2 in EAP |
//! | `startup_delays` | the start of the network phase in accel-ppp's manner, late and at first deaf |
//! | `faults` | failures of the data path that can be switched while the link is up |

mod authentication;
pub(crate) mod behavior;
mod ccp;
pub(crate) mod config;
pub(crate) mod faults;
mod ipcp;
mod lcp;
pub(crate) mod startup_delays;

use std::time::Instant;

use crate::{
    authentication::Keys,
    context::{Context, random::Random},
    failure::ras::RasCode,
    liveness::echo::Echo,
    machine::{
        Machine, Parts,
        role::{IpcpStart, Role},
    },
    negotiation::{ipv6cp, negotiator::Negotiator},
    wire::{frame, packet::Code, protocol::Protocol},
};
use behavior::{OnNak, ServerOrder};
use config::ServerConfig;
use faults::{Deafness, Echoes, LinkFaults};
use startup_delays::{Start, StartupDelays};

/// The side that authenticates the other and assigns its address
#[derive(Debug)]
pub(crate) struct Server {
    order: ServerOrder,
    identification: Option<String>,
    seconds_remaining: Option<u32>,
    startup_delays: Option<StartupDelays>,
    turns_ipcp_away: bool,
    start: Start,
    faults: LinkFaults,
    is_deaf: bool,
    terminate_requests: Vec<(Protocol, RasCode)>,
}

impl Role for Server {
    type Lcp = lcp::ServerLcp;
    type Authentication = authentication::Authenticator;
    type Ccp = ccp::ServerCcp;
    type Ipcp = ipcp::ServerIpcp;

    fn ipcp_start(&self) -> IpcpStart {
        match self.order {
            ServerOrder::Pppd => IpcpStart::ClosedAtFirst,
            ServerOrder::AccelPpp => IpcpStart::DeafAtFirst,
            ServerOrder::Rras => IpcpStart::AtOnce,
        }
    }

    fn postpone(&mut self, now: Instant, keys: Keys, random: &mut Random) -> Option<Keys> {
        let Some(times) = &self.startup_delays else { return Some(keys) };
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

    fn corrupt(&self, encrypted: &mut [u8]) {
        if self.faults.corrupts {
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

    fn terminate_requests(&self) -> Vec<(u16, Vec<u8>)> {
        let terminate_requests = self.terminate_requests.iter();
        terminate_requests.map(|(protocol, code)| (protocol.number(), code.data())).collect()
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

    /// Asks the client to prove once more who it is
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
            startup_delays: config.extras.startup_delays.clone(),
            turns_ipcp_away: config.extras.turns_ipcp_away,
            start: Start::default(),
            faults: LinkFaults::default(),
            is_deaf: config.authentication.on_nak == OnNak::Deaf,
            terminate_requests: config.extras.terminate_requests.clone(),
        },
        lcp: Negotiator::new(lcp::ServerLcp::new(&config)).counting_from(first_identifier),
        ccp: Negotiator::new(ccp::ServerCcp::new(&config)),
        ipcp: Negotiator::new(ipcp::ServerIpcp::new(&config)),
        ipv6cp: ipv6cp::negotiator(config.ipv6),
        echo: Echo::new(config.echo),
        id: 0,
        proof: crate::config::ProofPolicy { is_enabled: false, has_answered: false },
        carrier_limit: config.carrier_limit,

        authentication: authentication::Authenticator::new(config),
    };
    Machine::new(parts, seed)
}
