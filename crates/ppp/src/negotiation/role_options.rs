//! The options of LCP, CCP and IPCP as a link sees them, whichever role has them

use std::net::Ipv4Addr;

use pptp_mppe::StatefulReset;

use super::negotiator::option_set::OptionSet;
use crate::config::AddressRequest;
use crate::encryption::agreed::{Agreed, Stance};
use crate::failure::Failure;
use crate::wire::frame;
use crate::wire::packet::Options;
use crate::wire::protocol::{AuthenticationProtocol, MppeBits};

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
    pub(crate) address: Ipv4Addr,
    pub(crate) peer_address: Option<Ipv4Addr>,
    pub(crate) dns: Vec<Ipv4Addr>,
    pub(crate) request: AddressRequest,
}

/// LCP's options, whichever role has them
pub(crate) trait LinkOptions: OptionSet + std::fmt::Debug {
    /// Returns the outcome of LCP once it is open, or why that is not enough
    fn facts(&self) -> Result<LinkFacts, Failure>;

    /// The link is encrypted from now on: an authentication that leaves no keys will not do
    fn require_keys(&mut self) {}

    /// Returns the reason that the peer may have to hang up while LCP is negotiated
    fn disagreement(&self) -> Option<Failure> {
        None
    }
}

/// CCP's options, whichever role has them
pub(crate) trait EncryptionOptions: OptionSet + std::fmt::Debug {
    /// Returns the failure of a link whose CCP does not open
    fn unavailable(&self) -> Failure;
    /// Returns the reason that the peer may have to hang up now: its offer was refused
    fn disagreement(&self) -> Option<Failure> {
        None
    }
    /// The stance towards CCP once the authentication is over
    fn stance(&self, has_keys: bool) -> Stance;
    /// Returns the outcome of CCP for both directions, once it is open
    fn agreed(&self) -> Agreed;
    /// A Configure-Request of the peer is not even judged, since CCP as a whole is refused
    fn note_refused(&mut self, _request: &Options<'_>) {}
    /// Returns the latest offer of the peer that was not agreed to
    fn offered(&self) -> Option<MppeBits> {
        None
    }
    /// The link is encrypted from now on: it never goes on in the clear
    fn insist(&mut self) {}
    /// Returns the way in which a stateful session is reset
    fn stateful_reset(&self) -> StatefulReset;
}

/// IPCP's options, whichever role has them
pub(crate) trait AddressOptions: OptionSet + std::fmt::Debug {
    /// Our own address, as it is now
    fn address(&self) -> Ipv4Addr;
    /// Returns the outcome of IPCP, once it is open
    fn facts(&self) -> AddressFacts;
}
