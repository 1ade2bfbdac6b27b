//! The role of a client, which authenticates itself and is given an address

use std::time::Instant;

use crate::{
    authentication,
    config::ClientConfig,
    context::{Context, random::Random},
    failure::Failure,
    liveness::echo::Echo,
    machine::{
        Machine, Parts,
        role::{IpcpStart, Role},
    },
    negotiation::{ccp::Ccp, ipcp::Ipcp, ipv6cp, lcp::Lcp, negotiator::Negotiator},
};

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
    type Authentication = authentication::ClientAuthentication;
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
    /// Passes on the owner's reply to a question
    pub(crate) fn reply(
        &mut self,
        now: Instant,
        reply: impl FnOnce(
            &mut authentication::ClientAuthentication,
            &mut Context,
        ) -> Result<(), Failure>,
    ) {
        if let Err(failure) = reply(&mut self.authentication, &mut self.context) {
            self.fail(now, failure);
        }
    }
}

/// Makes the machine of a client as `config` describes it
///
/// Identifiers begin at random: a sender off the path cannot guess the next one.
pub(crate) fn machine(config: ClientConfig, seed: [u8; 32]) -> Machine<Client> {
    let [lcp, ccp, ipcp, ipv6cp_id, id, token @ ..]: [u8; 9] = Random::independent(seed);
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
        authentication: authentication::ClientAuthentication::new(config),
    };
    Machine::new(parts, seed)
}
