//! The client that users hold, its options, its drivers and the list of its tunnels
//!
//! | module | content |
//! |---|---|
//! | `builder` | [`ClientBuilder`]: the options of a client |
//! | `drivers` | the start of a driver, and the drivers that further clients may share |
//! | `error` | [`ClientError`]: the reasons why a client could not be made |
//! | `registry` | the list of one client's tunnels |

mod builder;
pub(crate) mod drivers;
mod error;
pub(crate) mod registry;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use pptp_driver::{DriverHandle, DriverShared};
use pptp_gre_socket::{NullSocket, Shard};
use pptp_tunnel::{Failure as TunnelFailure, Phase};
use tokio::sync::watch;

use self::{drivers::start_driver, registry::Registry};
use crate::{
    Connecting, State, TunnelConfig, WeakTunnel,
    connect::{
        control_task::{self, Served},
        login::Login,
        network::Network,
    },
    stats::ClientStats,
    tunnel_shared::{TunnelHandle, TunnelShared},
};

#[cfg(target_os = "linux")]
pub use self::builder::open_raw_socket;
pub use self::{builder::ClientBuilder, error::ClientError};

/// A PPTP client: one GRE socket and one driver for any number of tunnels, or a few of each
///
/// Cheap to clone. Clients with the same options on the same runtime share one socket. The socket
/// is closed when the last client and the last tunnel are gone.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = pptp::Client::new()?;
/// let site = client.connect(pptp::TunnelConfig::new("198.51.100.1", "user", "secret")).await?;
/// println!("{} is up; tunnels: {}", site.name(), client.tunnels().len());
/// client.close().await; // hangs up all its tunnels
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    /// One for each driver
    drivers: Arc<[Arc<DriverHandle<TunnelShared>>]>,
    /// The driver of the next tunnel
    next: Arc<AtomicUsize>,
    network: Network,
    registry: Arc<Registry<TunnelHandle>>,
}

impl Client {
    /// A client with the default options
    ///
    /// # Errors
    /// Opening the raw socket needs `CAP_NET_RAW`; the error says how to grant it. On systems that are
    /// not Linux it is [`OpenError::Unsupported`](crate::error::OpenError::Unsupported). Must be called within a
    /// tokio runtime.
    pub fn new() -> Result<Self, ClientError> {
        Self::builder().build()
    }

    /// A client whose GRE goes nowhere, for what needs no raw socket
    ///
    /// # Errors
    /// There is no runtime.
    pub(crate) fn without_gre(network: Network) -> Result<Self, ClientError> {
        let nowhere = || Ok::<_, ClientError>(NullSocket);
        let randomness = network.randomness();
        let driver = start_driver(Shard::ALL, randomness, nowhere)?;
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
    /// The work is done by tasks of the client's runtime, also while the future is not polled.
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
        let login = Login::new(&config.machine.link.user, &config.callbacks);
        let shared = Arc::new(TunnelShared::new(name, driver, registry, state, login));
        let handle = Arc::new(TunnelHandle { shared: Arc::clone(&shared) });
        let served = Served(shared);
        if self.registry.enter(served.0.number, &handle) {
            runtime.spawn(control_task::run(served, self.network.clone(), config));
        } else {
            served.0.abandon(TunnelFailure::Closed.into());
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
    /// afterwards: a connect ends at once with [`TunnelFailure::Closed`]. Other clients that share its
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
    /// A tunnel is there for as long as a program holds a handle of it, open sockets included, also when it has
    /// ended. [`Client::close`] hangs all of them up, and so does not wait for handles. Tunnels of other clients do
    /// not count, also where they share the socket.
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
        for counters in self.drivers().map(DriverShared::counters) {
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

    /// Waits until each driver of this client has made a round that began after this call
    ///
    /// A round takes in what has arrived, gives tunnels their turns and sends. An idle driver makes one
    /// for this, at once. So a watchdog learns whether tunnels are served at all: it asks every few
    /// seconds, and a future that is not ready in time says that the runtime is overloaded or blocked.
    ///
    /// The future holds no handle of the client.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(client: pptp::Client) {
    /// # fn feed_the_watchdog() {}
    /// loop {
    ///     match tokio::time::timeout(Duration::from_secs(10), client.beat()).await {
    ///         Ok(Ok(())) => feed_the_watchdog(),
    ///         Ok(Err(stopped)) => return eprintln!("{stopped}"),
    ///         Err(_) => eprintln!("no round of the driver for 10 s"),
    ///     }
    ///     tokio::time::sleep(Duration::from_secs(5)).await;
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::DriverStopped`].
    ///
    /// # Cancel safety
    /// The round is made all the same.
    pub fn beat(&self) -> impl Future<Output = Result<(), ClientError>> + Send + Sync + use<> {
        let asked = self.drivers().map(DriverShared::ask_for_beat).collect::<Vec<_>>();
        async move {
            for (number, mut answered) in asked {
                let answered = answered.wait_for(|latest| *latest >= number).await;
                answered.map_err(|_| ClientError::DriverStopped)?;
            }
            Ok(())
        }
    }

    /// A client as another build with the same options makes it
    #[cfg(test)]
    pub(crate) fn sharing_its_driver(&self) -> Self {
        Self { registry: Arc::default(), ..self.clone() }
    }

    fn drivers(&self) -> impl Iterator<Item = &DriverShared<TunnelShared>> {
        self.drivers.iter().map(|handle| handle.shared())
    }

    fn next_driver(&self) -> Arc<DriverHandle<TunnelShared>> {
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
