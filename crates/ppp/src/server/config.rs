//! The decisions of the owner of a server's link

use std::net::Ipv4Addr;

use pptp_mschap::{HashName, Password};

use super::behavior::{ServerAuthentication, ServerEncryption, ServerOrder};
use super::slow_start::SlowStart;
use crate::config::{DEFAULT_CARRIER_LIMIT, DEFAULT_MRU, EchoPolicy};
use crate::failure::ras::RasCode;
use crate::wire::protocol::{MppeBits, Protocol};

/// How a server serves one link
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
    pub first_offer: Option<MppeBits>,
    /// When it starts CCP and IPCP behind the login; at once if there is none
    pub slow_start: Option<SlowStart>,
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
    pub farewell: Vec<(Protocol, RasCode)>,
    /// For how many seconds the link will last, said once it is up (RFC 1570 §2.2)
    pub seconds_remaining: Option<u32>,
}
