//! A host that a test adds to a building's network

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use pptp_netstack::{Net, TcpListener, TcpOptions, TcpStream, ToInnerAddr, UdpOptions, UdpSocket};

/// A host of a test's own in the network behind a [`Server`](crate::Server), from
/// [`Server::add_host`](crate::Server::add_host)
///
/// Its calls are those of `pptp`'s `Tunnel`, and its sockets have the names of `tokio::net`. It answers pings, and
/// refuses connections to ports on which nothing listens, as any host does. Clones are the same host. The host stays
/// in the network, also without a handle to it, until it is [removed](crate::Server::remove_host) or the server is
/// dropped.
#[derive(Clone)]
pub struct LanHost {
    pub(crate) address: Ipv4Addr,
    pub(crate) net: Net,
}

impl LanHost {
    /// The host's address
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Accepts TCP connections to the host's address
    ///
    /// `port` 0 chooses one. At most `backlog` connections, 1 to 4,096, wait for [`TcpListener::accept`].
    ///
    /// # Errors
    /// `AddrInUse`; `NotConnected` if the host was removed, or the server dropped.
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
        self.net.tcp_listen(self.at(port), backlog, options)
    }

    /// Opens a TCP connection to a client's inner address, or to another host of the network
    ///
    /// Names are asked of the network's DNS server, 192.168.1.1.
    ///
    /// ```
    /// # use std::net::Ipv4Addr;
    /// # use pptp::{Client, TunnelConfig};
    /// # use pptp_testkit::{Server, memory};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let network = memory::Network::new(0);
    /// # let client = Client::builder().memory(network.host(Ipv4Addr::new(10, 99, 0, 1))).build()?;
    /// # let server = Server::builder(7).serve_memory(&network, Ipv4Addr::new(10, 99, 0, 7))?;
    /// # let tunnel = client.connect(TunnelConfig::new("10.99.0.7", "testuser", "test123")).await?;
    /// let listener = tunnel.tcp_listen(2404, 8)?;
    /// let plc = server.add_host(Ipv4Addr::new(192, 168, 1, 50))?;
    /// let calling = plc.tcp_connect((tunnel.info().inner_address, 2404));
    /// let (called, accepted) = tokio::join!(calling, listener.accept());
    /// let (_stream, from) = accepted?;
    /// assert_eq!(from.ip(), plc.address());
    /// # drop(called);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`tokio::net::TcpStream::connect`]; `TimedOut` after 10 s; `NotConnected` if the host was removed, or the server dropped.
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

    /// A UDP socket on the host's address; `port` 0 chooses one
    ///
    /// # Errors
    /// `AddrInUse`; `NotConnected` if the host was removed, or the server dropped.
    pub fn udp_bind(&self, port: u16) -> io::Result<UdpSocket> {
        self.udp_bind_with(port, UdpOptions::default())
    }

    /// A UDP socket with options of its own: buffers, broadcast
    ///
    /// # Errors
    /// As [`Self::udp_bind`].
    pub fn udp_bind_with(&self, port: u16, options: UdpOptions) -> io::Result<UdpSocket> {
        self.net.udp_bind(self.at(port), options)
    }

    /// Sends one ICMP echo request and returns the time until its reply
    ///
    /// # Errors
    /// `TimedOut` after `timeout`; `NotConnected` if the host was removed, or the server dropped.
    ///
    /// # Cancel safety
    /// A reply that comes later is ignored.
    pub async fn ping(&self, address: Ipv4Addr, timeout: Duration) -> io::Result<Duration> {
        self.net.ping(address, timeout).await
    }

    /// The host's sockets by their general interface
    pub fn net(&self) -> Net {
        self.net.clone()
    }

    fn at(&self, port: u16) -> SocketAddr {
        (self.address, port).into()
    }
}

impl fmt::Debug for LanHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LanHost({})", self.address)
    }
}
