use std::{io, net::Ipv4Addr, time::Duration};

use pptp_gre_socket::GreSocket;
use pptp_netstack::{Local, Net, StackConfig};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::{
    DEVICE, Faults, ROUTER, ServerBuilder, Stats,
    builder::Options,
    connection::{self, Listener},
    driver::{Driver, Orders},
    hosts,
    lan::{MTU, PREFIX_LEN},
    tasks::Tasks,
};

/// A PPTP server and the building behind it
///
/// It runs in tasks of the runtime in which it was started. Dropping it stops everything at once,
/// without a word to its clients, as a power failure does; [`Server::shut_down`] hangs up first.
#[derive(Debug)]
#[must_use = "a server that nobody holds is stopped"]
pub struct Server {
    building: u32,
    address: Ipv4Addr,
    net: Net,
    forge: mpsc::Sender<Vec<u8>>,
    orders: watch::Sender<Orders>,
    stats: watch::Receiver<Stats>,
    /// Apart from the others, so that it can be ended before them
    accepting: Tasks,
    tasks: Tasks,
}

impl Server {
    /// The options of a server for the building with this number, which is in every answer
    pub fn builder(building: u32) -> ServerBuilder {
        ServerBuilder::new(building)
    }

    pub(crate) fn start(
        options: Options,
        listener: Listener,
        socket: GreSocket,
        address: Ipv4Addr,
    ) -> io::Result<Self> {
        let (accepting, tasks) = (Tasks::default(), Tasks::default());
        let building = options.building;
        let config = StackConfig {
            second_address: Some(DEVICE),
            prefix_len: PREFIX_LEN,
            ..StackConfig::new(ROUTER, MTU, options.seed)
        };
        let (net, lan) = Local::new(config);
        hosts::start(building, options.dhcp.clone(), &net, &tasks)?;
        let (to_driver, clients) = mpsc::channel(FROM_CLIENTS);
        let first =
            Orders { mute_gre: options.mute_gre, faults: options.faults, ..Orders::default() };
        let (orders, given) = watch::channel(first);
        let (published, stats) = watch::channel(Stats::default());
        let (forge, forged) = mpsc::channel(FORGED);
        let clients = (clients, forged);
        let driver = Driver::new(options, address, socket, lan, clients, given, published);
        tasks.spawn(driver.run());
        accepting.spawn(connection::accept(listener, to_driver, tasks.clone()));
        Ok(Self { building, address, net, forge, orders, stats, accepting, tasks })
    }

    /// Hangs up all clients properly: LCP, the call, the control connection
    ///
    /// [`Server::idle`] waits until that is done. New clients may connect meanwhile.
    pub fn hang_up_all(&self) {
        self.orders.send_modify(|orders| orders.hang_ups = orders.hang_ups.wrapping_add(1));
    }

    /// Negotiates PPP anew with all clients, as servers do that change keys or accounts in service
    ///
    /// Clients keep their addresses, and their sockets.
    pub fn renegotiate_all(&self) {
        self.orders
            .send_modify(|orders| orders.renegotiations = orders.renegotiations.wrapping_add(1));
    }

    /// Challenges all clients that are connected once more (RFC 1994 §4.1)
    ///
    /// Their tunnels stay up if they answer rightly, and keep their keys.
    pub fn challenge_all(&self) {
        self.orders.send_modify(|orders| orders.challenges = orders.challenges.wrapping_add(1));
    }

    /// Ends the links of all clients with this error code of Windows, as RRAS does
    ///
    /// The server waits for them to hang up.
    pub fn terminate_all(&self, code: u32) {
        self.orders.send_modify(|orders| {
            orders.terminations = (orders.terminations.0.wrapping_add(1), code);
        });
    }

    /// Makes the server send no GRE any more, or lifts that
    ///
    /// What a firewall does that forgets a connection: its clients have to notice by themselves.
    pub fn mute_gre(&self, mute: bool) {
        self.orders.send_modify(|orders| orders.mute_gre = mute);
    }

    /// Switches failures on and off, for all clients from now on
    ///
    /// What a server or the way to it does that dies in part: the control connection and LCP go on, and nothing
    /// passes inside the tunnels.
    pub fn set_faults(&self, faults: Faults) {
        self.orders.send_modify(|orders| orders.faults = faults);
    }

    /// Hangs up all clients, waits until they are gone (10 s at most), and stops
    ///
    /// # Cancel safety
    /// Dropping the future stops the server at once.
    pub async fn shut_down(self) {
        self.accepting.end();
        self.accepting.gone().await;
        self.hang_up_all();
        // a client that does not answer is not waited for any longer
        let _ = timeout(LAST_WORDS, self.idle()).await;
        self.tasks.end();
        self.tasks.gone().await;
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
        let _ = self.stats.clone().wait_for(condition).await;
    }

    /// The number of the building
    pub const fn building(&self) -> u32 {
        self.building
    }

    /// The server's outer address
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// What the server has seen so far
    pub fn stats(&self) -> Stats {
        self.stats.borrow().clone()
    }

    /// Sends an IP packet to a client as a hostile host of the building may: any source, any octets
    ///
    /// It goes through the router: only a destination that a client has, or everyone, leads anywhere, and
    /// what is larger than the client's MTU is cut as any other packet. False, and the packet is lost,
    /// if 64 of them wait.
    pub fn forge_ip(&self, packet: Vec<u8>) -> bool {
        self.forge.try_send(packet).is_ok()
    }

    /// Sockets in the building's network, for instance to reach a client's `TcpListener`
    ///
    /// They are those of the two hosts there, 192.168.1.1 unless another address is asked for.
    pub fn net(&self) -> Net {
        self.net.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.end();
        self.tasks.end();
    }
}

/// Pieces of control connections that wait for the driver; beyond them the readers wait
const FROM_CLIENTS: usize = 256;

/// Forged packets that wait for the driver
const FORGED: usize = 64;

/// A hang-up takes 7 s at most
const LAST_WORDS: Duration = Duration::from_secs(10);
