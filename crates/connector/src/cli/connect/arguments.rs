//! The arguments of `connect`, with the letters of ssh

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use clap::Args;
use pptp_fleet::SiteName;

use crate::{
    cli::{insecure::InsecureArguments, password::PasswordArguments},
    settings::{Clients, ForwardSettings, Listen, Protocol, ProxySettings},
    target::{InvalidTarget, Target},
};

/// The arguments of `connect`
#[derive(Debug, Clone, Args)]
pub struct ConnectArguments {
    /// The PPTP server: host or host:port
    pub server: String,
    /// The user
    #[arg(short = 'u', long)]
    pub user: String,
    /// The password
    #[command(flatten)]
    pub password: PasswordArguments,
    /// A forward: local connections to PORT go to HOST:HOSTPORT behind the server; `udp:` before it forwards datagrams, and
    /// `knx:` those of KNXnet/IP
    #[arg(short = 'L', value_name = "[udp:|knx:][BIND:]PORT:HOST:HOSTPORT")]
    pub forwards: Vec<ForwardArgument>,
    /// The port of the SOCKS proxy; 1080 or the next free port without it
    #[arg(short = 'D', value_name = "[BIND:]PORT")]
    pub socks: Option<PortArgument>,
    /// The port of the HTTP proxy; 8080 or the next free port without it
    #[arg(short = 'H', value_name = "[BIND:]PORT")]
    pub http: Option<PortArgument>,
    /// The name of the site, as in the configuration
    #[arg(long, default_value = "home")]
    pub name: SiteName,
    /// Seconds that the first connect may take
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub wait: u64,
    /// The largest PPP payload to ask for, in octets
    #[arg(long)]
    pub mru: Option<u16>,
    /// Write the configuration that does the same to FILE, which must not be there yet
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Weaker logins and encryptions
    #[command(flatten)]
    pub insecure: InsecureArguments,
}

/// A forward on the command line
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardArgument {
    /// The place where clients are accepted
    pub listen: SocketAddr,
    /// The protocol
    pub protocol: Protocol,
    /// The target
    pub target: Target,
}

/// A port on the command line, on loopback unless an address is before it
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortArgument(pub SocketAddr);

/// The reason why an argument is no forward or no port
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidArgument {
    /// The parts are not there
    #[error("write [udp:|knx:][BIND:]PORT:HOST:HOSTPORT, as 8001:192.168.1.3:80")]
    Forward,
    /// The place to listen at is wrong
    #[error("`{0}` is no place to listen at: write PORT or ADDRESS:PORT")]
    Listen(String),
    /// The target is wrong
    #[error(transparent)]
    Target(#[from] InvalidTarget),
    /// The place is open to others
    #[error("`{0}` would be open to other machines: `connect` listens on loopback only")]
    NotLocal(SocketAddr),
    /// KNXnet/IP has no IPv6
    #[error("`{0}` is an IPv6 address, and KNXnet/IP has no other than IPv4")]
    KnxOverIpv6(SocketAddr),
}

impl ForwardArgument {
    /// Returns the settings
    pub fn settings(&self) -> ForwardSettings {
        ForwardSettings {
            listen: Listen::Ip(self.listen),
            clients: Clients::All,
            target: self.target.clone(),
            protocol: self.protocol,
            max_clients: ProxySettings::DEFAULT_MAX_CLIENTS,
        }
    }
}

impl FromStr for ForwardArgument {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let known = [Protocol::UDP, Protocol::KNX, Protocol::TCP];
        let named = known.into_iter().find_map(|protocol| {
            let rest = text.strip_prefix(protocol.name())?.strip_prefix(':')?;
            Some((protocol, rest))
        });
        let (protocol, text) = named.unwrap_or((Protocol::TCP, text));
        let (rest, port) = text.rsplit_once(':').ok_or(InvalidArgument::Forward)?;
        let (listen, host) = rest.rsplit_once(':').ok_or(InvalidArgument::Forward)?;
        let target = format!("{host}:{port}").parse()?;
        let listen = parse_listen(listen)?;
        if matches!(protocol, Protocol::Knx { .. }) && listen.is_ipv6() {
            return Err(InvalidArgument::KnxOverIpv6(listen));
        }
        Ok(Self { listen, protocol, target })
    }
}

/// Prints it as it is written
impl fmt::Display for ForwardArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.protocol.is_datagrams() {
            write!(f, "{}:", self.protocol.name())?;
        }
        write!(f, "{}:{}", self.listen, self.target)
    }
}

impl FromStr for PortArgument {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        parse_listen(text).map(Self)
    }
}

fn parse_listen(text: &str) -> Result<SocketAddr, InvalidArgument> {
    let invalid = || InvalidArgument::Listen(text.chars().take(80).collect());
    let (address, port) = match text.rsplit_once(':') {
        None => (IpAddr::V4(Ipv4Addr::LOCALHOST), text),
        Some((address, port)) => {
            let bare = address.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
            let address = bare.unwrap_or(address);
            let address = if address == "localhost" { "127.0.0.1" } else { address };
            (address.parse().map_err(|_| invalid())?, port)
        }
    };
    let listen = SocketAddr::new(address, port.parse().map_err(|_| invalid())?);
    if listen.ip().is_loopback() { Ok(listen) } else { Err(InvalidArgument::NotLocal(listen)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_has_the_form_of_ssh() {
        for (text, printed) in [
            ("8001:192.168.1.3:80", "127.0.0.1:8001:192.168.1.3:80"),
            ("localhost:8001:nas.lan:80", "127.0.0.1:8001:nas.lan:80"),
            ("127.0.0.2:0:192.168.1.3:22", "127.0.0.2:0:192.168.1.3:22"),
            ("[::1]:8001:192.168.1.3:80", "[::1]:8001:192.168.1.3:80"),
            ("udp:3671:192.168.1.3:3671", "udp:127.0.0.1:3671:192.168.1.3:3671"),
            ("knx:3671:192.168.1.3:3671", "knx:127.0.0.1:3671:192.168.1.3:3671"),
            ("tcp:8001:192.168.1.3:80", "127.0.0.1:8001:192.168.1.3:80"),
        ] {
            assert_eq!(text.parse::<ForwardArgument>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn slips_are_told() {
        let error = |text: &str| text.parse::<ForwardArgument>().unwrap_err().to_string();
        assert!(error("8001").contains("HOSTPORT"));
        assert!(error("192.168.1.3:80").contains("HOSTPORT"));
        assert!(error("x:192.168.1.3:80").contains("no place to listen"));
        assert!(error("8001:192.168.1.3:0").contains("no port"));
        assert!(error("knx:[::1]:3671:192.168.1.3:3671").contains("IPv4"));
        assert!(error("0.0.0.0:8001:192.168.1.3:80").contains("loopback only"));
        assert!("192.168.1.9:1080".parse::<PortArgument>().is_err());
        assert_eq!("1080".parse::<PortArgument>().unwrap().0, ([127, 0, 0, 1], 1080).into());
    }
}
