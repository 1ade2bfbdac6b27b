//! A UDP forward: each client has a socket of its own inside the site

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    client::Origin,
    datagrams::Datagrams,
    inner_socket::InnerSocket,
    limits::{AddressPlace, Full, Place},
    listener::Listener,
    reach,
    refusal::Refusal,
    way::Way,
};
use crate::settings::Protocol;

/// Forwards datagrams of clients, until `stop`, or until the settings want a KNX forward; then nothing holds the socket
/// any more
///
/// When all places of the listener are taken, a new client takes that of the one that sent nothing for the longest time:
/// a program with many ports cannot shut the others out. A change of the target, or of the address that its name has in
/// the settings, ends all clients' sockets: their next datagrams go to the new one.
pub(super) async fn serve<D: Datagrams>(
    listener: &Arc<Listener>,
    socket: &Arc<D>,
    stop: &CancellationToken,
) {
    let mut ways = listener.ways();
    let (listener, socket) = (Arc::clone(listener), Arc::clone(socket));
    let mut peers = Peers { listener, socket, known: BTreeMap::new() };
    while !ways.borrow().is_knx() {
        tokio::select! {
            biased;
            () = stop.cancelled() => return peers.end().await,
            Ok(()) = ways.changed() => peers.change(&ways.borrow_and_update()),
            received = peers.socket.receive() => match received {
                Ok((datagram, from)) => peers.handle(datagram, from).await,
                // an error that stays must not take a whole processor
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
    peers.end().await;
}

/// The clients of a UDP forward
struct Peers<D> {
    listener: Arc<Listener>,
    socket: Arc<D>,
    known: BTreeMap<SocketAddr, Peer>,
}

/// A client of a UDP forward, as the listener sees it; its task ends when this is dropped
struct Peer {
    queue: mpsc::Sender<Vec<u8>>,
    /// Octets that wait
    queued: Arc<AtomicUsize>,
    last_sent: Instant,
    way: Arc<Way>,
    /// The address that the settings give to the target's name
    address: Option<Ipv4Addr>,
    task: AbortOnDropHandle<()>,
}

impl<D: Datagrams> Peers<D> {
    async fn handle(&mut self, datagram: Vec<u8>, from: SocketAddr) {
        let way = self.listener.way();
        if !way.clients().may_use(Some(from.ip())) {
            let origin = Origin::Address(from);
            return self.listener.refuse(origin, &Refusal::Client(origin));
        }
        if self.known.get(&from).is_none_or(|peer| peer.queue.is_closed()) {
            match self.admit(from, way).await {
                Some(peer) => _ = self.known.insert(from, peer),
                None => return self.listener.counters.drop_datagram(),
            }
        }
        let Some(peer) = self.known.get_mut(&from) else { return };
        peer.last_sent = Instant::now();
        let length = datagram.len();
        let queued = peer.queued.fetch_add(length, Relaxed);
        let has_room = queued == 0 || queued + length <= MAX_QUEUED_OCTETS;
        if !has_room || peer.queue.try_send(datagram).is_err() {
            peer.queued.fetch_sub(length, Relaxed);
            self.listener.counters.drop_datagram();
        }
    }

    /// Makes a client; `None` if there is no place for it
    async fn admit(&mut self, from: SocketAddr, way: Arc<Way>) -> Option<Peer> {
        // so that no more are known than there are places
        self.known.retain(|_, peer| !peer.queue.is_closed());
        // first, so that an address that has its share takes nobody's place
        let place = self.listener.limits.address(Some(from.ip().to_canonical()))?;
        let mut places = self.listener.limits.try_both();
        if let Err(Full::Listener) = places {
            self.forget_the_most_silent().await;
            places = self.listener.limits.try_both();
        }
        let places = places.ok()?;
        let (queue, datagrams) = mpsc::channel(MAX_QUEUED);
        let queued = Arc::<AtomicUsize>::default();
        let address = self.listener.address_of_name(&way);
        let task = PeerTask {
            listener: Arc::clone(&self.listener),
            socket: Arc::clone(&self.socket),
            client: from,
            datagrams,
            queued: Arc::clone(&queued),
            way: Arc::clone(&way),
        };
        let task = AbortOnDropHandle::new(self.listener.spawn_task(task.run(places, place)));
        Some(Peer { queue, queued, last_sent: Instant::now(), way, address, task })
    }

    async fn forget_the_most_silent(&mut self) {
        let most_silent = self.known.iter().min_by_key(|(_, peer)| peer.last_sent);
        let most_silent = most_silent.map(|(address, _)| *address);
        if let Some(peer) = most_silent.and_then(|address| self.known.remove(&address)) {
            peer.end().await;
        }
    }

    /// Forgets the clients that other settings forbid, or lead to another target
    fn change(&mut self, way: &Arc<Way>) {
        let address = self.listener.address_of_name(way);
        self.known.retain(|client, peer| {
            let is_same = match (&*peer.way, &**way) {
                (Way::Forward { site: old_site, forward: old }, Way::Forward { site, forward }) => {
                    old_site == site
                        && old.target == forward.target
                        && old.protocol == forward.protocol
                }
                _ => false,
            };
            is_same && peer.address == address && way.clients().may_use(Some(client.ip()))
        });
    }

    async fn end(self) {
        for (_, peer) in self.known {
            peer.end().await;
        }
    }
}

impl Peer {
    /// Ends its task, and waits until it has given back what it held
    async fn end(self) {
        self.task.abort();
        // a panic in it gives back as well
        let _ = self.task.await;
    }
}

/// The task of a client
struct PeerTask<D> {
    listener: Arc<Listener>,
    socket: Arc<D>,
    client: SocketAddr,
    datagrams: mpsc::Receiver<Vec<u8>>,
    queued: Arc<AtomicUsize>,
    way: Arc<Way>,
}

impl<D: Datagrams> PeerTask<D> {
    async fn run(mut self, places: (Place, Place), address: Vec<AddressPlace>) {
        let _places = (places, address);
        let _present = self.listener.counters.accept();
        let way = Arc::clone(&self.way);
        let Way::Forward { site: name, forward } = &*way else { return };
        let Protocol::Udp { idle, any_source } = forward.protocol else { return };
        let Some((site, facts)) = self.listener.directory.site(name.as_str()) else {
            return self.refuse(&Refusal::NoSuchSite(name.to_string()));
        };
        let mut inner = InnerSocket::new(site, facts);
        let mut target = None;
        let mut last = Instant::now();
        // a datagram that has come while the site was not up
        let mut waiting = None;
        loop {
            let end = sleep_until(last + idle);
            if !inner.is_open() {
                target = None;
                let opened = tokio::select! {
                    biased;
                    opened = open(&mut inner, forward) => opened,
                    () = end => return,
                };
                match opened {
                    Ok(address) => target = Some(SocketAddr::V4(address)),
                    Err(refusal) => {
                        self.refuse(&refusal);
                        self.drop_waiting(waiting.take());
                        // a name that is unknown stays so until somebody asks again
                        let is_up = inner.site.state().borrow().is_up();
                        tokio::select! {
                            () = inner.until_up(), if !is_up => {}
                            datagram = self.datagrams.recv() => match datagram {
                                Some(datagram) => {
                                    last = Instant::now();
                                    waiting = Some(datagram);
                                }
                                None => return,
                            },
                            () = sleep_until(last + idle) => return,
                        }
                    }
                }
                continue;
            }
            let Some(target) = target else { return };
            if let Some(datagram) = waiting.take() {
                self.send(&inner, &datagram, target).await;
            }
            tokio::select! {
                datagram = self.datagrams.recv() => {
                    let Some(datagram) = datagram else { return };
                    last = Instant::now();
                    self.send(&inner, &datagram, target).await;
                }
                received = inner.receive() => match received {
                    Some((datagram, from)) if from == target || any_source => {
                        last = Instant::now();
                        self.answer(&datagram);
                    }
                    Some(_) => self.listener.counters.drop_datagram(),
                    None => {}
                },
                () = end => return,
            }
        }
    }

    async fn send(&self, inner: &InnerSocket, datagram: &[u8], target: SocketAddr) {
        self.queued.fetch_sub(datagram.len(), Relaxed);
        if inner.send(datagram, target).await {
            self.listener.counters.add_sent(datagram.len());
        } else {
            self.listener.counters.drop_datagram();
        }
    }

    fn answer(&self, datagram: &[u8]) {
        if self.socket.try_send_to(datagram, self.client).is_ok() {
            self.listener.counters.add_received(datagram.len());
        } else {
            self.listener.counters.drop_datagram();
        }
    }

    /// Drops what waits for a site that is not up: late datagrams are worse than none
    fn drop_waiting(&mut self, waiting: Option<Vec<u8>>) {
        let queued = std::iter::from_fn(|| self.datagrams.try_recv().ok());
        for datagram in waiting.into_iter().chain(queued) {
            self.queued.fetch_sub(datagram.len(), Relaxed);
            self.listener.counters.drop_datagram();
        }
    }

    fn refuse(&self, refusal: &Refusal) {
        self.listener.refuse(Origin::Address(self.client), refusal);
    }
}

/// Opens the socket, and looks the target up in the site
async fn open(
    inner: &mut InnerSocket,
    forward: &crate::settings::ForwardSettings,
) -> Result<std::net::SocketAddrV4, Refusal> {
    inner.open().await?;
    let mut found = Ok(Vec::new());
    if let Some(lease) = inner.lease() {
        found = reach::addresses(lease, &inner.site, &inner.facts, &forward.target).await;
    }
    let address = found.map(|addresses| addresses.first().copied());
    match address {
        Ok(Some(address)) => Ok(address),
        other => {
            inner.close();
            let (site, name) = (inner.site.name().clone(), forward.target.host.to_string());
            let none = Refusal::Name { site, name, error: "no address".to_owned() };
            Err(other.err().unwrap_or(none))
        }
    }
}

/// The pause after an error of the socket
const PAUSE: Duration = Duration::from_millis(100);

/// Datagrams of a client that wait
const MAX_QUEUED: usize = 64;

/// Octets of a client that wait; one datagram may be longer
const MAX_QUEUED_OCTETS: usize = 64 << 10;
