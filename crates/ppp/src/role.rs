//! What makes a client's link a client's

use pptp_mppe::StatefulReset;

use crate::authentication::{self, Authentication};
use crate::encryption::{Agreed, Stance};
use crate::failure::Failure;
use crate::negotiation::ccp::Ccp;
use crate::negotiation::ipcp::{AddressFacts, Ipcp};
use crate::negotiation::lcp::{Lcp, LinkFacts};
use crate::negotiation::negotiator::OptionSet;
use crate::wire::packet::Options;
use crate::wire::protocol::MppeBits;

/// One of the two ends of a link, as types: a client's build has nothing of the server's
pub(crate) trait Role: std::fmt::Debug {
    type Lcp: LinkOptions;
    type Authentication: Authentication + std::fmt::Debug;
    type Ccp: EncryptionOptions;
    type Ipcp: AddressOptions;

    /// When IPCP begins
    fn ipcp_start(&self) -> IpcpStart;

    /// Keeps the keys if the network phase begins later: see [`Role::due`]
    #[cfg(feature = "server")]
    fn postpone(
        &mut self,
        _now: std::time::Instant,
        keys: authentication::Keys,
        _random: &mut crate::context::random::Random,
    ) -> Option<authentication::Keys> {
        Some(keys)
    }

    /// The keys that were kept, once the network phase is to begin
    #[cfg(feature = "server")]
    fn due(&mut self, _now: std::time::Instant) -> Option<authentication::Keys> {
        None
    }

    /// When [`Role::due`] has something
    #[cfg(feature = "server")]
    fn deadline(&self) -> Option<std::time::Instant> {
        None
    }

    /// Whether CCP and IPCP are discarded for now, and not kept either
    #[cfg(feature = "server")]
    fn is_deaf_to_network(&self) -> bool {
        false
    }

    /// A Configure-Ack of CCP came in
    #[cfg(feature = "server")]
    fn note_ccp_ack(&mut self, _now: std::time::Instant) {}

    /// Whether a request of IPCP is answered by Terminate-Ack until CCP is open
    #[cfg(feature = "server")]
    fn turns_ipcp_away(&self) -> bool {
        false
    }

    /// Whether an encrypted packet is not opened but answered, with this identifier
    #[cfg(feature = "server")]
    fn turns_mppe_away(
        &mut self,
        _id: u8,
        _information: &[u8],
        _context: &mut crate::context::Context,
    ) -> bool {
        false
    }

    /// Spoils what was encrypted, so that the peer cannot open it
    #[cfg(feature = "server")]
    fn garble(&self, _encrypted: &mut [u8]) {}

    /// The Magic-Number of an Echo-Reply; `None`: there is no reply
    #[cfg(feature = "server")]
    fn echo_magic(&self, own: [u8; 4], _request: &[u8]) -> Option<[u8; 4]> {
        Some(own)
    }

    /// Whether control frames are judged before they count while the link is up: see
    /// [`guard`](crate::guard)
    fn guards(&self) -> bool {
        false
    }

    /// Whether another inner address or DNS server ends a link that was up
    fn pins_addresses(&self) -> bool {
        false
    }

    /// What is said over LCP once the link is up, though nothing depends on it
    #[cfg(feature = "server")]
    fn remarks(&self) -> Vec<(crate::wire::packet::Code, Vec<u8>)> {
        Vec::new()
    }

    /// Whether Naks and Rejects of LCP are not heard
    #[cfg(feature = "server")]
    fn is_deaf(&self) -> bool {
        false
    }

    /// The Terminate-Requests with which the link is ended as soon as the login is through: protocols
    /// and data
    #[cfg(feature = "server")]
    fn farewell(&self) -> Vec<(u16, Vec<u8>)> {
        Vec::new()
    }
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
    fn address(&self) -> std::net::Ipv4Addr;
    /// What was agreed, once IPCP is open
    fn facts(&self) -> AddressFacts;
}

/// The side that authenticates itself and is given an address
#[derive(Debug)]
pub(crate) struct Client {
    /// Whether the carrier lets anybody send frames in the peer's name
    pub(crate) is_forgeable: bool,
    /// Whether the peer may give another address and other DNS servers once the link was up
    pub(crate) address_may_change: bool,
}

impl Role for Client {
    type Lcp = Lcp;
    type Authentication = authentication::Client;
    type Ccp = Ccp;
    type Ipcp = Ipcp;

    fn ipcp_start(&self) -> IpcpStart {
        IpcpStart::AtOnce
    }

    fn guards(&self) -> bool {
        self.is_forgeable
    }

    fn pins_addresses(&self) -> bool {
        !self.address_may_change
    }
}
