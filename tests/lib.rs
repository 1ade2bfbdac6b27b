//! What the end-to-end tests share: a network in memory with a client, and questions to a building

#[cfg(target_os = "linux")]
pub mod namespace;
pub mod pcapng;

use std::{io, net::Ipv4Addr, time::Duration};

use pptp::{Client, Connecting, Tunnel, TunnelConfig};
use pptp_test_support::{digest, knx};
use pptp_testkit::{DEVICE, Server, ServerBuilder, memory::Network};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

/// A network in memory, and a client on it
#[derive(Debug)]
pub struct World {
    /// The network, for what goes wrong in it
    pub network: Network,
    /// The client, at [`CLIENT`]
    pub client: Client,
}

impl World {
    /// A world in which everything takes so many milliseconds one way
    pub fn new(latency_ms: u64) -> Self {
        let network = Network::new(1);
        network.set_latency(Duration::from_millis(latency_ms));
        let client = client_at(&network, CLIENT);
        Self { network, client }
    }

    /// A server for a building, with the defaults
    pub fn building(&self, number: u8) -> Server {
        self.serve(number, Server::builder(number.into()))
    }

    /// A server with options of its own, at [`address_of`] its number
    pub fn serve(&self, number: u8, builder: ServerBuilder) -> Server {
        builder.serve_memory(&self.network, address_of(number)).expect("a free address")
    }

    /// Begins to connect, as the testkit's user
    pub fn dial(&self, server: &Server) -> Connecting {
        self.client.connect(config(server.address()))
    }

    /// Connects, as the testkit's user
    pub async fn connect(&self, server: &Server) -> Tunnel {
        self.dial(server).await.expect("a tunnel")
    }
}

/// Where the client of a [`World`] is
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 1);

/// Where the server of a building is
pub const fn address_of(building: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, 0, building)
}

/// A client on a host of its own
pub fn client_at(network: &Network, address: Ipv4Addr) -> Client {
    Client::builder().memory(network.host(address)).build().expect("a client within a runtime")
}

/// A tunnel of the testkit's user
pub fn config(server: Ipv4Addr) -> TunnelConfig {
    TunnelConfig::new(server.to_string(), "testuser", "test123")
}

/// The body of a page of the device
pub async fn get(tunnel: &Tunnel, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = tunnel.tcp_connect((DEVICE, 80)).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    Ok(answer.split_off(head + 4))
}

/// Sends octets to the device's sink, which tells that it has them all; returns how long that took
pub async fn upload(tunnel: &Tunnel, octets: &[u8]) -> io::Result<Duration> {
    let mut sink = tunnel.tcp_connect((DEVICE, 9)).await?;
    let began = Instant::now();
    sink.write_all(octets).await?;
    sink.shutdown().await?;
    let mut answer = String::new();
    sink.read_to_string(&mut answer).await?;
    assert_eq!(answer, digest_of(octets));
    Ok(began.elapsed())
}

/// The name in the device's KNXnet/IP description
pub async fn knx_name(tunnel: &Tunnel) -> io::Result<String> {
    let socket = tunnel.udp_bind(0)?;
    socket.send_to(&knx::DESCRIPTION_REQUEST, (DEVICE, 3671)).await?;
    let mut answer = [0; 512];
    let (length, from) = socket.recv_from(&mut answer).await?;
    assert_eq!(from, (DEVICE, 3671).into());
    Ok(knx::friendly_name(&answer[..length]).expect("a DESCRIPTION_RESPONSE"))
}

/// The SHA-256 of some octets, as the testkit's sink tells it
pub fn digest_of(octets: &[u8]) -> String {
    digest::sha256(octets) + "\n"
}
