//! The address and the port of an endpoint: Host Protocol Address Information (ISO 22510 §7.5.1)

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::{ParseError, Service};

/// An HPAI over IPv4
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hpai {
    /// The protocol
    pub protocol: Protocol,
    /// The address and the port; 0.0.0.0:0 for "where this datagram came from"
    pub address: SocketAddrV4,
}

/// The protocol of an endpoint
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `IPV4_UDP`
    Udp = 0x01,
    /// `IPV4_TCP`
    Tcp = 0x02,
}

impl Hpai {
    /// "Route back": the receiver answers to the source of the datagram (§8.6.3.5)
    pub const ROUTE_BACK: Self = Self::udp(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

    /// The number of its octets
    pub const LEN: usize = 8;

    /// Makes the HPAI of a UDP endpoint
    pub const fn udp(address: SocketAddrV4) -> Self {
        Self { protocol: Protocol::Udp, address }
    }

    /// Reads the HPAI at the begin of some octets of a service
    ///
    /// # Errors
    /// The octets are too few, or no HPAI of UDP or TCP over IPv4.
    pub fn parse(octets: &[u8], service: Service) -> Result<Self, ParseError> {
        let Some(&[length, protocol, a, b, c, d, high, low]) = octets.first_chunk() else {
            return Err(ParseError::Short(service));
        };
        if usize::from(length) != Self::LEN {
            return Err(ParseError::HpaiLength(service, length));
        }
        let protocol = match protocol {
            0x01 => Protocol::Udp,
            0x02 => Protocol::Tcp,
            other => return Err(ParseError::HpaiProtocol(service, other)),
        };
        let port = u16::from_be_bytes([high, low]);
        Ok(Self { protocol, address: SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port) })
    }

    /// Returns its octets
    pub const fn emit(self) -> [u8; Self::LEN] {
        let [a, b, c, d] = self.address.ip().octets();
        let [high, low] = self.address.port().to_be_bytes();
        [8, self.protocol as u8, a, b, c, d, high, low]
    }

    /// Returns true if it says "where this datagram came from": it lacks an address or a port
    pub const fn is_route_back(self) -> bool {
        self.address.ip().is_unspecified() || self.address.port() == 0
    }
}
