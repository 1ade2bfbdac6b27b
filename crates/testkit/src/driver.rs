//! The driver: one task with a server's GRE socket, all its sessions, and its building's network

use std::{collections::BTreeMap, net::Ipv4Addr, time::Instant};

use pptp_control::OutgoingCallResult;
use pptp_gre_socket::{CallTable, GreSocket, ReceiveBatch};
use pptp_packet::{Counter, Egress};
use pptp_tunnel::{LinkServerConfig, RasCode, ServerConfig, Tunnel};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep_until,
};

use crate::{
    Faults, ROUTER, Stats,
    builder::{Closes, Options},
    connection::{FromClient, Writer},
    ground::ServerSocket,
    ipv6,
    lan::{Pool, destination, has_expired, is_host, is_ping_of_router},
    outlet::Outlet,
    router::{Relay, Router},
    session::Session,
    stacks::Stacks,
};

/// Orders of the server's owner
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Orders {
    /// The number of times so far that all clients were to be hung up
    pub(crate) hang_ups: u64,
    /// The number of times so far that PPP was to be negotiated anew with all clients
    pub(crate) renegotiations: u64,
    pub(crate) challenges: u64,
    /// The number of times so far that all links were to be ended with an error code, and the
    /// latest code
    pub(crate) terminations: (u64, u32),
    pub(crate) mute_gre: bool,
    pub(crate) faults: Faults,
}

pub(crate) struct Driver {
    options: Options,
    socket: ServerSocket,
    receive: ReceiveBatch,
    outlet: Outlet,
    stacks: Stacks,
    /// The Call IDs in use, with their clients
    calls: CallTable<()>,
    /// Sessions by our Call ID; ordered, so that two runs are equal
    sessions: BTreeMap<u16, Session>,
    pool: Pool,
    /// The packet on its way to every client
    relay: Option<Relay>,
    /// Packets for this round that no stack made: the router's own answers, and forged ones
    unreachable: Vec<Vec<u8>>,
    /// Answers to clients' IPv6 echo requests
    echoes: Vec<(u16, Vec<u8>)>,
    rng: StdRng,
    clients: mpsc::Receiver<FromClient>,
    /// Packets of the building that no stack made
    forged: mpsc::Receiver<Vec<u8>>,
    orders: watch::Receiver<Orders>,
    stats: watch::Sender<Stats>,
    hang_ups: u64,
    renegotiations: u64,
    challenges: u64,
    faults: Faults,
    terminations: u64,
    /// Undeliverable packets of the building since the statistics were published
    undeliverable: u64,
    unknown_call: u64,
    stale_stats: bool,
}

/// Something that woke the driver, and that it has taken
enum Woken {
    Client(FromClient),
    Orders,
    Forged(Vec<u8>),
    /// The reason is found in the round
    Other,
    /// The server is gone
    Ended,
}

impl Driver {
    pub(crate) fn new(
        options: Options,
        address: Ipv4Addr,
        socket: ServerSocket,
        (stacks, pool): (Stacks, Pool),
        (clients, forged): (mpsc::Receiver<FromClient>, mpsc::Receiver<Vec<u8>>),
        orders: watch::Receiver<Orders>,
        stats: watch::Sender<Stats>,
    ) -> Self {
        let Orders { hang_ups, renegotiations, challenges, terminations, faults, .. } =
            *orders.borrow();
        Self {
            outlet: Outlet::new(address, &options),
            pool,
            relay: None,
            unreachable: Vec::new(),
            echoes: Vec::new(),
            rng: StdRng::seed_from_u64(options.seed),
            options,
            socket,
            receive: ReceiveBatch::new(),
            stacks,
            calls: CallTable::new(),
            sessions: BTreeMap::new(),
            clients,
            forged,
            orders,
            stats,
            hang_ups,
            renegotiations,
            challenges,
            faults,
            terminations: terminations.0,
            undeliverable: 0,
            unknown_call: 0,
            stale_stats: false,
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            let woken = self.wait().await;
            let now = now();
            match woken {
                Woken::Client(from_client) => self.handle_client(now, from_client),
                Woken::Orders => self.follow_orders(now),
                Woken::Forged(packet) => self.take_forged(packet),
                Woken::Other => {}
                Woken::Ended => return,
            }
            self.round(now);
            // on one thread the others have their turn before the next round
            tokio::task::yield_now().await;
        }
    }

    async fn wait(&mut self) -> Woken {
        let blocked = self.outlet.is_blocked();
        let busy = self.relay.is_some() || self.sessions.values().any(Session::is_touched);
        if !blocked && busy {
            return Woken::Other;
        }
        let deadline = self.sessions.values().filter_map(Session::deadline).min();
        let expired = async {
            match deadline {
                Some(deadline) => sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = self.orders.changed() => changed.map_or(Woken::Ended, |()| Woken::Orders),
            client = self.clients.recv() => client.map_or(Woken::Ended, Woken::Client),
            Some(packet) = self.forged.recv(), if !blocked => Woken::Forged(packet),
            _ = self.socket.readable(), if !blocked => Woken::Other,
            _ = self.socket.writable(), if blocked => Woken::Other,
            () = self.stacks.ready(), if !blocked => Woken::Other,
            () = expired => Woken::Other,
        }
    }

    /// Handles inputs, then events, PPP's control frames, the building's packets, and the other
    /// outputs
    ///
    /// This is the order of outputs that [`Tunnel`] requires. The building's packets take an owed
    /// acknowledgment along, so they come before the other outputs.
    fn round(&mut self, now: Instant) {
        self.outlet.flush(&mut self.socket);
        if !self.outlet.is_blocked() {
            self.receive(now);
        }
        for session in self.sessions.values_mut() {
            session.handle_timeout(now);
        }
        self.receive_delayed(now);
        self.take_events();
        if !self.outlet.is_blocked() {
            for session in self.sessions.values_mut().filter(|session| session.is_touched()) {
                session.take_frames(now, &mut self.outlet);
            }
            self.lan_turn(now);
        }
        for session in self.sessions.values_mut().filter(|session| session.is_touched()) {
            if !session.take_outputs(now, &mut self.outlet) {
                break;
            }
        }
        self.remove_finished(now);
        self.outlet.flush(&mut self.socket);
        self.publish();
    }

    fn receive(&mut self, now: Instant) {
        if let Err(error) = self.socket.receive(&mut self.receive) {
            tracing::warn!(%error, "the GRE socket cannot be read");
            return;
        }
        for datagram in self.receive.datagrams() {
            let call_id = pptp_gre::call_id(datagram.gre).unwrap_or_default();
            let ours = self.calls.get(call_id, datagram.source).is_some();
            let Some(session) = self.sessions.get_mut(&call_id).filter(|_| ours) else {
                self.unknown_call.increment();
                self.stale_stats = true;
                continue;
            };
            let Some(packet) = session.handle_gre(now, datagram.gre) else { continue };
            if packet.first().is_some_and(|first| first >> 4 == 6) {
                self.echoes.extend(ipv6::echo_reply(packet).map(|reply| (call_id, reply)));
            } else {
                let answer = deliver(&self.stacks, session, now, packet, self.faults);
                self.unreachable.extend(answer);
            }
        }
        // failures of datagrams sent earlier are not needed here
        let _ = self.socket.take_failures(|_| {});
    }

    /// Packets that had waited for those before them
    fn receive_delayed(&mut self, now: Instant) {
        for session in self.sessions.values_mut().filter(|session| session.is_touched()) {
            while let Some(packet) = session.poll_ip(now) {
                let answer = deliver(&self.stacks, session, now, &packet, self.faults);
                self.unreachable.extend(answer);
            }
        }
    }

    /// Takes all forged packets that wait, and puts them beside the router's own packets
    fn take_forged(&mut self, packet: Vec<u8>) {
        self.unreachable.push(packet);
        while let Ok(packet) = self.forged.try_recv() {
            self.unreachable.push(packet);
        }
    }

    fn lan_turn(&mut self, now: Instant) {
        for (call_id, reply) in std::mem::take(&mut self.echoes) {
            if let Some(session) = self.sessions.get_mut(&call_id)
                && let Some(mut slot) = self.outlet.take_slot()
            {
                slot.reset(reply.len()).copy_from_slice(&reply);
                session.deliver(now, slot, &mut self.outlet);
            }
        }
        let Self { stacks, sessions, pool, relay, unreachable, outlet, undeliverable, .. } = self;
        let before = *undeliverable;
        let mut router = Router { sessions, pool, relay, outlet, now, undeliverable, inside: None };
        router.relay();
        for answer in unreachable.drain(..) {
            router.compose(answer.len(), |room| room.copy_from_slice(&answer));
        }
        stacks.turn(now, &mut router);
        self.stale_stats |= self.undeliverable != before;
    }

    fn take_events(&mut self) {
        for session in self.sessions.values_mut().filter(|session| session.is_touched()) {
            let noticed = session.take_events();
            self.stale_stats |= noticed.anything;
            if noticed.came_up {
                self.stats.send_modify(|stats| stats.up_ever.increment());
            }
        }
    }

    fn follow_orders(&mut self, now: Instant) {
        let Orders { hang_ups, renegotiations, challenges, terminations, mute_gre, faults } =
            *self.orders.borrow_and_update();
        let (terminations, code) = terminations;
        self.outlet.set_mute(mute_gre);
        if std::mem::replace(&mut self.faults, faults) != faults {
            self.sessions.values_mut().for_each(|session| session.set_faults(faults));
        }
        if std::mem::replace(&mut self.hang_ups, hang_ups) != hang_ups {
            self.sessions.values_mut().for_each(|session| session.close(now));
        }
        if std::mem::replace(&mut self.renegotiations, renegotiations) != renegotiations {
            self.sessions.values_mut().for_each(|session| session.renegotiate(now));
        }
        if std::mem::replace(&mut self.challenges, challenges) != challenges {
            self.sessions.values_mut().for_each(|session| session.challenge(now));
        }
        if std::mem::replace(&mut self.terminations, terminations) != terminations {
            self.sessions.values_mut().for_each(|session| session.terminate(RasCode(code)));
        }
    }

    fn handle_client(&mut self, now: Instant, from_client: FromClient) {
        match from_client {
            FromClient::Opened { client, writer, call_id } => {
                self.open(now, client, writer, call_id);
            }
            FromClient::Octets { call_id, octets } => {
                if let Some(session) = self.sessions.get_mut(&call_id) {
                    session.handle_control(now, &octets);
                }
            }
            FromClient::Closed { call_id } => {
                if let Some(session) = self.sessions.get_mut(&call_id) {
                    session.handle_control_eof(now);
                }
            }
        }
    }

    fn open(
        &mut self,
        now: Instant,
        client: Ipv4Addr,
        mut writer: Writer,
        known: oneshot::Sender<u16>,
    ) {
        self.stale_stats = true;
        let closes = self.options.closes;
        let room = self.sessions.len() < MAX_CONNECTIONS && closes != Some(Closes::AtOnce);
        let taken = room.then(|| self.calls.insert(&mut self.rng, client, (), now).ok()).flatten();
        let Some(call_id) = taken else {
            self.stats.send_modify(|s| s.turned_away.increment());
            return;
        };
        let inner_address = self.pool.take(call_id);
        let moves = self.options.moves_clients.then(|| self.pool.take(call_id)).flatten();
        let mut config = self.config(inner_address);
        config.link.extras.second_address = moves;
        let tunnel = Tunnel::accept(config, call_id, self.rng.random(), now);
        writer.set_twice(self.options.says_twice);
        let session = Session::new(tunnel, client, inner_address, writer);
        let mut session = session.closing(closes);
        session.set_faults(self.faults);
        self.sessions.insert(call_id, session);
        self.stats.send_modify(|s| s.connections_ever.increment());
        // a connection that is gone by now says so itself
        let _ = known.send(call_id);
    }

    fn config(&self, inner_address: Option<Ipv4Addr>) -> ServerConfig {
        let options = &self.options;
        let mut control = options.control.clone();
        if inner_address.is_none() {
            control.call_result = OutgoingCallResult::Busy;
        }
        let assigned = inner_address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let mut link = LinkServerConfig::new(ROUTER, assigned);
        link.name.clone_from(&options.challenge_name);
        link.secrets.clone_from(&options.secrets);
        link.hash_name = options.hash_name;
        link.dns.clone_from(&options.dns);
        if let [only] = *options.dns {
            // as pppd does; to reject the secondary one would cost the client a round trip
            link.dns.push(only);
        }
        link.mru = options.mru;
        link.ipv6 = options.ipv6;
        link.extras = options.extras.clone();
        link.echo = options.echo;
        link.order = options.order;
        link.authentication = options.authentication.clone();
        link.encryption = options.encryption;
        link.encryption_yields = options.encryption_yields;
        ServerConfig { control, link, gre: options.gre }
    }

    fn remove_finished(&mut self, now: Instant) {
        let Self { sessions, calls, pool, stats, stale_stats, .. } = self;
        sessions.retain(|call_id, session| {
            if session.is_touched() || !session.is_finished() {
                return true;
            }
            calls.remove(*call_id, now);
            pool.give_back_all(*call_id);
            if let Some(ended) = session.ended() {
                stats.send_modify(|stats| stats.note_end(ended));
            }
            *stale_stats = true;
            false
        });
    }

    fn publish(&mut self) {
        if !std::mem::take(&mut self.stale_stats) {
            return;
        }
        self.stats.send_modify(|stats| {
            stats.connections = self.sessions.len();
            let up = self.sessions.values().filter(|session| session.is_up());
            stats.up_addresses = up.clone().filter_map(Session::inner_address).collect();
            stats.up = up.count();
            stats.undeliverable = self.undeliverable;
            stats.unknown_call = self.unknown_call;
            stats.unsendable = self.outlet.unsendable();
        });
    }
}

/// Hands a client's packet to the building, or makes the answer that it is not delivered
fn deliver(
    stacks: &Stacks,
    session: &mut Session,
    now: Instant,
    packet: &[u8],
    faults: Faults,
) -> Option<Vec<u8>> {
    if has_expired(packet) && destination(packet).is_some_and(is_host) {
        return if faults.hides_expired { None } else { session.expired(now, packet) };
    }
    let is_dead = faults.hosts_are_dead && destination(packet).is_some_and(is_host);
    if is_dead || faults.ignores_pings && is_ping_of_router(packet) {
        return None;
    }
    if destination(packet).is_none_or(|to| stacks.take(to)) {
        stacks.handle_ip(now, packet);
        return None;
    }
    session.unreachable(now, packet)
}

/// The one clock: tokio's, which tests may pause
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Control connections at a time, at most
const MAX_CONNECTIONS: usize = 1024;
