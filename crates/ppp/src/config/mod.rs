//! The configuration of a client's link, which its owner decides
//!
//! | module | content |
//! |---|---|
//! | `policy` | the authentication and the encryption that a client agrees to |
//! | `questions` | the questions to the owner when a server refuses a login |
//! | `quirks` | values that one kind of peer needs, learnt on the way |

pub(crate) mod policy;
pub(crate) mod questions;
pub(crate) mod quirks;

use std::{net::Ipv4Addr, time::Duration};

use pptp_mschap::{HashName, Password, PasswordEncoding};

use crate::config::{
    policy::{AuthenticationPolicy, EncryptionPolicy},
    questions::Questions,
};

/// The Maximum-Receive-Unit of both roles unless their owner names another
pub(crate) const DEFAULT_MRU: u16 = 1400;

/// Ethernet's 1500 octets less IPv4 20 and GRE 16
pub(crate) const DEFAULT_CARRIER_LIMIT: u16 = 1464;

/// The configuration of a client's link
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The name sent in the CHAP Response; `DOMAIN\user` where the server wants a domain
    pub user: String,
    /// The secret shared with the server
    pub password: Password,
    /// The part of the user name that goes into the challenge hash (RFC 2759 §4)
    pub hash_name: HashName,
    /// The encoding by which the password becomes octets before it is hashed, or sent by PAP
    pub password_encoding: PasswordEncoding,
    /// The authentication protocols that are agreed to
    pub authentication: AuthenticationPolicy,
    /// The refusals about which the owner is asked
    pub questions: Questions,
    /// The encryption that is agreed to
    pub encryption: EncryptionPolicy,
    /// Maximum-Receive-Unit we ask for, in octets of the Information field (RFC 1661 §6.1)
    ///
    /// 1400 by default: with MPPE, GRE and IP around it a frame still fits a path of 1460.
    pub mru: u16,
    /// Octets of the largest PPP frame, header included, that the carrier takes without fragments
    ///
    /// 1464 by default: Ethernet's 1500 less IPv4 20 and GRE 16.
    pub carrier_limit: u16,
    /// The policy by which a dead peer is noticed
    pub echo: EchoPolicy,
    /// The policy by which a dead data path is noticed
    pub proof: ProofPolicy,
    /// The addresses to ask IPCP for
    pub addresses: AddressRequest,
    /// True if IPv6 is asked for too (RFC 5072): link-local addresses, if the server has IPV6CP
    pub ipv6: bool,
    /// True if the server is asked to compress the PPP headers of its frames (RFC 1661 §6.5, §6.6)
    ///
    /// Compressed headers are always taken, and sent to a server that asks for them.
    pub header_compression: bool,
    /// True if the carrier lets anybody send frames in the peer's name, as GRE does; yes by default
    ///
    /// Then control frames in the clear are judged before they count while the link is up and encrypted:
    /// far from the sequence numbers that the peer has proven they are dropped, and what would end or
    /// restart the link waits until the peer was asked. No for a carrier that authenticates its frames.
    pub carrier_is_forgeable: bool,
    /// True if the server may give another inner address or DNS server once the link was up; no by
    /// default: [`Failure::AddressChanged`](crate::Failure::AddressChanged) ends it
    pub address_may_change: bool,
}

impl ClientConfig {
    /// The defaults, for this account
    pub fn new(user: impl Into<String>, password: Password) -> Self {
        Self {
            user: user.into(),
            password,
            hash_name: HashName::default(),
            password_encoding: PasswordEncoding::default(),
            authentication: AuthenticationPolicy::default(),
            questions: Questions::default(),
            encryption: EncryptionPolicy::default(),
            mru: DEFAULT_MRU,
            carrier_limit: DEFAULT_CARRIER_LIMIT,
            echo: EchoPolicy::default(),
            proof: ProofPolicy::default(),
            addresses: AddressRequest::default(),
            ipv6: false,
            header_compression: false,
            carrier_is_forgeable: true,
            address_may_change: false,
        }
    }
}

/// The addresses that a client asks IPCP for (RFC 1332 §3.3, RFC 1877 §1.1 and §1.3)
///
/// 0.0.0.0 leaves the choice to the server, which costs a round trip: its Configure-Nak. A DNS server
/// that is `None` is not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRequest {
    /// Our inner address
    pub address: Ipv4Addr,
    /// The DNS server to be asked first
    pub primary_dns: Option<Ipv4Addr>,
    /// The DNS server to be asked next
    pub secondary_dns: Option<Ipv4Addr>,
}

impl Default for AddressRequest {
    /// Returns a request for an address and two DNS servers of the server's choice
    fn default() -> Self {
        let any = Ipv4Addr::UNSPECIFIED;
        Self { address: any, primary_dns: Some(any), secondary_dns: Some(any) }
    }
}

/// The times of LCP Echo-Requests, and the number of them after which the peer is dead (RFC 1661 §5.8)
///
/// Adaptive: a peer that sends anything at all is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EchoPolicy {
    /// Silence after which the first Echo-Request goes out; zero switches echoes off
    pub silence: Duration,
    /// Time between one unanswered Echo-Request and the next
    pub interval: Duration,
    /// Unanswered Echo-Requests after which the peer is dead
    pub unanswered: u8,
}

impl EchoPolicy {
    /// The first after 30 s, then every 10 s, dead after 4: 70 s from the last frame
    pub const DEFAULT: Self =
        Self { silence: Duration::from_secs(30), interval: Duration::from_secs(10), unanswered: 4 };

    /// Sets the silence before the first Echo-Request: the field of the same name
    #[must_use]
    pub const fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Sets the time between one unanswered Echo-Request and the next: the field of the same name
    #[must_use]
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the number of unanswered Echo-Requests after which the peer is dead: the field of the same name
    #[must_use]
    pub const fn unanswered(mut self, unanswered: u8) -> Self {
        self.unanswered = unanswered;
        self
    }
}

impl Default for EchoPolicy {
    /// Returns [`EchoPolicy::DEFAULT`]
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The policy of proofs: packets of the link's own that show whether the data path is open
///
/// A proof is a ping of the peer's inner address, or of its first DNS server, and a packet with a TTL
/// of 1: see [`Reachability`](crate::Reachability).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofPolicy {
    /// True if proofs are sent at all, and a link on which nothing passes is ended
    pub is_enabled: bool,
    /// True if this peer has answered a proof on an earlier link
    pub has_answered: bool,
}

impl Default for ProofPolicy {
    /// Returns a policy that sends proofs, to a peer of which nothing is known
    fn default() -> Self {
        Self { is_enabled: true, has_answered: false }
    }
}
