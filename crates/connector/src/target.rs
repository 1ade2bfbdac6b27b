//! A host and a port behind a site

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddrV4},
    str::FromStr,
};

/// A host behind a site
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// Its inner address
    Address(Ipv4Addr),
    /// A name, in lower case and without a dot at its end: of the site's `hosts`, or of the site's own DNS
    Name(String),
}

/// A host and a port behind a site
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The host
    pub host: Host,
    /// The port, of TCP or of UDP
    pub port: u16,
}

/// The reason why a text is no host or no target
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// The port is missing
    #[error("`{0}` has no port: write host:port")]
    NoPort(String),
    /// The port is no number from 1 to 65535
    #[error("`{0}` is no port: a number from 1 to 65535")]
    Port(String),
    /// The host is neither an IPv4 address nor a name
    #[error("`{0}` is no host: an IPv4 address, or a name of letters, digits, `-`, `_` and dots")]
    Host(String),
    /// The host is an IPv6 address
    #[error("`{0}` is an IPv6 address, and sites are reached by IPv4")]
    Ipv6(String),
}

impl Host {
    /// Reads a host from a text
    ///
    /// # Errors
    /// The text is neither an IPv4 address nor a name (RFC 1123 §2.1, with `_` as it is met in the field).
    pub fn parse(text: &str) -> Result<Self, InvalidTarget> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if text.parse::<std::net::Ipv6Addr>().is_ok() || text.starts_with('[') {
            return Err(InvalidTarget::Ipv6(shorten(text)));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        // all digits and dots: an address with a slip, which no DNS should be asked about
        let is_number = name.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
        if is_number || name.len() > MAX_NAME || !name.split('.').all(is_label) {
            return Err(InvalidTarget::Host(shorten(text)));
        }
        Ok(Self::Name(name.to_ascii_lowercase()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl From<SocketAddrV4> for Target {
    fn from(address: SocketAddrV4) -> Self {
        Self { host: Host::Address(*address.ip()), port: address.port() }
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let (host, port) =
            text.rsplit_once(':').ok_or_else(|| InvalidTarget::NoPort(shorten(text)))?;
        let host = Host::parse(host)?;
        let number = port.parse().ok().filter(|port| *port != 0);
        let port = number.ok_or_else(|| InvalidTarget::Port(shorten(port)))?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn is_label(label: &str) -> bool {
    let is_inside = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(is_inside)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// The first 80 characters of a text, for an error
fn shorten(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

/// The longest name of DNS, in octets (RFC 1035 §2.3.4), without the dot at its end
const MAX_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<String, InvalidTarget> {
        text.parse::<Target>().map(|target| target.to_string())
    }

    #[test]
    fn a_target_is_an_address_or_a_name_and_a_port() {
        assert_eq!(target("192.168.1.3:80").unwrap(), "192.168.1.3:80");
        assert_eq!(target("KNX.lan.:3671").unwrap(), "knx.lan:3671");
        assert_eq!(target("nas_1:5000").unwrap(), "nas_1:5000");
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for (text, error) in [
            ("knx", InvalidTarget::NoPort("knx".into())),
            ("knx:0", InvalidTarget::Port("0".into())),
            ("knx:65536", InvalidTarget::Port("65536".into())),
            ("192.168.1:80", InvalidTarget::Host("192.168.1".into())),
            ("192.168.1.300:80", InvalidTarget::Host("192.168.1.300".into())),
            ("a..b:80", InvalidTarget::Host("a..b".into())),
            (":80", InvalidTarget::Host(String::new())),
            ("-a:80", InvalidTarget::Host("-a".into())),
            ("a b:80", InvalidTarget::Host("a b".into())),
            ("a\n:80", InvalidTarget::Host("a\\n".into())),
            ("::1:80", InvalidTarget::Ipv6("::1".into())),
            ("[::1]:80", InvalidTarget::Ipv6("[::1]".into())),
        ] {
            assert_eq!(target(text), Err(error), "{text}");
        }
    }
}
