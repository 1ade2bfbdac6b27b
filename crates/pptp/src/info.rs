//! The facts that a tunnel's negotiation led to
//!
//! [`Tunnel::info`](crate::Tunnel::info) returns them. They change only if the server negotiates anew.
//!
//! ```no_run
//! # fn example(tunnel: &pptp::Tunnel) {
//! let info = tunnel.info();
//! println!("we are {}, the DNS servers are {:?}", info.inner_address, info.dns);
//! println!("{:?}, connected after {}", info.authentication, info.timeline);
//! # }
//! ```

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use pptp_tunnel::{AddressRequest, AuthenticationProtocol, Facts, Quirks, Reachability};
#[doc(inline)]
pub use pptp_tunnel::{Assigned, ConnectTimeline, Encryption, Ipv6Addresses, Proof};

use crate::known_path::KnownPath;
#[doc(inline)]
pub use crate::state::Redial;

/// The result of the negotiation
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Info {
    /// Our address in the remote network
    pub inner_address: Ipv4Addr,
    /// The server's address in the remote network, if it told one: no more than a label
    pub peer_address: Option<Ipv4Addr>,
    /// The server's outer address
    pub server: SocketAddrV4,
    /// DNS servers of the remote network
    pub dns: Vec<Ipv4Addr>,
    /// The link-local addresses of IPv6, if it was asked for and the server has it
    pub ipv6: Option<Ipv6Addresses>,
    /// The largest IP packet that fits the tunnel, in octets
    pub mtu: u16,
    /// The protocol of our login: MS-CHAPv2, unless an insecure option allows less
    pub authentication: AuthenticationProtocol,
    /// The encryption of both directions; `None`: they are in the clear, which only an insecure
    /// option allows
    pub encryption: Option<Encryption>,
    /// From the start of the connect to the first moment in which IP packets could flow
    pub connect_time: Duration,
    /// Round trips between TCP's SYN and that moment, of messages that had to wait for each other
    pub round_trips: u16,
    /// The time that each phase took
    pub timeline: ConnectTimeline,
    pub(crate) request: AddressRequest,
    pub(crate) path: KnownPath,
    /// Boxed: hardly any server has some
    pub(crate) quirks: Option<Box<Quirks>>,
}

impl Info {
    /// Returns whether packets pass inside the tunnel, and how that was proven, as far as known by now
    pub fn reachability(&self) -> Reachability {
        self.path.reachability()
    }

    /// Returns the quirks by which the server was recognised, for [`TunnelConfig::resuming`]
    ///
    /// [`TunnelConfig::resuming`]: crate::TunnelConfig::resuming
    pub fn quirks(&self) -> Option<&Quirks> {
        self.quirks.as_deref()
    }

    pub(crate) fn new(server: SocketAddrV4, facts: &Facts, quirks: Option<Box<Quirks>>) -> Self {
        Self {
            inner_address: facts.address,
            peer_address: facts.peer_address,
            server,
            dns: facts.dns.clone(),
            ipv6: facts.ipv6,
            mtu: facts.mtu,
            authentication: facts.authentication,
            encryption: facts.encryption,
            connect_time: facts.connect_time,
            round_trips: facts.round_trips,
            timeline: facts.timeline.clone(),
            request: facts.request,
            path: KnownPath::new(0),
            quirks,
        }
    }
}
