//! Reports of the network about datagrams that were sent

use std::{io, net::Ipv4Addr};

/// The report of an ICMP message that a datagram did not arrive
///
/// Its fields come from the head of the datagram, as it was returned, which can be forged by anyone
/// on the path. So it is a reason to give up connecting, but not to end a tunnel that works.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeliveryFailure {
    /// The address that the datagram was sent to
    pub destination: Ipv4Addr,
    /// The Call ID in its GRE header, which is the peer's, if that much of it came back
    pub peer_call_id: Option<u16>,
    /// The reporter: a router on the way, or the destination itself
    pub reporter: Option<Ipv4Addr>,
    /// ICMP type and code, 3 and 2 being "protocol unreachable" (RFC 792)
    pub icmp: (u8, u8),
    /// The kernel's error number for that type and code
    pub error: io::Error,
}

impl DeliveryFailure {
    /// A report about a datagram to `destination` that names neither its call nor its reporter
    pub const fn new(destination: Ipv4Addr, icmp: (u8, u8), error: io::Error) -> Self {
        Self { destination, peer_call_id: None, reporter: None, icmp, error }
    }
}
