//! Addresses and ports of the stack, its users and their peer

use std::net::Ipv4Addr;

/// Our inner address
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 200);
/// Our other inner address
pub(super) const SECOND_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 201);
/// The host that our sockets speak to, and the DNS server
pub(super) const PEER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 3);
/// The MTU of the tunnel
pub(super) const MTU: usize = 1400;
/// The listener's port
pub(super) const PORT: u16 = 80;
/// A UDP socket's port
pub(super) const UDP_PORT: u16 = 3671;
