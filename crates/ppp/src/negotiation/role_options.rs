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
    /// What the peer keeps to
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
    /// What was agreed, once LCP is open; or why that is not enough
    fn facts(&self) -> Result<LinkFacts, Failure>;

    /// The link is encrypted from now on: an authentication that leaves no keys will not do
    fn require_keys(&mut self) {}

    /// Why the peer may have hung up while LCP was negotiated
    fn disagreement(&self) -> Option<Failure> {
        None
    }
}

/// CCP's options, whichever role has them
pub(crate) trait EncryptionOptions: OptionSet + std::fmt::Debug {
    /// Why the link ends when CCP does not open
    fn unavailable(&self) -> Failure;
    /// Why a peer that hangs up now may have done so: what it offered was refused
    fn disagreement(&self) -> Option<Failure> {
        None
    }
    /// What is done about CCP once the authentication is over
    fn stance(&self, has_keys: bool) -> Stance;
    /// What both directions came to, once CCP is open
    fn agreed(&self) -> Agreed;
    /// A Configure-Request of the peer is not even judged, since CCP as a whole is refused
    fn note_refused(&mut self, _request: &Options<'_>) {}
    /// What the peer offered last that was not agreed to
    fn offered(&self) -> Option<MppeBits> {
        None
    }
    /// The link is encrypted from now on: it never goes on in the clear
    fn insist(&mut self) {}
    /// How a stateful session is reset
    fn stateful_reset(&self) -> StatefulReset;
}

/// IPCP's options, whichever role has them
pub(crate) trait AddressOptions: OptionSet + std::fmt::Debug {
    /// Our own address, as it is now
    fn address(&self) -> Ipv4Addr;
    /// What was agreed, once IPCP is open
    fn facts(&self) -> AddressFacts;
}
