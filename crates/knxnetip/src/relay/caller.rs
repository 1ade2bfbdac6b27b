//! The place where a client wants its answers

use std::net::SocketAddrV4;

use crate::Hpai;

/// The place where a client wants its answers, and how it reaches us
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    /// Its control endpoint
    pub(super) control: SocketAddrV4,
    /// The address of ours to which it sends
    pub(super) via: SocketAddrV4,
    /// True if it wrote zeros ("route back")
    is_route_back: bool,
}

impl Caller {
    /// Makes the caller of a datagram with an HPAI
    pub(super) fn new(hpai: Hpai, from: SocketAddrV4, via: SocketAddrV4) -> Self {
        Self { control: endpoint(hpai, from), via, is_route_back: hpai.is_route_back() }
    }

    /// Makes the caller of a datagram without an HPAI
    pub(super) const fn at(from: SocketAddrV4, via: SocketAddrV4) -> Self {
        Self { control: from, via, is_route_back: false }
    }

    /// Returns the endpoint of the device, as this client reaches it: ours
    pub(super) fn device(&self, told: Hpai) -> Hpai {
        let address = if self.is_route_back { Hpai::ROUTE_BACK.address } else { self.via };
        Hpai { address, ..told }
    }
}

/// Returns the endpoint that an HPAI means, of which no more than the port is believed
pub(super) fn endpoint(hpai: Hpai, source: SocketAddrV4) -> SocketAddrV4 {
    if !hpai.is_route_back() && hpai.address.ip() == source.ip() { hpai.address } else { source }
}
