//! Who may do what by the control interface, and what may be made through it

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::SystemTime,
};

use ipnet::IpNet;

use super::{Clients, Listen, Selector, TargetRule, UnixSocket};

/// What a caller of the control interface may do
///
/// `operate` and `reach` stand beside each other: who may restart a site need not reach the hosts behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It may look at everything that is no traffic
    Read,
    /// It may take sites up and down, and examine them
    Operate,
    /// It may reach the hosts behind sites
    Reach,
    /// It may do everything
    Admin,
}

impl Role {
    /// All of them
    pub const ALL: [Self; 4] = [Self::Read, Self::Operate, Self::Reach, Self::Admin];

    /// Returns its name, as the configuration has it
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Reach => "reach",
            Self::Admin => "admin",
        }
    }

    /// Returns true if a caller with this role may do what wants the other one
    pub const fn includes(self, wanted: Self) -> bool {
        matches!(
            (self, wanted),
            (_, Self::Read)
                | (Self::Admin, _)
                | (Self::Operate, Self::Operate)
                | (Self::Reach, Self::Reach)
        )
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A role, and the sites and targets for which it counts
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The role
    pub role: Role,
    /// The sites; all others are not there for the caller
    pub sites: Selector,
    /// The targets that the caller may reach behind them; empty: none
    pub targets: Vec<TargetRule>,
}

impl Rights {
    /// The rights of a program that may open the control socket
    pub fn all() -> Self {
        Self { role: Role::Admin, sites: Selector::all(), targets: vec![TargetRule::ALL] }
    }
}

/// A listener of the control interface
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiListener {
    /// A unix socket: who may open it has these rights
    Unix {
        /// The socket
        socket: UnixSocket,
        /// The rights
        rights: Rights,
    },
    /// A port of TCP, on which a token says who calls
    Tcp {
        /// The address
        address: SocketAddr,
        /// The clients that may use it
        clients: Clients,
        /// The names, beside addresses and `localhost`, by which clients may call it
        hosts: Vec<String>,
        /// The tokens
        tokens: Vec<ApiToken>,
    },
}

impl ApiListener {
    /// Returns the place where clients are accepted
    pub fn listen(&self) -> Listen {
        match self {
            Self::Unix { socket, .. } => Listen::Unix(socket.clone()),
            Self::Tcp { address, .. } => Listen::Ip(*address),
        }
    }

    /// Returns a listener at the same place that nobody may use
    #[must_use]
    pub fn without_rights(&self) -> Self {
        match self {
            Self::Unix { socket, .. } => {
                let rights =
                    Rights { role: Role::Read, sites: Selector::none(), targets: Vec::new() };
                Self::Unix { socket: socket.clone(), rights }
            }
            Self::Tcp { address, .. } => {
                let (address, clients) = (*address, Clients::Networks(Vec::new()));
                Self::Tcp { address, clients, hosts: Vec::new(), tokens: Vec::new() }
            }
        }
    }
}

/// A token of the control interface
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its name, for the log
    pub name: String,
    /// SHA-256 of the token; two while it is changed
    pub sha256: Vec<[u8; 32]>,
    /// The rights of who has it
    pub rights: Rights,
    /// The time from which on it is refused
    pub expires: Option<SystemTime>,
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({}, {:?})", self.name, self.rights)
    }
}

/// The bounds of what may be made through the control interface
///
/// They bind what a caller writes. What a template or `[defaults]` of the file says was written by the file's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiBounds {
    /// The networks in which forwards may listen
    pub listen: Vec<IpNet>,
    /// True if weaker logins and encryptions may be agreed to
    pub insecure: bool,
    /// The servers that may be dialled
    pub servers: Vec<ServerPattern>,
}

impl Default for ApiBounds {
    fn default() -> Self {
        Self {
            listen: vec![IpNet::V4(ipnet::Ipv4Net::new_assert([127, 0, 0, 0].into(), 8))],
            insecure: false,
            servers: vec![ServerPattern("*".to_owned())],
        }
    }
}

impl ApiBounds {
    /// Returns true if a forward may listen at this address
    pub fn may_listen(&self, address: IpAddr) -> bool {
        self.listen.iter().any(|network| network.contains(&address))
    }

    /// Returns true if this server may be dialled: `host` or `host:port`
    pub fn may_dial(&self, server: &str) -> bool {
        let server = server.to_ascii_lowercase();
        self.servers.iter().any(|pattern| pattern.has(&server))
    }
}

/// A choice of servers: `*`, `vpn17.example.net`, `*.example.net`, with `:PORT` or without
///
/// A `*` stands for any characters. Without a port any port is chosen. A pattern without a letter chooses addresses alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPattern(String);

impl ServerPattern {
    /// Returns true if a server in lower case is chosen
    fn has(&self, server: &str) -> bool {
        let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
        // addresses are meant: a name such as 198.51.100.9.example.net is none of them
        let is_numeric = self.0 != "*" && !self.0.bytes().any(|it| it.is_ascii_alphabetic());
        if is_numeric && host.parse::<std::net::Ipv4Addr>().is_err() {
            return false;
        }
        let is_like = |text| is_like(self.0.as_bytes(), text);
        if self.0.contains(':') {
            let with_port = format!("{host}:1723");
            is_like(server.as_bytes()) || (host == server && is_like(with_port.as_bytes()))
        } else {
            is_like(host.as_bytes())
        }
    }
}

impl FromStr for ServerPattern {
    type Err = InvalidServerPattern;

    fn from_str(text: &str) -> Result<Self, InvalidServerPattern> {
        let is_one = |octet: u8| octet.is_ascii_alphanumeric() || b"*.-_:[]".contains(&octet);
        if text.is_empty() || text.len() > MAX_PATTERN || !text.bytes().all(is_one) {
            return Err(InvalidServerPattern);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// The reason why a text is no choice of servers
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no choice of servers: write \"*\", \"vpn17.example.net\" or \"*.example.net:1723\"")]
pub struct InvalidServerPattern;

/// Returns true if a text is like a pattern in which `*` stands for any octets
///
/// It goes back to the latest `*` alone: the time is the product of both lengths at most.
fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut in_text, mut star) = (0_usize, 0_usize, None);
    loop {
        match (pattern.get(at), text.get(in_text)) {
            (Some(b'*'), _) => {
                star = Some((at, in_text));
                at = at.saturating_add(1);
            }
            (Some(one), Some(other)) if one == other => {
                at = at.saturating_add(1);
                in_text = in_text.saturating_add(1);
            }
            (None, None) => return true,
            (_, None) => return false,
            (_, Some(_)) => match star {
                Some((star_at, from)) => {
                    let from: usize = from;
                    star = Some((star_at, from.saturating_add(1)));
                    at = star_at.saturating_add(1);
                    in_text = from.saturating_add(1);
                }
                None => return false,
            },
        }
    }
}

/// The octets of a pattern
const MAX_PATTERN: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_include_those_below_them_and_reach_stands_beside_operate() {
        let includes = |role: Role| Role::ALL.map(|wanted| role.includes(wanted));
        assert_eq!(includes(Role::Read), [true, false, false, false]);
        assert_eq!(includes(Role::Operate), [true, true, false, false]);
        assert_eq!(includes(Role::Reach), [true, false, true, false]);
        assert_eq!(includes(Role::Admin), [true; 4]);
    }

    #[test]
    fn a_pattern_chooses_servers() {
        for (pattern, server, is_chosen) in [
            ("*", "vpn.example.net:1724", true),
            ("vpn.example.net", "VPN.example.net", true),
            ("vpn.example.net", "vpn.example.net:1724", true),
            ("vpn.example.net:1723", "vpn.example.net", true),
            ("vpn.example.net:1723", "vpn.example.net:1724", false),
            ("*.example.net", "vpn17.example.net", true),
            ("*.example.net", "example.net", false),
            ("*.example.net", "vpn.example.net.evil", false),
            ("vpn*.a*", "vpn1.b.ab", true),
            ("198.51.100.*", "198.51.100.9:1723", true),
            ("198.51.100.*", "198.51.10.9", false),
            ("198.51.100.*", "198.51.100.9.example.net", false),
        ] {
            let bounds =
                ApiBounds { servers: vec![pattern.parse().unwrap()], ..Default::default() };
            assert_eq!(bounds.may_dial(server), is_chosen, "{pattern} {server}");
        }
        for text in ["", "a b", "a/b"] {
            assert_eq!(text.parse::<ServerPattern>(), Err(InvalidServerPattern));
        }
    }

    #[test]
    fn forwards_may_listen_on_loopback_unless_the_file_says_otherwise() {
        let bounds = ApiBounds::default();
        assert!(bounds.may_listen([127, 64, 1, 1].into()));
        assert!(!bounds.may_listen([0, 0, 0, 0].into()));
        assert!(!bounds.may_listen([10, 0, 0, 1].into()));
        assert!(!bounds.may_listen("::1".parse().unwrap()));
    }
}
