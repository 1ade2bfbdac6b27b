//! A place where clients are accepted, and which clients

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;

/// A place where clients are accepted
///
/// Two listeners with an equal place are the same one: a reload does not close it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Listen {
    /// A port of TCP or UDP; port 0 is one that the system chooses
    Ip(SocketAddr),
    /// A unix socket; no UDP forward has one
    Unix(UnixSocket),
}

/// A unix socket
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixSocket {
    /// Its path
    pub path: PathBuf,
    /// Its mode, as in `chmod`
    pub mode: u32,
    /// The name of its group; `None`: the process's
    pub group: Option<String>,
}

impl UnixSocket {
    /// Makes a socket for its owner alone
    pub const fn private(path: PathBuf) -> Self {
        Self { path, mode: 0o600, group: None }
    }
}

impl Listen {
    /// Returns true if only programs on this machine can reach it
    pub const fn is_local(&self) -> bool {
        match self {
            Self::Ip(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(socket) => write!(f, "unix:{}", socket.path.display()),
        }
    }
}

/// The clients that may use a listener
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clients {
    /// Each that reaches it
    All,
    /// Those whose address is in one of these networks; a client on a unix socket has none, and is accepted
    Networks(Vec<IpNet>),
}

impl Clients {
    /// Returns true if a client with this address may use the listener; `None`: a client on a unix socket
    pub fn may_use(&self, client: Option<IpAddr>) -> bool {
        match (self, client) {
            (Self::All, _) | (_, None) => true,
            (Self::Networks(networks), Some(address)) => {
                // a wildcard listener of IPv6 shows IPv4 clients as ::ffff:a.b.c.d
                let address = address.to_canonical();
                networks.iter().any(|network| network.contains(&address))
            }
        }
    }
}
