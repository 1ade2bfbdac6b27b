//! Ways in to buildings of the testkit, whose clients are streams and datagrams in memory

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Write as _,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Once},
    time::Duration,
};

use pptp::Client;
use pptp_connector::{
    directory::Directory,
    settings::{
        Clients, ForwardSettings, Limits, Listen, Protocol, ProxyKind, ProxySettings, Settings,
        SiteSettings,
    },
    way_in::{
        Counters, Failed, ListenKey, MemoryClient, MemoryDatagrams, Origin, Reason, WaysIn,
        memory_stream,
    },
};
use pptp_fleet::{Fleet, FleetOptions, Secret, SiteConfig, SiteName};
use pptp_testkit::{self as testkit, TcpListener, TcpStream, memory};
use tokio::{io::AsyncReadExt, time::timeout};
use tracing::{Event, Level, Metadata, Subscriber, field, span};

/// Ways in, the fleet behind them, and the settings that both get by [`Self::apply`]
pub(crate) struct World {
    pub(crate) network: memory::Network,
    pub(crate) ways: WaysIn,
    pub(crate) directory: Directory,
    pub(crate) settings: Settings,
}

impl World {
    /// Listeners in memory
    pub(crate) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        Self::of(limits, Duration::from_millis(10), WaysIn::in_memory)
    }

    /// Listeners with sockets of the kernel, and a network that needs hardly any time
    pub(crate) fn with_sockets() -> Self {
        Self::of(Limits::default(), Duration::from_millis(1), WaysIn::new)
    }

    fn of(limits: Limits, latency: Duration, ways: fn(Directory, &Limits) -> WaysIn) -> Self {
        subscribe();
        let network = memory::Network::new(0);
        network.set_latency(latency);
        let host = network.host(Ipv4Addr::new(10, 99, 1, 1));
        let client = Client::builder().memory(host).build().unwrap();
        let mut options = FleetOptions::default();
        options.seed = Some(7);
        let directory = Directory::new(Fleet::new(client, &options));
        let ways = ways(directory.clone(), &limits);
        let settings = Settings { limits, ..Settings::default() };
        Self { network, ways, directory, settings }
    }

    /// A world with the building 1, whose site `b1` is up
    pub(crate) async fn one_building() -> (Self, testkit::Server) {
        let mut world = Self::new();
        let server = world.serve(1);
        world.add(1);
        world.apply().await;
        world.until("b1", "up").await;
        (world, server)
    }

    /// Starts the server of a building
    pub(crate) fn serve(&self, building: u8) -> testkit::Server {
        let server = testkit::Server::builder(building.into());
        server.serve_memory(&self.network, outer(building)).unwrap()
    }

    /// Adds the site of a building, `bN`
    pub(crate) fn add(&mut self, building: u8) -> &mut SiteSettings {
        let settings = SiteSettings::new(dial(building));
        self.settings.sites.entry(name(building)).or_insert(settings)
    }

    /// Adds a forward to a target of a building
    pub(crate) fn forward(
        &mut self,
        building: u8,
        listen: impl Into<SocketAddr>,
        target: &str,
        protocol: Protocol,
    ) -> &mut ForwardSettings {
        let forwards = &mut self.settings.sites.get_mut(&name(building)).unwrap().forwards;
        forwards.push(ForwardSettings {
            listen: Listen::Ip(listen.into()),
            clients: Clients::All,
            target: target.parse().unwrap(),
            protocol,
            max_clients: 256,
        });
        forwards.last_mut().unwrap()
    }

    /// Adds a proxy
    pub(crate) fn proxy(&mut self, kind: ProxyKind, port: u16) -> &mut ProxySettings {
        let proxy = ProxySettings::new(kind, Listen::Ip(local(port)));
        self.settings.proxies.push(proxy);
        self.settings.proxies.last_mut().unwrap()
    }

    /// Applies the settings, in the order of the daemon
    pub(crate) async fn apply(&self) {
        assert_eq!(self.try_apply().await, []);
    }

    pub(crate) async fn try_apply(&self) -> Vec<Failed> {
        self.try_apply_these(&self.settings).await
    }

    pub(crate) async fn try_apply_these(&self, settings: &Settings) -> Vec<Failed> {
        let plan = match self.ways.prepare(settings).await {
            Ok(plan) => plan,
            Err(failed) => return failed,
        };
        let sites = &settings.sites;
        self.directory.replace(sites);
        for site in self.fleet().sites() {
            if !sites.contains_key(site.name()) {
                self.fleet().remove(site.name()).await;
            }
        }
        for (name, site) in sites {
            self.fleet().set(name.clone(), site.dial.clone()).await.unwrap();
        }
        self.ways.commit(plan).await
    }

    /// Waits until a site is in a state
    pub(crate) async fn until(&self, site: &str, state: &str) {
        let mut states = self.fleet().site(site).unwrap().state();
        let reached = states.wait_for(|now| now.name() == state);
        soon(reached).await.unwrap();
    }

    pub(crate) const fn fleet(&self) -> &Fleet {
        self.directory.fleet()
    }

    /// A client of this machine, at a listener on a port
    pub(crate) async fn client(&self, port: u16) -> MemoryClient {
        self.client_from(port, ([127, 0, 0, 1], 40_000)).await
    }

    pub(crate) async fn client_from(&self, port: u16, from: impl Into<SocketAddr>) -> MemoryClient {
        let (stream, client) = memory_stream();
        let key = ListenKey::Tcp(local(port));
        let offered = self.ways.offer(&key, Origin::Address(from.into()), stream);
        assert!(offered.await, "there is a listener on port {port}");
        client
    }

    /// The clients' end of a UDP forward on a port
    pub(crate) async fn datagrams(&self, port: u16) -> MemoryDatagrams {
        self.ways.datagrams(&ListenKey::Udp(local(port))).await.expect("a UDP forward")
    }

    /// The counters of the listener on a port
    pub(crate) async fn counters(&self, port: u16) -> Arc<Counters> {
        let status = self.ways.status().await;
        let is_it = |key: &ListenKey| match key {
            ListenKey::Tcp(address) | ListenKey::Udp(address) => address.port() == port,
            ListenKey::Unix(_) => false,
        };
        let status = status.iter().find(|status| is_it(&status.key));
        Arc::clone(&status.expect("a listener").counters)
    }

    /// The clients that the listener on a port has refused, by the reason
    pub(crate) async fn refused(&self, port: u16) -> BTreeMap<&'static str, u64> {
        let counters = self.counters(port).await;
        counters.all_refused().map(|(reason, count)| (Reason::name(reason), count)).collect()
    }
}

/// The lines of the log since the world of this thread was made, at the level of a warning and above
///
/// The runtime of a test has one thread. The subscriber is that of the process: one for each test would miss lines, since
/// tracing remembers for the process which lines somebody wants.
pub(crate) fn log_lines() -> Vec<String> {
    LINES.with_borrow(Clone::clone)
}

fn subscribe() {
    static SUBSCRIBER: Once = Once::new();
    SUBSCRIBER.call_once(|| tracing::subscriber::set_global_default(Lines).unwrap());
    LINES.take();
}

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().contains("way_in")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl field::Visit for Text {
            fn record_debug(&mut self, field: &field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    write!(self.0, "{value:?}").unwrap();
                }
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        LINES.with_borrow_mut(|lines| lines.push(text.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// How a site of a building is dialled
pub(crate) fn dial(building: u8) -> SiteConfig {
    SiteConfig::new(outer(building).to_string(), "testuser", Secret::literal("test123"))
}

pub(crate) fn name(building: u8) -> SiteName {
    format!("b{building}").parse().unwrap()
}

/// The outer address of a building's server
pub(crate) const fn outer(building: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, 0, building)
}

/// A port of this machine
pub(crate) fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Waits for something that has to come: without a bound, what never comes is a test that never ends
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(5), what).await.expect("five minutes are enough")
}

/// Reads until the end: what came, and the error that ended it
pub(crate) async fn read_all(
    stream: &mut (impl AsyncReadExt + Unpin),
) -> (Vec<u8>, Option<io::ErrorKind>) {
    let mut octets = Vec::new();
    let ended = soon(stream.read_to_end(&mut octets)).await;
    (octets, ended.err().map(|error| error.kind()))
}

/// Reads so many octets as a text
pub(crate) async fn read_text(stream: &mut (impl AsyncReadExt + Unpin), count: usize) -> String {
    let mut octets = vec![0; count];
    soon(stream.read_exact(&mut octets)).await.unwrap();
    String::from_utf8(octets).unwrap()
}

/// Accepts a connection at a host of a building
pub(crate) async fn accept(listener: &TcpListener) -> TcpStream {
    soon(listener.accept()).await.unwrap().0
}
