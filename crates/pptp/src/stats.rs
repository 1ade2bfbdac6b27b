use pptp_tunnel::{Reachability, RoundTripTime};

/// The counts of all that has passed through a tunnel
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Of the protocol: packets and octets each way, losses, round trips, what was discarded and why
    pub tunnel: pptp_tunnel::Stats,
    /// Of the tunnel's own TCP/IP stack, once something has used it
    pub stack: Option<pptp_netstack::Stats>,
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
