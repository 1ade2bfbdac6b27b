//! The options of a client

#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, OwnedFd};
use std::{net::Ipv4Addr, sync::Arc};

#[cfg(target_os = "linux")]
use pptp_driver::{DriverHandle, Randomness};
#[cfg(target_os = "linux")]
use pptp_gre_socket::{OpenError, RawSocket};
use pptp_gre_socket::{Shard, SocketOptions, VirtualHost};

use crate::{
    Client, ClientError,
    client::drivers::shared_driver,
    connect::network::{Network, VirtualNetwork},
};
#[cfg(target_os = "linux")]
use crate::{client::drivers::start_driver, tunnel_shared::TunnelShared};

/// The options of a [`Client`]
///
/// ```no_run
/// # fn example() -> Result<(), pptp::ClientError> {
/// // two driver tasks for many busy tunnels, and a larger buffer of the kernel's
/// let client = pptp::Client::builder().drivers(2).receive_buffer(16 << 20).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ClientBuilder {
    options: SocketOptions,
    drivers: u8,
    carrier: Carrier,
}

#[derive(Debug)]
enum Carrier {
    Open,
    #[cfg(target_os = "linux")]
    Given(Vec<OwnedFd>),
    Virtual(Arc<dyn VirtualNetwork>),
}

impl ClientBuilder {
    /// The local address of control connections and GRE; the kernel's choice by default
    #[must_use]
    pub const fn local_address(mut self, address: Ipv4Addr) -> Self {
        self.options.local_address = Some(address);
        self
    }

    /// The network device that control connections and GRE are bound to
    #[must_use]
    pub fn device(mut self, name: impl Into<String>) -> Self {
        self.options.device = Some(name.into());
        self
    }

    /// The firewall mark of control connections and GRE; needs `CAP_NET_ADMIN`
    #[must_use]
    pub const fn fwmark(mut self, mark: u32) -> Self {
        self.options.fwmark = Some(mark);
        self
    }

    /// The number of drivers that share the tunnels, 1 to 4, each with a socket and a task of its own; 1 by default
    ///
    /// Worth it where one processor is not enough: tunnels are dealt out in turn, and each socket's
    /// filter drops the calls of the others in the kernel, which costs every datagram a little more.
    /// Numbers outside are taken as the nearest inside. Sockets handed over have one driver each, and
    /// a network in memory has one always.
    #[must_use]
    pub const fn drivers(mut self, drivers: u8) -> Self {
        self.drivers = match drivers {
            0 => 1,
            1..=MAX_DRIVERS => drivers,
            _ => MAX_DRIVERS,
        };
        self
    }

    /// The receive buffer to ask the kernel for, in octets; 4 MiB by default
    ///
    /// [`Client::stats`] tells what was granted.
    #[must_use]
    pub const fn receive_buffer(mut self, octets: usize) -> Self {
        self.options.receive_buffer = octets;
        self
    }

    /// An open raw socket for IP protocol 47, made by someone who may (root, systemd), or by
    /// [`open_raw_socket`] before the process gave up its privileges
    ///
    /// The process then needs no capability. Given several times, up to 4, each socket gets a driver of
    /// its own: see [`Self::drivers`], whose number does not count then.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn raw_socket(mut self, socket: OwnedFd) -> Self {
        match &mut self.carrier {
            Carrier::Given(sockets) => sockets.push(socket),
            Carrier::Open | Carrier::Virtual(_) => self.carrier = Carrier::Given(vec![socket]),
        }
        self
    }

    /// Opens a raw socket with these options, for [`Self::raw_socket`]: see [`open_raw_socket`]
    ///
    /// # Errors
    /// As [`open_raw_socket`]; what these options cannot have.
    #[cfg(target_os = "linux")]
    pub fn open_raw_socket(&self) -> Result<OwnedFd, OpenError> {
        RawSocket::open_for_later(&self.options)
    }

    /// A network in memory instead of the kernel's, for tests without privileges
    ///
    /// The client's random choices then follow from the network's seed: with tokio's clock paused
    /// and one thread a run is like any other, to the octet.
    #[must_use]
    pub fn memory(mut self, host: impl VirtualHost) -> Self {
        self.carrier = Carrier::Virtual(Arc::new(host));
        self
    }

    /// The network in which control connections are made with these options
    pub(crate) fn network(&self) -> Network {
        match &self.carrier {
            Carrier::Virtual(host) => Network::Virtual(Arc::clone(host)),
            _ => Network::Kernel(self.options.clone()),
        }
    }

    /// Opens the socket and starts the driver on the current tokio runtime
    ///
    /// # Errors
    /// See [`ClientError`].
    ///
    /// # Panics
    /// In a runtime whose I/O driver is switched off, unless the network is one in memory.
    pub fn build(self) -> Result<Client, ClientError> {
        let Self { options, drivers, carrier } = self;
        let (drivers, network) = match carrier {
            Carrier::Open => {
                let options_of = |shard| SocketOptions { shard, ..options.clone() };
                let drivers = Shard::split(drivers).map(|shard| shared_driver(&options_of(shard)));
                (drivers.collect::<Result<_, _>>()?, Network::Kernel(options))
            }
            #[cfg(target_os = "linux")]
            Carrier::Given(sockets) => {
                let drivers = take_over(sockets, &options)?;
                (drivers.into(), Network::Kernel(options))
            }
            Carrier::Virtual(host) => {
                let driver = Arc::clone(&host).start()?;
                ([driver].into(), Network::Virtual(host))
            }
        };
        if matches!(network, Network::Kernel(_)) {
            // each tunnel holds one TCP socket; an attempt that is refused shows when they run out
            let _ = pptp_gre_socket::raise_file_limit(MANY_TUNNELS);
        }
        Ok(Client { drivers, next: Arc::default(), network, registry: Arc::default() })
    }
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self { options: SocketOptions::default(), drivers: 1, carrier: Carrier::Open }
    }
}

/// Opens a raw socket of IP protocol 47 as a [`Client`] needs it, for programs that give up their
/// privileges before they make one, or that hand it to another process
///
/// Its receive buffer is 4 MiB, and it receives nothing until a client takes it over.
/// [`ClientBuilder::open_raw_socket`] opens one with other options. It needs no runtime.
///
/// ```no_run
/// # use pptp::Client;
/// # fn drop_privileges() {}
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let socket = pptp::open_raw_socket()?; // needs CAP_NET_RAW
/// drop_privileges();
/// let client = Client::builder().raw_socket(socket).build()?; // needs nothing
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Opening it needs `CAP_NET_RAW`; the error says how to grant it.
#[cfg(target_os = "linux")]
pub fn open_raw_socket() -> Result<OwnedFd, OpenError> {
    Client::builder().open_raw_socket()
}

/// A driver for each socket that was handed over
#[cfg(target_os = "linux")]
fn take_over(
    sockets: Vec<OwnedFd>,
    options: &SocketOptions,
) -> Result<Vec<Arc<DriverHandle<TunnelShared>>>, ClientError> {
    let drivers = u8::try_from(sockets.len()).ok().filter(|drivers| *drivers <= MAX_DRIVERS);
    let drivers = drivers.ok_or(ClientError::TooManySockets { given: sockets.len() })?;
    for (i, socket) in sockets.iter().enumerate() {
        let mut before = sockets.iter().take(i);
        if before.any(|other| RawSocket::is_same(socket.as_fd(), other.as_fd())) {
            return Err(ClientError::SameSocket);
        }
    }
    let start = |(socket, shard)| {
        let options = SocketOptions { shard, ..options.clone() };
        let open = || RawSocket::from_fd(socket, &options);
        start_driver(shard, Randomness::System, open)
    };
    sockets.into_iter().zip(Shard::split(drivers)).map(start).collect()
}

/// The kernel walks all raw sockets of a host for each datagram
const MAX_DRIVERS: u8 = 4;

/// All the Call IDs there are, and some files beside them
const MANY_TUNNELS: u64 = 66_000;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn socket() -> OwnedFd {
        UdpSocket::bind("127.0.0.1:0").unwrap().into()
    }

    #[tokio::test]
    async fn sockets_that_cannot_be_taken_over_are_refused_before_any_is() {
        let five = (0..5).fold(Client::builder(), |builder, _| builder.raw_socket(socket()));
        let error = five.build().unwrap_err();
        assert!(matches!(error, ClientError::TooManySockets { given: 5 }), "{error}");
        let one = socket();
        let twice = [one.try_clone().unwrap(), socket(), one];
        let twice = twice.into_iter().fold(Client::builder(), ClientBuilder::raw_socket);
        let error = twice.build().unwrap_err();
        assert!(matches!(error, ClientError::SameSocket), "{error}");
        let error = Client::builder().raw_socket(socket()).raw_socket(socket()).build();
        assert!(matches!(error, Err(ClientError::Socket(OpenError::NotRawGre))), "{error:?}");
    }
}
