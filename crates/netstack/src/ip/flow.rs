//! Both ends of a connection

use std::net::SocketAddrV4;

/// Both ends of a connection
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    pub(crate) local: SocketAddrV4,
    pub(crate) peer: SocketAddrV4,
}
