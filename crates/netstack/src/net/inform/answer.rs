//! The answer of a DHCP server, and the options that it is read from

use std::net::Ipv4Addr;

/// The answer of a DHCP server
///
/// It is data only and changes nothing in the stack. DHCP has no authentication: any host in the network
/// can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DhcpAnswer {
    /// The address of the server
    pub server: Ipv4Addr,
    /// Classless static routes (RFC 3442): option 121, or Microsoft's 249 if there is none; at most
    /// [`DhcpAnswer::MAX_ROUTES`]
    pub routes: Vec<Route>,
    /// Routes that were left out: to everywhere, or beyond the limit
    pub routes_ignored: u32,
    /// DNS servers, in their order; at most 8
    pub dns: Vec<Ipv4Addr>,
    /// The domain of unqualified names
    pub domain: Option<String>,
    /// The subnet mask
    pub subnet_mask: Option<Ipv4Addr>,
    /// Routers of the subnet; at most 8. They count only if there are no routes (RFC 3442)
    pub routers: Vec<Ipv4Addr>,
}

impl DhcpAnswer {
    /// Routes kept of an answer
    pub const MAX_ROUTES: usize = 64;

    /// An answer that says nothing yet
    pub(super) const fn of(server: Ipv4Addr) -> Self {
        Self {
            server,
            routes: Vec::new(),
            routes_ignored: 0,
            dns: Vec::new(),
            domain: None,
            subnet_mask: None,
            routers: Vec::new(),
        }
    }

    /// Adds those routes that count
    pub(super) fn take_routes(&mut self, routes: Vec<Route>, default_route: bool) {
        for route in routes {
            let is_to_everywhere = route.prefix_len <= 1;
            if (is_to_everywhere && !default_route) || self.routes.len() >= Self::MAX_ROUTES {
                self.routes_ignored = self.routes_ignored.saturating_add(1);
            } else if !self.routes.contains(&route) {
                self.routes.push(route);
            }
        }
    }
}

/// A classless static route (RFC 3442)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route {
    /// The network it leads to, without host bits
    pub network: Ipv4Addr,
    /// Bits of the network's prefix, 0 to 32
    pub prefix_len: u8,
    /// The router, or 0.0.0.0 for a network that is on the link itself
    pub gateway: Ipv4Addr,
}

/// The routes of RFC 3442, each as prefix length, the octets of the network that it needs, and gateway
///
/// `None` if it is cut off, or a prefix is too long: half of the routes may be worse than none.
pub(super) fn read_routes(mut data: &[u8]) -> Option<Vec<Route>> {
    let mut routes = Vec::new();
    while let Some((prefix_len, rest)) = data.split_first() {
        let significant = usize::from(prefix_len.checked_add(7)?.checked_div(8)?);
        let (octets, rest) = rest.split_at_checked(significant)?;
        let (gateway, rest) = rest.split_first_chunk::<4>()?;
        let mut network = [0; 4];
        network.get_mut(..significant)?.copy_from_slice(octets);
        let host_bits = u32::MAX.checked_shr((*prefix_len).into()).unwrap_or(0);
        routes.push(Route {
            network: Ipv4Addr::from_bits(u32::from_be_bytes(network) & !host_bits),
            prefix_len: *prefix_len,
            gateway: (*gateway).into(),
        });
        data = rest;
    }
    Some(routes)
}

/// The addresses of an option, as many as are kept
pub(super) fn read_addresses(data: &[u8]) -> Vec<Ipv4Addr> {
    let (addresses, _) = data.as_chunks::<4>();
    addresses.iter().take(MAX_ADDRESSES).copied().map(Ipv4Addr::from).collect()
}

/// A text, without the NUL that some servers send with it
pub(super) fn read_text(data: &[u8]) -> Option<String> {
    let end = data.iter().position(|octet| *octet == 0).unwrap_or(data.len());
    let text = String::from_utf8_lossy(data.get(..end)?).into_owned();
    (!text.is_empty()).then_some(text)
}

/// Addresses of an option that are kept
pub(super) const MAX_ADDRESSES: usize = 8;
