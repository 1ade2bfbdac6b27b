//! The options of LCP, CCP and IPCP as a link sees them, in both roles

use std::net::Ipv4Addr;

use pptp_mppe::StatefulReset;

use super::negotiator::option_set::OptionSet;
use crate::{
    config::AddressRequest,
    encryption::agreed::{Agreed, CcpPolicy},
    failure::Failure,
    wire::{
        frame,
        options::Options,
        protocol::{AuthenticationProtocol, MppeBits},
    },
};

/// The outcome of LCP
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkFacts {
    /// The Maximum-Receive-Unit that the peer keeps to
    pub(crate) mru: u16,
    pub(crate) magic: Option<u32>,
    pub(crate) peer_mru: u16,
    pub(crate) peer_magic: Option<u32>,
    pub(crate) form: frame::Form,
    pub(crate) authentication: AuthenticationProtocol,
}

/// The outcome of IPCP
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddressFacts {
    pub(crate) inner_address: Ipv4Addr,
    pub(crate) peer_address: Option<Ipv4Addr>,
    pub(crate) dns: Vec<Ipv4Addr>,
    pub(crate) request: AddressRequest,
}

/// The options of LCP in one of the two roles
pub(crate) trait LinkOptions: OptionSet + std::fmt::Debug {
    /// Returns the outcome of LCP once it is open, or why that is not enough
    fn facts(&self) -> Result<LinkFacts, Failure>;

    /// Requires an authentication that leaves keys, since the link is encrypted from now on
    fn require_keys(&mut self) {}

    /// Returns the reason that the peer may have to hang up while LCP is negotiated
    fn disagreement(&self) -> Option<Failure> {
        None
    }
}

/// The options of CCP in one of the two roles
pub(crate) trait EncryptionOptions: OptionSet + std::fmt::Debug {
    /// Returns the failure of a link whose CCP does not open
    fn unavailable(&self) -> Failure;
    /// Returns the reason that the peer may have to hang up now: its offer was refused
    fn disagreement(&self) -> Option<Failure> {
        None
    }
    /// The policy for CCP once the authentication is over
    fn ccp_policy(&self, has_keys: bool) -> CcpPolicy;
    /// Returns the outcome of CCP for both directions, once it is open
    fn agreed(&self) -> Agreed;
    /// Notes a Configure-Request of the peer that is not judged, since CCP as a whole is refused
    fn note_refused(&mut self, _request: &Options<'_>) {}
    /// Returns the latest offer of the peer that was not agreed to
    fn offered(&self) -> Option<MppeBits> {
        None
    }
    /// Requires encryption, since the link is encrypted from now on
    fn require_encryption(&mut self) {}
    /// Returns the way in which a stateful session is reset
    fn stateful_reset(&self) -> StatefulReset;
}

/// The options of IPCP in one of the two roles
pub(crate) trait AddressOptions: OptionSet + std::fmt::Debug {
    /// Our own address, as it is now
    fn address(&self) -> Ipv4Addr;
    /// Returns the outcome of IPCP, once it is open
    fn facts(&self) -> AddressFacts;
}
