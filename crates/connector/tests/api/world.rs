//! A daemon of a test: a fleet over servers of the testkit, behind a control interface

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, SystemTime},
};

use pptp::{Client, TunnelConfig, doctor::Doctor, stats::ClientStats};
use pptp_connector::{
    api::{
        BoxFuture, Control, DaemonFacts, EventLog, ListenerCounts, ListenerStatus, Peer,
        ReloadError, ReloadOptions, ReloadReport, Server, SiteChange, SitesChanged, SitesRefused,
        metrics::Exporter,
    },
    directory::Directory,
    seal::{NoKey, PublicKey},
    settings::{Listen, MetricsSettings, SiteSettings, UnixSocket},
    unix,
};
use pptp_fleet::{Connect, Fleet, FleetOptions, Secret, SiteConfig, SiteName};
use pptp_testkit::{self as testkit, memory};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// A daemon with buildings
pub(crate) struct World {
    pub(crate) network: memory::Network,
    pub(crate) daemon: Arc<FakeDaemon>,
    pub(crate) server: Arc<Server>,
    pub(crate) stop: CancellationToken,
    settings: Mutex<BTreeMap<SiteName, SiteSettings>>,
}

/// What the interface sees of the daemon
pub(crate) struct FakeDaemon {
    directory: Directory,
    log: EventLog,
    client: Client,
    /// The password that its doctor logs in with
    password: Mutex<String>,
    /// The answers to reloads
    pub(crate) reload: Mutex<Option<Result<ReloadReport, ReloadError>>>,
    /// The reloads that it was asked for
    pub(crate) asked: Mutex<Vec<ReloadOptions>>,
    pub(crate) facts: Mutex<DaemonFacts>,
    pub(crate) is_ready: AtomicBool,
    pub(crate) metrics: Mutex<MetricsSettings>,
    exporter: Exporter,
}

impl World {
    /// Makes a daemon without sites
    pub(crate) fn new(latency: Duration) -> Self {
        let network = memory::Network::new(0);
        network.set_latency(latency);
        let host = network.host(Ipv4Addr::new(10, 99, 1, 1));
        let client = Client::builder().memory(host).build().unwrap();
        let mut options = FleetOptions::default();
        options.seed = Some(7);
        let fleet = Fleet::new(client.clone(), &options);
        let daemon = Arc::new(FakeDaemon {
            directory: Directory::new(fleet.clone()),
            log: EventLog::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1), 0),
            client,
            password: Mutex::new("test123".to_owned()),
            reload: Mutex::default(),
            asked: Mutex::default(),
            facts: Mutex::default(),
            is_ready: AtomicBool::new(true),
            metrics: Mutex::default(),
            exporter: Exporter::new(),
        });
        let (events, log) = (fleet.events(), Arc::clone(&daemon));
        tokio::spawn(async move { log.log.follow(events).await });
        let stop = CancellationToken::new();
        let control: Arc<dyn Control> = Arc::clone(&daemon) as _;
        let server = Arc::new(Server::new(control, stop.clone()));
        Self { network, daemon, server, stop, settings: Mutex::default() }
    }

    /// Makes a daemon whose network needs no time, so that tests with real sockets are quick
    pub(crate) fn quick() -> Self {
        Self::new(Duration::from_millis(1))
    }

    /// Starts the server of a building
    pub(crate) fn serve(&self, building: u8) -> testkit::Server {
        let server = testkit::Server::builder(building.into());
        server.serve_memory(&self.network, address(building)).unwrap()
    }

    /// Adds the site of a building, with a city
    pub(crate) async fn add(&self, site: &str, building: u8, city: &str) {
        self.add_with(site, building, city, Connect::Always).await;
    }

    pub(crate) async fn add_with(&self, site: &str, building: u8, city: &str, connect: Connect) {
        let secret = Secret::literal("test123");
        let dial = SiteConfig::new(address(building).to_string(), "testuser", secret);
        let mut settings = SiteSettings::new(dial.connect(connect));
        settings.labels = Arc::new([("city".into(), city.into())].into());
        settings.hosts = Arc::new([("device".into(), Ipv4Addr::new(192, 168, 1, 3))].into());
        let name: SiteName = site.parse().unwrap();
        let mut all = self.settings.lock().unwrap().clone();
        all.insert(name.clone(), settings.clone());
        self.daemon.directory.replace(&all);
        *self.settings.lock().unwrap() = all;
        self.daemon.directory.fleet().set(name, settings.dial).await.unwrap();
    }

    /// Waits until a site is in a state
    pub(crate) async fn until(&self, site: &str, state: &str) {
        let site = self.daemon.directory.fleet().site(site).unwrap();
        let mut states = site.state();
        let reached = states.wait_for(|now| now.name() == state);
        timeout(Duration::from_mins(5), reached).await.expect("five minutes are enough").unwrap();
    }

    pub(crate) fn fleet(&self) -> &Fleet {
        self.daemon.directory.fleet()
    }

    /// Opens a connection that is no socket
    pub(crate) fn connect(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(4096);
        self.server.accept(server, Peer { uid: Some(0), pid: Some(1), address: None });
        client
    }

    /// Sends a request, and reads the answer to its end
    pub(crate) async fn ask(&self, method: &str, path: &str) -> Reply {
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ))
        .await
    }

    pub(crate) async fn send(&self, request: &str) -> Reply {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).await.unwrap();
        Reply::read(&octets)
    }

    /// Sends a request whose answer has no end, and reads its head
    pub(crate) async fn begin(&self, request: &str) -> (String, BufReader<DuplexStream>) {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).await.unwrap() > 0, "it broke off: {head}");
        }
        (head, reader)
    }

    /// Serves on a unix socket in a folder of its own, for commands
    pub(crate) fn listen(&self) -> Socket {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("pptp-api-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("control.sock");
        let socket = UnixSocket { path: path.clone(), mode: 0o600, group: None };
        let bound = unix::bind(&socket).unwrap().open().unwrap();
        let server = Arc::clone(&self.server);
        tokio::spawn(async move { server.serve(&bound).await });
        Socket { folder, path, stop: self.stop.clone() }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A unix socket in a folder that is gone when this is dropped
pub(crate) struct Socket {
    folder: PathBuf,
    pub(crate) path: PathBuf,
    stop: CancellationToken,
}

impl Socket {
    /// A path beside the socket
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.stop.cancel();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An answer
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn read(octets: &[u8]) -> Self {
        let end = octets.windows(4).position(|it| it == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(octets[..end].to_vec()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = octets[end..].to_vec();
        if head.contains("transfer-encoding: chunked") {
            body = unchunked(&body);
        }
        Self { status, head, body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&self.body));
        })
    }

    /// The objects of a body with one a line
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The kind of problem that it tells, with its status
    pub(crate) fn problem(&self) -> (u16, String) {
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        (self.status, self.json()["type"].as_str().unwrap().to_owned())
    }
}

fn unchunked(mut octets: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = octets.windows(2).position(|it| it == b"\r\n").expect("the length of a chunk");
        let length = std::str::from_utf8(&octets[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&octets[end + 2..end + 2 + length]);
        octets = &octets[end + 4 + length..];
    }
}

pub(crate) const fn address(building: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, 0, building)
}

impl FakeDaemon {
    pub(crate) fn log(&self) -> &EventLog {
        &self.log
    }

    pub(crate) fn set_password(&self, password: &str) {
        password.clone_into(&mut self.password.lock().unwrap());
    }
}

impl Control for FakeDaemon {
    fn directory(&self) -> &Directory {
        &self.directory
    }

    fn events(&self) -> &EventLog {
        &self.log
    }

    fn facts(&self) -> DaemonFacts {
        self.facts.lock().unwrap().clone()
    }

    fn listeners(&self) -> BoxFuture<'_, Vec<ListenerStatus>> {
        let forward = ListenerStatus {
            kind: "udp".into(),
            listen: Listen::Ip(([127, 0, 0, 1], 13671).into()),
            site: Some("b1".parse().unwrap()),
            target: Some("192.168.1.3:3671".parse().unwrap()),
            clients: 2,
            counts: ListenerCounts {
                max_clients: 8,
                accepted: 5,
                refused: vec![("not-up", 3)],
                octets: (100, 200),
                datagrams_dropped: 1,
            },
            dropped_services: 3,
            error: None,
        };
        let proxy = ListenerStatus {
            kind: "socks".into(),
            listen: Listen::Ip(([0, 0, 0, 0], 1080).into()),
            site: None,
            target: None,
            clients: 0,
            counts: ListenerCounts::default(),
            dropped_services: 0,
            error: None,
        };
        Box::pin(async { vec![forward, proxy] })
    }

    fn reload(&self, options: ReloadOptions) -> BoxFuture<'_, Result<ReloadReport, ReloadError>> {
        self.asked.lock().unwrap().push(options);
        let answer =
            self.reload.lock().unwrap().clone().unwrap_or_else(|| Ok(ReloadReport::default()));
        Box::pin(async move { answer })
    }

    fn change_sites(
        &self,
        _change: SiteChange,
    ) -> BoxFuture<'_, Result<SitesChanged, SitesRefused>> {
        Box::pin(async { Err(SitesRefused::Impossible("this daemon keeps no sites".into())) })
    }

    fn sites_version(&self) -> String {
        "0".to_owned()
    }

    fn sealing_key(&self) -> BoxFuture<'_, Result<PublicKey, NoKey>> {
        Box::pin(async { Err(NoKey::Absent) })
    }

    fn continue_rollout(&self) -> BoxFuture<'_, Option<usize>> {
        let fleet = self.directory.fleet().clone();
        Box::pin(async move { fleet.continue_rollout().await })
    }

    fn doctor<'a>(&'a self, site: &'a SiteName) -> BoxFuture<'a, Result<Doctor, String>> {
        let server = self.directory.site(site.as_str()).map(|(_, facts)| facts.server.clone());
        let password = self.password.lock().unwrap().clone();
        let client = self.client.clone();
        Box::pin(async move {
            let server = server.ok_or("it is gone")?;
            let config = TunnelConfig::new(server, "testuser", password);
            Ok(pptp::doctor(config).client(client))
        })
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }

    fn metrics(&self) -> Arc<MetricsSettings> {
        Arc::new(self.metrics.lock().unwrap().clone())
    }

    fn exporter(&self) -> &Exporter {
        &self.exporter
    }

    fn client_stats(&self) -> ClientStats {
        self.client.stats()
    }
}
