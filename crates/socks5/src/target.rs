//! The target of a request or of a datagram (RFC 1928 §5)

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use crate::{Error, reader::Reader};

/// A host and a port
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host
    pub host: Host,
    /// The port
    pub port: u16,
}

/// A host, by its address or by a name that the server is to resolve
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address of IPv4
    Ipv4(Ipv4Addr),
    /// An address of IPv6
    Ipv6(Ipv6Addr),
    /// A name: 1 to 255 printable characters of ASCII
    Name(String),
}

impl Target {
    /// Reads a target; `None` while octets are missing
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, Error> {
        let host = match reader.octet() {
            None => return Ok(None),
            Some(IPV4) => reader.array().map(|octets: [u8; 4]| Host::Ipv4(octets.into())),
            Some(IPV6) => reader.array().map(|octets: [u8; 16]| Host::Ipv6(octets.into())),
            Some(NAME) => match reader.counted() {
                Some(name) => Some(Host::Name(read_name(name)?)),
                None => None,
            },
            Some(other) => return Err(Error::AddressKind(other)),
        };
        let target = host.zip(reader.array().map(u16::from_be_bytes));
        Ok(target.map(|(host, port)| Self { host, port }))
    }

    /// Appends a target
    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        match &self.host {
            Host::Ipv4(address) => {
                out.push(IPV4);
                out.extend(address.octets());
            }
            Host::Ipv6(address) => {
                out.push(IPV6);
                out.extend(address.octets());
            }
            Host::Name(name) => {
                let name = name.as_bytes().get(..MAX_NAME).unwrap_or(name.as_bytes());
                out.push(NAME);
                out.push(u8::try_from(name.len()).unwrap_or_default());
                out.extend(name);
            }
        }
        out.extend(self.port.to_be_bytes());
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        let host = match address.ip() {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        };
        Self { host, port: address.port() }
    }
}

/// As in a URL: `192.168.1.3:80`, `[fe80::1]:80`, `knx.lan:80`
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ipv4(address) => write!(f, "{address}:{}", self.port),
            Host::Ipv6(address) => write!(f, "[{address}]:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

fn read_name(name: &[u8]) -> Result<String, Error> {
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    let name = str::from_utf8(name).ok().filter(|_| is_name);
    name.map(str::to_owned).ok_or(Error::Name)
}

const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The longest name: its length is one octet
const MAX_NAME: usize = 255;
