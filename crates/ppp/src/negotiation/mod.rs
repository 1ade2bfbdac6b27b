//! The negotiation of LCP, CCP, IPCP and IPV6CP: RFC 1661's automaton, and what each protocol asks for
//!
//! [`automaton`] is the table, [`negotiator`] performs its actions for one protocol, and the other
//! files are the options of each protocol.

pub(crate) mod automaton;
pub(crate) mod ccp;
pub(crate) mod ipcp;
pub(crate) mod ipv6cp;
pub(crate) mod lcp;
pub(crate) mod negotiator;
pub(crate) mod role_options;
