//! Twenty sites with the same inner addresses, and reloads that swap ports, sites and servers: no octet arrives elsewhere
//!
//! In each building is a host that says the number of its building first, and takes octets of this value alone. Clients
//! come by every way in. While a reload is under way they do not know which building they get: it may be the one before
//! or the one after, and stays the same to the connection's end.
//!
//! `PPTP_TERRITORY_ROUNDS=500 cargo test --package pptp-connector --test territory` is a long run.
//! `PPTP_TERRITORY_SEED` repeats one.

#[expect(dead_code, reason = "the tests of the ways in use the rest")]
#[path = "ways_in/world.rs"]
mod world;

use std::{
    env, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use pptp_connector::{
    settings::{
        Clients, ForwardSettings, Listen, Protocol, ProxyKind, ProxySettings, Selector, Settings,
        SiteSettings,
    },
    way_in::{Datagrams, ListenKey, MemoryClient, MemoryDatagrams, Origin, memory_stream},
};
use pptp_testkit::{LanHost, Server, TcpStream};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::world::{World, dial, local, name};

const SITES: u8 = 20;

/// The host in each building, and its port
const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 50);
const HOST_PORT: u16 = 5000;

/// Listeners: one for each number from 1 to [`SITES`] above these, and the two proxies to all sites
const TCP: u16 = 1000;
const UDP: u16 = 2000;
const PINNED: u16 = 3000;
const SOCKS: u16 = 1080;
const HTTP: u16 = 8080;

/// The tag of a datagram whose client does not know the building
const ANY: u8 = 0xFF;

#[tokio::test(start_paused = true)]
async fn nothing_arrives_in_another_building() {
    let number = |name| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let (rounds, seed) =
        (number("PPTP_TERRITORY_ROUNDS").unwrap_or(6), number("PPTP_TERRITORY_SEED").unwrap_or(1));
    println!("PPTP_TERRITORY_ROUNDS={rounds} PPTP_TERRITORY_SEED={seed}");
    let start = Instant::now();
    let mut territory = Territory::new(seed).await;
    for _ in 0..rounds {
        territory.settled().await;
        territory.reload().await;
        territory.pause().await;
    }
    territory.settled().await;
    let (strange, reached, failed) = territory.seen.read();
    let (held, time) = (territory.held.len(), start.elapsed().as_secs());
    println!("{time} s: {reached} reached their building, {failed} none; {held} are held");
    assert_eq!(strange, [""; 0]);
    assert!(reached > 20 * failed, "the test sees little: {reached} of {}", reached + failed);
}

/// Where each listener and each site leads
#[derive(Debug, Clone)]
struct Map {
    /// The building of each site
    buildings: Vec<u8>,
    /// The site of each listener; 0: there is none
    tcp: Vec<u8>,
    udp: Vec<u8>,
    pinned: Vec<u8>,
}

/// A way to a building
#[derive(Debug, Clone, Copy)]
enum Way {
    Tcp(u8),
    Pinned(u8),
    SocksUser(u8),
    SocksName(u8),
    Connect(u8),
    Absolute(u8),
    Associate(u8),
    Udp(u8),
}

struct Territory {
    random: StdRng,
    world: Arc<World>,
    servers: Vec<Server>,
    map: Map,
    datagrams: Vec<Arc<tokio::sync::Mutex<Option<MemoryDatagrams>>>>,
    /// Connections from earlier rounds
    held: Vec<Held>,
    seen: Arc<Seen>,
}

/// A connection that is kept, and the building that it is to
struct Held {
    stream: MemoryClient,
    relay: Option<MemoryDatagrams>,
    building: u8,
    way: Way,
}

/// What clients and hosts saw
#[derive(Default)]
struct Seen {
    strange: Mutex<Vec<String>>,
    /// Clients that reached their building, and those that reached none
    counts: Mutex<(usize, usize)>,
}

impl Seen {
    fn tell(&self, words: String) {
        let mut strange = self.strange.lock().unwrap();
        if strange.len() < MAX_TOLD {
            strange.push(words);
        }
    }

    fn count(&self, has_reached: bool) {
        let mut counts = self.counts.lock().unwrap();
        counts.0 += usize::from(has_reached);
        counts.1 += usize::from(!has_reached);
    }

    fn read(&self) -> (Vec<String>, usize, usize) {
        let (reached, failed) = *self.counts.lock().unwrap();
        (self.strange.lock().unwrap().clone(), reached, failed)
    }
}

impl Territory {
    async fn new(seed: u64) -> Self {
        let world = World::new();
        let seen = Arc::<Seen>::default();
        let mut servers = Vec::new();
        for building in 1..=SITES {
            let server = world.serve(building);
            serve(&server.add_host(HOST).unwrap(), building, &seen);
            servers.push(server);
        }
        let all: Vec<u8> = (1..=SITES).collect();
        let map = Map { buildings: all.clone(), tcp: all.clone(), udp: all.clone(), pinned: all };
        let datagrams = (0..SITES).map(|_| Arc::default()).collect();
        let random = StdRng::seed_from_u64(seed);
        let world = Arc::new(world);
        let territory = Self { random, world, servers, map, datagrams, held: Vec::new(), seen };
        assert_eq!(territory.world.try_apply_these(&settings(&territory.map)).await, []);
        territory.fetch_datagrams().await;
        territory
    }

    /// All clients know their building, and that of their connections from before
    async fn settled(&mut self) {
        for site in 1..=SITES {
            self.world.until(name(site).as_str(), "up").await;
        }
        let mut clients = JoinSet::new();
        for mut held in std::mem::take(&mut self.held) {
            if held.relay.is_some() {
                // it follows its site, also to another building
                held.building = self.map.building(held.way);
            }
            let seen = Arc::clone(&self.seen);
            clients.spawn(async move { held.exchange(true, &seen).await });
        }
        for way in Self::ways() {
            let one = vec![self.map.building(way)];
            if one != [0] {
                clients.spawn(client(Arc::clone(&self.world), way, one, Arc::clone(&self.seen)));
            }
        }
        for port in 1..=SITES {
            let building = self.map.building(Way::Udp(port));
            if building != 0 {
                clients.spawn(self.datagram_client(port, vec![building]));
            }
        }
        let mut held: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
        held.shuffle(&mut self.random);
        held.truncate(MAX_HELD);
        self.held = held;
    }

    /// A reload, with clients that come before, beside and behind it
    async fn reload(&mut self) {
        let before = self.map.clone();
        let after = self.other_map();
        let settings = settings(&after);
        let mut clients = JoinSet::new();
        for way in Self::ways() {
            let either = vec![before.building(way), after.building(way)];
            let wait = Duration::from_millis(self.random.random_range(0..60));
            let (world, seen) = (Arc::clone(&self.world), Arc::clone(&self.seen));
            clients.spawn(async move {
                sleep(wait).await;
                client(world, way, either, seen).await
            });
        }
        for port in 1..=SITES {
            let way = Way::Udp(port);
            let either = vec![before.building(way), after.building(way)];
            clients.spawn(self.datagram_client(port, either));
        }
        sleep(Duration::from_millis(self.random.random_range(0..60))).await;
        if self.random.random_bool(0.3) {
            let which = self.random.random_range(0..self.servers.len());
            self.servers[which].restart().await.unwrap();
        }
        assert_eq!(self.world.try_apply_these(&settings).await, []);
        self.map = after;
        self.fetch_datagrams().await;
        // at once, and not only when the sites are up again
        let mut at_once = JoinSet::new();
        for way in Self::ways() {
            let one = vec![self.map.building(way)];
            if one != [0] {
                at_once.spawn(client(Arc::clone(&self.world), way, one, Arc::clone(&self.seen)));
            }
        }
        self.held.extend(at_once.join_all().await.into_iter().flatten());
        self.held.extend(clients.join_all().await.into_iter().flatten());
    }

    /// Lets connections of closed listeners be drained, and idle ones be idle
    async fn pause(&mut self) {
        sleep(Duration::from_millis(self.random.random_range(0..16_000))).await;
    }

    fn other_map(&mut self) -> Map {
        let mut map = self.map.clone();
        let random = &mut self.random;
        for list in [&mut map.tcp, &mut map.udp, &mut map.pinned, &mut map.buildings] {
            for _ in 0..random.random_range(0..4) {
                let (one, other) = (place(random), place(random));
                list.swap(one, other);
            }
        }
        for list in [&mut map.tcp, &mut map.udp, &mut map.pinned] {
            for site in 1..=SITES {
                // some listeners go, and those that are gone come back with their site
                let is_missing = !list.contains(&site);
                let free = list.iter().position(|it| *it == 0);
                if let Some(free) = free.filter(|_| is_missing && random.random_bool(0.5)) {
                    list[free] = site;
                }
            }
            let one = place(random);
            if random.random_bool(0.3) {
                list[one] = 0;
            }
        }
        map
    }

    /// Each way of a stream, once
    fn ways() -> Vec<Way> {
        let numbers = 1..=SITES;
        let ways = numbers.flat_map(|number| {
            [
                Way::Tcp(number),
                Way::Pinned(number),
                Way::SocksUser(number),
                Way::SocksName(number),
                Way::Connect(number),
                Way::Absolute(number),
                Way::Associate(number),
            ]
        });
        ways.collect()
    }

    /// Takes the clients' ends of the UDP forwards that are new
    async fn fetch_datagrams(&self) {
        for (port, datagrams) in (UDP + 1..).zip(&self.datagrams) {
            let key = ListenKey::Udp(local(port));
            let new = self.world.ways.datagrams(&key).await;
            if new.is_some() {
                *datagrams.lock().await = new;
            }
        }
    }

    /// Two clients of a UDP forward: one that is known from before, and one of this round
    fn datagram_client(
        &mut self,
        port: u8,
        buildings: Vec<u8>,
    ) -> impl Future<Output = Option<Held>> + Send + 'static {
        let datagrams = Arc::clone(&self.datagrams[usize::from(port) - 1]);
        let seen = Arc::clone(&self.seen);
        let clients = [1, self.random.random_range(2..u16::MAX)];
        async move {
            // one round at a time, so that no answer is that of another
            let datagrams = datagrams.lock().await;
            let Some(datagrams) = &*datagrams else { return None };
            for client in clients {
                let tag = if let [one] = buildings[..] { one } else { ANY };
                let datagram = datagram(tag, client);
                let has_reached = ask(datagrams, &datagram, local(client), |answer, to| {
                    let building = answer.first().copied().unwrap_or_default();
                    if to != local(client) || !buildings.contains(&building) {
                        seen.tell(format!(
                            "UDP {port}: {answer:?} for {to}, not of {buildings:?} for {client}"
                        ));
                    }
                });
                let has_reached = has_reached.await;
                if buildings.len() == 1 {
                    seen.count(has_reached);
                }
            }
            None
        }
    }
}

/// A place in a list of [`Map`]
fn place(random: &mut impl Rng) -> usize {
    random.random_range(0..usize::from(SITES))
}

impl Map {
    /// The building that a way leads to; 0: none
    fn building(&self, way: Way) -> u8 {
        let at = |list: &[u8], number: u8| list[usize::from(number) - 1];
        let site = match way {
            Way::Tcp(port) => at(&self.tcp, port),
            Way::Udp(port) => at(&self.udp, port),
            Way::Pinned(port) => at(&self.pinned, port),
            Way::SocksUser(site)
            | Way::SocksName(site)
            | Way::Connect(site)
            | Way::Absolute(site)
            | Way::Associate(site) => site,
        };
        if site == 0 { 0 } else { at(&self.buildings, site) }
    }
}

fn settings(map: &Map) -> Settings {
    let mut settings = Settings::default();
    for (site, building) in (1..).zip(&map.buildings) {
        let mut of_site = SiteSettings::new(dial(*building));
        of_site.hosts = Arc::new([("host".into(), HOST)].into());
        settings.sites.insert(name(site), of_site);
    }
    for (list, first, protocol) in [(&map.tcp, TCP, Protocol::TCP), (&map.udp, UDP, Protocol::UDP)]
    {
        for (port, site) in (first + 1..).zip(list).filter(|(_, site)| **site != 0) {
            settings.sites.get_mut(&name(*site)).unwrap().forwards.push(ForwardSettings {
                listen: Listen::Ip(local(port)),
                clients: Clients::All,
                target: format!("{HOST}:{HOST_PORT}").parse().unwrap(),
                protocol,
                max_clients: 256,
            });
        }
    }
    for (kind, port) in [(ProxyKind::Socks, SOCKS), (ProxyKind::Http, HTTP)] {
        let proxy = ProxySettings::new(kind, Listen::Ip(local(port)));
        settings.proxies.push(ProxySettings { max_clients: 1024, ..proxy });
    }
    for (port, site) in (PINNED + 1..).zip(&map.pinned).filter(|(_, site)| **site != 0) {
        let proxy = ProxySettings::new(ProxyKind::Socks, Listen::Ip(local(port)));
        settings.proxies.push(ProxySettings { sites: Selector::one(name(*site)), ..proxy });
    }
    settings
}

/// Starts the services of the host in a building
fn serve(host: &LanHost, building: u8, seen: &Arc<Seen>) {
    let listener = host.tcp_listen(HOST_PORT, 1024).unwrap();
    let connections = Arc::clone(seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&connections);
            tokio::spawn(async move {
                // it ends with its client
                let _ = serve_stream(stream, building, &seen).await;
            });
        }
    });
    let http = host.tcp_listen(80, 1024).unwrap();
    let requests = Arc::clone(seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = http.accept().await {
            let seen = Arc::clone(&requests);
            tokio::spawn(async move {
                let _ = serve_http(stream, building, &seen).await;
            });
        }
    });
    let (socket, seen) = (host.udp_bind(HOST_PORT).unwrap(), Arc::clone(seen));
    tokio::spawn(async move {
        let mut octets = [0; 64];
        while let Ok((count, from)) = socket.recv_from(&mut octets).await {
            let [tag, rest @ ..] = &octets[..count] else { continue };
            if ![building, ANY].contains(tag) {
                seen.tell(format!("building {building} got a datagram for {tag}"));
            }
            let _ = socket.send_to(&[&[building], rest].concat(), from).await;
        }
    });
}

/// Says the building's number, and sends back what comes
async fn serve_stream(mut stream: TcpStream, building: u8, seen: &Seen) -> io::Result<()> {
    stream.write_all(&[building]).await?;
    let mut octets = [0; 64];
    loop {
        let count = stream.read(&mut octets).await?;
        if count == 0 {
            return stream.shutdown().await;
        }
        if let Some(other) = octets[..count].iter().find(|octet| **octet != building) {
            seen.tell(format!("building {building} got an octet for {other}"));
        }
        stream.write_all(&octets[..count]).await?;
    }
}

/// Answers one request with the building's number; its path is the number of the building that it is for, or `any`
async fn serve_http(mut stream: TcpStream, building: u8, seen: &Seen) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    if path != "/any" && path != format!("/{building}") {
        seen.tell(format!("building {building} got a request for {path}"));
    }
    let page = char::from(building);
    stream
        .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{page}").as_bytes())
        .await?;
    stream.shutdown().await
}

/// A client of a way that leads to one of these buildings; returns its connection if there is one to keep
async fn client(world: Arc<World>, way: Way, buildings: Vec<u8>, seen: Arc<Seen>) -> Option<Held> {
    let reached = timeout(PATIENCE, reach(&world, way, &buildings)).await;
    let reached = reached.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    if buildings.len() == 1 {
        seen.count(reached.is_ok());
    }
    let held = reached.ok()?;
    if !buildings.contains(&held.building) {
        seen.tell(format!("{way:?} led to {}, not to {buildings:?}", held.building));
    }
    match way {
        Way::Absolute(_) => None,
        _ => held.exchange(buildings.len() == 1, &seen).await,
    }
}

/// Opens a connection, and reads the number of its building
async fn reach(world: &World, way: Way, buildings: &[u8]) -> io::Result<Held> {
    let port = match way {
        Way::Tcp(port) | Way::Udp(port) => TCP + u16::from(port),
        Way::Pinned(port) => PINNED + u16::from(port),
        Way::SocksUser(_) | Way::SocksName(_) | Way::Associate(_) => SOCKS,
        Way::Connect(_) | Way::Absolute(_) => HTTP,
    };
    let (stream, mut client) = memory_stream();
    let key = ListenKey::Tcp(local(port));
    if !world.ways.offer(&key, Origin::Address(local(40_000)), stream).await {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let relay = match way {
        Way::Tcp(_) | Way::Udp(_) => None,
        Way::Pinned(_) => socks(&mut client, "", 1, &HOST.to_string()).await?,
        Way::SocksUser(site) => socks(&mut client, &format!("b{site}"), 1, "host").await?,
        Way::SocksName(site) => {
            let host = format!("{HOST}.b{site}.pptp.internal");
            socks(&mut client, "", 1, &host).await?
        }
        Way::Associate(site) => {
            socks(&mut client, &format!("b{site}"), 3, "0.0.0.0").await?;
            client.relay().await
        }
        Way::Connect(site) => {
            let target = format!("host.b{site}.pptp.internal:{HOST_PORT}");
            http(&mut client, &format!("CONNECT {target} HTTP/1.1\r\n\r\n")).await?;
            None
        }
        Way::Absolute(site) => {
            let one = if let [one] = buildings { one.to_string() } else { "any".to_owned() };
            let url = format!("http://host.b{site}.pptp.internal/{one}");
            http(&mut client, &format!("GET {url} HTTP/1.1\r\nHost: x\r\n\r\n")).await?;
            None
        }
    };
    let mut building = 0;
    if let Some(relay) = &relay {
        // its site is known, but not its building
        let tag = if let [one] = buildings { *one } else { ANY };
        let datagram = wrapped(tag, 1);
        ask(relay, &datagram, local(1), |answer, _| building = unwrapped(answer)).await;
    } else {
        building = client.read_u8().await?;
    }
    if building == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(Held { stream: client, relay, building, way })
}

impl Held {
    /// Passes octets of its building both ways; `None` if it has ended
    async fn exchange(mut self, is_settled: bool, seen: &Seen) -> Option<Self> {
        let building = self.building;
        if let Some(relay) = &self.relay {
            let datagram = wrapped(if is_settled { building } else { ANY }, 7);
            let look = |answer: &[u8], _| {
                let from = unwrapped(answer);
                if is_settled && from != building {
                    seen.tell(format!("{:?} to {building} got a datagram of {from}", self.way));
                }
            };
            let is_answered = ask(relay, &datagram, local(1), look).await;
            return is_answered.then_some(self);
        }
        let octets = [building; 100];
        let mut back = [0; 100];
        for _ in 0..3 {
            self.stream.write_all(&octets).await.ok()?;
            let mut filled = 0;
            while filled < back.len() {
                let read = timeout(PATIENCE, self.stream.read(&mut back[filled..])).await;
                let count = read.ok()?.ok()?;
                let got = &back[filled..filled + count];
                if let Some(other) = got.iter().find(|octet| **octet != building) {
                    seen.tell(format!("{:?} to {building} got an octet of {other}", self.way));
                }
                if count == 0 {
                    return None;
                }
                filled += count;
            }
        }
        Some(self)
    }
}

/// Sends a request to a SOCKS proxy, with a user unless it is empty
async fn socks(
    client: &mut MemoryClient,
    user: &str,
    command: u8,
    host: &str,
) -> io::Result<Option<MemoryDatagrams>> {
    let mut octets = if user.is_empty() { vec![5, 1, 0] } else { vec![5, 1, 2, 1] };
    if !user.is_empty() {
        octets.push(u8::try_from(user.len()).unwrap());
        octets.extend(user.as_bytes());
        octets.push(0);
    }
    octets.extend([5, command, 0, 3, u8::try_from(host.len()).unwrap()]);
    octets.extend(host.as_bytes());
    octets.extend(HOST_PORT.to_be_bytes());
    client.write_all(&octets).await?;
    let mut answer = vec![0; if user.is_empty() { 2 + 10 } else { 2 + 2 + 10 }];
    client.read_exact(&mut answer).await?;
    let code = answer[answer.len() - 9];
    if code == 0 { Ok(None) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
}

/// Sends a request to the HTTP proxy, and reads the head of the answer
async fn http(client: &mut MemoryClient, request: &str) -> io::Result<()> {
    client.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let is_done = head.starts_with(b"HTTP/1.1 200");
    if is_done { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
}

/// Sends a datagram until an answer to it comes, three times at most
async fn ask(
    clients: &MemoryDatagrams,
    datagram: &[u8],
    client: SocketAddr,
    mut look: impl FnMut(&[u8], SocketAddr),
) -> bool {
    for _ in 0..3 {
        if clients.try_send_to(datagram, client).is_err() {
            return false;
        }
        if let Ok(Ok((answer, to))) = timeout(Duration::from_secs(2), clients.receive()).await {
            look(&answer, to);
            return true;
        }
    }
    false
}

fn datagram(tag: u8, client: u16) -> Vec<u8> {
    let [high, low] = client.to_be_bytes();
    vec![tag, high, low]
}

/// A datagram to the host, as a client sends it to its relay
fn wrapped(tag: u8, client: u16) -> Vec<u8> {
    let mut octets = vec![0, 0, 0, 1];
    octets.extend(HOST.octets());
    octets.extend(HOST_PORT.to_be_bytes());
    octets.extend(datagram(tag, client));
    octets
}

/// The building's number in an answer through a relay
fn unwrapped(answer: &[u8]) -> u8 {
    answer.get(10).copied().unwrap_or_default()
}

/// The time that a client waits: longer than the proxies wait for a site
const PATIENCE: Duration = Duration::from_secs(20);

/// Lines of what was strange: the first ones say most
const MAX_TOLD: usize = 20;

/// Connections that are kept for the next round
const MAX_HELD: usize = 60;
