//! The stack itself: IP packets and the time come in, IP packets and the next deadline come out

mod calls;
mod ingress;
mod waiting;

use std::{collections::VecDeque, error::Error, fmt, io, net::Ipv4Addr, sync::Arc, time::Instant};

use pptp_packet::{Egress, Wakers};

pub(crate) use self::waiting::Waiting;
use crate::{
    ShutDown, SocketError, StackConfig, Stats,
    dns::question::Questions,
    engine::Engine,
    icmp::Echoes,
    ip::{Addresses, Fragments, Identification},
    shared::{Shared, counter::count, queue::Ticket, random::Random, time::Clock},
    tcp::Tcp,
    udp::Udp,
};

/// A TCP/IP stack without I/O, clock or lock of its own
///
/// Its owner keeps it under a lock (see [`Owner`](crate::Owner)) and gives it **turns**: any number
/// of [`Stack::ingress`] calls at one `now`, then once each, in this order, [`Stack::egress`],
/// [`Stack::poll_timeout`] and [`Stack::drain_wakers`]. A turn is due when packets came, when the
/// deadline of the last turn is reached, and when [`Stack::take_ready`] says so after a socket was
/// used.
///
/// Everything in it has a bound: connections have the buffers they were opened with, a listener's
/// backlog is the caller's number, and of closed connections 128 are remembered. Fragments take 260 KiB at
/// most, and nothing once the datagrams are whole or 30 s are over. A stack without sockets and without
/// fragments holds no memory but its own and its list of DNS servers.
pub struct Stack {
    tcp: Tcp,
    udp: Udp,
    echoes: Echoes,
    /// Fragments of datagrams that are not whole
    fragments: Fragments,
    shared: Shared,
    clock: Clock,
    dns: Vec<Ipv4Addr>,
    pub(crate) questions: Questions,
    ended: Option<ShutDown>,
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
        let (mtu, mut random) = (config.mtu.clamp(MIN_MTU, MAX_MTU), Random::new(config.seed));
        // the order of these draws decides which numbers a seed gives
        let engine = Engine::new(&addresses, mtu, random.next(), 0);
        let tcp = Tcp::new(&mut random);
        let udp = Udp::new(Identification::new(random.key()));
        Self {
            tcp,
            udp,
            echoes: Echoes::new(),
            fragments: Fragments::default(),
            shared: Shared::new(engine, addresses, random),
            clock: Clock::new(now),
            dns: config.dns,
            questions: Questions::default(),
            ended: None,
        }
    }

    /// Sets address, MTU and DNS servers anew, as after a renegotiation
    ///
    /// With the same address all sockets live on. With another one, connections from the old address
    /// and sockets that were bound to it fail with [`SocketError::AddressChanged`]. Other sockets
    /// live on. The second address of a test host is kept.
    pub fn reconfigure(&mut self, now: Instant, address: Ipv4Addr, mtu: usize, dns: Vec<Ipv4Addr>) {
        self.advance(now);
        let Self { shared, .. } = self;
        let old = std::mem::replace(&mut shared.addresses.first, address);
        self.dns = dns;
        let (mtu, seed) = (mtu.clamp(MIN_MTU, MAX_MTU), shared.random.next());
        shared.engine = Engine::new(&shared.addresses, mtu, seed, shared.now);
        shared.multicast.join_again(&mut shared.engine);
        if old != address {
            self.abandon(old);
        }
        self.shared.ready = self.ended.is_none();
    }

    /// Takes in one IP packet
    ///
    /// The stack composes its immediate answers (a reset, an echo reply, an acknowledgment of data
    /// out of order) in `out` without asking for room. The packets of sockets are left to
    /// [`Stack::egress`].
    pub fn ingress(&mut self, now: Instant, packet: &[u8], out: &mut impl Egress) {
        self.advance(now);
        if self.ended.is_none() {
            count(&mut self.shared.stats.packets_in);
            self.take_in(packet, out);
        }
    }

    /// Composes the packets of the sockets, one packet each in turn, while `out` has room
    ///
    /// Returns true if a socket still has something to send. It keeps its place for the next turn.
    pub fn egress(&mut self, now: Instant, out: &mut impl Egress) -> bool {
        self.advance(now);
        // The order matters. Timers come first, because they put sockets into the queue: a socket whose time
        // has come takes part in this turn. Reports of multicast groups leave before the packets of sockets,
        // which may fill `out`.
        self.tcp.queue_due(&mut self.shared);
        self.fragments.expire(self.shared.now, &mut self.shared.stats);
        self.udp.release_due(&mut self.shared);
        self.shared.multicast_egress(out);
        while out.has_room() {
            let Some(ticket) = self.shared.queue.pop_front() else {
                if self.shared.queue.capacity() > KEPT_QUEUE && !self.tcp.has_connections() {
                    self.shared.queue = VecDeque::new();
                }
                return false;
            };
            // a socket whose datagrams wait for the path keeps its ticket in the hold, not in this queue,
            // so that the loop ends
            if let Ticket::Udp(id) = ticket
                && self.udp.hold_back(id)
            {
                continue;
            }
            let more = match ticket {
                Ticket::Tcp(id) => self.tcp.egress(id, &mut self.shared, out),
                Ticket::Udp(id) => self.udp.egress(id, &mut self.shared, out),
                Ticket::Echo(id) => {
                    self.echoes.egress(id, &mut self.shared, out);
                    false
                }
            };
            // one packet each: a socket with more to send goes behind all others
            if more {
                self.shared.queue.push_back(ticket);
            } else if let Some(queued) = self.queued_mut(ticket) {
                *queued = false;
            }
        }
        !self.shared.queue.is_empty()
    }

    /// The time at which the next turn is due at the latest, if nothing happens
    ///
    /// The owner asks for it once a turn, after [`Stack::egress`]; any call may change it. It is not later than
    /// `now` while something waits for room.
    #[must_use]
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        self.advance(now);
        if self.ended.is_some() {
            return None;
        }
        if !self.shared.queue.is_empty() {
            return Some(now);
        }
        let sockets = self.tcp.deadline().min(self.udp.hold_deadline());
        let own = self.shared.multicast.next().min(self.fragments.deadline());
        self.clock.instant(sockets.min(own))
    }

    /// Ends everything: pending and later calls fail with `kind` and `reason`
    ///
    /// All buffers are freed. The reason is the [`source`](Error::source) of each such
    /// [`io::Error`]. The first call counts.
    pub fn shut_down(&mut self, reason: Arc<dyn Error + Send + Sync>, kind: io::ErrorKind) {
        // tasks are woken after unlocking, when all of this is done: each finds the reason and no buffers
        self.ended.get_or_insert_with(|| ShutDown::new(reason, kind));
        self.tcp.shut_down(&mut self.shared);
        self.udp.shut_down(&mut self.shared);
        self.echoes.wake_all(&mut self.shared);
        self.fragments.clear();
        (self.shared.queue, self.dns) = (VecDeque::new(), Vec::new());
        self.shared.ready = false;
    }

    /// Returns true once if a turn is due because a socket was used
    ///
    /// It is true after connect, listen, a write that may leave, a read that reopens the window,
    /// shutdown, drop, and an option that moves a deadline.
    pub fn take_ready(&mut self) -> bool {
        std::mem::take(&mut self.shared.ready)
    }

    /// Hands out the wakers of the tasks that do not wait any more
    ///
    /// It is called with the lock held; [`Wakers::wake_all`] is called after unlocking.
    pub fn drain_wakers(&mut self, into: &mut Wakers) {
        into.append(&mut self.shared.wakes);
    }

    /// The counters
    pub fn stats(&self) -> Stats {
        Stats { connections: self.tcp.len(), udp_sockets: self.udp.len(), ..self.shared.stats }
    }

    /// The stack's own address
    pub const fn address(&self) -> Ipv4Addr {
        self.shared.addresses.first
    }

    /// Octets of the largest IP packet
    pub const fn mtu(&self) -> usize {
        self.shared.engine.mtu()
    }

    /// Returns true if there is no socket, no packet to send, and no task that waits
    ///
    /// Connections that were dropped and are still being flushed count as sockets; those of which
    /// only the memory of TIME-WAIT is left do not.
    pub fn is_idle(&self) -> bool {
        self.tcp.is_empty()
            && self.udp.is_empty()
            && self.echoes.is_empty()
            && self.shared.queue.is_empty()
            && !self.udp.has_held()
    }

    /// Returns true if the last octets of all sockets have left
    ///
    /// All datagrams have left, and the peers have acknowledged all octets and the FIN of the connections that
    /// were shut down or dropped.
    pub fn is_flushed(&self) -> bool {
        self.shared.queue.is_empty() && !self.udp.has_held() && self.tcp.is_flushed()
    }

    pub(crate) fn dns(&self) -> &[Ipv4Addr] {
        &self.dns
    }

    /// Notes the work that a poll of a lookup had with answers
    pub(crate) fn note_dns_work(&mut self, work: u64) {
        let most = &mut self.shared.stats.dns_work_most;
        *most = work.max(*most);
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.shared.random.next()
    }

    /// Returns true if the link has brought any packet yet
    pub(crate) const fn is_proven(&self) -> bool {
        self.shared.stats.packets_in > 0
    }

    /// Lets UDP datagrams wait until `until`, or until [`Stack::release_datagrams`]
    ///
    /// At most 32 datagrams and 64 KiB wait; a send beyond that waits itself. Everything else leaves at
    /// once.
    pub fn hold_datagrams(&mut self, now: Instant, until: Instant) {
        self.advance(now);
        let until = self.clock.time(until);
        if self.ended.is_none() {
            self.udp.hold(until, &self.shared);
        }
    }

    /// Lets the waiting datagrams leave in their order, because the path is open
    pub fn release_datagrams(&mut self) {
        self.udp.release(&mut self.shared);
    }

    fn advance(&mut self, now: Instant) {
        self.shared.now = self.shared.now.max(self.clock.time(now));
    }

    fn queued_mut(&mut self, ticket: Ticket) -> Option<&mut bool> {
        match ticket {
            Ticket::Tcp(id) => self.tcp.queued_mut(id),
            Ticket::Udp(id) => self.udp.queued_mut(id),
            Ticket::Echo(id) => self.echoes.queued_mut(id),
        }
    }

    /// Fails the sockets that are bound to an address that the stack has lost
    fn abandon(&mut self, old: Ipv4Addr) {
        let error = SocketError::AddressChanged { old };
        self.tcp.abandon(old.into(), error, &mut self.shared);
        self.udp.abandon(old.into(), error, &mut self.shared);
        self.echoes.fail_all(error, &mut self.shared);
        self.fragments.clear();
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("address", &self.address())
            .field("mtu", &self.mtu())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// The smallest MTU of IP (RFC 791 §3.2)
const MIN_MTU: usize = 68;

/// The largest length of an IP packet, which has 16 bits (RFC 791 §3.1)
const MAX_MTU: usize = 65_535;

/// Entries of the queue that are kept while no connection is left
const KEPT_QUEUE: usize = 16;
