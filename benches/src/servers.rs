//! The testkit's servers in a process of their own, for clients on the same host

use std::{io, net::Ipv4Addr, time::Duration};

use pptp::{Client, Tunnel, TunnelConfig};
use pptp_testkit::{Control, EchoPolicy, Server};
use tokio::{runtime::Runtime, sync::Semaphore, task::JoinSet};

use crate::process::Part;

/// Where clients are
pub const CLIENT: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Clients that one server takes
const CLIENTS: u32 = 200;

/// Starts a process with servers for that many tunnels
pub(crate) fn start(tunnels: u32) -> io::Result<Part> {
    let mut servers = Part::start(&format!("servers {}", tunnels.div_ceil(CLIENTS)))?;
    servers.line()?;
    Ok(servers)
}

/// Serves until the process is ended
pub(crate) fn play(count: u32) {
    let _ = pptp_gre_socket::raise_file_limit(u64::from(count * CLIENTS) + 1000);
    real_time().block_on(async {
        let mut servers = Vec::new();
        for number in 1..=count {
            servers.push(silent(number).serve(address_of(number)).await.expect("a server"));
        }
        println!("ready");
        std::future::pending::<()>().await;
    });
}

/// A runtime for a client or servers in memory, in virtual time
pub(crate) fn virtual_time() -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().expect("a runtime")
}

/// A runtime for a process
pub(crate) fn real_time() -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime")
}

/// A server that asks its clients for nothing, so that what they ask for by themselves is measured
fn silent(number: u32) -> pptp_testkit::ServerBuilder {
    let mut control = Control::default();
    control.timeouts.echo_idle = Duration::from_hours(24);
    let echo = EchoPolicy::DEFAULT.silence(Duration::ZERO);
    Server::builder(number).control(control).echo(echo)
}

/// 127.0.1.0 and what follows
fn address_of(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 1, 0).to_bits() + number)
}

/// A client on the loopback
pub(crate) fn client() -> Client {
    Client::builder().local_address(CLIENT).build().expect("a raw socket")
}

/// Connects that many tunnels, `most` of them at a time
pub(crate) async fn connect(
    client: &Client,
    tunnels: u32,
    most: usize,
    echo: EchoPolicy,
) -> Vec<Tunnel> {
    let (mut up, mut connecting) = (Vec::new(), JoinSet::new());
    let places = std::sync::Arc::new(Semaphore::new(most));
    for number in 0..tunnels {
        let place =
            std::sync::Arc::clone(&places).acquire_owned().await.expect("an open semaphore");
        let server = address_of(1 + number / CLIENTS).to_string();
        let config = TunnelConfig::new(server, "testuser", "test123").echo(echo);
        let client = client.clone();
        connecting.spawn(async move {
            let tunnel = client.connect(config).await;
            drop(place);
            tunnel.expect("a tunnel")
        });
        while let Some(tunnel) = connecting.try_join_next() {
            up.push(tunnel.expect("a connect"));
        }
    }
    up.extend(connecting.join_all().await);
    up
}
