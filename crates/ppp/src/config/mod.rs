//! The decisions of the owner of a link

pub(crate) mod policy;
pub(crate) mod questions;

use std::net::Ipv4Addr;
use std::time::Duration;

#[cfg(feature = "server")]
use pptp_mppe::StatefulReset;
use pptp_mschap::{HashName, Password, PasswordEncoding};

use crate::config::policy::{AuthenticationPolicy, EncryptionPolicy};
use crate::config::questions::Questions;
#[cfg(feature = "server")]
use crate::server::ServerAuthentication;

/// How a client wants its link
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The name sent in the CHAP Response; `DOMAIN\user` where the server wants a domain
    pub user: String,
    /// The secret shared with the server
    pub password: Password,
    /// Which part of the user name goes into the challenge hash (RFC 2759 §4)
    pub hash_name: HashName,
    /// How the password becomes octets before it is hashed, or sent by PAP
    pub password_encoding: PasswordEncoding,
    /// Which authentication protocols are agreed to
    pub authentication: AuthenticationPolicy,
    /// Which refusals the owner wants to be asked about
    pub questions: Questions,
    /// Which encryption is agreed to
    pub encryption: EncryptionPolicy,
    /// Maximum-Receive-Unit we ask for, in octets of the Information field (RFC 1661 §6.1)
    ///
    /// 1400 by default: with MPPE, GRE and IP around it a frame still fits a path of 1460.
    pub mru: u16,
    /// Octets of the largest PPP frame, header included, that the carrier takes without fragments
    ///
    /// 1464 by default: Ethernet's 1500 less IPv4 20 and GRE 16.
    pub carrier_limit: u16,
    /// How a dead peer is noticed
    pub echo: EchoPolicy,
    /// How a dead data path is noticed
    pub proof: ProofPolicy,
    /// What to ask IPCP for
    pub addresses: AddressRequest,
    /// Whether to ask for IPv6 too (RFC 5072): link-local addresses, if the server has IPV6CP
    pub ipv6: bool,
    /// Whether to ask the server to compress the PPP header of what it sends (RFC 1661 §6.5, §6.6)
    ///
    /// Compressed headers are always taken, and sent to a server that asks for them.
    pub header_compression: bool,
    /// Whether the carrier lets anybody send frames in the peer's name, as GRE does; yes by default
    ///
    /// Then control frames in the clear are judged before they count while the link is up and encrypted:
    /// far from the sequence numbers that the peer has proven they are dropped, and what would end or
    /// restart the link waits until the peer was asked. No for a carrier that authenticates its frames.
    pub carrier_is_forgeable: bool,
    /// Whether the server may give another inner address or DNS server once the link was up; no by
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
    /// An address and two DNS servers of the server's choice
    fn default() -> Self {
        let any = Ipv4Addr::UNSPECIFIED;
        Self { address: any, primary_dns: Some(any), secondary_dns: Some(any) }
    }
}

/// When to send LCP Echo-Requests, and when to give up on the peer (RFC 1661 §5.8)
///
/// Adaptive: a peer that sends anything at all is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoPolicy {
    /// Silence after which the first Echo-Request goes out; zero switches echoes off
    pub silence: Duration,
    /// Time between one unanswered Echo-Request and the next
    pub interval: Duration,
    /// Unanswered Echo-Requests after which the peer is dead
    pub unanswered: u8,
}

impl Default for EchoPolicy {
    /// The first after 30 s, then every 10 s, dead after 4: 70 s from the last frame
    fn default() -> Self {
        Self { silence: Duration::from_secs(30), interval: Duration::from_secs(10), unanswered: 4 }
    }
}

/// Whether the data path is proven by packets of the link's own, and what is known of the peer
///
/// A proof is a ping of the peer's inner address, or of its first DNS server, and a packet with a TTL
/// of 1: see [`Reachability`](crate::Reachability).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofPolicy {
    /// Whether proofs are sent at all, and a link on which nothing passes is ended
    pub is_enabled: bool,
    /// Whether this peer has answered a proof on an earlier link
    pub has_answered: bool,
}

impl Default for ProofPolicy {
    /// Proofs are sent, and nothing is known
    fn default() -> Self {
        Self { is_enabled: true, has_answered: false }
    }
}

/// How a server serves one link
#[cfg(feature = "server")]
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The name in the Challenge
    pub name: String,
    /// Who may connect: user names and their secrets
    pub secrets: Vec<(String, Password)>,
    /// Which part of the user name goes into the challenge hash
    pub hash_name: HashName,
    /// The server's own inner address
    pub address: Ipv4Addr,
    /// The inner address given to the client
    pub assigned_address: Ipv4Addr,
    /// DNS servers given to a client that asks: at most two are asked for
    pub dns: Vec<Ipv4Addr>,
    /// Whether the client may have IPv6 too (RFC 5072)
    pub ipv6: bool,
    /// What it says and asks for beyond what a link needs
    pub extras: Extras,
    /// Maximum-Receive-Unit asked for
    pub mru: u16,
    /// Octets of the largest PPP frame that the carrier takes without fragments
    pub carrier_limit: u16,
    /// How a dead peer is noticed
    pub echo: EchoPolicy,
    /// Whose order of messages is followed
    pub order: ServerOrder,
    /// How clients have to prove who they are
    pub authentication: ServerAuthentication,
    /// What encryption there is
    pub encryption: ServerEncryption,
    /// Whether another kind of MPPE will do if the client asks for it in a Configure-Nak, or again
    pub encryption_yields: bool,
}

#[cfg(feature = "server")]
impl ServerConfig {
    /// A server without any account, in pppd's manner, that insists on MPPE
    pub fn new(address: Ipv4Addr, assigned_address: Ipv4Addr) -> Self {
        Self {
            name: "pptpd".to_owned(),
            secrets: Vec::new(),
            hash_name: HashName::default(),
            address,
            assigned_address,
            dns: Vec::new(),
            ipv6: false,
            extras: Extras::default(),
            mru: DEFAULT_MRU,
            carrier_limit: DEFAULT_CARRIER_LIMIT,
            echo: EchoPolicy::default(),
            order: ServerOrder::Pppd,
            authentication: ServerAuthentication::default(),
            encryption: ServerEncryption::Mppe128,
            encryption_yields: false,
        }
    }
}

/// What a server says and asks for beyond what a link needs
#[cfg(feature = "server")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Whether it asks in LCP for none of the options that servers of its [`ServerOrder`] add
    pub omits_usual_options: bool,
    /// Options that it asks for in LCP beside those of its [`ServerOrder`]: types and values
    ///
    /// One that the client rejects is not asked for again.
    pub link_options: Vec<(u8, Vec<u8>)>,
    /// The same in IPCP
    pub address_options: Vec<(u8, Vec<u8>)>,
    /// Whether it names no address of its own in IPCP
    pub hides_address: bool,
    /// The address that the client is given instead of the first one when it is negotiated anew
    pub second_address: Option<Ipv4Addr>,
    /// Whether it is deaf to the Magic-Number: it rejects ours, and has none
    pub rejects_magic: bool,
    /// Types of options that it rejects in the client's LCP Configure-Request
    pub rejected_options: Vec<u8>,
    /// Identifier of its first LCP packet; 1 if there is none
    pub first_identifier: Option<u8>,
    /// What its first CCP Configure-Request offers, instead of what its encryption implies
    pub first_offer: Option<crate::MppeBits>,
    /// When it starts CCP and IPCP behind the login; at once if there is none
    pub slow_start: Option<crate::server::SlowStart>,
    /// Whether it answers the client's IPCP Configure-Request with Terminate-Ack until CCP is open, though it
    /// sends its own
    pub turns_ipcp_away: bool,
    /// Configure-Naks of the client's DNS options that it sends whatever the client asks for
    ///
    /// The client's address is not mentioned before they are through.
    pub dns_naks: u8,
    /// What it says of itself once the link is up (RFC 1570 §2.1)
    pub identification: Option<String>,
    /// The Terminate-Requests, each with an error code of Windows, with which it ends the link as soon as
    /// the login is through
    pub farewell: Vec<(crate::Protocol, crate::RasCode)>,
    /// For how many seconds the link will last, said once it is up (RFC 1570 §2.2)
    pub seconds_remaining: Option<u32>,
}

/// Whose order of messages a server follows
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerOrder {
    /// pptpd with pppd: IPCP stays closed, and answers Terminate-Ack, until CCP is open
    Pppd,
    /// accel-ppp: IPCP is deaf until CCP is open, and then waits for the client's request
    AccelPpp,
    /// Windows RRAS: an LCP request full of options, IPCP beside CCP, every kind of MPPE offered
    Rras,
}

/// What encryption a server has
///
/// With MPPE it has no link without it, and insists on its own kind unless it
/// [yields](ServerConfig::encryption_yields). Without MPPE its links are in the clear.
#[cfg(feature = "server")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEncryption {
    /// 128 bit, stateless
    Mppe128,
    /// 128 bit, stateful, in this reading
    Mppe128Stateful(StatefulReset),
    /// 56 bit, stateless
    Mppe56,
    /// 40 bit, stateless
    Mppe40,
    /// None, told by an MPPE option without a bit: accel-ppp where it only allows MPPE
    ZeroBits,
    /// None, but compression: RRAS with encryption switched off; a client's MPPE is rejected
    MppcOnly,
    /// None: CCP opens, and a client's MPPE is rejected
    None,
    /// None, nor CCP: it is answered with Protocol-Reject
    NoCcp,
    /// None, and CCP is not answered at all
    Silent,
}

const DEFAULT_MRU: u16 = 1400;
const DEFAULT_CARRIER_LIMIT: u16 = 1464;
