//! A host of a network in memory: its sockets and its connections

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddrV4},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use pptp_gre_socket::{OpenError, VirtualHost};
use tokio::time::sleep;

use crate::{
    Blocked, MemoryListener, MemorySocket, MemoryStream, Network,
    clock::now,
    inbox::Inbox,
    network::{HostState, Line, State},
    tcp::Backlog,
};

impl Network {
    /// The host with this address, added to the network if it is new
    pub fn host(&self, address: Ipv4Addr) -> Host {
        self.with_host(address, |_| ());
        Host { network: self.clone(), address }
    }
}

/// A host of a [`Network`]; clones are the same host
#[derive(Clone)]
pub struct Host {
    network: Network,
    address: Ipv4Addr,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", self.address)
    }
}

impl Host {
    /// Its address
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Opens a GRE socket; each socket of a host receives all its GRE, as the kernel's do
    pub fn open_gre(&self) -> MemorySocket {
        let inbox = Arc::new(Inbox::default());
        let stalled = self.with_state(|host| host.add_socket(&inbox));
        MemorySocket::new(self.network.clone(), self.address, inbox, stalled)
    }

    /// Opens a GRE socket, if this host's programs may
    ///
    /// # Errors
    /// [`OpenError::MissingCapability`] after [`Host::forbid_gre`].
    pub fn try_open_gre(&self) -> Result<MemorySocket, OpenError> {
        if self.with_state(|host| host.forbids_gre) {
            return Err(OpenError::MissingCapability { program: "PROGRAM".into() });
        }
        Ok(self.open_gre())
    }

    /// Makes GRE vanish on its way, without an error, until called again
    pub fn block_gre(&self, blocked: Blocked) {
        self.with_state(|host| host.blocked = blocked);
    }

    /// Stalls the host's GRE sockets, as a full send buffer does; `false` lets them send again
    pub fn stall_gre(&self, stalled: bool) {
        self.with_state(|host| host.stall(stalled));
    }

    /// Limits the rate at which GRE leaves the host, in octets a second with IP headers; `None`
    /// lifts the limit
    ///
    /// The sockets take 64 full datagrams ahead of the line and then no more, as with a send buffer
    /// that is full: a bottleneck that loses nothing, in front of which every sender waits its turn.
    pub fn limit_gre(&self, octets_per_second: Option<NonZeroU32>) {
        let line = octets_per_second.map(|rate| Line::new(rate, None));
        self.with_state(|host| host.line = line);
    }

    /// Puts a router with a limited rate behind the host's GRE sockets, in octets a second with IP
    /// headers; datagrams that would wait longer than `queue` are lost
    ///
    /// Until [`Host::limit_gre`] is called.
    pub fn route_gre(&self, octets_per_second: NonZeroU32, queue: Duration) {
        let line = Line::new(octets_per_second, Some(queue));
        self.with_state(|host| host.line = Some(line));
    }

    /// Connects to a listener, which takes one round trip
    ///
    /// Errors: connection refused if no program listens there or too many connections wait there,
    /// host unreachable if there is no such host, each after one round trip; the error of
    /// [`Network::refuse`] at once; timed out after 127 s while one of the hosts is unplugged.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no connection behind.
    pub async fn connect_tcp(&self, to: SocketAddrV4) -> io::Result<MemoryStream> {
        self.network.with_state(|state| state.check_refused(*to.ip()))?;
        let there = self.first_syn_that_passes(*to.ip()).await?;
        sleep(there).await;
        let answer = self.network.with_state(|state| state.backlog(to));
        sleep(self.network.path_latency(*to.ip(), self.address).unwrap_or_default()).await;
        let backlog = answer?;
        let port = self.with_state(HostState::ephemeral_port);
        let from = SocketAddrV4::new(self.address, port);
        let (ours, theirs) = MemoryStream::pair(&self.network, from, to);
        let arrival = now() + self.network.path_latency(self.address, *to.ip()).unwrap_or_default();
        backlog.push(arrival, theirs)?;
        Ok(ours)
    }

    /// Sends a SYN, again after 1 s, 2 s and so on up to six times, until one passes; returns the
    /// latency of that one
    async fn first_syn_that_passes(&self, to: Ipv4Addr) -> io::Result<Duration> {
        for attempt in 0..=SYN_RETRIES {
            if let Some(latency) = self.network.path_latency(self.address, to) {
                return Ok(latency);
            }
            sleep(Duration::from_secs(1 << attempt)).await;
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Listens on a port; 0 takes a free one
    ///
    /// Error: address in use.
    pub fn listen_tcp(&self, port: u16) -> io::Result<MemoryListener> {
        let backlog = Arc::new(Backlog::default());
        let port = self.with_state(|host| host.listen(port, Arc::downgrade(&backlog)))?;
        Ok(MemoryListener::new(SocketAddrV4::new(self.address, port), backlog))
    }

    /// Random octets for a program on this host, different at each call
    ///
    /// They follow from the network's seed, so that all runs are alike.
    pub fn random_seed(&self) -> [u8; 32] {
        self.network.with_state(State::random_seed)
    }

    pub(super) fn with_state<R>(&self, change: impl FnOnce(&mut HostState) -> R) -> R {
        self.network.with_host(self.address, change)
    }
}

impl VirtualHost for Host {
    type Gre = MemorySocket;
    type Stream = MemoryStream;

    fn open_gre(&self) -> Result<MemorySocket, OpenError> {
        self.try_open_gre()
    }

    async fn connect_tcp(&self, server: SocketAddrV4) -> io::Result<(MemoryStream, SocketAddrV4)> {
        let stream = Self::connect_tcp(self, server).await?;
        let local = stream.local_addr();
        Ok((stream, local))
    }

    fn random_seed(&self) -> [u8; 32] {
        Self::random_seed(self)
    }
}

/// Further SYNs to a host that does not answer: Linux's `tcp_syn_retries`
const SYN_RETRIES: u32 = 6;
