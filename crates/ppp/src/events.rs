//! The events of a link, which its owner polls

use std::{net::Ipv4Addr, time::Duration};

use crate::{
    config::{AddressRequest, questions::Question},
    context::stats::Discard,
    encryption::agreed::Encryption,
    failure::{Failure, ras::RasCode},
    liveness::path_monitor::Reachability,
    negotiation::ipv6cp::Ipv6Addresses,
    wire::protocol::{AuthenticationProtocol, Protocol},
};

/// An event that the owner of a link has to know
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The link entered this phase
    Phase(Phase),
    /// IP packets pass from now on; comes again, with the facts as they are then, after every
    /// renegotiation, and when IPv6 comes or goes
    Up(Negotiated),
    /// The reachability has changed: packets pass inside the link, or that is not known
    Reachable(Reachability),
    /// The server refused the login, and the owner is asked for an answer: see [`Questions`]
    ///
    /// [`Questions`]: crate::Questions
    Ask(Question),
    /// The server took the new password: the old one is not valid any more
    PasswordChanged,
    /// A text by which the peer identifies itself (RFC 1570 §2.1); Windows clients send one
    Identification(String),
    /// The time after which the peer will end the link, and its message (RFC 1570 §2.2)
    TimeRemaining {
        /// Time from now on; [`Duration::MAX`] for ever
        left: Duration,
        /// The peer's own words
        message: String,
    },
    /// The peer began to negotiate anew: no IP packet passes until the next [`Event::Up`]
    Renegotiating,
    /// The peer leaves LCP Echo-Requests unanswered and has never answered one: the carrier is to ask
    /// whether it is there, by its own signalling, and to tell [`Link::note_carrier_alive`]
    ///
    /// [`Link::note_carrier_alive`]: crate::Link::note_carrier_alive
    AskCarrier,
    /// The link ended because its owner closed it
    Closed,
    /// The peer ends the link, or a protocol of it, with this error code of Windows; [`Event::Down`] follows
    PeerSaid(RasCode),
    /// The link ended for this reason; nothing follows, except frames still to be sent
    Down {
        /// The phase it was in
        phase: Phase,
        /// The reason
        failure: Failure,
    },
}

/// The fate of a frame that came in
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'p> {
    /// Accepted: an inner IP packet, opened in place
    Ip(&'p mut [u8]),
    /// Accepted: an answer to a proof of the data path, which is not for users
    Proof,
    /// Accepted: a well-formed control frame
    Control,
    /// Dropped and counted; its sequence number is not to be acknowledged
    Discarded(Discard),
}

/// The phase of a link (RFC 1661 §3.2)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Not opened yet, or ended
    Dead,
    /// LCP is being negotiated: RFC 1661's Link Establishment phase
    LinkControl,
    /// The client proves who it is, and the server that it knows the secret too
    Authentication,
    /// CCP and IPCP are being negotiated, side by side
    Network,
    /// IP packets pass
    Up,
    /// Closed by its owner; the peer has not yet acknowledged
    Terminating,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dead => "dead",
            Self::LinkControl => "link control",
            Self::Authentication => "authentication",
            Self::Network => "network",
            Self::Up => "up",
            Self::Terminating => "terminating",
        })
    }
}

/// Everything the two ends agreed on
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The Maximum-Receive-Unit the peer keeps to, in octets of the Information field
    pub mru: u16,
    /// The Maximum-Receive-Unit of the peer, which we keep to
    pub peer_mru: u16,
    /// Our Magic-Number, unless the peer rejected it
    pub magic: Option<u32>,
    /// The peer's Magic-Number, if it has one
    pub peer_magic: Option<u32>,
    /// True if the peer takes compressed protocol fields (RFC 1661 §6.5)
    pub pfc: bool,
    /// True if the peer takes frames without address and control field (RFC 1661 §6.6)
    pub acfc: bool,
    /// The protocol by which the client proved who it is
    pub authentication: AuthenticationProtocol,
    /// The name the peer gave in authentication: the server's own for a client, the user's for a server
    ///
    /// A server gives none in PAP.
    pub peer_name: Box<str>,
    /// The encryption of both directions; `None`: the link is in the clear
    pub encryption: Option<Encryption>,
    /// Our inner address
    pub inner_address: Ipv4Addr,
    /// The peer's inner address, if it told one: a label, since everything is routed to the link
    pub peer_address: Option<Ipv4Addr>,
    /// The DNS servers the peer named, in its order: at most two
    pub dns: Vec<Ipv4Addr>,
    /// The request that a client can make next time so that the server has nothing to change
    pub request: AddressRequest,
    /// The link-local addresses of IPv6, if both ends want it; packets of IPv6 pass then
    pub ipv6: Option<Ipv6Addresses>,
    /// Octets of the largest inner IP packet
    pub mtu: u16,
}

/// The reason of a deadline
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// An unanswered request of this protocol is sent again, or given up (RFC 1661 §4.6)
    Restart(Protocol),
    /// The authentication has to be over by then
    Authentication,
    /// The peer was silent: an Echo-Request is due
    Echo,
    /// A proof of the data path is due, or its verdict
    Proof,
    /// MPPE keys kept for late frames expire
    KeptKeys,
    /// The peer is asked again for a reset of a stateful session
    ResetRequest,
    /// A peer that has not said a word of CCP gets a link in the clear
    Encryption,
    /// A frame that would end or restart the link came in the clear: the peer is asked whether it sent it
    Confirmation,
    /// The peer has to acknowledge our Terminate-Request by then
    Terminate,
}
