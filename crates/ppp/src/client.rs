//! The side that authenticates itself and is given an address

use std::time::Instant;

use crate::authentication;
use crate::config::ClientConfig;
use crate::context::Context;
use crate::context::random::Random;
use crate::failure::Failure;
use crate::liveness::echo::Echo;
use crate::machine::role::{IpcpStart, Role};
use crate::machine::{Machine, Parts};
use crate::negotiation::ccp::Ccp;
use crate::negotiation::ipcp::Ipcp;
use crate::negotiation::ipv6cp;
use crate::negotiation::lcp::Lcp;
use crate::negotiation::negotiator::Negotiator;

/// The role of a client
#[derive(Debug)]
pub(crate) struct Client {
    /// True if the carrier lets anybody send frames in the peer's name
    pub(crate) is_forgeable: bool,
    /// True if the peer may give another address and other DNS servers once the link was up
    pub(crate) address_may_change: bool,
}

impl Role for Client {
    type Lcp = Lcp;
    type Authentication = authentication::Client;
    type Ccp = Ccp;
    type Ipcp = Ipcp;

    fn ipcp_start(&self) -> IpcpStart {
        IpcpStart::AtOnce
    }

    fn guards(&self) -> bool {
        self.is_forgeable
    }

    fn pins_addresses(&self) -> bool {
        !self.address_may_change
    }
}

impl Machine<Client> {
    /// The owner's reply to what it was asked
    pub(crate) fn reply(
        &mut self,
        now: Instant,
        reply: impl FnOnce(&mut authentication::Client, &mut Context) -> Result<(), Failure>,
    ) {
        if let Err(failure) = reply(&mut self.authentication, &mut self.context) {
            self.fail(now, failure);
        }
    }
}

/// Makes the machine of a client as `config` describes it
///
/// Identifiers begin at random: someone who sees nothing cannot name the next one.
pub(crate) fn machine(config: ClientConfig, seed: [u8; 32]) -> Machine<Client> {
    let [lcp, ccp, ipcp, ipv6cp_id, id, token @ ..]: [u8; 9] = Random::apart(seed);
    let ipv6 = ipv6cp::negotiator(config.ipv6);
    let echo = Echo::new(config.echo);
    let parts = Parts {
        role: Client {
            is_forgeable: config.carrier_is_forgeable,
            address_may_change: config.address_may_change,
        },
        lcp: Negotiator::prompted(Lcp::new(&config)).counting_from(lcp),
        ccp: Negotiator::overdue_and_early(Ccp::new(config.encryption)).counting_from(ccp),
        ipcp: Negotiator::prompted_and_early(Ipcp::new(config.addresses)).counting_from(ipcp),
        ipv6cp: ipv6.map(|it| Box::new(it.counting_from(ipv6cp_id))),
        echo: if config.carrier_is_forgeable { echo.with_token(token) } else { echo },
        id,
        proof: config.proof,
        carrier_limit: config.carrier_limit,
        authentication: authentication::Client::new(config),
    };
    Machine::new(parts, seed)
}
