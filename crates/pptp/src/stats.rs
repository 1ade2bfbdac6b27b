//! The figures of tunnels and clients
//!
//! [`Tunnel::stats`](crate::Tunnel::stats) and [`Client::stats`](crate::Client::stats) return them. Counters
//! begin at 0 with each tunnel, and only grow.
//!
//! ```no_run
//! # fn example(tunnel: &pptp::Tunnel) {
//! let stats = tunnel.stats();
//! let octets = stats.tunnel.ip_octets_received;
//! println!("{octets} octets received, the last ping took {:?}", stats.ping().last());
//! # }
//! ```

#[doc(inline)]
pub use pptp_netstack::Stats as StackStats;
use pptp_tunnel::Reachability;
#[doc(inline)]
pub use pptp_tunnel::{
    GreStats, LinkStats, MppeDiscard, MppeStats, RoundTripTime, Stats as TunnelStats,
};

/// The counts of all that has passed through a tunnel
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Stats {
    /// The figures of the protocol: packets and octets each way, losses, round trips, discards and their reasons
    pub tunnel: TunnelStats,
    /// Of the tunnel's own TCP/IP stack, once something has used it
    pub stack: Option<StackStats>,
    /// IP packets dropped because an [`IpPackets`](crate::IpPackets) was not read in time
    pub ip_dropped: u64,
    /// Datagrams that the kernel refused to send: no route, a firewall, too large
    pub unsendable: u64,
}

impl Stats {
    /// Returns whether packets pass inside the tunnel, and how that was proven
    pub const fn reachability(&self) -> Reachability {
        self.tunnel.link.reachability
    }

    /// Round trips of the control connection's Echo-Requests
    pub const fn control_echo(&self) -> RoundTripTime {
        self.tunnel.control_round_trip
    }

    /// Round trips of LCP's Echo-Requests
    pub const fn lcp_echo(&self) -> RoundTripTime {
        self.tunnel.link.echo_round_trip
    }

    /// Round trips of the pings with which the tunnel proves its path
    pub const fn ping(&self) -> RoundTripTime {
        self.tunnel.link.ping_round_trip
    }
}

/// Figures of the sockets that a client's tunnels share
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientStats {
    /// The receive buffers that the kernel granted, in octets
    pub receive_buffer: usize,
    /// Datagrams that the kernel dropped because such a buffer was full
    pub kernel_drops: u64,
    /// Datagrams for none of our calls, or not from the server of the call
    pub unknown_call: u64,
    /// Turns that panicked, each of which ended its tunnel
    pub panics: u64,
    /// Wakers of users' tasks that panicked when they were woken or dropped: a fault of their executor,
    /// which costs that task its wake-up, and no other task anything
    pub wake_panics: u64,
    /// Times that nothing was received for a millisecond or more, because datagrams that led to
    /// nothing had taken a twelfth of the time: somebody floods
    pub pauses: u64,
    /// Turns of tunnels: one for all that came for a tunnel in a batch, and for each deadline and wake
    pub turns: u64,
}
