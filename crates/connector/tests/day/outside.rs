//! The network as the daemon sees it: names, and a host for each daemon

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use pptp::{Password, VirtualHost, error::OpenError};
use pptp_fleet::{Fetching, SecretSource};
use pptp_testkit::memory;
use tokio::time::sleep;

/// What is outside of the daemon: the DNS, and the place of passwords
#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(crate) names: Mutex<BTreeMap<String, Ipv4Addr>>,
    /// The servers that accept connections and say nothing
    pub(crate) silent: Mutex<BTreeSet<Ipv4Addr>>,
    /// Passwords are not to be had
    pub(crate) secrets_hang: AtomicBool,
    /// TCP connections that were begun to a server
    pub(crate) connects: AtomicU64,
}

/// The host that a daemon runs on
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) host: memory::Host,
    pub(crate) outside: Arc<Outside>,
}

impl VirtualHost for Hub {
    type Gre = memory::MemorySocket;
    type Stream = memory::MemoryStream;

    fn open_gre(&self) -> Result<Self::Gre, OpenError> {
        self.host.try_open_gre()
    }

    async fn connect_tcp(&self, server: SocketAddrV4) -> io::Result<(Self::Stream, SocketAddrV4)> {
        self.outside.connects.fetch_add(1, Ordering::Relaxed);
        let is_silent = self.outside.silent.lock().unwrap().contains(server.ip());
        let port = server.port();
        let server = if is_silent { SocketAddrV4::new(SILENCE, port) } else { server };
        let stream = self.host.connect_tcp(server).await?;
        let local = stream.local_addr();
        Ok((stream, local))
    }

    fn resolve(&self, name: &str) -> Option<Vec<Ipv4Addr>> {
        self.outside.names.lock().unwrap().get(name).map(|address| vec![*address])
    }

    fn random_seed(&self) -> [u8; 32] {
        self.host.random_seed()
    }
}

impl Outside {
    pub(crate) fn set_silent(&self, server: Ipv4Addr, is_silent: bool) {
        let mut silent = self.silent.lock().unwrap();
        if is_silent {
            silent.insert(server)
        } else {
            silent.remove(&server)
        };
    }
}

/// Accepts connections in the name of all silent servers, reads them to their ends, and says nothing
pub(crate) fn serve_silence(network: &memory::Network) {
    let listener = network.host(SILENCE).listen_tcp(PPTP).expect("its port is free");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // whatever ends it, nothing was said
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            });
        }
    });
}

/// The place of some passwords
pub(crate) struct Vault(pub(crate) Arc<Outside>);

impl SecretSource for Vault {
    fn name(&self) -> String {
        "a vault".to_owned()
    }

    fn fetch(&self) -> Fetching {
        let outside = Arc::clone(&self.0);
        Box::pin(async move {
            if outside.secrets_hang.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            sleep(Duration::from_millis(100)).await;
            Ok(Password::new(PASSWORD))
        })
    }
}

/// The host that accepts connections in the name of silent servers
const SILENCE: Ipv4Addr = Ipv4Addr::new(10, 97, 0, 1);

/// The port of PPTP (RFC 2637 §3)
const PPTP: u16 = 1723;

/// The password of all accounts
pub(crate) const PASSWORD: &str = "test123";
