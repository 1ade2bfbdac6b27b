use std::{
    fmt,
    net::Ipv4Addr,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use pptp_gre_socket::{GreSocket, OpenError, RawSocket, Shard, SocketOptions, memory};
use pptp_tunnel::{Failure, Phase};
use tokio::sync::watch;

use crate::{
    Connecting, State, TunnelConfig, WeakTunnel,
    connect::{
        control_task::{self, Served},
        login::Login,
        network::Network,
    },
    driver::{
        driver_shared::{DriverHandle, DriverShared, Randomness},
        registry::Registry,
        tunnel_shared::{Handle, TunnelShared},
    },
};

/// A PPTP client: one GRE socket and one driver for any number of tunnels, or a few of each
///
/// Cheap to clone. Clients with the same options on the same runtime share one socket. The socket
/// is closed when the last client and the last tunnel are gone.
#[derive(Clone)]
pub struct Client {
    /// One for each driver
    drivers: Arc<[Arc<DriverHandle>]>,
    /// The driver of the next tunnel
    next: Arc<AtomicUsize>,
    network: Network,
    registry: Arc<Registry>,
}

impl Client {
    /// A client with the default options
    ///
    /// # Errors
    /// Opening the raw socket needs `CAP_NET_RAW`; the error says how to grant it. Must be called
    /// within a tokio runtime.
    pub fn new() -> Result<Self, ClientError> {
        Self::builder().build()
    }

    /// A client whose GRE goes nowhere, for what needs no raw socket
    ///
    /// # Errors
    /// There is no runtime.
    pub(crate) fn without_gre(network: Network) -> Result<Self, ClientError> {
        let nowhere = || {
            let host = memory::Network::new(0).host(Ipv4Addr::LOCALHOST);
            Ok::<_, ClientError>(host.open_gre().into())
        };
        let randomness = match &network {
            Network::Memory(host) => Randomness::Memory(host.clone()),
            Network::Kernel(_) => Randomness::System,
        };
        let driver = DriverHandle::start(Shard::ALL, randomness, nowhere)?;
        Ok(Self {
            drivers: [driver].into(),
            next: Arc::default(),
            network,
            registry: Arc::default(),
        })
    }

    /// A client with options of its own
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Begins to connect; await what it returns for the tunnel
    ///
    /// The work is done by tasks of the client's runtime, also while nobody awaits.
    ///
    /// A server's name is looked up by the system's resolver, at most 32 names at once in the process,
    /// on threads that are none of the runtime's. While the resolver fails, or says nothing for 1.8 s,
    /// the addresses that it gave last are used if they are not older than a day; `tracing` warns then.
    pub fn connect(&self, config: TunnelConfig) -> Connecting {
        let (state, receiver) = watch::channel(State::Connecting { phase: Phase::Resolve });
        let name = config.display_name().to_owned();
        let driver = self.next_driver();
        let runtime = driver.runtime().clone();
        let registry = Arc::clone(&self.registry);
        let shared = Arc::new(TunnelShared::new(name, driver, registry, state, Login::of(&config)));
        let handle = Arc::new(Handle { shared: Arc::clone(&shared) });
        let served = Served(shared);
        if self.registry.enter(served.0.number, &handle) {
            runtime.spawn(control_task::run(served, self.network.clone(), config));
        } else {
            served.0.abandon(Failure::Closed);
        }
        Connecting::new(handle, receiver)
    }

    /// Lists the tunnels of this client and its clones, in the order of their connects
    ///
    /// Those that connect, that are up, and that hang up while somebody holds a handle of them. The
    /// list keeps none of them up: see [`WeakTunnel`].
    ///
    /// ```no_run
    /// # let client: pptp::Client = todo!();
    /// for tunnel in client.tunnels() {
    ///     println!("{}: {:?}", tunnel.name(), *tunnel.state().borrow());
    /// }
    /// ```
    pub fn tunnels(&self) -> Vec<WeakTunnel> {
        self.registry.held().iter().map(WeakTunnel::of).collect()
    }

    /// Hangs up all tunnels of this client and its clones, and waits until nothing is left of them
    ///
    /// Properly, as [`Tunnel::close`](crate::Tunnel::close) does, all at the same time, and also those
    /// that still connect and those whose sockets are in use: at most 11 s. The client is of no use
    /// afterwards: a connect ends at once with [`Failure::Closed`]. Other clients that share its
    /// socket are left alone.
    ///
    /// # Cancel safety
    /// The hang-ups go on, and the client stays closed.
    pub async fn close(&self) {
        self.registry.close();
        for handle in self.registry.held() {
            handle.shared.hang_up();
        }
        self.wait_idle().await;
    }

    /// Waits until no tunnel of this client and its clones is left, their hang-ups included
    ///
    /// Tunnels of other clients do not count, also where they share its socket. A tunnel is there for
    /// as long as anybody holds a handle of it, open sockets included: [`Client::close`] does not wait
    /// for that.
    ///
    /// A process that ends without it, or without [`Tunnel::close`](crate::Tunnel::close), may leave servers
    /// to find out by themselves.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn wait_idle(&self) {
        self.registry.idle().await;
    }

    /// Figures of the sockets that this client's tunnels share
    pub fn stats(&self) -> ClientStats {
        let mut sum = ClientStats::default();
        for DriverShared { counters, .. } in self.drivers() {
            sum.receive_buffer += counters.receive_buffer.load(Ordering::Relaxed);
            sum.kernel_drops += counters.kernel_drops.load(Ordering::Relaxed);
            sum.unknown_call += counters.unknown_call.load(Ordering::Relaxed);
            sum.panics += counters.panics.load(Ordering::Relaxed);
            sum.wake_panics += counters.wake_panics.load(Ordering::Relaxed);
            sum.pauses += counters.pauses.load(Ordering::Relaxed);
            sum.turns += counters.turns.load(Ordering::Relaxed);
        }
        sum
    }

    /// A client as another build with the same options makes it
    #[cfg(test)]
    pub(crate) fn sharing_its_driver(&self) -> Self {
        Self { registry: Arc::default(), ..self.clone() }
    }

    pub(crate) fn drivers(&self) -> impl Iterator<Item = &DriverShared> {
        self.drivers.iter().map(|handle| handle.shared())
    }

    fn next_driver(&self) -> Arc<DriverHandle> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.drivers.len();
        Arc::clone(&self.drivers[next])
    }
}

/// Its drivers and how many tunnels they have; never the tunnels themselves
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tunnels = self.registry.len();
        write!(f, "Client {{ drivers: {}, tunnels: {tunnels} }}", self.drivers.len())
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
    /// which costs that task its wake-up and nobody else anything
    pub wake_panics: u64,
    /// Times that nothing was received for a millisecond or more, because datagrams that led to
    /// nothing had taken a twelfth of the time: somebody floods
    pub pauses: u64,
    /// Turns of tunnels: one for all that came for a tunnel in a batch, and for each deadline and wake
    pub turns: u64,
}

/// The options of a [`Client`]
#[derive(Debug)]
pub struct ClientBuilder {
    options: SocketOptions,
    drivers: u8,
    carrier: Carrier,
}

#[derive(Debug)]
enum Carrier {
    Open,
    Given(Vec<OwnedFd>),
    Memory(memory::Host),
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

    /// How many drivers share the tunnels, 1 to 4, each with a socket and a task of its own; 1 by default
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
    #[must_use]
    pub fn raw_socket(mut self, socket: OwnedFd) -> Self {
        match &mut self.carrier {
            Carrier::Given(sockets) => sockets.push(socket),
            Carrier::Open | Carrier::Memory(_) => self.carrier = Carrier::Given(vec![socket]),
        }
        self
    }

    /// Opens a raw socket with these options, for [`Self::raw_socket`]: see [`open_raw_socket`]
    ///
    /// # Errors
    /// As [`open_raw_socket`]; what these options cannot have.
    pub fn open_raw_socket(&self) -> Result<OwnedFd, OpenError> {
        RawSocket::open_for_later(&self.options)
    }

    /// A network in memory instead of the kernel's, for tests without privileges
    ///
    /// The client's random choices then follow from the network's seed: with tokio's clock paused
    /// and one thread a run is like any other, to the octet.
    #[must_use]
    pub fn memory(mut self, host: memory::Host) -> Self {
        self.carrier = Carrier::Memory(host);
        self
    }

    /// Where control connections are made with these options
    pub(crate) fn network(&self) -> Network {
        match &self.carrier {
            Carrier::Memory(host) => Network::Memory(host.clone()),
            Carrier::Open | Carrier::Given(_) => Network::Kernel(self.options.clone()),
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
                let drivers = Shard::split(drivers)
                    .map(|shard| DriverHandle::for_options(&options_of(shard)));
                (drivers.collect::<Result<_, _>>()?, Network::Kernel(options))
            }
            Carrier::Given(sockets) => {
                let drivers = take_over(sockets, &options)?;
                (drivers.into(), Network::Kernel(options))
            }
            Carrier::Memory(host) => {
                let open = || host.try_open_gre().map(GreSocket::from);
                let randomness = Randomness::Memory(host.clone());
                let driver = DriverHandle::start(Shard::ALL, randomness, open)?;
                ([driver].into(), Network::Memory(host))
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
pub fn open_raw_socket() -> Result<OwnedFd, OpenError> {
    Client::builder().open_raw_socket()
}

/// A driver for each socket that was handed over
fn take_over(
    sockets: Vec<OwnedFd>,
    options: &SocketOptions,
) -> Result<Vec<Arc<DriverHandle>>, ClientError> {
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
        let open = || RawSocket::from_fd(socket, &options).map(GreSocket::from);
        DriverHandle::start(shard, Randomness::System, open)
    };
    sockets.into_iter().zip(Shard::split(drivers)).map(start).collect()
}

/// The kernel walks all raw sockets of a host for each datagram
const MAX_DRIVERS: u8 = 4;

/// All the Call IDs there are, and some files beside them
const MANY_TUNNELS: u64 = 66_000;

/// Why a client could not be made, or is of no more use
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The raw socket could not be opened; the source says what to do
    #[error(transparent)]
    Socket(#[from] OpenError),
    /// More sockets were handed over than a client has drivers
    #[error("{given} raw sockets were handed over: a client has 4 drivers at most")]
    TooManySockets {
        /// How many
        given: usize,
    },
    /// The same socket was handed over twice
    #[error("the same raw socket was handed over twice: each driver needs one of its own")]
    SameSocket,
    /// The driver runs no more: its runtime was shut down, or a fault of this library ended it
    #[error("the client's driver has stopped: its runtime was shut down, or it panicked")]
    DriverStopped,
    /// There is no tokio runtime here for the driver to run on
    #[error("a client needs a tokio runtime: make it inside one")]
    NoRuntime,
}

#[cfg(test)]
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
