//! What can be said for an address in the stack's network

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
};

use super::{Net, v4};
use crate::SocketError;

/// An address and port in the stack's network, or a name and port that stand for some
///
/// As `tokio::net::ToSocketAddrs`: a [`SocketAddr`], an address and a port, `"192.168.1.3:80"`,
/// `"knx.lan:80"`, `("knx.lan", 80)`, several [`SocketAddr`]s, and references to all of these.
///
/// A name is asked of the stack's own DNS servers, as by [`Net::lookup_host`], and never of the
/// system's resolver. IPv6 fails with `Unsupported`, and what is no address with a port with
/// `InvalidInput`.
pub trait ToInnerAddr: Address {}

impl<T: Address + ?Sized> ToInnerAddr for T {}

/// What an address comes to before any DNS server is asked
///
/// Public only in name: its module is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Address(SocketAddr),
    Addresses(Vec<SocketAddr>),
    Name { name: String, port: u16 },
}

impl Target {
    fn parse(text: &str) -> Result<Self, SocketError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let (name, port) = text.rsplit_once(':').ok_or(SocketError::InvalidDestination)?;
        let port = port.parse().map_err(|_| SocketError::InvalidDestination)?;
        if name.is_empty() || name.contains(['[', ':']) {
            return Err(SocketError::InvalidDestination);
        }
        Ok(Self::Name { name: name.into(), port })
    }

    fn host(host: &str, port: u16) -> Self {
        match host.parse::<IpAddr>() {
            Ok(address) => Self::Address((address, port).into()),
            Err(_) => Self::Name { name: host.into(), port },
        }
    }

    /// The address to take if there can be one only
    pub(super) async fn first(self, net: &Net) -> io::Result<SocketAddrV4> {
        if let Self::Address(address) = self {
            return Ok(v4(address)?);
        }
        let addresses = self.all(net).await?;
        Ok(v4(*addresses.first().ok_or(SocketError::InvalidDestination)?)?)
    }

    /// The addresses to try, in this order
    pub(super) async fn all(self, net: &Net) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Address(address) => Ok(vec![address]),
            Self::Addresses(addresses) => Ok(addresses),
            Self::Name { name, port } => {
                // boxed: whoever has an address should not carry a lookup's buffers in its future
                let addresses = Box::pin(net.lookup_host(&name)).await?;
                Ok(addresses.into_iter().map(|address| (address, port).into()).collect())
            }
        }
    }
}

mod sealed {
    use super::{SocketError, Target};

    /// Nobody else can name it, and so nobody else can implement it
    pub trait Address {
        #[doc(hidden)]
        fn target(&self) -> Result<Target, SocketError>;
    }
}

pub(super) use sealed::Address;

impl<T: Address + ?Sized> Address for &T {
    fn target(&self) -> Result<Target, SocketError> {
        (**self).target()
    }
}

macro_rules! address {
    ($($kind:ty),*) => {
        $(impl Address for $kind {
            fn target(&self) -> Result<Target, SocketError> {
                Ok(Target::Address((*self).into()))
            }
        })*
    };
}

address!(SocketAddr, SocketAddrV4, SocketAddrV6);
address!((IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));
address!(([u8; 4], u16), ([u8; 16], u16), ([u16; 8], u16));

impl Address for [SocketAddr] {
    fn target(&self) -> Result<Target, SocketError> {
        Ok(Target::Addresses(self.to_vec()))
    }
}

impl Address for str {
    fn target(&self) -> Result<Target, SocketError> {
        Target::parse(self)
    }
}

impl Address for String {
    fn target(&self) -> Result<Target, SocketError> {
        Target::parse(self)
    }
}

impl Address for (&str, u16) {
    fn target(&self) -> Result<Target, SocketError> {
        Ok(Target::host(self.0, self.1))
    }
}

impl Address for (String, u16) {
    fn target(&self) -> Result<Target, SocketError> {
        Ok(Target::host(&self.0, self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, port: u16) -> Target {
        Target::Name { name: name.into(), port }
    }

    #[test]
    fn figures_are_addresses_and_the_rest_are_names() {
        let address = Ok(Target::Address(([192, 168, 1, 3], 80).into()));
        assert_eq!("192.168.1.3:80".target(), address);
        assert_eq!(String::from("192.168.1.3:80").target(), address);
        assert_eq!(("192.168.1.3", 80).target(), address);
        assert_eq!((Ipv4Addr::new(192, 168, 1, 3), 80).target(), address);
        assert_eq!((&&([192, 168, 1, 3], 80)).target(), address);
        assert_eq!("knx.lan:80".target(), Ok(name("knx.lan", 80)));
        assert_eq!((String::from("knx.lan."), 80).target(), Ok(name("knx.lan.", 80)));
        assert!(matches!("[::1]:80".target(), Ok(Target::Address(SocketAddr::V6(_)))));
    }

    #[test]
    fn what_lacks_a_port_or_a_host_is_no_address() {
        for text in ["", ":", ":80", "knx.lan", "knx.lan:", "knx.lan:65536", "::1:80", "[x]:80"] {
            assert_eq!(text.target(), Err(SocketError::InvalidDestination), "{text}");
        }
    }
}
