//! A daemon with files and a state folder, servers in memory, and a control interface

use std::{
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
    api::{Door, Peer, Server},
    daemon::{ConfigurationFile, Daemon, Start},
    seal::{KeyPlace, PrivateKey},
    settings::ApiListener,
};
use pptp_testkit::{self as testkit, memory};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// A folder with a configuration, and a network in memory with one server
pub(crate) struct World {
    pub(crate) folder: PathBuf,
    pub(crate) client: Client,
    _server: testkit::Server,
    pub(crate) key: PrivateKey,
}

/// A daemon that runs, and its control interface
pub(crate) struct Running {
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) api: Server,
    stop: CancellationToken,
}

impl World {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pptp-manager-{}-{number}", std::process::id());
        let folder = parent().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let network = memory::Network::new(7);
        let server = testkit::Server::builder(1).secret("svc", PASSWORD);
        let server = server.serve_memory(&network, SERVER).unwrap();
        let client = Client::builder().memory(network.host(HUB)).build().unwrap();
        let key = KeyPlace::create(&folder.join("state")).unwrap();
        let world = Self { folder, client, _server: server, key };
        world.write("");
        world
    }

    /// Writes the configuration: a state folder, and these lines
    pub(crate) fn write(&self, lines: &str) {
        let text = format!("state = \"state\"\n{lines}");
        fs::write(self.folder.join("connector.toml"), text).unwrap();
    }

    pub(crate) fn file(&self) -> ConfigurationFile {
        ConfigurationFile { path: self.folder.join("connector.toml"), max_files: None }
    }

    /// The path of a file in the state folder
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.folder.join("state").join(name)
    }

    pub(crate) async fn start(&self) -> Running {
        let start = Start::of_file(self.file(), false).unwrap();
        let daemon = Daemon::start_with(self.client.clone(), start).await.unwrap();
        let stop = CancellationToken::new();
        let api = Server::new(Arc::clone(&daemon) as _, stop.clone());
        Running { daemon, api, stop }
    }
}

/// The folder of temporary files: in memory where there is one, since a busy disk takes its time to sync
pub(crate) fn parent() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Running {
    /// Asks on the control socket
    pub(crate) async fn ask(&self, method: &str, path: &str) -> Reply {
        self.send(None, method, path, &[], "").await
    }

    /// Asks with a body
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(None, "PUT", path, &[], &body.to_string()).await
    }

    /// Asks with the version of the set and with all sites
    pub(crate) async fn put_all(&self, query: &str, version: &str, sites: &Value) -> Reply {
        let (path, body) = (format!("/v1/sites{query}"), json!({ "sites": sites }).to_string());
        self.send(None, "PUT", &path, &[("if-match", version)], &body).await
    }

    /// Returns the version of the set
    pub(crate) async fn version(&self) -> String {
        self.ask("GET", "/v1/sites?limit=1").await.json()["version"].as_str().unwrap().to_owned()
    }

    /// Returns the connections of a listener of the configuration
    pub(crate) fn door(&self, listen: &str) -> Door {
        let all = self.daemon.api_listeners();
        let found =
            all.borrow().iter().map(ApiListener::listen).find(|it| it.to_string() == listen);
        let listen = found.expect("there is such a listener");
        self.api.door(listen, all)
    }

    /// Asks on a listener, or on the control socket
    pub(crate) async fn send(
        &self,
        door: Option<&Door>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "connection") {
            head.push_str("Connection: close\r\n");
        }
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str("Host: localhost\r\n");
        }
        for (name, value) in headers {
            head = format!("{head}{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head = format!("{head}Content-Length: {}\r\n", body.len());
        }
        let (mut client, server) = tokio::io::duplex(64 << 10);
        match door {
            Some(door) => door.accept(server, Peer::default()),
            None => {
                self.api.accept(server, Peer { uid: Some(0), pid: Some(1), address: None });
            }
        }
        let request = format!("{head}\r\n{body}");
        let (mut octets, mut piece) = (Vec::new(), vec![0; 64 << 10]);
        // one that refuses a body may not read it
        let _ = client.write_all(request.as_bytes()).await;
        // an answer without an end counts as far as it comes within a while
        while let Ok(Ok(length)) = timeout(Duration::from_secs(5), client.read(&mut piece)).await {
            if length == 0 {
                break;
            }
            octets.extend_from_slice(&piece[..length]);
        }
        Reply::read(&octets)
    }

    /// Waits until a site is in a state
    pub(crate) async fn until(&self, site: &str, state: &str) {
        let site = self.daemon.fleet().site(site).expect("the site is there");
        let mut states = site.state();
        let reached = states.wait_for(|now| now.name() == state);
        let reached = timeout(Duration::from_mins(5), reached).await;
        reached.unwrap_or_else(|_| panic!("{state}")).unwrap();
    }

    /// The end of its control interface
    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        assert!(self.daemon.shut_down().await);
    }
}

/// An answer
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    fn read(octets: &[u8]) -> Self {
        let text = String::from_utf8_lossy(octets).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The status and the kind of problem
    pub(crate) fn problem(&self) -> (u16, String) {
        (self.status, self.json()["type"].as_str().unwrap_or_default().to_owned())
    }

    /// The problems, each with its pointer
    pub(crate) fn errors(&self) -> Vec<(String, String)> {
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let json = self.json();
        let errors = json["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|it| (text(&it["pointer"]), text(&it["message"]))).collect()
    }
}

/// The keys of a site at the server
pub(crate) fn site() -> Value {
    json!({ "server": SERVER.to_string(), "user": "svc", "password": PASSWORD, "share_login": true })
}

/// The keys of a site, with these beside
pub(crate) fn site_with(more: &Value) -> Value {
    let mut site = site();
    let more = more.as_object().unwrap().clone();
    site.as_object_mut().unwrap().extend(more);
    site
}

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const HUB: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 1);
pub(crate) const PASSWORD: &str = "kennwort-4711";
