//! Opening the raw socket, and everything that is set on it

use std::{io, net::Ipv4Addr, path::PathBuf};

/// Octets asked for each of the socket's buffers: thousands of tunnels share them
pub const BUFFER: usize = 4 << 20;

/// What can be chosen about the raw socket; the same is to be chosen for the control connections
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// The local address to receive on and send from; any if `None`
    pub local_address: Option<Ipv4Addr>,
    /// The network device to use, by name (`SO_BINDTODEVICE`); any if `None`
    pub device: Option<String>,
    /// The mark of all that is sent, for policy routing (`SO_MARK`; needs `CAP_NET_ADMIN`)
    pub fwmark: Option<u32>,
    /// Octets asked for the receive buffer; [`BUFFER`] by default
    ///
    /// Without `CAP_NET_ADMIN` the kernel grants at most `net.core.rmem_max`:
    /// [`GreSocket::receive_buffer`](crate::GreSocket::receive_buffer) says what it granted.
    pub receive_buffer: usize,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { local_address: None, device: None, fwmark: None, receive_buffer: BUFFER }
    }
}

/// Why there is no raw socket
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The process may not open raw sockets
    #[error(
        "raw sockets need CAP_NET_RAW: grant it with `sudo setcap cap_net_raw+ep {}`, or hand over \
         a raw socket of protocol 47 that is already open",
        program.display()
    )]
    MissingCapability {
        /// The running program's file
        program: PathBuf,
    },
    /// The kernel refuses to open a raw socket for another reason
    #[error("cannot open a raw socket of IP protocol 47")]
    Refused(#[source] io::Error),
    /// The descriptor handed over is something else
    #[error("the descriptor handed over is not a raw IPv4 socket of IP protocol 47 (GRE)")]
    NotRawGre,
    /// The local address cannot be bound
    #[error("cannot bind the raw socket to {address}")]
    LocalAddress {
        /// The address asked for
        address: Ipv4Addr,
        /// What the kernel said
        source: io::Error,
    },
    /// The device cannot be bound
    #[error("cannot bind the raw socket to the device {device}")]
    Device {
        /// The device asked for
        device: String,
        /// What the kernel said
        source: io::Error,
    },
    /// An option cannot be set
    #[error("cannot set {option} on the raw socket")]
    Option {
        /// The option's name
        option: &'static str,
        /// What the kernel said
        source: io::Error,
    },
    /// The runtime cannot watch the socket
    #[error("cannot register the raw socket with the runtime")]
    Runtime(#[source] io::Error),
}
