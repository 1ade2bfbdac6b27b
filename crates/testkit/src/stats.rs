//! The statistics of a server

use std::net::Ipv4Addr;

use pptp_ppp::{Failure as LinkFailure, Protocol};
use pptp_tunnel::{Failure, TunnelError};

/// Statistics of a server so far
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Clients whose control connection is open now, those being hung up included
    pub connections: usize,
    /// Clients whose IP packets pass now
    pub up: usize,
    /// The inner addresses of these
    pub up_addresses: Vec<Ipv4Addr>,
    /// Clients that ever opened a control connection
    pub connections_ever: u64,
    /// Clients whose IP packets ever passed
    pub up_ever: u64,
    /// Control connections closed at once because there were 1024 already
    pub turned_away: u64,
    /// GRE datagrams for no call of this server, or not from the client of the call
    pub unknown_call: u64,
    /// GRE datagrams that the socket refused to send
    pub unsendable: u64,
    /// IP packets from the building that were for no client, or too large for its tunnel
    pub undeliverable: u64,
    /// The ends of control connections, the latest last; the last 1024 of them
    pub ended: Vec<Ended>,
}

/// A client that has logged in, and is connected
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedIn {
    /// The name of its account
    pub user: String,
    /// Its outer address
    pub client: Ipv4Addr,
    /// Its address in the building
    pub inner_address: Option<Ipv4Addr>,
}

/// The end of one client's control connection
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Ended {
    /// The client's outer address
    pub client: Ipv4Addr,
    /// The inner address it had, or would have had
    pub inner_address: Option<Ipv4Addr>,
    /// True if IP packets ever passed
    pub was_up: bool,
    /// True if LCP was open: a client that hangs up properly ends that first
    pub lcp_opened: bool,
    /// True if a Call-Clear-Request came (RFC 2637 §2.12)
    pub call_cleared: bool,
    /// True if a Stop-Control-Connection-Request or -Reply came (RFC 2637 §2.3, §2.4)
    pub stopped: bool,
    /// The reason for the end of the tunnel, as the server saw it
    pub reason: TunnelError,
}

impl Ended {
    /// Returns true if an LCP Terminate-Request came (RFC 1661 §5.5)
    pub fn lcp_terminated(&self) -> bool {
        let lcp = Protocol::Lcp;
        matches!(&self.reason.failure,
            Failure::Link(LinkFailure::TerminatedByPeer { protocol, .. }) if *protocol == lcp)
    }

    /// Returns true if the client hung up by the RFCs: LCP if it was open, then the control
    /// connection
    ///
    /// A client that was hung up by the server, or that just went away, did not.
    pub fn is_clean(&self) -> bool {
        (self.lcp_terminated() || !self.lcp_opened) && (self.call_cleared || self.stopped)
    }
}

impl Stats {
    pub(crate) fn note_end(&mut self, ended: Ended) {
        if self.ended.len() >= MAX_ENDED {
            self.ended.remove(0);
        }
        self.ended.push(ended);
    }
}

/// Ended connections remembered
const MAX_ENDED: usize = 1024;
