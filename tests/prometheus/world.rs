//! A daemon with sites in all kinds of trouble

use std::{
    env,
    fmt::Write,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use pptp::Client;
use pptp_connector::{
    api::ReloadOptions,
    daemon::{ConfigurationFile, Daemon, Start},
};
use pptp_fleet::SiteState;
use pptp_testkit::{Server, memory::Network};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Mutex,
    time::timeout,
};

use super::prometheus::ask;

/// The address of the metrics
pub(super) const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// A server with several sites that does not answer
pub(super) const DEAD_FARM: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 90);

pub(super) struct World {
    folder: PathBuf,
    daemon: Arc<Daemon>,
    /// The farm, the server of the site that flaps, that of the site whose device is silent
    servers: Mutex<[Server; 3]>,
    /// Clients that hold a listener's places
    clients: Mutex<Vec<TcpStream>>,
}

impl World {
    /// Starts a daemon whose configuration has a site with a problem
    pub(super) async fn start() -> Self {
        let network = Network::new(1);
        network.set_latency(Duration::from_millis(1));
        let mut farm = Server::builder(1);
        for site in 1..=FARM_SITES {
            farm = farm.secret(format!("u{site}"), "test123");
        }
        let serve = |server: pptp_testkit::ServerBuilder, address| {
            server.serve_memory(&network, address).expect("a free address")
        };
        let servers = [
            serve(farm, FARM),
            serve(Server::builder(2), FLAPPING),
            serve(Server::builder(3), SILENT),
        ];
        let folder = env::temp_dir().join(format!("pptp-metrics-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let client = Client::builder().memory(network.host(HUB)).build().expect("a runtime");
        let path = folder.join("connector.toml");
        fs::write(&path, configuration("u", "[site.stopped]\nserver = \"[2001:db8::1]\"\n"))
            .expect("it can be written");
        let file = ConfigurationFile { path, max_files: None };
        let start = Start::of_file(file, false).unwrap_or_else(|error| panic!("{error}"));
        let daemon = Daemon::start_with(client, start).await.expect("the ports are free");
        Self { folder, daemon, servers: Mutex::new(servers), clients: Mutex::default() }
    }

    /// Scrapes as Prometheus does
    pub(super) async fn scrape(&self, accept: &str) -> String {
        let answer = ask(METRICS, "/metrics", accept).await.expect("it listens");
        answer.split_once("\r\n\r\n").expect("a head").1.to_owned()
    }

    /// Has a site flap, and clients take all places of a listener; the rest of the trouble comes by itself
    pub(super) async fn make_trouble(&self) {
        self.until("a1", "up").await;
        let mut clients = self.clients.lock().await;
        for _ in 0..2 {
            let mut client = TcpStream::connect(FORWARD).await.expect("it listens");
            client.write_all(b"some octets").await.expect("it takes them");
            clients.push(client);
        }
        self.refuse_a_client().await;
        for _ in 0..3 {
            self.until("flapping", "up").await;
            self.servers.lock().await[1].restart().await.expect("its address is free");
            self.until("flapping", "waiting").await;
        }
        self.until("flapping", "up").await;
        self.until("farm1", "waiting").await;
        self.until("alone", "waiting").await;
        self.until("refused", "waiting").await;
    }

    /// Mends the configuration, takes 25 sites more to a server that is dead, and gives the farm's sites a wrong user
    pub(super) async fn change_for_worse(&self) {
        let mut sites = String::new();
        for site in 0..25 {
            let _ =
                write!(sites, "[site.more{site}]\nserver = \"{DEAD_FARM}\"\nuser = \"m{site}\"\n");
        }
        self.clients.lock().await.clear();
        self.reload(&configuration("nobody", &sites)).await;
    }

    /// Takes four sites more to four servers that are dead, so that many fail together
    pub(super) async fn cut_off(&self) {
        let mut sites = String::new();
        for site in 0..25 {
            let _ =
                write!(sites, "[site.more{site}]\nserver = \"{DEAD_FARM}\"\nuser = \"m{site}\"\n");
        }
        for site in 0..8 {
            let _ = write!(
                sites,
                "[site.cut{site}]\nserver = \"10.99.0.{}\"\nuser = \"m\"\n",
                100 + site
            );
        }
        self.reload(&configuration("nobody", &sites)).await;
    }

    pub(super) async fn stop_supervisor(&self) {
        assert!(self.daemon.fleet().shut_down(Duration::from_secs(30)).await);
    }

    pub(super) async fn end(&self) {
        // false where the supervisor is gone already
        self.daemon.shut_down().await;
    }

    async fn reload(&self, configuration: &str) {
        fs::write(self.folder.join("connector.toml"), configuration).expect("it can be written");
        let report = self.daemon.reload(ReloadOptions::default()).await;
        report.unwrap_or_else(|error| panic!("{error:?}"));
    }

    /// Asks the SOCKS proxy for a site that is not there
    async fn refuse_a_client(&self) {
        let mut client = TcpStream::connect(SOCKS).await.expect("it listens");
        client.write_all(b"\x05\x01\x02\x01\x04none\x01x").await.expect("it takes them");
        client.write_all(b"\x05\x01\x00\x01\xc0\xa8\x01\x03\x00\x50").await.expect("it takes them");
        // whatever it is told: it ends
        let _ = client.read_to_end(&mut Vec::new()).await;
    }

    async fn until(&self, site: &str, wanted: &str) {
        let site = self.daemon.fleet().site(site).expect("the site is there");
        let mut state = site.state();
        let is_it = |state: &SiteState| state.name() == wanted;
        let reached = timeout(Duration::from_mins(2), state.wait_for(is_it)).await;
        reached.unwrap_or_else(|_| panic!("{site:?} is not {wanted} in time")).expect("the fleet");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A configuration with this beginning of the farm's users, and more sites
fn configuration(user: &str, more: &str) -> String {
    let mut text = format!(
        "[metrics]\nlisten = \"{METRICS}\"\nlabels = [\"city\"]\n[[proxy]]\nsocks = \"{SOCKS}\"\n\
         [defaults]\nuser = \"testuser\"\npassword = \"test123\"\n{more}\
         [site.flapping]\nserver = \"{FLAPPING}\"\nlabels = {{ city = \"\\\"Köln\\\"\\n\\\\\" }}\n\
         [site.silent]\nserver = \"{SILENT}\"\nprobe = \"tcp:192.168.1.77:80\"\n\
         [site.alone]\nserver = \"10.99.0.91\"\n\
         [site.refused]\nserver = \"{FARM}\"\nuser = \"wrong\"\n"
    );
    for site in 1..=2 {
        let _ = write!(text, "[site.farm{site}]\nserver = \"{DEAD_FARM}\"\nuser = \"f{site}\"\n");
    }
    for site in 1..=FARM_SITES {
        let _ = write!(text, "[site.a{site}]\nserver = \"{FARM}\"\nuser = \"{user}{site}\"\n");
        if site == 1 {
            let _ = writeln!(
                text,
                "forward = [{{ listen = \"{FORWARD}\", to = \"tcp:192.168.1.3:9\", connections = 2 }}]"
            );
        }
    }
    text
}

const HUB: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 1);
const FARM: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const FLAPPING: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
const SILENT: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 3);

/// Sites of the farm
const FARM_SITES: u32 = 14;

const SOCKS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1080);
const FORWARD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8017);
