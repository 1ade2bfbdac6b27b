//! The network in which control connections are made: the kernel's TCP, or a network in memory

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use pptp_driver::{DriverHandle, Randomness};
use pptp_gre_socket::{Shard, SocketOptions, VirtualHost};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpSocket,
    time::timeout,
};

use crate::{
    ClientError, client::drivers::start_driver, connect::resolver::Resolver, error::Failure,
    tunnel_shared::TunnelShared,
};

/// An open control connection's octets
pub(crate) trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Octets for T {}

/// An open control connection and its ends
pub(crate) struct Opened {
    pub(crate) octets: Box<dyn Octets>,
    pub(crate) server: SocketAddrV4,
    /// GRE leaves from this address: a server compares the source of both
    pub(crate) local: Option<SocketAddrV4>,
}

/// The network of a client, its kind known at run time
#[derive(Debug, Clone)]
pub(crate) enum Network {
    Kernel(SocketOptions),
    Virtual(Arc<dyn VirtualNetwork>),
}

impl Network {
    /// Returns the source of the random choices of a driver whose GRE goes nowhere.
    pub(crate) fn randomness(&self) -> Randomness {
        match self {
            Self::Kernel(_) => Randomness::System,
            Self::Virtual(host) => {
                let host = Arc::clone(host);
                Randomness::Virtual(Box::new(move || host.seed()))
            }
        }
    }
}

/// A [`VirtualHost`] of any type: the calls that a client or a tunnel makes once
///
/// None of them is made for a packet: the driver that [`Self::start`] begins is compiled for the host's
/// own socket.
pub(crate) trait VirtualNetwork: fmt::Debug + Send + Sync {
    /// Starts a driver on the current runtime, with the host's GRE socket
    fn start(self: Arc<Self>) -> Result<Arc<DriverHandle<TunnelShared>>, ClientError>;

    /// Opens a control connection
    fn connect(&self, server: SocketAddrV4) -> Connecting<'_>;

    /// Returns the addresses of a name; `None` in a network without names
    fn resolve(&self, name: &str) -> Option<Vec<Ipv4Addr>>;

    /// Octets that all random choices follow from
    fn seed(&self) -> [u8; 32];
}

/// A control connection of a [`VirtualNetwork`] that is being opened
type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Opened>> + Send + 'a>>;

impl<H: VirtualHost> VirtualNetwork for H {
    fn start(self: Arc<Self>) -> Result<Arc<DriverHandle<TunnelShared>>, ClientError> {
        let host = Arc::clone(&self);
        let randomness = Randomness::Virtual(Box::new(move || host.random_seed()));
        start_driver(Shard::ALL, randomness, || self.open_gre())
    }

    fn connect(&self, server: SocketAddrV4) -> Connecting<'_> {
        Box::pin(async move {
            let (stream, local) = self.connect_tcp(server).await?;
            Ok(Opened { octets: Box::new(stream), server, local: Some(local) })
        })
    }

    fn resolve(&self, name: &str) -> Option<Vec<Ipv4Addr>> {
        VirtualHost::resolve(self, name)
    }

    fn seed(&self) -> [u8; 32] {
        self.random_seed()
    }
}

impl Network {
    /// All IPv4 addresses of `server`, `host` or `host:port`; only a name is looked up
    pub(crate) async fn resolve(&self, server: &str) -> Result<Vec<SocketAddrV4>, Failure> {
        let (host, port) = split_port(server)?;
        if let Ok(address) = host.parse::<Ipv4Addr>() {
            return Ok(vec![SocketAddrV4::new(address, port)]);
        }
        if let Self::Virtual(network) = self {
            let found = network.resolve(host).ok_or_else(|| Failure::NameNotResolved {
                name: host.into(),
                reason: "the network in memory has addresses only".into(),
            })?;
            return Ok(found.into_iter().map(|it| SocketAddrV4::new(it, port)).collect());
        }
        let found = Resolver::of_process().addresses(host).await;
        let found = found.map_err(|unresolved| Failure::NameNotResolved {
            name: host.into(),
            reason: unresolved.reason(),
        })?;
        let addresses = ipv4(&found, port);
        if addresses.is_empty() {
            return Err(Failure::OuterIpv6 { server: server.into() });
        }
        Ok(addresses)
    }

    /// Opens TCP to the first of `addresses` that accepts
    ///
    /// Cancel safe: a connection half open is closed.
    pub(crate) async fn connect(&self, addresses: &[SocketAddrV4]) -> Result<Opened, Failure> {
        let mut last = Failure::NameNotResolved {
            name: String::new(),
            reason: "the name has no address".into(),
        };
        for (i, address) in addresses.iter().enumerate() {
            let others_follow = i + 1 < addresses.len();
            let attempt = self.connect_one(*address);
            let outcome = if others_follow {
                timeout(NEXT_ADDRESS_TIMEOUT, attempt)
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            } else {
                attempt.await
            };
            match outcome {
                Ok(opened) => return Ok(opened),
                Err(error) => last = tcp_failure(*address, &error),
            }
        }
        Err(last)
    }

    async fn connect_one(&self, server: SocketAddrV4) -> io::Result<Opened> {
        match self {
            Self::Kernel(options) => connect_kernel(options, server).await,
            Self::Virtual(host) => host.connect(server).await,
        }
    }
}

fn ipv4(addresses: &[IpAddr], port: u16) -> Vec<SocketAddrV4> {
    let v4 = |address: &IpAddr| match address {
        IpAddr::V4(address) => Some(SocketAddrV4::new(*address, port)),
        IpAddr::V6(_) => None,
    };
    addresses.iter().filter_map(v4).collect()
}

/// A server with several addresses, one of which swallows our SYN, must not eat the whole deadline
const NEXT_ADDRESS_TIMEOUT: Duration = Duration::from_secs(5);

/// RFC 2637 §1.3
const PPTP_PORT: u16 = 1723;

async fn connect_kernel(options: &SocketOptions, server: SocketAddrV4) -> io::Result<Opened> {
    let socket = socket(options)?;
    let stream = TcpSocket::from_std_stream(socket.into()).connect(server.into()).await?;
    // an Echo-Reply or a Call-Clear-Request must not wait for an acknowledgment of what went before
    stream.set_nodelay(true)?;
    let local = match stream.local_addr()? {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    };
    Ok(Opened { octets: Box::new(stream), server, local })
}

fn socket(options: &SocketOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    set_routing(&socket, options)?;
    if let Some(address) = options.local_address {
        socket.bind(&SocketAddrV4::new(address, 0).into())?;
    }
    Ok(socket)
}

/// Sets the mark, the device, and how a port is chosen
#[cfg(target_os = "linux")]
fn set_routing(socket: &Socket, options: &SocketOptions) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};

    if let Some(mark) = options.fwmark {
        socket.set_mark(mark)?;
    }
    if let Some(device) = &options.device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    if options.local_address.is_some() {
        // The port is chosen with the server known, and so may be that of another server's
        // connection: else all tunnels from one address share its 28,232 ports.
        setsockopt(socket, IpBindAddressNoPort, &true)?;
    }
    Ok(())
}

/// Refuses what only Linux has
#[cfg(not(target_os = "linux"))]
fn set_routing(_: &Socket, options: &SocketOptions) -> io::Result<()> {
    if options.fwmark.is_some() || options.device.is_some() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(())
}

fn tcp_failure(address: SocketAddrV4, error: &io::Error) -> Failure {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::ConnectionRefused, _) => Failure::TcpRefused { address },
        (_, Some(EMFILE | ENFILE)) => {
            Failure::TooManyFiles {
                // asking for none tells what is in effect
                limit: pptp_gre_socket::raise_file_limit(0).unwrap_or_default(),
            }
        }
        (kind, _) => Failure::TcpFailed { address, kind, reason: error.to_string() },
    }
}

const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

pub(crate) fn split_port(server: &str) -> Result<(&str, u16), Failure> {
    let invalid = || Failure::InvalidServer { server: server.into() };
    let bare = server.trim_start_matches('[').split(']').next().unwrap_or_default();
    if server.parse::<SocketAddr>().is_ok_and(|a| a.is_ipv6())
        || bare.parse::<IpAddr>().is_ok_and(|a| a.is_ipv6())
    {
        return Err(Failure::OuterIpv6 { server: server.into() });
    }
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|p| *p != 0).ok_or_else(invalid)?),
        None => (server, PPTP_PORT),
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == ':') {
        return Err(invalid());
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_perhaps_a_port() {
        assert_eq!(split_port("vpn.example").unwrap(), ("vpn.example", 1723));
        assert_eq!(split_port("10.0.0.1:99").unwrap(), ("10.0.0.1", 99));
        for invalid in ["", ":1723", "host:", "host:0", "host:99999", "a b", "a:b:1"] {
            assert!(
                matches!(split_port(invalid), Err(Failure::InvalidServer { .. })),
                "{invalid:?} was accepted"
            );
        }
    }

    #[tokio::test]
    async fn a_number_is_never_waited_for() {
        let network = Network::Kernel(SocketOptions::default());
        let at_once = timeout(Duration::ZERO, network.resolve("192.0.2.7:99")).await;
        let address = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 99);
        assert_eq!(at_once.expect("no lookup"), Ok(vec![address]));
    }

    #[test]
    fn of_a_names_addresses_those_of_ipv4_are_tried_in_their_order() {
        let found = ["2001:db8::1", "192.0.2.2", "192.0.2.1"].map(|it| it.parse().unwrap());
        let expected = [2, 1].map(|last| SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, last), 7));
        assert_eq!(ipv4(&found, 7), expected);
        assert_eq!(ipv4(&found[..1], 7), []);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_port_is_chosen_only_when_the_server_is_known() {
        let local_address = Some(Ipv4Addr::LOCALHOST);
        let options = SocketOptions { local_address, ..SocketOptions::default() };
        let bound = socket(&options).unwrap().local_addr().unwrap();
        assert_eq!(bound.as_socket_ipv4(), Some(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)));
    }

    #[test]
    fn outer_ipv6_is_refused() {
        for server in ["::1", "[::1]", "[2001:db8::1]:1723", "2001:db8::1"] {
            assert!(
                matches!(split_port(server), Err(Failure::OuterIpv6 { .. })),
                "{server} was accepted"
            );
        }
    }
}
