//! A site: how it is dialled, how its hosts are called, its forwards

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use pptp_fleet::SiteConfig;
use pptp_knxnetip::relay::Endpoint;

use super::{Clients, Listen};
use crate::target::Target;

/// The settings of a site
#[derive(Debug, Clone)]
pub struct SiteSettings {
    /// How it is dialled
    pub dial: SiteConfig,
    /// Labels, by which a selector chooses it: `city` = `Berlin`; shared with the directory
    pub labels: Arc<BTreeMap<String, String>>,
    /// Names of its hosts, in lower case, which come before the site's DNS; shared with the directory
    pub hosts: Arc<BTreeMap<String, Ipv4Addr>>,
    /// The time that a client waits for the site if it is not up
    pub wait: Duration,
    /// The address at which its forwards without a place of their own listen: its key, or one that was dealt out
    pub address: Option<Ipv4Addr>,
    /// Its forwards
    pub forwards: Vec<ForwardSettings>,
    /// Who says all this
    pub owner: Owner,
}

/// The one who says what a site is; there is one for each
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Owner {
    /// The command line, or a program
    #[default]
    CommandLine,
    /// A file of the configuration
    File,
    /// A caller of the control interface
    Api,
}

impl Owner {
    /// Returns the word for it
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommandLine => "command-line",
            Self::File => "file",
            Self::Api => "api",
        }
    }
}

impl SiteSettings {
    /// Makes settings without labels, hosts and forwards
    pub fn new(dial: SiteConfig) -> Self {
        let (labels, hosts, forwards) = (Arc::default(), Arc::default(), Vec::new());
        let (wait, address, owner) = (DEFAULT_WAIT, None, Owner::default());
        Self { dial, labels, hosts, wait, address, forwards, owner }
    }
}

/// A local port that leads to one target behind a site
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardSettings {
    /// The place where clients are accepted
    pub listen: Listen,
    /// The clients that may use it
    pub clients: Clients,
    /// The target
    pub target: Target,
    /// The protocol, with its options
    pub protocol: Protocol,
    /// The number of connections, or of UDP clients, at a time
    pub max_clients: usize,
}

/// The protocol of a forward
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP
    Tcp {
        /// The time without an octet in either direction after which a connection is reset; `None`: never
        idle: Option<Duration>,
    },
    /// UDP
    Udp {
        /// The time after the last datagram for which a client keeps its inner port
        idle: Duration,
        /// True if datagrams of any host of the site are passed to the client, not only the target's
        any_source: bool,
    },
    /// KNXnet/IP over UDP, with the endpoints inside of its frames set right
    Knx {
        /// Our endpoint, as it is written towards the device
        hpai: Endpoint,
        /// True if clients may change the device's IP configuration, restart it and reset it
        remote_configuration: bool,
    },
}

impl Protocol {
    /// TCP, and connections may be silent for ever
    pub const TCP: Self = Self::Tcp { idle: None };

    /// UDP: 5 minutes, and answers of the target alone (RFC 4787 REQ-5 asks for 2 minutes at least)
    pub const UDP: Self = Self::Udp { idle: Duration::from_mins(5), any_source: false };

    /// KNXnet/IP: the endpoint is found out, and nobody changes the device without a login
    pub const KNX: Self = Self::Knx { hpai: Endpoint::Auto, remote_configuration: false };

    /// Returns the name in lower case
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp { .. } => "tcp",
            Self::Udp { .. } => "udp",
            Self::Knx { .. } => "knx",
        }
    }

    /// Returns true if its clients send datagrams
    pub const fn is_datagrams(self) -> bool {
        matches!(self, Self::Udp { .. } | Self::Knx { .. })
    }
}

/// The time that a client waits for a site, unless the configuration says another
const DEFAULT_WAIT: Duration = Duration::from_secs(10);
