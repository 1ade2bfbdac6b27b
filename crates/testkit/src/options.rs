//! The options of a server, as its parts see them

use std::net::Ipv4Addr;

use pptp_ppp::{
    EchoPolicy, Extras, HashName, Password, ServerAuthentication, ServerEncryption, ServerOrder,
};
use pptp_tunnel::GreBehavior;

use crate::{Control, Dhcp, Faults, KnxGateway};

/// Options of a server before it starts
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) building: u32,
    pub(crate) seed: u64,
    pub(crate) secrets: Vec<(String, Password)>,
    pub(crate) hash_name: HashName,
    pub(crate) control: Control,
    pub(crate) order: ServerOrder,
    pub(crate) authentication: ServerAuthentication,
    pub(crate) encryption: ServerEncryption,
    pub(crate) encryption_yields: bool,
    pub(crate) echo: EchoPolicy,
    pub(crate) mru: u16,
    pub(crate) dns: Vec<Ipv4Addr>,
    pub(crate) sessions: usize,
    pub(crate) mute_gre: bool,
    pub(crate) faults: Faults,
    pub(crate) dhcp: Option<Dhcp>,
    pub(crate) knx: KnxGateway,
    pub(crate) ipv6: bool,
    pub(crate) extras: Extras,
    pub(crate) moves_clients: bool,
    pub(crate) challenge_name: String,
    pub(crate) gre: GreBehavior,
    pub(crate) says_twice: bool,
    pub(crate) closes: Option<Closes>,
    pub(crate) gre_source: Option<Ipv4Addr>,
    pub(crate) gre_checksums: bool,
    pub(crate) one_session: bool,
    pub(crate) newest_session: bool,
}

/// Moments at which a server closes its control connections by itself, without a reason given
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Closes {
    /// At once after a client has connected: pptpd whose connections are all in use
    AtOnce,
    /// After the request for the control connection, instead of an answer
    AtStartRequest,
    /// After the request for the call, instead of an answer
    AtCallRequest,
    /// After the answer to that request, before any PPP: pptpd whose pppd does not start
    BehindCallReply,
}
