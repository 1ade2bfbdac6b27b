//! The configuration of a server's link, which its owner decides

use std::net::Ipv4Addr;

use pptp_mschap::{HashName, Password};

use super::{
    behavior::{ServerAuthentication, ServerEncryption, ServerOrder},
    startup_delays::StartupDelays,
};
use crate::{
    config::{DEFAULT_CARRIER_LIMIT, DEFAULT_MRU, EchoPolicy},
    failure::ras::RasCode,
    wire::protocol::{MppeBits, Protocol},
};

/// The configuration of a server's link
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The name in the Challenge
    pub name: String,
    /// The accounts that may connect: user names and their secrets
    pub secrets: Vec<(String, Password)>,
    /// The part of the user name that goes into the challenge hash
    pub hash_name: HashName,
    /// The server's own inner address
    pub address: Ipv4Addr,
    /// The inner address given to the client
    pub assigned_address: Ipv4Addr,
    /// DNS servers given to a client that asks: at most two are asked for
    pub dns: Vec<Ipv4Addr>,
    /// True if the client may have IPv6 too (RFC 5072)
    pub ipv6: bool,
    /// The messages and options beyond those that a link needs
    pub extras: Extras,
    /// Maximum-Receive-Unit asked for
    pub mru: u16,
    /// Octets of the largest PPP frame that the carrier takes without fragments
    pub carrier_limit: u16,
    /// The policy by which a dead peer is noticed
    pub echo: EchoPolicy,
    /// The real server whose order of messages is followed
    pub order: ServerOrder,
    /// The authentication that is asked of clients
    pub authentication: ServerAuthentication,
    /// The encryption that the server has
    pub encryption: ServerEncryption,
    /// True if another kind of MPPE is agreed to, if the client asks for it in a Configure-Nak, or
    /// again
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

/// The messages and options of a server beyond those that a link needs
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// True if it asks in LCP for none of the options that servers of its [`ServerOrder`] add
    pub omits_usual_options: bool,
    /// Options that it asks for in LCP beside those of its [`ServerOrder`]: types and values
    ///
    /// One that the client rejects is not asked for again.
    pub link_options: Vec<(u8, Vec<u8>)>,
    /// Options that it asks for in IPCP: types and values
    pub address_options: Vec<(u8, Vec<u8>)>,
    /// True if it names no address of its own in IPCP
    pub hides_address: bool,
    /// The address that the client is given instead of the first one when it is negotiated anew
    pub second_address: Option<Ipv4Addr>,
    /// True if it is deaf to the Magic-Number: it rejects ours, and has none
    pub rejects_magic: bool,
    /// Types of options that it rejects in the client's LCP Configure-Request
    pub rejected_options: Vec<u8>,
    /// Identifier of its first LCP packet; 1 by default
    pub first_identifier: Option<u8>,
    /// The offer of its first CCP Configure-Request, instead of the one that its encryption implies
    pub first_offer: Option<MppeBits>,
    /// The times at which it starts CCP and IPCP behind the login; at once by default
    pub startup_delays: Option<StartupDelays>,
    /// True if it answers the client's IPCP Configure-Request with Terminate-Ack until CCP is open, though it
    /// sends its own
    pub turns_ipcp_away: bool,
    /// Configure-Naks of the client's DNS options that it sends whatever the client asks for
    ///
    /// The client's address is not mentioned before they are through.
    pub dns_naks: u8,
    /// The Identification that it sends once the link is up (RFC 1570 §2.1)
    pub identification: Option<String>,
    /// The Terminate-Requests, each with an error code of Windows, with which it ends the link as soon as
    /// the login is through
    pub terminate_requests: Vec<(Protocol, RasCode)>,
    /// The seconds that the link will last, sent once it is up (RFC 1570 §2.2)
    pub seconds_remaining: Option<u32>,
}
