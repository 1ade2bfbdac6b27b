//! The loop of a KNX forward

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use pptp_knxnetip::relay::{Action, Counters, Options, PeerId, Relay};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    datagrams::{KnxDatagrams, Received},
    inner::{Event, Inner, Opened},
};
use crate::{
    settings::{Listen, Protocol},
    way_in::{client::Origin, listener::Listener, refusal::Refusal, way::Way},
};

/// Forwards KNXnet/IP of clients, until `stop`, or until the settings want another kind of forward
pub(in crate::way_in) async fn serve<D: KnxDatagrams>(
    listener: &Arc<Listener>,
    socket: &Arc<D>,
    stop: &CancellationToken,
) {
    if let Err(error) = socket.tell(true) {
        tracing::warn!("{}: clients that are gone are not noticed: {error}", listener.way());
    }
    let mut ways = listener.ways();
    while !stop.is_cancelled() {
        let way = Arc::clone(&ways.borrow_and_update());
        let Some(forward) = Forward::new(listener, socket, way) else { break };
        forward.run(&mut ways, stop).await;
    }
    // what comes by another kind of forward is not told
    let _ = socket.tell(false);
}

/// A KNX forward with settings that do not change
pub(super) struct Forward<D> {
    pub(super) listener: Arc<Listener>,
    socket: Arc<D>,
    pub(super) way: Arc<Way>,
    /// The address that the settings give to the device's name
    pub(super) address: Option<Ipv4Addr>,
    pub(super) relay: Relay,
    queues: BTreeMap<PeerId, mpsc::Sender<(SocketAddrV4, Vec<u8>)>>,
    events: mpsc::Receiver<(PeerId, Event)>,
    to_events: mpsc::Sender<(PeerId, Event)>,
    /// The relay's counters that were told already
    told: Counters,
    /// The time since which the latest tunnel is up that the relay knows
    tunnel: Option<Instant>,
}

impl<D: KnxDatagrams> Forward<D> {
    /// Makes a forward; `None` if the settings are not those of one
    fn new(listener: &Arc<Listener>, socket: &Arc<D>, way: Arc<Way>) -> Option<Self> {
        let Way::Forward { forward, .. } = &*way else { return None };
        let Protocol::Knx { hpai, remote_configuration } = forward.protocol else { return None };
        let max_clients = listener.limits.most();
        let relay = Relay::new(Options { endpoint: hpai, remote_configuration, max_clients });
        let (to_events, events) = mpsc::channel(MAX_EVENTS);
        Some(Self {
            address: listener.address_of_name(&way),
            listener: Arc::clone(listener),
            socket: Arc::clone(socket),
            way,
            relay,
            queues: BTreeMap::new(),
            events,
            to_events,
            told: Counters::default(),
            tunnel: None,
        })
    }

    async fn run(mut self, ways: &mut watch::Receiver<Arc<Way>>, stop: &CancellationToken) {
        loop {
            let deadline = self.relay.poll_timeout();
            let due = async {
                match deadline {
                    Some(at) => sleep_until(Instant::from_std(at)).await,
                    None => std::future::pending().await,
                }
            };
            let socket = Arc::clone(&self.socket);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Ok(()) = ways.changed() => {
                    let way = Arc::clone(&ways.borrow_and_update());
                    if !self.take(way) {
                        break;
                    }
                }
                Some((peer, event)) = self.events.recv() => self.on_event(peer, event),
                received = socket.receive_told() => self.on_received(received).await,
                () = due => self.relay.handle_timeout(now()),
            }
            self.act();
        }
        // the tasks send what is left, and end
        self.relay.close();
        self.act();
    }

    fn on_event(&mut self, peer: PeerId, event: Event) {
        match event {
            Event::Opened(Opened { local, device, tunnel }) => {
                if tunnel.is_some() && self.tunnel != tunnel {
                    self.tunnel = tunnel;
                    self.relay.handle_new_tunnel(now());
                }
                self.relay.handle_opened(now(), peer, local, device);
            }
            Event::NotOpened => {
                self.queues.remove(&peer);
                self.relay.handle_not_opened(now(), peer);
            }
            Event::Received { octets, from } => {
                self.relay.handle_device(now(), peer, from, &octets);
            }
            Event::Lost => {
                self.queues.remove(&peer);
                self.relay.handle_lost(now(), peer);
            }
        }
    }

    async fn on_received(&mut self, received: io::Result<Received>) {
        match received {
            Ok(Received::Datagram { octets, client: SocketAddr::V4(client), to }) => {
                self.on_datagram(&octets, client, to);
            }
            Ok(Received::Refused(SocketAddr::V4(client))) => {
                self.relay.handle_client_gone(now(), client);
            }
            // a socket of IPv4 has no other clients
            Ok(_) => self.listener.counters.drop_datagram(),
            // an error that stays must not take a whole processor
            Err(_) => sleep(PAUSE).await,
        }
    }

    fn on_datagram(&mut self, octets: &[u8], client: SocketAddrV4, to: Option<Ipv4Addr>) {
        let origin = Origin::Address(client.into());
        if !self.way.clients().may_use(Some(IpAddr::V4(*client.ip()))) {
            return self.listener.refuse(origin, &Refusal::Client(origin));
        }
        let before = self.relay.counters().remote_configuration;
        self.relay.handle_client(now(), client, self.via(to), octets);
        if self.relay.counters().remote_configuration > before {
            self.listener.counters.drop_service();
            self.listener.refuse(origin, &Refusal::RemoteConfiguration);
        }
    }

    /// Returns our endpoint, as a client reaches it
    fn via(&self, to: Option<Ipv4Addr>) -> SocketAddrV4 {
        let listen = match self.way.listen() {
            Listen::Ip(address) => Some(*address),
            Listen::Unix(_) => None,
        };
        let bound = self.listener.bound().or(listen);
        let bound_ip = bound.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |it| it.ip());
        let ip = match (to, bound_ip) {
            (Some(to), _) => to,
            (None, IpAddr::V4(ip)) => ip,
            (None, IpAddr::V6(_)) => Ipv4Addr::UNSPECIFIED,
        };
        SocketAddrV4::new(ip, bound.map_or(0, |it| it.port()))
    }

    /// Does what the relay wants
    pub(super) fn act(&mut self) {
        while let Some(action) = self.relay.poll_action() {
            match action {
                Action::Open { peer, client } => {
                    if !self.open(peer, client) {
                        self.relay.handle_not_opened(now(), peer);
                    }
                }
                Action::Close { peer } => _ = self.queues.remove(&peer),
                Action::ToDevice { peer, to, octets } => {
                    let queue = self.queues.get(&peer);
                    if queue.is_none_or(|queue| queue.try_send((to, octets)).is_err()) {
                        self.listener.counters.drop_datagram();
                    }
                }
                Action::ToClient { to, from, octets } => {
                    match self.socket.send_from(&octets, to, *from.ip()) {
                        Ok(()) => self.listener.counters.add_received(octets.len()),
                        Err(_) => self.listener.counters.drop_datagram(),
                    }
                }
            }
        }
        let counters = *self.relay.counters();
        let dropped = counters.dropped().saturating_sub(self.told.dropped());
        self.listener.counters.drop_datagrams(dropped);
        self.told = counters;
    }

    /// Starts the task of an inner socket; false if there is no place for its client
    fn open(&mut self, peer: PeerId, client: Option<SocketAddrV4>) -> bool {
        let (queue, datagrams) = mpsc::channel(MAX_QUEUED);
        let inner = Inner {
            listener: Arc::clone(&self.listener),
            peer,
            client,
            way: Arc::clone(&self.way),
            queue: datagrams,
            events: self.to_events.clone(),
        };
        let Some(client) = client else {
            // a question of the relay is nobody's, and takes no place
            self.queues.insert(peer, queue);
            drop(self.listener.spawn_task(inner.run(())));
            return true;
        };
        let address = self.listener.limits.address(Some(IpAddr::V4(*client.ip())));
        let places = self.listener.limits.try_both().ok();
        let Some(held) = address.zip(places) else { return false };
        let present = self.listener.counters.accept();
        self.queues.insert(peer, queue);
        drop(self.listener.spawn_task(inner.run((held, present))));
        true
    }
}

/// The time, as tokio's clock has it: a test may move it
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// The pause after an error of the socket
const PAUSE: Duration = Duration::from_millis(100);

/// Datagrams to the device that wait at an inner socket
const MAX_QUEUED: usize = 64;

/// Words of the inner sockets that wait
const MAX_EVENTS: usize = 256;
