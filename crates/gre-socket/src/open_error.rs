//! Reasons why there is no raw socket

use std::{io, net::Ipv4Addr, path::PathBuf};

/// The reason why there is no raw socket
///
/// Each message ends with the kernel's own words, where it had some.
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
    #[error("cannot open a raw socket of IP protocol 47: {0}")]
    Refused(#[source] io::Error),
    /// The descriptor handed over is something else
    #[error("the descriptor handed over is not a raw IPv4 socket of IP protocol 47 (GRE)")]
    NotRawGre,
    /// The local address cannot be bound
    #[error("cannot bind the raw socket to {address}: {source}")]
    LocalAddress {
        /// The address asked for
        address: Ipv4Addr,
        /// The kernel's error
        source: io::Error,
    },
    /// The device cannot be bound
    #[error("cannot bind the raw socket to the device {device}: {source}")]
    Device {
        /// The device asked for
        device: String,
        /// The kernel's error
        source: io::Error,
    },
    /// An option cannot be set
    #[error("cannot set {option} on the raw socket: {source}")]
    Option {
        /// The option's name
        option: &'static str,
        /// The kernel's error
        source: io::Error,
    },
    /// The raw socket is written for Linux, and this is another system
    #[error(
        "pptp opens raw GRE sockets on Linux only: it needs recvmmsg, the IP error queue and BPF filters; \
         a network in memory works on every system"
    )]
    Unsupported,
    /// The runtime cannot watch the socket
    #[error("cannot register the raw socket with the runtime: {0}")]
    Runtime(#[source] io::Error),
}
