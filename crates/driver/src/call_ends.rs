//! The two ends of a session's datagrams

use std::net::Ipv4Addr;

/// The addresses between which a session's datagrams go, and the Call ID of those that come
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallEnds {
    /// The peer's address
    pub peer: Ipv4Addr,
    /// The address that datagrams leave from; `None` leaves the choice to the route
    pub local: Option<Ipv4Addr>,
    /// Our Call ID
    pub call_id: u16,
}
