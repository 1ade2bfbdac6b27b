//! A SOCKS or HTTP proxy, and what may be reached through it

use std::fmt;

use super::{Clients, Listen, Selector, TargetRule};

/// The settings of a proxy
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySettings {
    /// The protocol
    pub kind: ProxyKind,
    /// The place where clients are accepted
    pub listen: Listen,
    /// The clients that may use it
    pub clients: Clients,
    /// The sites that may be reached
    pub sites: Selector,
    /// The targets that may be reached, one of these rules; empty: none
    pub targets: Vec<TargetRule>,
    /// The end of names that have the site before it: `192.168.1.3.b17.pptp.internal`
    pub suffix: String,
    /// The logins, one of which is asked for; empty: no login is asked for, and the user's name is the site's
    pub logins: Vec<Login>,
    /// The number of connections at a time
    pub max_clients: usize,
}

/// The protocol of a proxy
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProxyKind {
    /// SOCKS 5: CONNECT and UDP ASSOCIATE
    Socks,
    /// HTTP: CONNECT and requests in absolute form
    Http,
}

impl ProxyKind {
    /// Returns the name in lower case
    pub const fn name(self) -> &'static str {
        match self {
            Self::Socks => "socks",
            Self::Http => "http",
        }
    }
}

/// A login of a proxy
///
/// The user of a proxy with logins is `LOGIN` or `LOGIN+SITE`.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Its name
    pub name: String,
    /// SHA-256 of its password, which has to be one of chance: nothing slows a search down
    pub password_sha256: [u8; 32],
    /// The sites that it may reach, of those that the proxy may
    pub sites: Selector,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, {:?})", self.name, self.sites)
    }
}

impl ProxySettings {
    /// The end of names, unless the configuration says another; `.internal` belongs to nobody in the public DNS
    pub const DEFAULT_SUFFIX: &'static str = "pptp.internal";

    /// The number of connections at a time, unless the configuration says another
    pub const DEFAULT_MAX_CLIENTS: usize = 256;

    /// Makes a proxy to all targets of all sites, without a login
    pub fn new(kind: ProxyKind, listen: Listen) -> Self {
        Self {
            kind,
            listen,
            clients: Clients::All,
            sites: Selector::all(),
            targets: vec![TargetRule::ALL],
            suffix: Self::DEFAULT_SUFFIX.to_owned(),
            logins: Vec::new(),
            max_clients: Self::DEFAULT_MAX_CLIENTS,
        }
    }
}
