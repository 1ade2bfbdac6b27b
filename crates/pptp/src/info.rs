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

use std::{net::SocketAddrV4, ops::Deref};

#[doc(inline)]
pub use pptp_tunnel::{
    AddressRequest, Assigned, ConnectTimeline, Encryption, Facts, Ipv6Addresses, Proof,
};
use pptp_tunnel::{Quirks, Reachability};

#[doc(inline)]
pub use crate::state::Redial;
use crate::{known_path::KnownPath, known_quirks::KnownQuirks};

/// The result of the negotiation: its [`Facts`], and the server that they were agreed with
///
/// The fields of [`Facts`] are read as if they were its own: `info.inner_address`, `info.mtu`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Info {
    /// Everything that was negotiated
    pub facts: Facts,
    /// The server's outer address
    pub server: SocketAddrV4,
    pub(crate) path: KnownPath,
    pub(crate) quirks: Option<KnownQuirks>,
}

impl Info {
    /// Returns whether packets pass inside the tunnel, and how that was proven, as far as known by now
    pub fn reachability(&self) -> Reachability {
        self.path.reachability()
    }

    /// Returns the quirks by which the server was recognized, for [`TunnelConfig::resuming`]
    ///
    /// [`TunnelConfig::resuming`]: crate::TunnelConfig::resuming
    pub fn quirks(&self) -> Option<&Quirks> {
        self.quirks.as_ref().map(KnownQuirks::get)
    }

    pub(crate) fn new(server: SocketAddrV4, facts: &Facts, quirks: Option<KnownQuirks>) -> Self {
        Self { facts: facts.clone(), server, path: KnownPath::new(0), quirks }
    }
}

impl Deref for Info {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        &self.facts
    }
}
