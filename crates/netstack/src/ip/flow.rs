//! Both ends of a connection

use super::Endpoint;

/// Both ends of a connection, of either version of IP, in 36 octets
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub(crate) local: Endpoint,
    pub(crate) peer: Endpoint,
}
