//! The tunnel that users hold

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use pptp_driver::Session;
use pptp_netstack::{
    DhcpAnswer, DhcpInform, Net, Owner, TcpListener, TcpOptions, TcpStream, ToInnerAddr,
    UdpOptions, UdpSocket,
};
use pptp_tunnel::{Peer, Reachability};
use tokio::sync::watch;

use crate::{
    HungUp, Info, IpPackets, State, Stats, TunnelError, WeakTunnel,
    record::{Capture, CaptureOptions, FlightRecord},
    summary::debug_as_summary,
    tunnel_shared::{TunnelHandle, TunnelShared},
};

/// A connected tunnel: sockets into the remote network
///
/// Cheap to clone. Dropping the last handle, open sockets included, hangs up in bounded time;
/// [`Tunnel::close`] waits for that.
///
/// ```no_run
/// # async fn example(tunnel: pptp::Tunnel) -> std::io::Result<()> {
/// use std::time::Duration;
///
/// let trip = tunnel.ping([192, 168, 1, 1].into(), Duration::from_secs(1)).await?;
/// let plc = tunnel.tcp_connect("192.168.1.3:502").await?;
/// println!("{}: {trip:?} to the router, connected from {}", tunnel.name(), plc.local_addr()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tunnel {
    handle: Arc<TunnelHandle>,
    net: Net,
    /// As it was when the tunnel came up first
    first_info: Arc<Info>,
}

impl Tunnel {
    pub(crate) fn new(handle: Arc<TunnelHandle>, first_info: Arc<Info>) -> Self {
        let owner: Arc<dyn Owner> = Arc::clone(&handle) as _;
        Self { net: Net::new(owner), handle, first_info }
    }

    pub(crate) fn shared(&self) -> &TunnelShared {
        &self.handle.shared
    }

    /// The tunnel's name, from [`TunnelConfig::name`](crate::TunnelConfig::name)
    pub fn name(&self) -> &str {
        &self.handle.shared.name
    }

    /// Everything that was negotiated, the last time the tunnel came up
    pub fn info(&self) -> Arc<Info> {
        let latest = self.handle.shared.lock().negotiated.info().cloned();
        latest.unwrap_or_else(|| Arc::clone(&self.first_info))
    }

    /// Opens a TCP connection to an address behind the tunnel
    ///
    /// An address and port, or a name and port, which the DNS servers that IPCP gave are asked for:
    /// `([192, 168, 1, 3], 80)`, `"192.168.1.3:80"`, `"knx.lan:80"`.
    ///
    /// # Errors
    /// As [`tokio::net::TcpStream::connect`]; `TimedOut` after 10 s; as [`Self::lookup_host`]; `InvalidInput`
    /// for what is no address ([`AddressError`](crate::net::AddressError)) and for addresses that no packet gets to
    /// through a tunnel: 127/8, 0/8, 240/4 and our own inner address ([`SocketError`](crate::net::SocketError)); the
    /// reason for which the tunnel ended.
    ///
    /// # Cancel safety
    /// A connection half open is reset.
    pub async fn tcp_connect(&self, address: impl ToInnerAddr) -> io::Result<TcpStream> {
        self.tcp_connect_with(address, TcpOptions::default()).await
    }

    /// Opens a TCP connection with options of its own: buffers, time-outs, nodelay
    ///
    /// # Errors
    /// As [`Self::tcp_connect`].
    pub async fn tcp_connect_with(
        &self,
        address: impl ToInnerAddr,
        options: TcpOptions,
    ) -> io::Result<TcpStream> {
        self.net.tcp_connect(address, options).await
    }

    /// Accepts TCP connections that the remote network opens to our inner address
    ///
    /// `port` 0 chooses one. At most `backlog` connections, 1 to 4,096, wait for
    /// [`TcpListener::accept`].
    ///
    /// # Errors
    /// `AddrInUse`; the reason for which the tunnel ended.
    pub fn tcp_listen(&self, port: u16, backlog: usize) -> io::Result<TcpListener> {
        self.tcp_listen_with(port, backlog, TcpOptions::default())
    }

    /// Accepts TCP connections, each with these options: buffers, time-outs, nodelay
    ///
    /// # Errors
    /// As [`Self::tcp_listen`].
    pub fn tcp_listen_with(
        &self,
        port: u16,
        backlog: usize,
        options: TcpOptions,
    ) -> io::Result<TcpListener> {
        self.net.tcp_listen(any(port), backlog, options)
    }

    /// A UDP socket on our inner address; `port` 0 chooses one
    ///
    /// A datagram may have 65,507 octets. One of more than [`Facts::mtu`](crate::info::Facts::mtu) less
    /// 28 octets travels in IP fragments, as on any other network, and is lost if one of them is; what
    /// the building sends in fragments is put together. A larger datagram fails with EMSGSIZE.
    ///
    /// # Errors
    /// `AddrInUse`; the reason for which the tunnel ended.
    pub fn udp_bind(&self, port: u16) -> io::Result<UdpSocket> {
        self.udp_bind_with(port, UdpOptions::default())
    }

    /// A UDP socket with options of its own: buffers, broadcast
    ///
    /// # Errors
    /// As [`Self::udp_bind`].
    pub fn udp_bind_with(&self, port: u16, options: UdpOptions) -> io::Result<UdpSocket> {
        self.net.udp_bind(any(port), options)
    }

    /// Sends one ICMP echo request and returns the time until its reply
    ///
    /// # Errors
    /// `TimedOut` after `timeout`; `HostUnreachable` or `NetworkUnreachable` if a router said so.
    ///
    /// # Cancel safety
    /// A reply that comes later is ignored.
    pub async fn ping(&self, address: Ipv4Addr, timeout: Duration) -> io::Result<Duration> {
        self.net.ping(address, timeout).await
    }

    /// Sends one ICMP echo request in an IP packet of `packet_len` octets, headers included; 28 is the least
    ///
    /// Its reply is as large, so that it tells whether packets of that size pass both ways.
    ///
    /// # Errors
    /// As [`Self::ping`]; EMSGSIZE if it does not fit [`Facts::mtu`](crate::info::Facts::mtu).
    ///
    /// # Cancel safety
    /// A reply that comes later is ignored.
    pub async fn ping_sized(
        &self,
        address: Ipv4Addr,
        packet_len: usize,
        timeout: Duration,
    ) -> io::Result<Duration> {
        self.net.ping_sized(address, packet_len, timeout).await
    }

    /// The IPv4 addresses of `name`, asked of the DNS servers that IPCP gave (RFC 1877)
    ///
    /// Equal questions at a time share one query. `localhost` is asked of no server (RFC 6761).
    ///
    /// # Errors
    /// `NotFound` if the name does not exist; `TimedOut` if no server answered; `InvalidInput` for `localhost` and
    /// what is no name; `ResourceBusy` while 64 other questions of this tunnel wait for their answers.
    /// [`LookupError`](crate::net::LookupError) tells more.
    ///
    /// # Cancel safety
    /// Dropping the future ends the question, unless others ask the same: for them it goes on.
    pub async fn lookup_host(&self, name: &str) -> io::Result<Vec<Ipv4Addr>> {
        self.net.lookup_host(name).await
    }

    /// The TXT records of `name`, asked of the DNS servers that IPCP gave
    ///
    /// # Errors
    /// As [`Self::lookup_host`].
    pub async fn lookup_txt(&self, name: &str) -> io::Result<Vec<String>> {
        self.net.lookup_txt(name).await
    }

    /// Asks the remote network's DHCP server for routes, DNS servers and the domain: DHCPINFORM
    /// (RFC 2131 §4.4.3), as Windows does
    ///
    /// PPP itself tells no route and no mask. Asked twice, 3 s each; what comes is data, and changes
    /// nothing. Many networks have no answer, which is no fault of theirs.
    ///
    /// # Errors
    /// `TimedOut` if no server answers; `AddrInUse` while another asks; the reason for which the tunnel
    /// ended.
    ///
    /// # Cancel safety
    /// The question ends.
    pub async fn dhcp_inform(&self) -> io::Result<DhcpAnswer> {
        self.dhcp_inform_with(DhcpInform::default()).await
    }

    /// As [`Self::dhcp_inform`], asked in another way: how often, how patiently, and whether default
    /// routes count
    ///
    /// # Errors
    /// As [`Self::dhcp_inform`].
    pub async fn dhcp_inform_with(&self, how: DhcpInform) -> io::Result<DhcpAnswer> {
        self.net.dhcp_inform(how).await
    }

    /// The tunnel's IP packets themselves, instead of its sockets
    ///
    /// Open sockets fail with `ConnectionAborted`, and new ones too. IPv6's are among them if
    /// [`Facts::ipv6`](crate::info::Facts::ipv6) has addresses.
    ///
    /// # Errors
    /// `ResourceBusy` if they were taken before; the reason for which the tunnel ended.
    pub fn ip_packets(&self) -> io::Result<IpPackets> {
        let mut wakers = self.handle.shared.driver().wakers();
        self.handle.shared.lock().open_raw_port(&mut wakers)?;
        Ok(IpPackets::new(Arc::clone(&self.handle)))
    }

    /// Waits until it is known whether packets pass, and tells how that was proven
    ///
    /// A tunnel proves its path as soon as it is up: a ping of the server's inner address, or of its
    /// first DNS server, and a packet with a TTL of 1 that a router must answer. The answer is there
    /// after a round trip in most cases, and after 3 s at the latest.
    ///
    /// [`Reachability::Unproven`] is no failure: some servers answer no ping. Such a tunnel is ended
    /// for nothing passing only if the server says so itself.
    ///
    /// ```no_run
    /// # async fn example(tunnel: pptp::Tunnel) -> Result<(), pptp::TunnelError> {
    /// match tunnel.reachable().await? {
    ///     pptp::Reachability::Proven(how) => println!("packets pass: {how:?}"),
    ///     other => println!("not proven: {other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With [`path_proof`](crate::TunnelConfig::path_proof) switched off it is [`Reachability::Unknown`], at once.
    ///
    /// # Errors
    /// The reason for which the tunnel ended.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn reachable(&self) -> Result<Reachability, TunnelError> {
        let shared = self.shared();
        let path = shared.path.get_or_init(Box::default);
        loop {
            let changed = path.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if let Some(reason) = shared.state.with(State::reason).flatten() {
                return Err(reason);
            }
            if let Some(known) = shared.lock().negotiated.reachability() {
                return Ok(known);
            }
            changed.await;
        }
    }

    /// Asks the server for a sign of life now, and does not wait for it: it may be gone
    ///
    /// To be called after this machine has slept, say, or when its network is another. A server that is gone ends the
    /// tunnel within 12 s, instead of 70 s with the default [`echo`](crate::TunnelConfig::echo); one that answers is
    /// left alone. Costs an LCP Echo-Request and one of the control connection.
    pub fn check_peer(&self) {
        let shared = &self.handle.shared;
        if let Some(machine) = shared.lock().protocol.machine_mut() {
            machine.check_peer(pptp_driver::now());
        }
        shared.mark_timers_due();
    }

    /// Returns the counts of all that has passed so far
    pub fn stats(&self) -> Stats {
        self.handle.shared.stats()
    }

    /// Returns the server's own words about itself (RFC 2637 §2.2)
    pub fn peer(&self) -> Option<Peer> {
        self.handle.shared.peer()
    }

    /// Returns the flight recorder: the messages on the wire during the connect, and lately; also after the end
    pub fn flight_record(&self) -> FlightRecord {
        self.handle.shared.flight_record()
    }

    /// Captures the IP packets of both ways from now on, **in the clear**, as pcapng
    ///
    /// Any number at once, each with a buffer of its own. Without a capture packets cost nothing more.
    ///
    /// ```no_run
    /// # async fn example(tunnel: pptp::Tunnel) -> std::io::Result<()> {
    /// let mut capture = tunnel.capture();
    /// let mut file = tokio::fs::File::create("inside.pcapng").await?;
    /// tokio::io::copy(&mut capture, &mut file).await?; // until the tunnel ends
    /// # Ok(())
    /// # }
    /// ```
    pub fn capture(&self) -> Capture {
        self.capture_with(CaptureOptions::default())
    }

    /// Captures with bounds of its own: buffer, octets of each packet
    ///
    /// See [`Tunnel::capture`].
    pub fn capture_with(&self, options: CaptureOptions) -> Capture {
        Capture::start(Arc::clone(&self.handle.shared), options)
    }

    /// The tunnel's state, and each change of it
    pub fn state(&self) -> watch::Receiver<State> {
        self.handle.shared.state.subscribe()
    }

    /// Waits until the tunnel has ended, and tells why
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn closed(&self) -> TunnelError {
        let mut state = self.state();
        loop {
            if let State::Down { reason } = &*state.borrow_and_update() {
                return reason.clone();
            }
            // the sender lives as long as our handle
            let _ = state.changed().await;
        }
    }

    /// Returns this tunnel held without keeping it up
    ///
    /// ```no_run
    /// # fn example(tunnel: pptp::Tunnel) {
    /// let weak = tunnel.downgrade();
    /// drop(tunnel); // the last handle: it hangs up
    /// assert!(weak.upgrade().is_none());
    /// # }
    /// ```
    pub fn downgrade(&self) -> WeakTunnel {
        WeakTunnel::of(&self.handle)
    }

    /// Begins to hang up properly, and does not wait for it: see [`Tunnel::close`]
    pub fn hang_up(&self) {
        self.handle.shared.hang_up();
    }

    /// Hangs up properly: LCP, then the call, then the control connection; waits until the tunnel has ended
    ///
    /// At most 9 s. In the first 2 s of these the data of the sockets leaves: datagrams, and the rest of connections
    /// that were shut down or dropped. It waits for the same as [`Tunnel::closed`]; [`Tunnel::hung_up`] may be later.
    ///
    /// # Cancel safety
    /// The hang-up goes on.
    pub async fn close(&self) {
        self.handle.shared.hang_up();
        self.closed().await;
    }

    /// Waits until nothing is left of the tunnel on the wire: its call is cleared, its Call ID given back
    /// and its control connection closed
    ///
    /// [`Tunnel::closed`] may be earlier: it tells the reason as soon as that is known, while the
    /// hang-up goes on. Waiting neither hangs up nor keeps the tunnel up, and the future outlives this
    /// handle.
    ///
    /// From [`hang_up`](Tunnel::hang_up), or from an end by itself, it takes 11 s at most, whatever the server does.
    /// Our side has closed then. The server sees it when our last segment arrives, half a round trip later.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub fn hung_up(&self) -> HungUp {
        self.handle.shared.hung_up()
    }

    /// Makes this tunnel's next turn panic
    #[cfg(feature = "fault-injection")]
    #[doc(hidden)]
    pub fn inject_panic(&self) {
        self.handle.shared.lock().inject_panic();
        self.handle.shared.mark_can_send();
    }
}

debug_as_summary! {
    Tunnel: self => &self.handle.shared;
}

const fn any(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))
}
