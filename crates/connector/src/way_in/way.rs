//! The settings of a listener: a forward or a proxy, and the key by which a reload knows it again

use std::{fmt, net::SocketAddr, path::PathBuf};

use pptp_fleet::SiteName;

use crate::settings::{
    Clients, ForwardSettings, Listen, Protocol, ProxySettings, Settings, UnixSocket,
};

/// The settings of a listener
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A forward to a target of a site
    Forward {
        /// The site
        site: SiteName,
        /// The rest
        forward: ForwardSettings,
    },
    /// A SOCKS or HTTP proxy
    Proxy(ProxySettings),
}

/// The key of a listener: two with an equal one are the same, and a reload keeps its socket
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenKey {
    /// A port of TCP
    Tcp(SocketAddr),
    /// A port of UDP
    Udp(SocketAddr),
    /// A unix socket
    Unix(PathBuf),
}

impl Way {
    /// Returns all listeners of the settings, in the order of the sites and then of the proxies
    pub fn all(settings: &Settings) -> Vec<Self> {
        let forwards = settings.sites.iter().flat_map(|(site, settings)| {
            let forwards = settings.forwards.iter().cloned();
            forwards.map(|forward| Self::Forward { site: site.clone(), forward })
        });
        forwards.chain(settings.proxies.iter().cloned().map(Self::Proxy)).collect()
    }

    /// Returns the site, if it is a forward
    pub const fn site(&self) -> Option<&SiteName> {
        match self {
            Self::Forward { site, .. } => Some(site),
            Self::Proxy(_) => None,
        }
    }

    /// Returns its key
    pub fn key(&self) -> ListenKey {
        match self.listen() {
            Listen::Ip(address) if self.is_udp() => ListenKey::Udp(*address),
            Listen::Ip(address) => ListenKey::Tcp(*address),
            Listen::Unix(socket) => ListenKey::Unix(socket.path.clone()),
        }
    }

    /// Returns the place where clients are accepted
    pub const fn listen(&self) -> &Listen {
        match self {
            Self::Forward { forward, .. } => &forward.listen,
            Self::Proxy(proxy) => &proxy.listen,
        }
    }

    /// Returns the unix socket, if it is one
    pub const fn unix(&self) -> Option<&UnixSocket> {
        match self.listen() {
            Listen::Unix(socket) => Some(socket),
            Listen::Ip(_) => None,
        }
    }

    /// Returns the clients that may use it
    pub const fn clients(&self) -> &Clients {
        match self {
            Self::Forward { forward, .. } => &forward.clients,
            Self::Proxy(proxy) => &proxy.clients,
        }
    }

    /// Returns the number of clients at a time
    pub const fn max_clients(&self) -> usize {
        match self {
            Self::Forward { forward, .. } => forward.max_clients,
            Self::Proxy(proxy) => proxy.max_clients,
        }
    }

    /// Returns true if it takes datagrams
    pub const fn is_udp(&self) -> bool {
        matches!(self, Self::Forward { forward, .. } if forward.protocol.is_datagrams())
    }

    /// Returns true if its datagrams are KNXnet/IP
    pub const fn is_knx(&self) -> bool {
        matches!(
            self,
            Self::Forward { forward: ForwardSettings { protocol: Protocol::Knx { .. }, .. }, .. }
        )
    }
}

/// A line for people: `forward tcp 127.0.0.1:8080 to b17 192.168.1.3:80`
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward { site, forward } => {
                let (protocol, listen) = (forward.protocol.name(), &forward.listen);
                write!(f, "forward {protocol} {listen} to {site} {}", forward.target)
            }
            Self::Proxy(proxy) => write!(f, "{} proxy {}", proxy.kind.name(), proxy.listen),
        }
    }
}

impl fmt::Display for ListenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::Udp(address) => write!(f, "udp {address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl ListenKey {
    /// Returns true if it stands for all addresses of this machine
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Tcp(address) | Self::Udp(address) if address.ip().is_unspecified())
    }

    /// Returns true if the system chooses the port
    pub const fn is_chosen_by_system(&self) -> bool {
        matches!(self, Self::Tcp(address) | Self::Udp(address) if address.port() == 0)
    }

    /// Returns true if the two cannot be bound at the same time
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) | (Self::Udp(one), Self::Udp(other)) => {
                let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
                one.port() == other.port() && one.port() != 0 && (is_any || one.ip() == other.ip())
            }
            (Self::Unix(one), Self::Unix(other)) => one == other,
            _ => false,
        }
    }
}
