//! The forms of an address in the stack's network

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
};

use crate::{SocketError, ip::Endpoint};

/// An address and port in the stack's network, or a name and port that stand for some
///
/// It takes the forms of `tokio::net::ToSocketAddrs`: a [`SocketAddr`], an address and a port, `"192.168.1.3:80"`,
/// `"knx.lan:80"`, `("knx.lan", 80)`, several [`SocketAddr`]s, and references to all of these.
///
/// A name is asked of the stack's own DNS servers, as by [`Net::lookup_host`](crate::Net::lookup_host), and never
/// of the system's resolver. IPv6 fails with `Unsupported`. A text without an address and a port fails with
/// `InvalidInput` and an [`AddressError`], which shows the text.
pub trait ToInnerAddr: Address {}

impl<T: Address + ?Sized> ToInnerAddr for T {}

/// A parsed [`ToInnerAddr`], before any DNS server is asked
///
/// Public only in name: its module is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Address(SocketAddr),
    Addresses(Vec<SocketAddr>),
    Name { name: String, port: u16 },
}

/// The reason for which a text is not an address with a port and not a name with one
///
/// It is inside the [`io::Error`] ([`io::Error::get_ref`]), whose kind is `InvalidInput`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no port
    #[error("{text:?} has no port: ADDRESS:PORT or NAME:PORT is wanted, such as \"{text}:80\"")]
    NoPort {
        /// The text that was given
        text: String,
    },
    /// The port is no number from 1 to 65,535
    #[error("{text:?}: its port is no number from 1 to 65535")]
    InvalidPort {
        /// The text that was given
        text: String,
    },
    /// There is no host in front of the port, or it is neither an address nor a name
    #[error("{text:?} is neither ADDRESS:PORT nor NAME:PORT")]
    InvalidHost {
        /// The text that was given
        text: String,
    },
    /// The list of addresses is empty
    #[error("the list of addresses is empty: there is nothing to reach")]
    NoAddress,
}

impl From<AddressError> for io::Error {
    fn from(error: AddressError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

impl Target {
    fn parse(text: &str) -> Result<Self, AddressError> {
        let given = || String::from(text);
        if let Ok(address) = text.parse::<SocketAddr>() {
            let is_usable = address.port() != 0;
            return if is_usable {
                Ok(Self::Address(address))
            } else {
                Err(AddressError::InvalidPort { text: given() })
            };
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(AddressError::InvalidHost { text: given() });
        }
        let (name, port) =
            text.rsplit_once(':').ok_or_else(|| AddressError::NoPort { text: given() })?;
        if name.is_empty() || name.contains(['[', ':']) {
            return Err(AddressError::InvalidHost { text: given() });
        }
        match port.parse() {
            Ok(port) if port != 0 => Ok(Self::Name { name: name.into(), port }),
            _ => Err(AddressError::InvalidPort { text: given() }),
        }
    }

    fn host(host: &str, port: u16) -> Result<Self, AddressError> {
        if port == 0 {
            return Err(AddressError::InvalidPort { text: format!("{host}:{port}") });
        }
        Ok(match host.parse::<IpAddr>() {
            Ok(address) => Self::Address((address, port).into()),
            Err(_) => Self::Name { name: host.into(), port },
        })
    }
}

/// The trait behind [`ToInnerAddr`], which no other crate can implement
///
/// Public only in name: its module is not.
pub trait Address {
    #[doc(hidden)]
    fn target(&self) -> Result<Target, AddressError>;
}

impl<T: Address + ?Sized> Address for &T {
    fn target(&self) -> Result<Target, AddressError> {
        (**self).target()
    }
}

macro_rules! address {
    ($($kind:ty),*) => {
        $(impl Address for $kind {
            fn target(&self) -> Result<Target, AddressError> {
                Ok(Target::Address((*self).into()))
            }
        })*
    };
}

address!(SocketAddr, SocketAddrV4, SocketAddrV6);
address!((IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));
address!(([u8; 4], u16), ([u8; 16], u16), ([u16; 8], u16));

impl Address for [SocketAddr] {
    fn target(&self) -> Result<Target, AddressError> {
        Ok(Target::Addresses(self.to_vec()))
    }
}

impl Address for str {
    fn target(&self) -> Result<Target, AddressError> {
        Target::parse(self)
    }
}

impl Address for String {
    fn target(&self) -> Result<Target, AddressError> {
        Target::parse(self)
    }
}

impl Address for (&str, u16) {
    fn target(&self) -> Result<Target, AddressError> {
        Target::host(self.0, self.1)
    }
}

impl Address for (String, u16) {
    fn target(&self) -> Result<Target, AddressError> {
        Target::host(&self.0, self.1)
    }
}

/// The inner form of an address; this is the one place that turns users' IPv6 addresses away
pub(super) fn endpoint(addr: SocketAddr) -> Result<Endpoint, SocketError> {
    match addr {
        SocketAddr::V4(addr) => Ok(addr.into()),
        SocketAddr::V6(_) => Err(SocketError::Ipv6),
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

    type Kind = fn(String) -> AddressError;

    #[test]
    fn what_lacks_a_port_or_a_host_is_no_address_and_is_shown() {
        let no_port = |text| AddressError::NoPort { text };
        let port = |text| AddressError::InvalidPort { text };
        let host = |text| AddressError::InvalidHost { text };
        let cases: [(&str, Kind); 13] = [
            ("", no_port),
            ("knx.lan", no_port),
            ("192.168.1.3", no_port),
            (":", host),
            (":80", host),
            ("::1", host),
            ("::1:80", host),
            ("[x]:80", host),
            ("knx.lan:", port),
            ("knx.lan:65536", port),
            ("knx.lan:0", port),
            ("192.168.1.3:0", port),
            ("192.168.1.3:http", port),
        ];
        for (text, error) in cases {
            assert_eq!(text.target(), Err(error(text.into())), "{text}");
            let error = io::Error::from(error(text.into()));
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text}");
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
        assert_eq!(("knx.lan", 0).target(), Err(port("knx.lan:0".into())));
        assert_eq!(
            "192.168.1.3".target().unwrap_err().to_string(),
            r#""192.168.1.3" has no port: ADDRESS:PORT or NAME:PORT is wanted, such as "192.168.1.3:80""#
        );
    }
}
