//! The side that authenticates and assigns addresses, in the manner of three real servers

mod authentication;
mod ccp;
mod ipcp;
mod lcp;
mod manners;

use std::time::Instant;

pub use manners::{OnNak, ServerAuthentication};

use crate::config::{ServerConfig, ServerOrder};
use crate::machine::{Machine, Parts};
use crate::negotiator::Negotiator;
use crate::packet::Code;
use crate::role::{IpcpStart, Role};

/// The side that authenticates the other and assigns its address
#[derive(Debug)]
pub(crate) struct Server {
    order: ServerOrder,
    identification: Option<String>,
    seconds_remaining: Option<u32>,
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

    /// With the Magic-Number 0: who has none says so
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
        },
        lcp: Negotiator::new(lcp::Lcp::new(&config)).counting_from(first_identifier),
        ccp: Negotiator::new(ccp::Ccp::new(&config)),
        ipcp: Negotiator::new(ipcp::Ipcp::new(&config)),
        ipv6cp: crate::ipv6::wanted(config.ipv6),
        echo: config.echo,
        proof: crate::config::ProofPolicy { is_enabled: false, has_answered: false },
        carrier_limit: config.carrier_limit,

        authentication: authentication::Authenticator::new(config),
    };
    Machine::new(parts, seed)
}
