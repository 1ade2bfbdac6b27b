//! Options of the raw socket

use std::net::Ipv4Addr;

use crate::Shard;

/// Octets asked for the receive buffer by default: thousands of tunnels share it
pub const DEFAULT_RECEIVE_BUFFER: usize = 4 << 20;

/// Options of the raw socket; choose the same ones for the control connections
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// The local address to receive on and send from; any if `None`
    pub local_address: Option<Ipv4Addr>,
    /// The network device to use, by name (`SO_BINDTODEVICE`); any if `None`
    pub device: Option<String>,
    /// The mark of all that is sent, for policy routing (`SO_MARK`; needs `CAP_NET_ADMIN`)
    pub fwmark: Option<u32>,
    /// Octets asked for the receive buffer; [`DEFAULT_RECEIVE_BUFFER`] by default
    ///
    /// Without `CAP_NET_ADMIN` the kernel grants at most `net.core.rmem_max`, and never more than 1
    /// GiB: [`GreSocket::receive_buffer`](crate::GreSocket::receive_buffer) returns the granted
    /// size.
    pub receive_buffer: usize,
    /// The calls to receive for; all by default
    pub shard: Shard,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            local_address: None,
            device: None,
            fwmark: None,
            receive_buffer: DEFAULT_RECEIVE_BUFFER,
            shard: Shard::ALL,
        }
    }
}
