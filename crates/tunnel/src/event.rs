//! The events of a tunnel for its owner, and the facts of its negotiation

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use pptp_packet::Counter;
use pptp_ppp::{
    AddressRequest, AuthenticationProtocol, Encryption, Ipv6Addresses, Negotiated, Question,
    Reachability, RoundTripTime,
};

use crate::{ConnectTimeline, Phase, TunnelError};

/// A change that the owner of a tunnel has to know
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A phase of the connect was reached
    Phase(Phase),
    /// IP packets pass from now on; comes again after each renegotiation, and when
    /// IPv6 comes or goes, with the facts as they are then
    Up(Box<Facts>),
    /// The knowledge whether packets pass inside the tunnel is new, or better
    Reachable(Reachability),
    /// The server refused the login and takes another answer, which the owner wanted to be asked for:
    /// [`Tunnel::change_password`](crate::Tunnel::change_password),
    /// [`Tunnel::log_in_as`](crate::Tunnel::log_in_as) or
    /// [`Tunnel::give_up_login`](crate::Tunnel::give_up_login)
    Ask(Question),
    /// The server took the new password: the old one is worth nothing any more
    PasswordChanged,
    /// The peer negotiates anew: no IP packet passes until the next [`Event::Up`]
    Renegotiating,
    /// The peer's words about itself over LCP (RFC 1570 §2.1)
    Identification(String),
    /// The peer will end the tunnel after so long, and what it says to that (RFC 1570 §2.2)
    TimeRemaining {
        /// The time from now; [`Duration::MAX`] for ever
        left: Duration,
        /// Its own words
        message: String,
    },
    /// The tunnel is over; the rest of an orderly hang-up is sent until
    /// [`Tunnel::is_finished`](crate::Tunnel::is_finished)
    Down(TunnelError),
}

/// Everything that was negotiated, and what it took
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// Our address in the remote network
    pub inner_address: Ipv4Addr,
    /// The peer's address in the remote network, if it told one: no more than a label
    pub peer_address: Option<Ipv4Addr>,
    /// DNS servers of the remote network
    pub dns: Vec<Ipv4Addr>,
    /// The addresses to ask for at a reconnect, so that the server has nothing to change
    pub request: AddressRequest,
    /// The link-local addresses of IPv6, if it was asked for and the peer has it
    pub ipv6: Option<Ipv6Addresses>,
    /// The largest IP packet that fits the tunnel, in octets
    pub mtu: u16,
    /// The name that the peer gave when it was proven who is who: the server's own for a client
    pub peer_name: Box<str>,
    /// The protocol of the client's login: MS-CHAPv2, unless an insecure option allows less
    pub authentication: AuthenticationProtocol,
    /// The encryption of both directions; `None`: they are in the clear, which only an insecure
    /// option allows
    pub encryption: Option<Encryption>,
    /// From the start of the connect to the first moment in which IP packets could flow
    pub connect_time: Duration,
    /// Round trips between TCP's SYN and that moment, of messages that had to wait for each other
    pub round_trips: u16,
    /// The time that each phase took
    pub timeline: ConnectTimeline,
}

impl Facts {
    pub(crate) fn new(negotiated: Negotiated, round_trips: u16, timeline: ConnectTimeline) -> Self {
        Self {
            inner_address: negotiated.inner_address,
            peer_address: negotiated.peer_address,
            dns: negotiated.dns,
            request: negotiated.request,
            ipv6: negotiated.ipv6,
            mtu: negotiated.mtu,
            peer_name: negotiated.peer_name,
            authentication: negotiated.authentication,
            encryption: negotiated.encryption,
            connect_time: timeline.reached(Phase::Up).unwrap_or_default(),
            round_trips,
            timeline,
        }
    }
}

/// The reason for a tunnel's deadline: a stuck tunnel explains itself
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// Of the control connection
    Control(pptp_control::Timer),
    /// Of GRE's bookkeeping
    Gre(pptp_gre::Timer),
    /// Of PPP
    Link(pptp_ppp::Timer),
    /// A frame has waited long enough for one before it
    Reorder,
    /// The first GRE datagram of the peer is due, or one of ours that the kernel will send
    FirstDatagram,
    /// The control connection has ended, and GRE may still say why
    LastWords,
    /// The whole connect has to be over
    Connect,
}

/// The reason why no packet may be sent right now
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotNow {
    /// IP packets do not pass: not yet, not while it is renegotiated, or not any more
    NotUp,
    /// The peer's window is full (RFC 2637 §4.3); sending goes on then at the latest
    PacedUntil(Instant),
}

/// The counts of a tunnel
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Of GRE: sequence numbers, losses, acknowledgments
    pub gre: pptp_gre::Stats,
    /// The figures of PPP: discards and their reasons
    pub link: pptp_ppp::Stats,
    /// Of MPPE, since it came up last: what did not open and why, and the work that took
    pub mppe: pptp_ppp::DecryptorStats,
    /// GRE datagrams that are no enhanced GRE
    pub malformed: u64,
    /// GRE datagrams for another call
    pub other_call: u64,
    /// GRE datagrams before the Outgoing-Call-Reply, beyond those that were kept
    pub too_early: u64,
    /// IP packets received
    pub ip_received: u64,
    /// IP packets sent
    pub ip_sent: u64,
    /// Octets of the IP packets received
    pub ip_octets_received: u64,
    /// Octets of the IP packets sent
    pub ip_octets_sent: u64,
    /// The time at which the server was last heard over GRE: a packet, or an answer of PPP
    pub last_received: Option<Instant>,
    /// Round trips of the control connection's Echo-Requests
    pub control_round_trip: RoundTripTime,
}

/// The counts of its [`Stats`] that a tunnel makes itself: its parts make the others
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) malformed: u64,
    pub(crate) other_call: u64,
    pub(crate) too_early: u64,
    pub(crate) ip_received: u64,
    pub(crate) ip_sent: u64,
    pub(crate) ip_octets_received: u64,
    pub(crate) ip_octets_sent: u64,
    pub(crate) control_round_trip: RoundTripTime,
}

impl Counters {
    /// Counts an IP packet that was sealed
    pub(crate) fn sent(&mut self, octets: usize) {
        self.ip_sent.increment();
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        self.ip_octets_sent = self.ip_octets_sent.saturating_add(octets);
    }

    /// Counts an IP packet that came up
    pub(crate) fn received(&mut self, octets: usize) {
        self.ip_received.increment();
        let octets = u64::try_from(octets).unwrap_or(u64::MAX);
        self.ip_octets_received = self.ip_octets_received.saturating_add(octets);
    }

    pub(crate) fn with(
        &self,
        gre: pptp_gre::Stats,
        link: pptp_ppp::Stats,
        mppe: pptp_ppp::DecryptorStats,
        last_received: Option<Instant>,
    ) -> Stats {
        Stats {
            gre,
            link,
            mppe,
            malformed: self.malformed,
            other_call: self.other_call,
            too_early: self.too_early,
            ip_received: self.ip_received,
            ip_sent: self.ip_sent,
            ip_octets_received: self.ip_octets_received,
            ip_octets_sent: self.ip_octets_sent,
            last_received,
            control_round_trip: self.control_round_trip,
        }
    }
}
