//! The stack proper: IP packets and the time come in, IP packets and the next deadline come out

mod closing;
mod congestion;
mod echo;
mod egress;
mod fragments;
mod freed;
mod gap;
mod hold;
mod identification;
mod ingress;
mod initial;
mod listen;
mod manners;
mod martian;
mod multicast;
mod numbers;
mod opening;
mod pauses;
mod random;
mod reassembly;
mod steering;
mod table;
mod tcp;
mod tcp_calls;
mod tcp_numbers;
mod udp;
mod udp_calls;
mod udp_packets;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    error::Error,
    fmt, io,
    net::Ipv4Addr,
    sync::Arc,
    task::Waker,
    time::{Duration, Instant},
};

use pptp_packet::{Egress, Waiters, Wakers};

use self::{
    closing::Closing,
    echo::Echo,
    freed::FreedPorts,
    hold::Hold,
    identification::Identification,
    initial::InitialNumbers,
    listen::Listener,
    manners::Manners,
    multicast::Multicast,
    random::Random,
    reassembly::Reassembly,
    table::Table,
    tcp::{Cause, Connection, Fate, Keeper},
    udp::UdpSocket,
};
pub(crate) use self::{echo::USUAL, martian::check_sendable, pauses::Pauses, table::Id, tcp::Flow};
use crate::{
    ShutDown, SocketError, StackConfig,
    engine::Engine,
    ip::Addresses,
    net::lookup::Questions,
    shared::time::{Clock, NEVER, Time},
};

/// A TCP/IP stack without I/O, clock or lock of its own
///
/// Its owner keeps it under a lock (see [`Owner`](crate::Owner)) and gives it **turns**: any number
/// of [`Stack::ingress`] calls at one `now`, then once each, in this order, [`Stack::egress`],
/// [`Stack::poll_timeout`] and [`Stack::drain_wakers`]. A turn is due when packets came, when the
/// deadline of the last turn is reached, and when [`Stack::take_ready`] says so after a socket was
/// used.
///
/// Nothing in here is unbounded: connections have the buffers they were opened with, a listener's
/// backlog is the caller's number, and of closed connections 128 are remembered. Fragments take 260 KiB at
/// most, and nothing once the datagrams are whole or 30 s are over. A stack without sockets and without
/// fragments holds no memory but its own and its list of DNS servers.
pub struct Stack {
    engine: Engine,
    manners: Manners,
    clock: Clock,
    now: Time,
    addresses: Addresses,
    dns: Vec<Ipv4Addr>,
    random: Random,
    identification: Identification,
    /// `Some` while there are fragments of datagrams that are not whole
    reassembly: Option<Box<Reassembly>>,
    initial: InitialNumbers,
    freed: FreedPorts,
    connections: Table<Connection>,
    /// When each connection wants a turn, by its number
    deadlines: Vec<Time>,
    flows: BTreeMap<Flow, Id>,
    closing: Closing,
    listeners: Table<Listener>,
    udp: Table<UdpSocket>,
    udp_ports: BTreeSet<(u16, Id)>,
    echoes: Table<Echo>,
    multicast: Multicast,
    pub(crate) questions: Questions,
    /// Who has something to send, the longest waiting first
    queue: VecDeque<Ticket>,
    /// Datagrams that wait for the path to open
    hold: Option<Box<Hold>>,
    ready: bool,
    wakes: Wakers,
    ended: Option<ShutDown>,
    stats: Stats,
}

/// What a stack has counted since it was made
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// IP packets that came in
    pub packets_in: u64,
    /// IP packets that were composed
    pub packets_out: u64,
    /// Packets dropped for a bad header or checksum, or for being no IPv4
    pub malformed: u64,
    /// IP fragments that came in
    pub fragments_in: u64,
    /// IP fragments that were composed
    pub fragments_out: u64,
    /// Datagrams that were put together from fragments
    pub reassembled: u64,
    /// Datagrams given up because a fragment of theirs had not come after 30 s
    pub reassembly_timeouts: u64,
    /// Datagrams given up because their fragments overlap or contradict each other
    pub reassembly_conflicts: u64,
    /// Datagrams given up because more than four were incomplete, or came in more than 128 pieces
    pub reassembly_overflows: u64,
    /// Packets dropped because their source is an address that no other host can have: 0/8, 127/8,
    /// 240/4, a group, the stack's own, or a broadcast address; and those to 0/8, 127/8 and 240/4,
    /// which are unclaimed as well
    pub martians: u64,
    /// Packets that were for no socket
    pub unclaimed: u64,
    /// Packets for no socket that would have been answered, but a thousand were in that second
    pub unanswered: u64,
    /// UDP datagrams dropped because their socket's receive buffer was full
    pub udp_overflows: u64,
    /// SYNs dropped because the listener's backlog was full
    pub backlog_overflows: u64,
    /// The most work that one poll of a lookup had with DNS answers: a record that is looked at, a label
    /// or pointer that is walked, a comparison of two names, and an octet that is copied or compared are
    /// one each. Never more than [`MAX_DNS_WORK`](crate::MAX_DNS_WORK)
    pub dns_work_most: u64,
    /// TCP connections now, those being flushed after they were dropped included
    pub connections: usize,
    /// UDP sockets now
    pub udp_sockets: usize,
}

/// A place in the queue of those with something to send
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ticket {
    Tcp(Id),
    Udp(Id),
    Echo(Id),
}

/// Which tasks are meant
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    TcpRead(Id),
    TcpWrite(Id),
    Accept(Id),
    UdpRead(Id),
    UdpWrite(Id),
    Echo(Id),
}

impl Stack {
    /// A stack without sockets
    ///
    /// `now` is where its time begins: no later `now` may be before it. An MTU below 68 octets is
    /// taken for 68, and one above 65,535 for that (RFC 791 §3.2, §3.1).
    pub fn new(config: StackConfig, now: Instant) -> Self {
        let addresses = Addresses {
            first: config.address,
            second: config.second_address,
            prefix_len: config.prefix_len.min(32),
        };
        let (mtu, mut random) = (config.mtu.clamp(LEAST_MTU, MOST_MTU), Random::new(config.seed));
        Self {
            engine: Engine::new(&addresses, mtu, random.next(), 0),
            clock: Clock::new(now),
            now: 0,
            addresses,
            dns: config.dns,
            initial: InitialNumbers::new(&mut random),
            identification: Identification::new(random.key()),
            random,
            reassembly: None,
            freed: FreedPorts::default(),
            connections: Table::new(),
            deadlines: Vec::new(),
            flows: BTreeMap::new(),
            manners: Manners::new(),
            closing: Closing::default(),
            listeners: Table::new(),
            udp: Table::new(),
            udp_ports: BTreeSet::new(),
            echoes: Table::new(),
            multicast: Multicast::default(),
            questions: Questions::default(),
            queue: VecDeque::new(),
            hold: None,
            ready: false,
            wakes: Wakers::new(),
            ended: None,
            stats: Stats::default(),
        }
    }

    /// Sets address, MTU and DNS servers anew, as after a renegotiation
    ///
    /// With the same address all sockets live on. With another one, what is bound to the old
    /// address fails with [`SocketError::AddressChanged`]: connections, and sockets that were bound
    /// to it by name; the rest lives on. The second address of a test host is kept.
    pub fn reconfigure(&mut self, now: Instant, address: Ipv4Addr, mtu: usize, dns: Vec<Ipv4Addr>) {
        self.advance(now);
        let old = std::mem::replace(&mut self.addresses.first, address);
        self.dns = dns;
        let (mtu, seed) = (mtu.clamp(LEAST_MTU, MOST_MTU), self.random.next());
        self.engine = Engine::new(&self.addresses, mtu, seed, self.now);
        self.multicast.join_again(&mut self.engine);
        if old != address {
            self.abandon(old);
        }
        self.ready = self.ended.is_none();
    }

    /// Takes in one IP packet
    ///
    /// What the stack itself has to say at once (a reset, an echo reply, an acknowledgment of data
    /// out of order) goes to `out`, which is not asked for room first. What sockets have to say is
    /// left to [`Stack::egress`].
    pub fn ingress(&mut self, now: Instant, packet: &[u8], out: &mut impl Egress) {
        self.advance(now);
        if self.ended.is_none() {
            self.stats.packets_in = self.stats.packets_in.saturating_add(1);
            self.take_in(packet, out);
        }
    }

    /// Composes what the sockets have to send, one packet each in turn, while `out` has room
    ///
    /// True if something had to stay for want of room: it keeps its place for the next turn.
    pub fn egress(&mut self, now: Instant, out: &mut impl Egress) -> bool {
        self.advance(now);
        self.queue_due();
        self.release_due();
        self.multicast_egress(out);
        while out.has_room() {
            let Some(ticket) = self.queue.pop_front() else {
                if self.queue.capacity() > KEPT_QUEUE && self.connections.is_empty() {
                    self.queue = VecDeque::new();
                }
                return false;
            };
            if let Ticket::Udp(id) = ticket
                && self.holds(id)
                && let Some(hold) = &mut self.hold
            {
                hold.push(ticket);
                continue;
            }
            let sent = match ticket {
                Ticket::Tcp(id) => self.tcp_egress(id, out),
                Ticket::Udp(id) => self.udp_egress(id, out),
                Ticket::Echo(id) => self.echo_egress(id, out),
            };
            if sent {
                self.queue.push_back(ticket);
            } else if let Some(queued) = self.queued_mut(ticket) {
                *queued = false;
            }
        }
        !self.queue.is_empty()
    }

    /// When the next turn is due at the latest, if nothing happens
    ///
    /// Asked once a turn, after [`Stack::egress`]; any call may change it. It is not later than
    /// `now` while something waits for room.
    #[must_use]
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        self.advance(now);
        if self.ended.is_some() {
            return None;
        }
        if !self.queue.is_empty() {
            return Some(now);
        }
        let connections = self.deadlines.iter().copied().min().unwrap_or(NEVER);
        let own = self.closing.next().min(self.multicast.next());
        let own = own.min(self.hold_deadline()).min(self.fragments_deadline());
        self.clock.instant(connections.min(own))
    }

    /// Ends everything: what is pending and what comes later fails with `kind` and `reason`
    ///
    /// All buffers are freed. The reason is the [`source`](Error::source) of each such
    /// [`io::Error`]. The first call counts.
    pub fn shut_down(&mut self, reason: Arc<dyn Error + Send + Sync>, kind: io::ErrorKind) {
        self.ended.get_or_insert_with(|| ShutDown::new(reason, kind));
        for (_, connection) in self.connections.iter_mut() {
            connection.kill(SocketError::Aborted);
            connection.readers.wake(&mut self.wakes);
            connection.writers.wake(&mut self.wakes);
        }
        for (_, listener) in self.listeners.iter_mut() {
            listener.acceptors.wake(&mut self.wakes);
        }
        for (_, socket) in self.udp.iter_mut() {
            socket.kill(SocketError::Aborted, &mut self.wakes);
        }
        for (_, echo) in self.echoes.iter_mut() {
            echo.waiters.wake(&mut self.wakes);
        }
        let kept = |connection: &Connection| connection.keeper == Keeper::User;
        let left = self.connections.iter().filter(|(_, connection)| !kept(connection));
        for id in left.map(|(id, _)| id).collect::<Vec<_>>() {
            self.remove_connection(id);
        }
        self.flows.clear();
        self.closing.clear();
        (self.queue, self.deadlines, self.dns) = (VecDeque::new(), Vec::new(), Vec::new());
        self.reassembly = None;
        (self.hold, self.ready) = (None, false);
    }

    /// Whether a socket was used since the last call so that a turn is due
    ///
    /// True after connect, listen, a write that may leave, a read that reopens the window,
    /// shutdown, drop, and an option that moves a deadline.
    pub fn take_ready(&mut self) -> bool {
        std::mem::take(&mut self.ready)
    }

    /// Hands out the wakers of the tasks whose wait is over, or who do not wait any more
    ///
    /// Called with the lock held; [`Wakers::wake_all`] is called after unlocking.
    pub fn drain_wakers(&mut self, into: &mut Wakers) {
        into.append(&mut self.wakes);
    }

    /// What was counted
    pub fn stats(&self) -> Stats {
        Stats { connections: self.connections.len(), udp_sockets: self.udp.len(), ..self.stats }
    }

    /// The stack's own address
    pub const fn address(&self) -> Ipv4Addr {
        self.addresses.first
    }

    /// Octets of the largest IP packet
    pub const fn mtu(&self) -> usize {
        self.engine.mtu()
    }

    /// Whether there is no socket, nothing to send, and nobody who waits
    ///
    /// Connections that were dropped and are still being flushed count as sockets; those of which
    /// only the memory of TIME-WAIT is left do not.
    pub fn is_idle(&self) -> bool {
        self.connections.is_empty()
            && self.listeners.is_empty()
            && self.udp.is_empty()
            && self.echoes.is_empty()
            && self.flows.is_empty()
            && self.queue.is_empty()
            && self.hold.as_ref().is_none_or(|hold| hold.is_empty())
    }

    /// Whether all that sockets wrote for the last time has left: datagrams, and connections that were shut
    /// down or dropped, these acknowledged
    pub fn is_flushed(&self) -> bool {
        let parting = self.connections.iter().any(|(_, connection)| connection.is_parting());
        let held = self.hold.as_ref().is_some_and(|hold| !hold.is_empty());
        self.queue.is_empty() && !held && !parting
    }

    pub(crate) fn dns(&self) -> &[Ipv4Addr] {
        &self.dns
    }

    /// Notes the work that a poll of a lookup had with answers
    pub(crate) fn note_dns_work(&mut self, work: u64) {
        self.stats.dns_work_most = self.stats.dns_work_most.max(work);
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// Lists a future among the tasks that wait for it, unless it is gone
    pub(crate) fn list(&mut self, waiting: Waiting, key: &mut Option<u32>, waker: &Waker) {
        if let (Some(waiters), wakes) = self.waiters(waiting) {
            waiters.list(key, waker, wakes);
        }
    }

    /// Takes a future off the list
    pub(crate) fn leave(&mut self, waiting: Waiting, key: &mut Option<u32>) {
        if let (Some(waiters), wakes) = self.waiters(waiting) {
            waiters.leave(key, wakes);
        }
        *key = None;
    }

    /// Keeps the caller of a `poll_` method among the tasks that wait for it, unless it is gone
    pub(crate) fn set_polled(&mut self, waiting: Waiting, waker: &Waker) {
        if let (Some(waiters), wakes) = self.waiters(waiting) {
            waiters.set_polled(waker, wakes);
        }
    }

    /// The tasks that wait for it, `None` once it is gone; and where wakers go that are not needed
    fn waiters(&mut self, waiting: Waiting) -> (Option<&mut Waiters>, &mut Wakers) {
        let waiters = match waiting {
            Waiting::TcpRead(id) => self.connections.get_mut(id).map(|it| &mut it.readers),
            Waiting::TcpWrite(id) => self.connections.get_mut(id).map(|it| &mut it.writers),
            Waiting::Accept(id) => self.listeners.get_mut(id).map(|it| &mut it.acceptors),
            Waiting::UdpRead(id) => self.udp.get_mut(id).map(|it| &mut it.readers),
            Waiting::UdpWrite(id) => self.udp.get_mut(id).map(|it| &mut it.writers),
            Waiting::Echo(id) => self.echoes.get_mut(id).map(|it| &mut it.waiters),
        };
        (waiters, &mut self.wakes)
    }

    pub(crate) fn check_ended(&self) -> io::Result<()> {
        self.ended.clone().map_or(Ok(()), |ended| Err(ended.into()))
    }

    /// Starts an echo request to `to`, in an IP packet of `packet_len` octets
    pub(crate) fn echo(&mut self, to: Ipv4Addr, packet_len: usize) -> io::Result<Id> {
        self.check_ended()?;
        if packet_len > self.engine.mtu().min(echo::LARGEST) {
            return Err(crate::error::message_too_long());
        }
        self.addresses.check_destination(to)?;
        let taken = |ident| self.echoes.iter().any(|(_, echo)| echo.ident == ident);
        let offset = self.random.next_u16();
        let ident =
            (0..=u16::MAX).map(|step| offset.wrapping_add(step)).find(|ident| !taken(*ident));
        let ident = ident.ok_or(SocketError::AddressNotAvailable)?;
        let id = self.echoes.insert(Echo::new(to, ident, packet_len));
        self.enqueue(Ticket::Echo(id));
        self.ready = true;
        Ok(id)
    }

    /// Sends it once more
    pub(crate) fn repeat_echo(&mut self, id: Id) {
        self.enqueue(Ticket::Echo(id));
        self.ready = true;
    }

    /// Whether the link has brought anything yet
    pub(crate) const fn is_proven(&self) -> bool {
        self.stats.packets_in > 0
    }

    pub(crate) fn poll_echo(&self, id: Id) -> std::task::Poll<io::Result<Duration>> {
        self.check_ended()?;
        self.echoes.get(id).map_or(std::task::Poll::Pending, Echo::poll).map_err(Into::into)
    }

    pub(crate) fn remove_echo(&mut self, id: Id) {
        self.queue.retain(|ticket| *ticket != Ticket::Echo(id));
        if let Some(mut echo) = self.echoes.remove(id) {
            echo.waiters.forget(&mut self.wakes);
        }
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(self.clock.time(now));
    }

    fn enqueue(&mut self, ticket: Ticket) {
        if let Some(queued) = self.queued_mut(ticket)
            && !std::mem::replace(queued, true)
        {
            self.queue.push_back(ticket);
        }
    }

    fn queued_mut(&mut self, ticket: Ticket) -> Option<&mut bool> {
        match ticket {
            Ticket::Tcp(id) => self.connections.get_mut(id).map(|it| &mut it.queued),
            Ticket::Udp(id) => self.udp.get_mut(id).map(|it| &mut it.queued),
            Ticket::Echo(id) => self.echoes.get_mut(id).map(|it| &mut it.queued),
        }
    }

    fn queue_due(&mut self) {
        self.closing.sweep(self.now);
        self.expire_fragments();
        for at in 0..self.deadlines.len() {
            if self.deadlines.get(at).is_some_and(|deadline| *deadline <= self.now) {
                self.enqueue(Ticket::Tcp(Id::try_from(at).unwrap_or(Id::MAX)));
            }
        }
    }

    /// Fails what is bound to an address that is no longer the stack's
    fn abandon(&mut self, old: Ipv4Addr) {
        let error = SocketError::AddressChanged { old };
        let flows = self.flows.iter().filter(|(flow, _)| *flow.local.ip() == old);
        for id in flows.map(|(_, id)| *id).collect::<Vec<_>>() {
            self.fail_connection(id, error);
        }
        for (_, listener) in self.listeners.iter_mut() {
            if *listener.local.ip() == old {
                listener.failed = Some(error);
                listener.acceptors.wake(&mut self.wakes);
            }
        }
        for (_, socket) in self.udp.iter_mut() {
            if *socket.local.ip() == old {
                socket.kill(error, &mut self.wakes);
            }
        }
        for (_, echo) in self.echoes.iter_mut() {
            echo.fail(error);
            echo.waiters.wake(&mut self.wakes);
        }
        self.closing.clear();
        self.reassembly = None;
    }

    /// Finds out what has become of a connection and does what follows
    fn look(&mut self, id: Id, cause: Cause) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let flow = connection.flow;
        match connection.look(cause, &mut self.wakes) {
            Fate::Lives => {}
            Fate::Established => self.hand_to_listener(id),
            Fate::Retired { kept, time_wait } => {
                self.flows.remove(&flow);
                if let Some(numbers) = time_wait {
                    self.closing.insert(flow, numbers, true, self.now);
                }
                if !kept {
                    self.remove_connection(id);
                }
            }
            Fate::HalfClosed(numbers) => {
                self.closing.insert(flow, numbers, false, self.now);
                self.remove_connection(id);
            }
            Fate::Gone => self.remove_connection(id),
        }
    }

    /// After a call on a connection: makes the stack ready if it wants a turn earlier than it did
    fn schedule(&mut self, id: Id) {
        let at = self.wanted(id);
        if at <= self.now {
            self.enqueue(Ticket::Tcp(id));
            self.ready = true;
        } else if at < self.set_deadline(id, at) {
            self.ready = true;
        }
    }

    /// After a connection had its turn and sent nothing: notes when it wants the next
    ///
    /// "Now" is taken for a millisecond later: the engine would otherwise keep the owner turning for a
    /// packet that it does not compose.
    fn note_deadline(&mut self, id: Id) {
        let at = self.wanted(id);
        self.set_deadline(id, at.max(self.now.saturating_add(1_000)));
    }

    fn wanted(&mut self, id: Id) -> Time {
        let Self { engine, connections, now, .. } = self;
        let Some(connection) = connections.get(id) else { return NEVER };
        let engines = connection.socket().map_or(NEVER, |socket| engine.tcp_deadline(socket, *now));
        engines.min(connection.deadline())
    }

    /// Sets when a connection wants its next turn, and tells when it wanted it before
    fn set_deadline(&mut self, id: Id, at: Time) -> Time {
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        if at != NEVER && self.deadlines.len() <= index {
            self.deadlines.resize(index.saturating_add(1), NEVER);
        }
        self.deadlines.get_mut(index).map_or(NEVER, |deadline| std::mem::replace(deadline, at))
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("address", &self.addresses.first)
            .field("mtu", &self.mtu())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Copies what fits, and tells how much that is
pub(crate) fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let count = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..count), to.get_mut(..count)) {
        to.copy_from_slice(from);
    }
    count
}

/// RFC 791 §3.2: every host forwards 68 octets
const LEAST_MTU: usize = 68;

/// RFC 791 §3.1: the total length has 16 bits
const MOST_MTU: usize = 65_535;

/// Entries of the queue that are kept while no connection is left
const KEPT_QUEUE: usize = 16;
