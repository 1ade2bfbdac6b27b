//! What makes a client's link a client's

use crate::authentication::{self, Authentication};
use crate::ccp::Ccp;
use crate::failure::Failure;
use crate::ipcp::{AddressFacts, Ipcp};
use crate::lcp::{Lcp, LinkFacts};
use crate::negotiator::OptionSet;

/// One of the two ends of a link, as types: a client's build has nothing of the server's
pub(crate) trait Role: std::fmt::Debug {
    type Lcp: LinkOptions;
    type Authentication: Authentication + std::fmt::Debug;
    type Ccp: EncryptionOptions;
    type Ipcp: AddressOptions;

    /// When IPCP begins
    fn ipcp_start(&self) -> IpcpStart;
}

/// When IPCP begins: RFC 1661 lets all NCPs run side by side, and only servers do not
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IpcpStart {
    /// At once, beside CCP
    AtOnce,
    /// Closed, and so answering Terminate-Ack, until CCP is open
    #[cfg(feature = "server")]
    ClosedAtFirst,
    /// Deaf until CCP is open, and then waiting for the client
    #[cfg(feature = "server")]
    DeafAtFirst,
}

/// LCP's options, whichever role has them
pub(crate) trait LinkOptions: OptionSet + std::fmt::Debug {
    /// What was agreed, once LCP is open; or why that is not enough
    fn facts(&self) -> Result<LinkFacts, Failure>;

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
    /// Whether the peer's own direction was agreed to be encrypted
    fn is_encrypted(&self) -> bool;
}

/// IPCP's options, whichever role has them
pub(crate) trait AddressOptions: OptionSet + std::fmt::Debug {
    /// What was agreed, once IPCP is open
    fn facts(&self) -> AddressFacts;
}

/// The side that authenticates itself and is given an address
#[derive(Debug)]
pub(crate) struct Client;

impl Role for Client {
    type Lcp = Lcp;
    type Authentication = authentication::Client;
    type Ccp = Ccp;
    type Ipcp = Ipcp;

    fn ipcp_start(&self) -> IpcpStart {
        IpcpStart::AtOnce
    }
}
