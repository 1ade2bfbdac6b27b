//! A daemon with a configuration file, and servers in memory

use std::{
    fmt::Write,
    fs,
    net::Ipv4Addr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use pptp::Client;
use pptp_connector::{
    api::{ReloadOptions, ReloadReport},
    daemon::{ConfigurationFile, Daemon, Start},
};
use pptp_fleet::SiteState;
use pptp_testkit::{Server, memory};
use tokio::time::timeout;

/// A folder with a configuration, and servers in memory, each with a login for each of [`LOGINS`] sites
pub(crate) struct World {
    pub(crate) folder: PathBuf,
    client: Client,
    _servers: Vec<Server>,
}

impl World {
    /// Starts servers at a distance; building `n` is behind the server that [`address`] gives for it
    pub(crate) fn new(servers: u32, latency: Duration) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("pptp-scale-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let network = memory::Network::new(7);
        network.set_latency(latency);
        let serve = |building| {
            let mut server = Server::builder(building);
            for login in 0..LOGINS {
                server = server.secret(format!("u{login}"), "test123");
            }
            server.serve_memory(&network, address(building)).unwrap()
        };
        let servers = (1..=servers).map(serve).collect();
        let client = Client::builder().memory(network.host(HUB)).build().unwrap();
        Self { folder, client, _servers: servers }
    }

    pub(crate) fn file(&self) -> ConfigurationFile {
        ConfigurationFile { path: self.folder.join("connector.toml"), max_files: None }
    }

    pub(crate) fn write(&self, configuration: &str) {
        fs::write(self.folder.join("connector.toml"), configuration).unwrap();
    }

    pub(crate) async fn start(&self) -> Arc<Daemon> {
        let start = Start::of_file(self.file(), true).unwrap_or_else(|error| panic!("{}", error.0));
        Daemon::start_with(self.client.clone(), start).await.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A configuration of so many sites, spread over servers, with more keys for each by its number
///
/// Beyond [`LOGINS`] for each server there are sites whose login the server does not know.
pub(crate) fn configuration(sites: u32, servers: u32, keys: impl Fn(u32) -> String) -> String {
    let mut text = String::from("[defaults]\npassword = \"test123\"\n");
    for site in 0..sites {
        let (server, login) = (address(1 + site % servers), site / servers);
        let _ = writeln!(
            text,
            "[site.b{site}]\nserver = \"{server}\"\nuser = \"u{login}\"\n{}",
            keys(site)
        );
    }
    text
}

pub(crate) async fn reload(daemon: &Daemon) -> ReloadReport {
    daemon.reload(ReloadOptions::default()).await.unwrap()
}

/// Waits until a site is up
pub(crate) async fn until_up(daemon: &Daemon, site: &str) {
    let mut state = daemon.fleet().site(site).expect("the site is there").state();
    let up = timeout(Duration::from_mins(5), state.wait_for(SiteState::is_up)).await;
    up.unwrap_or_else(|_| panic!("{site} is not up in time")).expect("the fleet lives");
}

/// The address of a building's server
fn address(building: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 99, 0, 0).to_bits() + building)
}

/// Logins of a server
pub(crate) const LOGINS: u32 = 10;

const HUB: Ipv4Addr = Ipv4Addr::new(10, 98, 0, 1);
