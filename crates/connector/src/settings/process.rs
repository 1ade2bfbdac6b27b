//! The settings of the whole process: limits, the outer network, the control socket

use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

use super::UnixSocket;

/// The limits of the process
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Dials a second, over all sites
    pub dial_rate: u32,
    /// Connections of clients at a time, over all listeners
    pub connections: usize,
    /// The time for hanging up all sites at the end
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { dial_rate: 50, connections: 4096, shutdown: Duration::from_secs(12) }
    }
}

/// The network that carries the tunnels; a change needs a restart
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outer {
    /// The device to which the outer sockets are bound
    pub device: Option<String>,
    /// The address from which servers are dialled
    pub local_address: Option<Ipv4Addr>,
    /// The mark of outer packets; needs `CAP_NET_ADMIN`
    pub fwmark: Option<u32>,
    /// The number of drivers, each with a raw socket of its own
    pub drivers: Option<u8>,
    /// The receive buffer of each raw socket, in octets
    pub receive_buffer: Option<usize>,
}

/// The unix socket of the control interface; a change needs a restart
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlSocket(pub UnixSocket);

impl Default for ControlSocket {
    fn default() -> Self {
        let path = PathBuf::from(Self::DEFAULT_PATH);
        Self(UnixSocket { path, mode: 0o660, group: None })
    }
}

impl ControlSocket {
    /// The path of the control socket, unless the configuration says another
    pub const DEFAULT_PATH: &'static str = "/run/pptp-connector/control.sock";
}
