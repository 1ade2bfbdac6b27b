//! The side that authenticates and assigns addresses, in the manner of three real servers

mod ccp;
mod chap;
mod ipcp;
mod lcp;

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
    type Authentication = chap::Chap;
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

/// A server as `config` describes it
pub(crate) fn machine(config: ServerConfig, seed: [u8; 32]) -> Machine<Server> {
    let parts = Parts {
        role: Server { order: config.order },
        lcp: Negotiator::new(lcp::Lcp::new(config.mru, config.order)),
        ccp: Negotiator::new(ccp::Ccp::new(config.order, config.encryption)),
        ipcp: Negotiator::new(ipcp::Ipcp::new(&config)),
        echo: config.echo,
        carrier_limit: config.carrier_limit,
        authentication: chap::Chap::new(config),
    };
    Machine::new(parts, seed)
}
