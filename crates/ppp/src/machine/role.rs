//! The role of one end of a link: the differences between a client and a server

#[cfg(feature = "server")]
use crate::authentication::Keys;
use crate::{
    authentication::Authentication,
    negotiation::role_options::{AddressOptions, EncryptionOptions, LinkOptions},
};

/// One of the two ends of a link, as types: a client's build has nothing of the server's
pub(crate) trait Role: std::fmt::Debug {
    type Lcp: LinkOptions;
    type Authentication: Authentication + std::fmt::Debug;
    type Ccp: EncryptionOptions;
    type Ipcp: AddressOptions;

    /// Returns the time at which IPCP begins
    fn ipcp_start(&self) -> IpcpStart;

    /// Keeps the keys if the network phase begins later: see [`Role::due`]
    #[cfg(feature = "server")]
    fn postpone(
        &mut self,
        _now: std::time::Instant,
        keys: Keys,
        _random: &mut crate::context::random::Random,
    ) -> Option<Keys> {
        Some(keys)
    }

    /// The keys that were kept, once the network phase is to begin
    #[cfg(feature = "server")]
    fn due(&mut self, _now: std::time::Instant) -> Option<Keys> {
        None
    }

    /// The time at which [`Role::due`] has keys
    #[cfg(feature = "server")]
    fn deadline(&self) -> Option<std::time::Instant> {
        None
    }

    /// Returns true if CCP and IPCP are discarded for now, and not kept either
    #[cfg(feature = "server")]
    fn is_deaf_to_network(&self) -> bool {
        false
    }

    /// Notes a Configure-Ack of CCP
    #[cfg(feature = "server")]
    fn note_ccp_ack(&mut self, _now: std::time::Instant) {}

    /// Returns true if a request of IPCP is answered by Terminate-Ack until CCP is open
    #[cfg(feature = "server")]
    fn turns_ipcp_away(&self) -> bool {
        false
    }

    /// Returns true if an encrypted packet is not opened but answered, with this identifier
    #[cfg(feature = "server")]
    fn turns_mppe_away(
        &mut self,
        _id: u8,
        _information: &[u8],
        _context: &mut crate::context::Context,
    ) -> bool {
        false
    }

    /// Corrupts an encrypted packet, so that the peer cannot open it
    #[cfg(feature = "server")]
    fn corrupt(&self, _encrypted: &mut [u8]) {}

    /// The Magic-Number of an Echo-Reply; `None`: there is no reply
    #[cfg(feature = "server")]
    fn echo_magic(&self, own: [u8; 4], _request: &[u8]) -> Option<[u8; 4]> {
        Some(own)
    }

    /// Returns true if control frames are judged before they count while the link is up: see
    /// [`guard`](crate::machine::guard)
    fn guards(&self) -> bool {
        false
    }

    /// Returns true if another inner address or DNS server ends a link that was up
    fn pins_addresses(&self) -> bool {
        false
    }

    /// Remarks that are sent over LCP once the link is up, though nothing depends on them
    #[cfg(feature = "server")]
    fn remarks(&self) -> Vec<(crate::wire::packet::Code, Vec<u8>)> {
        Vec::new()
    }

    /// Returns true if Naks and Rejects of LCP are not heard
    #[cfg(feature = "server")]
    fn is_deaf(&self) -> bool {
        false
    }

    /// The Terminate-Requests with which the link is ended as soon as the login is complete:
    /// protocols and data
    #[cfg(feature = "server")]
    fn terminate_requests(&self) -> Vec<(u16, Vec<u8>)> {
        Vec::new()
    }
}

/// The time at which IPCP begins: RFC 1661 lets all NCPs run side by side, and only servers wait
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IpcpStart {
    /// IPCP begins at once, beside CCP
    AtOnce,
    /// IPCP is closed, and answers Terminate-Ack, until CCP is open
    #[cfg(feature = "server")]
    ClosedAtFirst,
    /// IPCP is deaf until CCP is open, and then waits for the client
    #[cfg(feature = "server")]
    DeafAtFirst,
}
