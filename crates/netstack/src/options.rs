//! The settings of a stack and of its sockets

use std::{fmt, net::Ipv4Addr, time::Duration};

/// The settings of a [`Stack`](crate::Stack)
#[derive(Clone)]
pub struct StackConfig {
    /// The stack's own address
    pub address: Ipv4Addr,
    /// A second address of the same subnet; `None` but for test hosts
    pub second_address: Option<Ipv4Addr>,
    /// Length of the subnet's prefix in bits, 32 if the subnet is not known
    ///
    /// It tells which address is the subnet's broadcast address. It is not a route: the one link carries
    /// packets to every destination.
    pub prefix_len: u8,
    /// Octets of the largest IP packet, headers included; 68 to 65,535 (RFC 791)
    ///
    /// TCP announces its maximum segment size from it; a UDP datagram of more than this less 28
    /// octets leaves in fragments.
    pub mtu: usize,
    /// Servers asked by [`Net::lookup_host`](crate::Net::lookup_host), in this order
    pub dns: Vec<Ipv4Addr>,
    /// The key that initial sequence numbers, ports and identifiers are derived from
    ///
    /// Random and secret outside of tests: two stacks with one seed choose the same numbers.
    pub seed: u64,
}

impl StackConfig {
    /// Settings with one address of unknown subnet, and no DNS server
    pub const fn new(address: Ipv4Addr, mtu: usize, seed: u64) -> Self {
        Self { address, second_address: None, prefix_len: 32, mtu, dns: Vec::new(), seed }
    }
}

/// Prints no seed, which is a key
impl fmt::Debug for StackConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, second_address, prefix_len, mtu, dns, seed: _ } = self;
        f.debug_struct("StackConfig")
            .field("address", address)
            .field("second_address", second_address)
            .field("prefix_len", prefix_len)
            .field("mtu", mtu)
            .field("dns", dns)
            .finish_non_exhaustive()
    }
}

/// The algorithm that keeps a TCP sender from congesting the path
///
/// It decides how fast an upload is over a line that loses packets by itself. Measured with a send
/// buffer of 64 KiB, as the share of what that allows at a round trip of 50 ms (`benches`, `lossy`;
/// at 10 to 200 ms the order is the same):
///
/// | loss | Westwood | CUBIC | Reno | none |
/// |---|---|---|---|---|
/// | 0.1 % | 0.96 | 0.44 | 0.34 | 0.95 |
/// | 0.5 % | 0.81 | 0.16 | 0.13 | 0.71 |
/// | 1 % | 0.64 | 0.09 | 0.07 | 0.51 |
/// | 2 % | 0.52 | 0.03 | 0.03 | 0.22 |
///
/// Behind a bottleneck of 0.5 Mbit/s with a queue of 100 ms Westwood sends 4 % of its segments again,
/// CUBIC 4 %, Reno 6 % and no controller 63 %, which leaves almost nothing of the line to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CongestionControl {
    /// No control: as much is in flight as the peer's window and the send buffer allow
    ///
    /// It is for a line that has no other users and is never the bottleneck. Through a bottleneck, most
    /// segments are lost and retransmitted.
    None,
    /// A loss shrinks the window to what the path holds without its queue, after TCP Westwood, and never
    /// below the 0.7 of RFC 9438
    ///
    /// A loss in front of an empty queue is not a sign of congestion and changes nothing. Several losses of
    /// one window are repaired without a timeout (RFC 6582). A segment without any acknowledgment is
    /// retransmitted after a round trip and 200 ms, where the others wait for a second at least.
    #[default]
    Westwood,
    /// RFC 5681 in its plain form: each loss halves the window, and of several losses in one window
    /// all but the first wait for the retransmission timer, a second at least
    Reno,
    /// RFC 9438 in its plain form: each loss takes three tenths of the window, and the rest is as with
    /// Reno
    Cubic,
}

/// The settings of a TCP connection
///
/// ```
/// # use std::time::Duration;
/// # use pptp_netstack::TcpOptions;
/// let options = TcpOptions::default().nodelay(true).keepalive(Some(Duration::from_secs(60)));
/// assert_eq!(options.receive_buffer, 64 << 10);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TcpOptions {
    /// The time that [`Net::tcp_connect`](crate::Net::tcp_connect) waits for the peer's answer; 10 s
    ///
    /// That is long enough for three SYNs (0, 1 and 3 s) and a slow answer to the last.
    pub connect_timeout: Duration,
    /// Octets received but not yet read, which is the largest window offered; 64 KiB
    ///
    /// One window a round trip is the most a connection moves: 64 KiB are 52 Mbit/s at a round trip
    /// of 10 ms, 10.5 at 50 ms (a good line of the sites that still speak PPTP), 5.2 at 100 ms and
    /// 2.6 at 200 ms, as `benches` measures it (`window`); 16 KiB are a quarter of that. A faster or
    /// longer line wants its rate times its round trip: 1 MiB for 80 Mbit/s at 100 ms. Allocated
    /// while the connection is open; less than 1 KiB is taken for that, and more than 16 MiB for
    /// that.
    pub receive_buffer: usize,
    /// Octets written but not yet acknowledged; 64 KiB, for the same reason and with the same limits
    pub send_buffer: usize,
    /// True if small segments leave at once instead of waiting for an acknowledgment (RFC 896);
    /// false, as with the kernel's sockets
    pub nodelay: bool,
    /// The pause between two probes of an idle connection, 1 s to a day; `None`, the default, for no probes
    pub keepalive: Option<Duration>,
    /// The time after which a connection fails whose peer owes an acknowledgment and is silent
    /// (RFC 5482); 120 s, a little over the least that RFC 1122 §4.2.3.5 wants; 1 s to a day
    ///
    /// With [`TcpOptions::keepalive`] an idle connection times out after the sum of both.
    pub user_timeout: Duration,
    /// The time that a dropped connection has to flush its written octets before it is reset; 60 s,
    /// and no more
    ///
    /// Zero resets at once and discards the octets that are not acknowledged.
    pub linger: Duration,
    /// The algorithm by which the sender avoids congestion
    pub congestion_control: CongestionControl,
    /// The address to connect from; `None` for the stack's first
    pub local_address: Option<Ipv4Addr>,
}

impl TcpOptions {
    /// Sets the time that a connect waits: the field of the same name
    #[must_use]
    pub const fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// Sets the size of the receive buffer, in octets: the field of the same name
    #[must_use]
    pub const fn receive_buffer(mut self, receive_buffer: usize) -> Self {
        self.receive_buffer = receive_buffer;
        self
    }

    /// Sets the size of the send buffer, in octets: the field of the same name
    #[must_use]
    pub const fn send_buffer(mut self, send_buffer: usize) -> Self {
        self.send_buffer = send_buffer;
        self
    }

    /// Lets small segments leave at once, or not: the field of the same name
    #[must_use]
    pub const fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// Sets the pause between two probes of an idle connection: the field of the same name
    #[must_use]
    pub const fn keepalive(mut self, keepalive: Option<Duration>) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// Sets the time after which a silent peer fails the connection: the field of the same name
    #[must_use]
    pub const fn user_timeout(mut self, user_timeout: Duration) -> Self {
        self.user_timeout = user_timeout;
        self
    }

    /// Sets the time that a dropped connection has to flush: the field of the same name
    #[must_use]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Sets the algorithm of congestion control: the field of the same name
    #[must_use]
    pub const fn congestion_control(mut self, congestion_control: CongestionControl) -> Self {
        self.congestion_control = congestion_control;
        self
    }

    /// Sets the address to connect from: the field of the same name
    #[must_use]
    pub const fn local_address(mut self, local_address: Option<Ipv4Addr>) -> Self {
        self.local_address = local_address;
        self
    }
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            receive_buffer: 64 << 10,
            send_buffer: 64 << 10,
            nodelay: false,
            keepalive: None,
            user_timeout: Duration::from_mins(2),
            linger: Duration::from_mins(1),
            congestion_control: CongestionControl::default(),
            local_address: None,
        }
    }
}

/// The settings of a UDP socket
///
/// ```
/// # use pptp_netstack::UdpOptions;
/// let options = UdpOptions::default().broadcast(true).receive_buffer(1 << 20);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UdpOptions {
    /// Octets of payload received but not yet read; 64 KiB, some 46 datagrams of full size
    ///
    /// A datagram that does not fit is dropped and counted. The buffer is allocated while the
    /// socket is open: at least one packet of full size, at most 16 MiB.
    pub receive_buffer: usize,
    /// Octets of payload sent but not yet on their way; 16 KiB
    ///
    /// It only bridges the time until the owner's next turn. The same limits. A datagram that is larger
    /// than the buffer waits beside it, alone: until it has left, others wait to be sent.
    pub send_buffer: usize,
    /// True if datagrams may be sent to a broadcast address; false, as with the kernel's sockets
    pub broadcast: bool,
}

impl UdpOptions {
    /// Sets the size of the receive buffer, in octets: the field of the same name
    #[must_use]
    pub const fn receive_buffer(mut self, receive_buffer: usize) -> Self {
        self.receive_buffer = receive_buffer;
        self
    }

    /// Sets the size of the send buffer, in octets: the field of the same name
    #[must_use]
    pub const fn send_buffer(mut self, send_buffer: usize) -> Self {
        self.send_buffer = send_buffer;
        self
    }

    /// Allows or forbids to send to a broadcast address: the field of the same name
    #[must_use]
    pub const fn broadcast(mut self, broadcast: bool) -> Self {
        self.broadcast = broadcast;
        self
    }
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self { receive_buffer: 64 << 10, send_buffer: 16 << 10, broadcast: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_seed() {
        let config = StackConfig::new(Ipv4Addr::LOCALHOST, 1400, 48_879_123);
        let debug = format!("{config:?}");
        assert!(debug.contains("1400") && !debug.contains("48879123"), "{debug}");
    }
}
