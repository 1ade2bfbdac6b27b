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
use crate::role::{IpcpStart, Role};

/// The side that authenticates the other and assigns its address
#[derive(Debug)]
pub(crate) struct Server {
    order: ServerOrder,
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
}

impl Machine<Server> {
    /// Has the client prove once more who it is
    pub(crate) fn challenge(&mut self, now: Instant) {
        self.authentication.challenge_again(now, &mut self.context);
    }
}

/// A server as `config` describes it
pub(crate) fn machine(config: ServerConfig, seed: [u8; 32]) -> Machine<Server> {
    let parts = Parts {
        role: Server { order: config.order },
        lcp: Negotiator::new(lcp::Lcp::new(&config)),
        ccp: Negotiator::new(ccp::Ccp::new(&config)),
        ipcp: Negotiator::new(ipcp::Ipcp::new(&config)),
        echo: config.echo,
        carrier_limit: config.carrier_limit,
        authentication: authentication::Authenticator::new(config),
    };
    Machine::new(parts, seed)
}
