//! A server, from its start on: the calls of its owner

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pptp_driver::{DriverHandle, Randomness};
use pptp_gre_socket::Shard;
use pptp_memory_net::MemoryListener;
use pptp_netstack::{Local, Net, StackConfig};
use pptp_ppp::Password;
use pptp_tunnel::RasCode;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    runtime,
    sync::{mpsc, watch},
    time::timeout,
};

use crate::{
    DEVICE, Faults, KnxState, LanHost, LoggedIn, ROUTER, ServerBuilder, Stats,
    building::Building,
    client::Client,
    clients::Clients,
    connection,
    ground::Ground,
    hosts::{self, Gateway},
    lan::{MTU, PREFIX_LEN, Pool, may_be_added},
    listener::Listener,
    options::Options,
    socket::{ServerSocket, SocketState},
    stacks::{AddedHosts, Stacks},
    tasks::Tasks,
};

/// A PPTP server and the building behind it
///
/// It runs in tasks of the runtime in which it was started. It ends in one of three ways:
///
/// - [`Server::shut_down`] hangs up all clients first.
/// - Dropping it is like killing its process: no PPTP message is sent, but its host closes the
///   connections, so that clients notice one latency later. In memory another server may be started at
///   its address at once; real sockets are free when its tasks have been polled once more.
/// - [`Server::power_off`] is a power failure: clients receive nothing at all.
///
/// [`Server::restart`] starts it again after the last, or in place of the second.
#[derive(Debug)]
#[must_use = "a server that is dropped is stopped"]
pub struct Server {
    options: Options,
    ground: Ground,
    address: Ipv4Addr,
    added: Arc<AddedHosts>,
    running: Running,
    /// True if its host has no power, until it is started again
    is_off: bool,
}

/// A server from its start until it is stopped or started again
#[derive(Debug)]
struct Running {
    net: Net,
    gateway: Arc<Gateway>,
    clients: Arc<Clients>,
    socket: Arc<SocketState>,
    forge: mpsc::Sender<Vec<u8>>,
    stats: watch::Receiver<Stats>,
    /// The listener, stopped directly so that the port is free before the tasks are gone
    listener: Option<Arc<MemoryListener>>,
    /// The accepting task, apart from the others, so that it can be ended before them
    accepting: Tasks,
    tasks: Tasks,
}

impl Running {
    fn start(
        options: Options,
        ground: &Ground,
        address: Ipv4Addr,
        added: &Arc<AddedHosts>,
    ) -> io::Result<Self> {
        let (listener, socket) = ground.open(address)?;
        let (accepting, tasks) = (Tasks::default(), Tasks::default());
        let config = StackConfig {
            second_address: Some(DEVICE),
            prefix_len: PREFIX_LEN,
            ..StackConfig::new(ROUTER, MTU, options.seed)
        };
        let (net, lan) = Local::new(config);
        let gateway = Arc::new(Gateway::new(options.building, options.knx.clone()));
        hosts::start(options.building, options.dhcp.clone(), &gateway, &net, &tasks)?;
        let (published, stats) = watch::channel(Stats::default());
        let (forge, forged) = mpsc::channel(MAX_FORGED);
        let pool = Pool::new(options.sessions);
        for added in added.all().keys() {
            pool.reserve(*added);
        }
        let state = Arc::<SocketState>::default();
        let socket = ServerSocket::new(socket, Arc::clone(&state), &options);
        let rng = Mutex::new(StdRng::seed_from_u64(options.seed));
        let seed = move || rng.lock().unwrap_or_else(PoisonError::into_inner).random();
        let randomness = Randomness::Virtual(Box::new(seed));
        let runtime = runtime::Handle::current();
        let (handle, driver) = DriverHandle::new(Shard::ALL, randomness, socket, runtime);
        let network = (Stacks::new(lan, Arc::clone(added)), pool);
        let clients = Arc::new(Clients::new(options, address, handle, network, published));
        state.set_clients(Arc::downgrade(&clients));
        tasks.spawn(driver.run());
        tasks.spawn(Building::new(Arc::clone(&clients), forged).run());
        let shared = match &listener {
            Listener::Memory(listener) => Some(Arc::clone(listener)),
            Listener::Tcp(_) => None,
        };
        accepting.spawn(connection::accept(listener, Arc::clone(&clients), tasks.clone()));
        let listener = shared;
        Ok(Self { net, gateway, clients, socket: state, forge, stats, listener, accepting, tasks })
    }

    /// Ends all tasks, which let go of their sockets when they are polled next
    fn stop(&self) {
        self.accepting.end();
        self.tasks.end();
        if let Some(listener) = &self.listener {
            listener.stop();
        }
    }

    async fn gone(&self) {
        self.accepting.gone().await;
        self.tasks.gone().await;
    }
}

impl Server {
    /// The options of a server for the building with this number, which is in every answer
    pub fn builder(building: u32) -> ServerBuilder {
        ServerBuilder::new(building)
    }

    pub(crate) fn start(options: Options, ground: Ground, address: Ipv4Addr) -> io::Result<Self> {
        let added = Arc::default();
        let running = Running::start(options.clone(), &ground, address, &added)?;
        Ok(Self { options, ground, address, added, running, is_off: false })
    }

    /// Cuts the power: from now on the server's host sends nothing, and forgets its connections
    ///
    /// Its clients hear neither of PPTP nor of TCP, as if the cable had been cut; they have to notice by
    /// themselves. [`Server::restart`] turns it on again. Connects meanwhile find a host that does not
    /// answer.
    ///
    /// ```
    /// # use std::{net::Ipv4Addr, time::Duration};
    /// # use pptp::{Client, TunnelConfig};
    /// # use pptp_testkit::{Server, memory};
    /// # use tokio::time::timeout;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let network = memory::Network::new(0);
    /// # let client = Client::builder().memory(network.host(Ipv4Addr::new(10, 99, 0, 1))).build()?;
    /// let mut server = Server::builder(7).serve_memory(&network, Ipv4Addr::new(10, 99, 0, 7))?;
    /// let tunnel = client.connect(TunnelConfig::new("10.99.0.7", "testuser", "test123")).await?;
    /// server.power_off()?;
    /// let noticed = timeout(Duration::from_secs(30), tunnel.closed());
    /// assert!(noticed.await.is_err(), "no FIN, no reset, no GRE: nothing to notice yet");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `Unsupported` on real sockets, whose host goes on: nothing has happened then.
    pub fn power_off(&mut self) -> io::Result<()> {
        let host = self.ground.host(self.address).ok_or(io::ErrorKind::Unsupported)?;
        // before its connections are forgotten, which the host would answer for
        host.unplug();
        host.forget_connections();
        self.running.stop();
        self.is_off = true;
        Ok(())
    }

    /// Starts the server anew at its address, with the options that it had
    ///
    /// A running server is killed first, as by dropping it. A server without power is turned on
    /// again. It does not know its former clients: it answers their TCP with resets, and sends them
    /// no GRE. Its Call IDs and challenges differ from those before, and still follow from
    /// [`ServerBuilder::seed`]. It has no sessions. Its [`Server::stats`] begin again, and so does
    /// its network: sockets opened from [`Server::net`] before have ended.
    ///
    /// ```
    /// # use std::{net::Ipv4Addr, time::Duration};
    /// # use pptp::{Client, TunnelConfig};
    /// # use pptp_testkit::{Server, memory};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let network = memory::Network::new(0);
    /// # let client = Client::builder().memory(network.host(Ipv4Addr::new(10, 99, 0, 1))).build()?;
    /// let mut server = Server::builder(7).serve_memory(&network, Ipv4Addr::new(10, 99, 0, 7))?;
    /// let config = TunnelConfig::new("10.99.0.7", "testuser", "test123");
    /// let tunnel = client.connect(config.clone()).await?;
    /// server.power_off()?;
    /// assert_eq!(tunnel.closed().await.name(), "EchoTimeout"); // after 70 s at most
    /// server.restart().await?;
    /// let again = client.connect(config).await?;
    /// # again.close().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`ServerBuilder::serve`]. The server is stopped then.
    ///
    /// # Cancel safety
    /// The server may be stopped; it can be started again.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.running.stop();
        self.running.gone().await;
        self.options.seed = self.options.seed.wrapping_add(NEXT_SEED);
        self.running.clients.change_secrets(|secrets| self.options.secrets.clone_from(secrets));
        self.running =
            Running::start(self.options.clone(), &self.ground, self.address, &self.added)?;
        if std::mem::take(&mut self.is_off)
            && let Some(host) = self.ground.host(self.address)
        {
            host.plug_in();
        }
        Ok(())
    }

    /// Hangs up all clients properly: LCP, the call, the control connection
    ///
    /// [`Server::idle`] waits until that is done. New clients may connect meanwhile.
    pub fn hang_up_all(&self) {
        self.running.clients.all().iter().for_each(Client::close);
    }

    /// Hangs up the clients of one account properly; the others do not notice
    pub fn hang_up(&self, user: &str) {
        let all = self.running.clients.all();
        all.iter().filter(|client| client.is_user(user)).for_each(Client::close);
    }

    /// Negotiates PPP anew with all clients, as servers do that change keys or accounts in service
    ///
    /// Clients keep their addresses, and their sockets.
    pub fn renegotiate_all(&self) {
        self.running.clients.all().iter().for_each(Client::renegotiate);
    }

    /// Challenges all clients that are connected once more (RFC 1994 §4.1)
    ///
    /// Their tunnels stay up if they answer rightly, and keep their keys.
    pub fn challenge_all(&self) {
        self.running.clients.all().iter().for_each(Client::challenge);
    }

    /// Ends the links of all clients with this error code of Windows, as RRAS does
    ///
    /// The server waits for them to hang up.
    pub fn terminate_all(&self, code: u32) {
        for client in self.running.clients.all() {
            client.terminate(RasCode(code));
        }
    }

    /// Makes the server send no GRE any more, or lifts that
    ///
    /// A firewall that forgets a connection has this effect: clients have to notice it themselves.
    pub fn mute_gre(&self, mute: bool) {
        self.running.socket.set_mute(mute);
    }

    /// Switches failures on and off, for all clients from now on
    ///
    /// This is a server, or a path to it, that fails in part: the control connection and LCP go on, but
    /// packets do not pass inside the tunnels.
    pub fn set_faults(&self, faults: Faults) {
        self.running.clients.set_faults(faults);
    }

    /// Sets the password of an account, or adds the account, for clients that connect from now on
    ///
    /// Clients that are connected stay. [`Server::restart`] keeps the accounts.
    ///
    /// ```
    /// # use std::net::Ipv4Addr;
    /// # use pptp::{Client, TunnelConfig};
    /// # use pptp_testkit::{Server, memory};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let network = memory::Network::new(0);
    /// # let client = Client::builder().memory(network.host(Ipv4Addr::new(10, 99, 0, 1))).build()?;
    /// let server = Server::builder(7).serve_memory(&network, Ipv4Addr::new(10, 99, 0, 7))?;
    /// let config = TunnelConfig::new("10.99.0.7", "testuser", "test123");
    /// let tunnel = client.connect(config.clone()).await?;
    /// server.set_secret("testuser", "another");
    /// let refused = client.connect(config).await.unwrap_err();
    /// assert_eq!(refused.name(), "AuthFailed");
    /// assert!(tunnel.tcp_connect(([192, 168, 1, 3], 80)).await.is_ok(), "this one stays");
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_secret(&self, user: impl Into<String>, password: impl Into<String>) {
        let user = user.into();
        self.running.clients.change_secrets(|secrets| {
            secrets.retain(|(name, _)| *name != user);
            secrets.push((user, Password::new(password)));
        });
    }

    /// Removes an account, for clients that connect from now on
    ///
    /// A client of the account that is connected stays. Without accounts every login is refused.
    pub fn remove_secret(&self, user: &str) {
        self.running.clients.change_secrets(|secrets| secrets.retain(|(name, _)| name != user));
    }

    /// Returns the state of the building's KNXnet/IP gateway, which is new after each start
    pub fn knx(&self) -> KnxState {
        self.running.gateway.state()
    }

    /// Hangs up all clients, waits until they are gone (10 s at most), and stops
    ///
    /// # Cancel safety
    /// Dropping the future stops the server at once.
    pub async fn shut_down(self) {
        self.running.accepting.end();
        self.running.accepting.gone().await;
        self.hang_up_all();
        // a client that does not answer is not waited for any longer
        let _ = timeout(LAST_WORDS, self.idle()).await;
        self.running.tasks.end();
        self.running.tasks.gone().await;
    }

    /// Waits until no client is connected
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn idle(&self) {
        self.until(|stats| stats.connections == 0).await;
    }

    /// Waits until the statistics satisfy a condition
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn until(&self, condition: impl FnMut(&Stats) -> bool) {
        // the driver lives as long as the server
        let _ = self.running.stats.clone().wait_for(condition).await;
    }

    /// The number of the building
    pub const fn building(&self) -> u32 {
        self.options.building
    }

    /// The server's outer address
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The server's statistics so far
    pub fn stats(&self) -> Stats {
        self.running.stats.borrow().clone()
    }

    /// The clients that have logged in and are connected, those being hung up included
    pub fn logged_in(&self) -> Vec<LoggedIn> {
        self.running.clients.all().iter().filter_map(|client| client.logged_in()).collect()
    }

    /// Sends an IP packet to a client as a hostile host of the building may: any source, any octets
    ///
    /// It goes through the router. It reaches a client only if its destination is a client's
    /// address, or all hosts. If it is larger than the client's MTU, it is cut as any other packet.
    /// Returns false, and the packet is lost, if 64 of them wait.
    pub fn forge_ip(&self, packet: Vec<u8>) -> bool {
        self.running.forge.try_send(packet).is_ok()
    }

    /// Adds a host of the test's own to the network behind the server, for services of its own
    ///
    /// The address may be any: one of 192.168.1.0/24, or one of another network, to which the router leads then. No
    /// client gets it. Clients reach the host as they reach [`DEVICE`], and it reaches them and the other
    /// hosts. It has power of its own: neither [`Self::power_off`] nor [`Self::restart`] ends its sockets. It ends
    /// with the server.
    ///
    /// ```
    /// # use std::net::Ipv4Addr;
    /// # use pptp::{Client, TunnelConfig};
    /// # use pptp_testkit::{Server, memory};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let network = memory::Network::new(0);
    /// # let client = Client::builder().memory(network.host(Ipv4Addr::new(10, 99, 0, 1))).build()?;
    /// let server = Server::builder(7).serve_memory(&network, Ipv4Addr::new(10, 99, 0, 7))?;
    /// let plc = server.add_host(Ipv4Addr::new(192, 168, 1, 50))?;
    /// let time = plc.udp_bind(37)?;
    /// tokio::spawn(async move {
    ///     let mut question = [0; 8];
    ///     while let Ok((_, client)) = time.recv_from(&mut question).await {
    ///         time.send_to(&3_000_000_000_u32.to_be_bytes(), client).await?;
    ///     }
    ///     Ok::<_, std::io::Error>(())
    /// });
    /// let tunnel = client.connect(TunnelConfig::new("10.99.0.7", "testuser", "test123")).await?;
    /// let socket = tunnel.udp_bind(0)?;
    /// socket.send_to(b"", (plc.address(), 37)).await?;
    /// let mut answer = [0; 4];
    /// socket.recv_from(&mut answer).await?;
    /// assert_eq!(u32::from_be_bytes(answer), 3_000_000_000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `AddrInUse` if the building has such a host ([`ROUTER`], [`DEVICE`], [`BLACK_HOLE`](crate::BLACK_HOLE), or an
    /// added one) or a client has the address; `InvalidInput` if it is that of no single host.
    pub fn add_host(&self, address: Ipv4Addr) -> io::Result<LanHost> {
        may_be_added(address)?;
        let is_free = self.running.clients.pool().reserve(address);
        let added = is_free.then(|| self.added.add(address, self.options.seed)).flatten();
        added.ok_or_else(|| io::ErrorKind::AddrInUse.into())
    }

    /// Takes a host of [`Self::add_host`] out of the network; returns false if there is none at this address
    ///
    /// Its sockets end as if its power were cut: an open connection of a client times out, and new ones hear "host
    /// unreachable" of the router. Another host may be added at the address.
    pub fn remove_host(&self, address: Ipv4Addr) -> bool {
        let is_removed = self.added.remove(address);
        if is_removed {
            self.running.clients.pool().release(address);
        }
        is_removed
    }

    /// The sockets of the two hosts that are always there, for services of a test's own, and to reach what clients
    /// listen on
    ///
    /// They are [`ROUTER`]'s unless another address is asked for, and end with the server.
    ///
    /// ```
    /// # use std::net::Ipv4Addr;
    /// # use pptp::{Client, TunnelConfig};
    /// # use pptp_testkit::{DEVICE, Server, TcpOptions, memory};
    /// # use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let network = memory::Network::new(0);
    /// # let client = Client::builder().memory(network.host(Ipv4Addr::new(10, 99, 0, 1))).build()?;
    /// # let server = Server::builder(7).serve_memory(&network, Ipv4Addr::new(10, 99, 0, 7))?;
    /// # let tunnel = client.connect(TunnelConfig::new("10.99.0.7", "testuser", "test123")).await?;
    /// // a Modbus device of the test's own, behind the server
    /// let listener = server.net().tcp_listen((DEVICE, 502).into(), 8, TcpOptions::default())?;
    /// tokio::spawn(async move {
    ///     while let Ok((mut stream, _client)) = listener.accept().await {
    ///         let mut request = [0; 12];
    ///         stream.read_exact(&mut request).await?;
    ///         stream.write_all(&request).await?;
    ///     }
    ///     Ok::<_, std::io::Error>(())
    /// });
    /// let mut stream = tunnel.tcp_connect((DEVICE, 502)).await?;
    /// stream.write_all(b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x01").await?;
    /// let mut answer = [0; 12];
    /// stream.read_exact(&mut answer).await?;
    /// assert_eq!(answer[..2], [0, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn net(&self) -> Net {
        self.running.net.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.stop();
    }
}

/// Forged packets that wait for the building
const MAX_FORGED: usize = 64;

/// The difference between a server's seed and that of its next start
///
/// With the same Call IDs, late datagrams of former clients would reach the calls of new ones.
const NEXT_SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// A hang-up takes 7 s at most
const LAST_WORDS: Duration = Duration::from_secs(10);
