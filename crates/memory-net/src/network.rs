//! The network itself: its hosts, their distance, and its faults

use std::{
    collections::HashMap,
    fmt, io,
    net::{Ipv4Addr, SocketAddrV4},
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use pptp_gre::enhanced_call_id;
use pptp_gre_socket::{BATCH, OpenError, Outgoing, VirtualHost};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    MemoryListener, MemorySocket, MemoryStream,
    attack::Wiretap,
    errno::{EHOSTUNREACH, ENETUNREACH, ENOPROTOOPT},
    gre::{Inbox, Report},
    tcp::{Backlog, Connections},
    trace::Trace,
};

/// A network in memory; clones are the same network
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

/// Prints no octets on their way, which may be a login
impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    /// A network without hosts and latency; `seed` decides every random choice in it
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            hosts: HashMap::new(),
            refused: HashMap::new(),
            latency: Duration::ZERO,
            impairment: Impairment::default(),
            rng: StdRng::seed_from_u64(seed),
            seeds: StdRng::seed_from_u64(!seed),
            connections: 0,
            trace: None,
            wiretap: None,
        })))
    }

    /// Sets the time from any host to any other, one way, for all that is sent from now on
    ///
    /// Zero at first. Tokio's clock counts whole milliseconds.
    pub fn set_latency(&self, one_way: Duration) {
        self.state().latency = one_way;
    }

    /// Sets the faults of GRE sent from now on; connections are not impaired
    pub fn set_impairment(&self, impairment: Impairment) {
        self.state().impairment = impairment;
    }

    /// The host with this address, added to the network if it is new
    pub fn host(&self, address: Ipv4Addr) -> Host {
        self.state().hosts.entry(address).or_insert_with(HostState::new);
        Host { network: self.clone(), address }
    }

    /// Makes everything that is sent to `destination` fail at the sender with an error number
    ///
    /// As a missing route (ENETUNREACH) or a packet filter (EPERM) does: GRE at each send,
    /// connections when they are begun.
    pub fn refuse(&self, destination: Ipv4Addr, raw_os_error: i32) {
        self.state().refused.insert(destination, raw_os_error);
    }

    /// Undoes [`Network::refuse`]
    pub fn allow(&self, destination: Ipv4Addr) {
        self.state().refused.remove(&destination);
    }

    /// Begins to make a digest of everything that is sent: see [`Network::digest`]
    pub fn trace(&self) {
        self.state().trace = Some(Trace::new());
    }

    /// A digest of all GRE and of all octets of connections since [`Network::trace`], with senders,
    /// receivers and times
    ///
    /// Two runs with the same digest were the same. Zero without a trace.
    pub fn digest(&self) -> u64 {
        self.state().trace.as_ref().map_or(0, Trace::digest)
    }

    /// The time at which the last GRE datagram with a payload for this call of a host arrived, or will arrive
    ///
    /// Of those that arrive as they were sent, since [`Network::trace`].
    pub fn last_arrival(&self, host: Ipv4Addr, call_id: u16) -> Option<Instant> {
        self.state().trace.as_ref()?.last_arrival(host, call_id)
    }

    /// The time that something sent now takes, unless an end of that way is unplugged
    pub(super) fn passage(&self, from: Ipv4Addr, to: Ipv4Addr) -> Option<Duration> {
        self.state().passage(from, to)
    }

    /// A number that no connection has had
    pub(super) fn next_number(&self) -> u64 {
        let mut state = self.state();
        state.connections = state.connections.wrapping_add(1);
        state.connections
    }

    /// Takes down octets of a connection
    pub(super) fn note(&self, from: SocketAddrV4, to: SocketAddrV4, octets: &[u8]) {
        if let Some(trace) = &mut self.state().trace {
            trace.note((from, to), octets);
        }
    }

    /// The time at which the line of a host takes another datagram; `None` for at once
    pub(super) fn busy_until(&self, host: Ipv4Addr) -> Option<Instant> {
        self.state().hosts.get(&host)?.line.as_ref()?.full_until(now())
    }

    /// Sends one datagram of the host `from`
    pub(super) fn carry(&self, from: Ipv4Addr, outgoing: &Outgoing) -> io::Result<()> {
        self.state().carry(from, outgoing)
    }

    pub(super) fn with_state<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.state())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Faults of GRE on its way, beside the latency
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Impairment {
    /// Up to so much is added to the latency of each datagram, which reorders them
    pub jitter: Duration,
    /// Datagrams lost of a thousand
    pub loss_per_mille: u16,
    /// Datagrams delivered twice of a thousand
    pub duplicate_per_mille: u16,
    /// Datagrams held up of a thousand, which those sent after them overtake
    pub held_per_mille: u16,
    /// The time for which such a datagram is held up, at least and at most
    pub hold: (Duration, Duration),
    /// Datagrams of a thousand in which one octet is changed
    pub corrupt_per_mille: u16,
}

/// The directions in which a host's GRE vanishes without a trace
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blocked {
    /// Neither
    #[default]
    Nothing,
    /// Datagrams to the host
    Inbound,
    /// Datagrams of the host
    Outbound,
    /// Datagrams of both directions
    Both,
}

/// A host of a [`Network`]; clones are the same host
#[derive(Clone)]
pub struct Host {
    pub(super) network: Network,
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
        let stalled = self.with_state(|host| {
            host.sockets.retain(|socket| socket.strong_count() > 0);
            host.sockets.push(Arc::downgrade(&inbox));
            host.stalled.subscribe()
        });
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

    /// Makes the host's GRE sockets take nothing to send, as a full send buffer does, or lifts that
    pub fn stall_gre(&self, stalled: bool) {
        self.with_state(|host| host.stalled.send_replace(stalled));
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
        self.network.state().check_refused(*to.ip())?;
        let there = self.first_syn_that_passes(*to.ip()).await?;
        sleep(there).await;
        let answer = self.network.state().backlog(to);
        sleep(self.network.passage(*to.ip(), self.address).unwrap_or_default()).await;
        let backlog = answer?;
        let port = self.with_state(HostState::ephemeral_port);
        let from = SocketAddrV4::new(self.address, port);
        let (ours, theirs) = MemoryStream::pair(&self.network, from, to);
        let arrival = now() + self.network.passage(self.address, *to.ip()).unwrap_or_default();
        backlog.push(arrival, theirs)?;
        Ok(ours)
    }

    /// Sends a SYN, again after 1 s, 2 s and so on up to six times, until one passes, and tells how
    /// long that one takes
    async fn first_syn_that_passes(&self, to: Ipv4Addr) -> io::Result<Duration> {
        for attempt in 0..=SYN_RETRIES {
            if let Some(latency) = self.network.passage(self.address, to) {
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
    /// They follow from the network's seed, so that a run is like any other.
    pub fn random_seed(&self) -> [u8; 32] {
        self.network.state().seeds.random()
    }

    pub(super) fn with_state<R>(&self, change: impl FnOnce(&mut HostState) -> R) -> R {
        change(self.network.state().host(self.address))
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

pub(super) struct State {
    hosts: HashMap<Ipv4Addr, HostState>,
    refused: HashMap<Ipv4Addr, i32>,
    latency: Duration,
    impairment: Impairment,
    rng: StdRng,
    /// Random numbers for programs on hosts; apart from those of the network, which must not depend
    /// on programs
    seeds: StdRng,
    /// Connections there ever were
    connections: u64,
    trace: Option<Trace>,
    pub(super) wiretap: Option<Wiretap>,
}

impl State {
    fn host(&mut self, address: Ipv4Addr) -> &mut HostState {
        self.hosts.entry(address).or_insert_with(HostState::new)
    }

    fn passage(&self, from: Ipv4Addr, to: Ipv4Addr) -> Option<Duration> {
        let is_unplugged = |host: &HostState| host.unplugged;
        let to = self.hosts.get(&to);
        if self.hosts.get(&from).is_some_and(is_unplugged) || to.is_some_and(is_unplugged) {
            return None;
        }
        Some(self.latency + to.map_or(Duration::ZERO, |host| host.delay))
    }

    fn backlog(&self, to: SocketAddrV4) -> io::Result<Arc<Backlog>> {
        let unreachable = || io::Error::from_raw_os_error(EHOSTUNREACH);
        let host = self.hosts.get(to.ip()).ok_or_else(unreachable)?;
        let backlog = host.listeners.get(&to.port()).and_then(Weak::upgrade);
        backlog.ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }

    fn carry(&mut self, from: Ipv4Addr, outgoing: &Outgoing) -> io::Result<()> {
        self.check_refused(outgoing.destination)?;
        if outgoing.source.is_some_and(|source| !self.has_address(from, source)) {
            return Err(io::Error::from_raw_os_error(ENETUNREACH));
        }
        if let Some(trace) = &mut self.trace {
            trace.note((from, outgoing.destination), outgoing.packet.as_slice());
        }
        let Some(latency) = self.passage(from, outgoing.destination) else { return Ok(()) };
        if self.vanishes(from, outgoing) {
            return Ok(());
        }
        let Some(departure) = self.departure(from, outgoing.packet.len()) else { return Ok(()) };
        let copies = if self.chance(self.impairment.duplicate_per_mille) { 2 } else { 1 };
        let gre = outgoing.packet.as_slice();
        let tap = self.wiretap.as_mut();
        let forged = tap.map(|tap| tap.see(from, outgoing.destination, gre)).unwrap_or_default();
        for forged in forged {
            self.arrive(departure + latency, from, outgoing.destination, &forged);
        }
        for _ in 0..copies {
            let due = departure + latency + self.jitter() + self.hold();
            if let Some(icmp) = self.deliver(due, from, outgoing) {
                self.report(from, outgoing, icmp);
            }
        }
        Ok(())
    }

    /// Delivers a forged datagram in the name of `from`
    pub(super) fn forge(&self, from: Ipv4Addr, to: Ipv4Addr, gre: &[u8]) {
        if let Some(latency) = self.passage(from, to) {
            self.arrive(now() + latency, from, to, gre);
        }
    }

    fn arrive(&self, due: Instant, from: Ipv4Addr, to: Ipv4Addr, gre: &[u8]) {
        for socket in self.hosts.get(&to).into_iter().flat_map(HostState::open_sockets) {
            socket.push(due, from, to, gre);
        }
    }

    fn check_refused(&self, destination: Ipv4Addr) -> io::Result<()> {
        match self.refused.get(&destination) {
            Some(raw_os_error) => Err(io::Error::from_raw_os_error(*raw_os_error)),
            None => Ok(()),
        }
    }

    fn has_address(&self, host: Ipv4Addr, address: Ipv4Addr) -> bool {
        let further = |host: &HostState| host.further_addresses.contains(&address);
        address == host || self.hosts.get(&host).is_some_and(further)
    }

    fn vanishes(&mut self, from: Ipv4Addr, outgoing: &Outgoing) -> bool {
        let [from, to] = [from, outgoing.destination].map(|address| self.hosts.get(&address));
        let blocked = |host: Option<&HostState>| host.map(|host| host.blocked);
        let len = IP_HEADER + outgoing.packet.len();
        matches!(blocked(from), Some(Blocked::Outbound | Blocked::Both))
            || matches!(blocked(to), Some(Blocked::Inbound | Blocked::Both))
            || [from, to].into_iter().flatten().any(|host| len > host.largest)
            || self.chance(self.impairment.loss_per_mille)
    }

    /// Puts a datagram into the sockets of its destination, or returns the ICMP error
    fn deliver(&mut self, due: Instant, from: Ipv4Addr, outgoing: &Outgoing) -> Option<Icmp> {
        let corrupted = self.corrupted(outgoing.packet.as_slice());
        let gre = corrupted.as_deref().unwrap_or(outgoing.packet.as_slice());
        let Some(host) = self.hosts.get(&outgoing.destination) else {
            return Some(Icmp { reporter: from, code: 1, raw_os_error: EHOSTUNREACH });
        };
        let mut sockets = host.open_sockets().peekable();
        if sockets.peek().is_none() {
            let reporter = outgoing.destination;
            return Some(Icmp { reporter, code: 2, raw_os_error: ENOPROTOOPT });
        }
        if let Some(trace) = self.trace.as_mut().filter(|_| corrupted.is_none()) {
            trace.arrive(outgoing.destination, gre, due);
        }
        for socket in sockets {
            socket.push(due, outgoing.source.unwrap_or(from), outgoing.destination, gre);
        }
        None
    }

    /// Reports an ICMP error about a datagram to its sender, one round trip after it was sent
    fn report(&self, from: Ipv4Addr, outgoing: &Outgoing, icmp: Icmp) {
        let due = now() + self.latency * 2;
        let report = Report {
            destination: outgoing.destination,
            peer_call_id: enhanced_call_id(outgoing.packet.as_slice()),
            reporter: icmp.reporter,
            icmp: (3, icmp.code),
            raw_os_error: icmp.raw_os_error,
        };
        self.hand_report(from, due, report);
    }

    /// Hands a report to the sockets of a host
    pub(super) fn hand_report(&self, host: Ipv4Addr, due: Instant, report: Report) {
        for socket in self.hosts.get(&host).into_iter().flat_map(HostState::open_sockets) {
            socket.push_report(due, report);
        }
    }

    fn corrupted(&mut self, gre: &[u8]) -> Option<Vec<u8>> {
        if !self.chance(self.impairment.corrupt_per_mille) {
            return None;
        }
        let mut gre = gre.to_vec();
        let place = self.rng.random_range(0..gre.len().max(1));
        if let Some(octet) = gre.get_mut(place) {
            *octet ^= self.rng.random_range(1..=u8::MAX);
        }
        Some(gre)
    }

    fn chance(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.rng.random_range(0..1000) < per_mille
    }

    /// The time at which the last octet of a datagram is on the wire; `None` if it never gets there
    fn departure(&mut self, from: Ipv4Addr, len: usize) -> Option<Instant> {
        let line = self.hosts.get_mut(&from).and_then(|host| host.line.as_mut());
        line.map_or_else(|| Some(now()), |line| line.take(now(), len))
    }

    fn hold(&mut self) -> Duration {
        let (least, most) = self.impairment.hold;
        let held = self.chance(self.impairment.held_per_mille);
        if held { self.rng.random_range(least..=most.max(least)) } else { Duration::ZERO }
    }

    fn jitter(&mut self) -> Duration {
        let most = self.impairment.jitter;
        if most.is_zero() { most } else { self.rng.random_range(Duration::ZERO..=most) }
    }
}

/// A destination unreachable message (RFC 792)
#[derive(Clone, Copy)]
struct Icmp {
    reporter: Ipv4Addr,
    code: u8,
    raw_os_error: i32,
}

#[derive(Debug)]
pub(super) struct HostState {
    sockets: Vec<Weak<Inbox>>,
    listeners: HashMap<u16, Weak<Backlog>>,
    next_port: u16,
    blocked: Blocked,
    stalled: watch::Sender<bool>,
    line: Option<Line>,
    /// Addition to the latency of everything that is sent to it
    pub(super) delay: Duration,
    /// Octets of the largest IP packet that passes, of GRE
    pub(super) largest: usize,
    pub(super) unplugged: bool,
    /// Its programs lack the capability to open a raw socket
    pub(super) forbids_gre: bool,
    /// Sources that it may send from beside its own address
    pub(super) further_addresses: Vec<Ipv4Addr>,
    /// Its programs read and write one octet at a time
    pub(super) stammers: bool,
    pub(super) connections: Connections,
}

impl HostState {
    fn new() -> Self {
        Self {
            sockets: Vec::new(),
            listeners: HashMap::new(),
            next_port: FIRST_EPHEMERAL_PORT,
            blocked: Blocked::Nothing,
            stalled: watch::Sender::new(false),
            line: None,
            delay: Duration::ZERO,
            largest: usize::MAX,
            forbids_gre: false,
            unplugged: false,
            further_addresses: Vec::new(),
            stammers: false,
            connections: Connections::default(),
        }
    }

    fn listen(&mut self, port: u16, backlog: Weak<Backlog>) -> io::Result<u16> {
        self.listeners.retain(|_, backlog| backlog.upgrade().is_some_and(|it| it.is_open()));
        let free = |port: &u16| !self.listeners.contains_key(port);
        let port = match port {
            0 => (FIRST_EPHEMERAL_PORT..=u16::MAX).find(free),
            port => Some(port).filter(free),
        };
        let port = port.ok_or(io::ErrorKind::AddrInUse)?;
        self.listeners.insert(port, backlog);
        Ok(port)
    }

    fn ephemeral_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL_PORT);
        port
    }

    fn open_sockets(&self) -> impl Iterator<Item = Arc<Inbox>> {
        self.sockets.iter().filter_map(Weak::upgrade)
    }
}

/// A line of limited rate
#[derive(Debug)]
struct Line {
    octets_per_second: NonZeroU32,
    /// The time that a datagram may wait for its turn, if it is lost and not refused otherwise
    queue: Option<Duration>,
    idle_from: Instant,
}

impl Line {
    fn new(octets_per_second: NonZeroU32, queue: Option<Duration>) -> Self {
        Self { octets_per_second, queue, idle_from: now() }
    }

    /// The time at which it takes datagrams again, if it is full now
    ///
    /// It takes more once half of that has left, so that senders are not woken for each datagram.
    fn full_until(&self, now: Instant) -> Option<Instant> {
        let ahead = self.time(MAX_AHEAD);
        let is_full = self.queue.is_none() && self.idle_from >= now + ahead;
        is_full.then(|| self.idle_from - ahead / 2)
    }

    fn take(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let begin = self.idle_from.max(now);
        if self.queue.is_some_and(|queue| begin > now + queue) {
            return None;
        }
        self.idle_from = begin + self.time(IP_HEADER + len);
        Some(self.idle_from)
    }

    fn time(&self, octets: usize) -> Duration {
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        Duration::from_secs(1) * octets / self.octets_per_second.get()
    }
}

/// Octets that a line takes ahead: a batch of full datagrams
const MAX_AHEAD: usize = BATCH * 1500;

/// Octets of an IP header without options (RFC 791)
const IP_HEADER: usize = 20;

pub(super) fn now() -> Instant {
    Instant::now()
}

/// Further SYNs to a host that does not answer: Linux's `tcp_syn_retries`
const SYN_RETRIES: u32 = 6;

/// The first port for programs that did not ask for one (RFC 6335 §6)
const FIRST_EPHEMERAL_PORT: u16 = 49152;
