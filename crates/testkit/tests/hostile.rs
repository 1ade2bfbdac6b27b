//! A server that gets hostile input survives, and serves the next client

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use pptp::{Client, Tunnel, TunnelConfig};
use pptp_control::{Config, ControlConnection, Event};
use pptp_gre_socket::{GreSocket, Outgoing, SendBatch};
use pptp_testkit::{DEVICE, Server, memory};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const CONTROL: SocketAddrV4 = SocketAddrV4::new(SERVER, 1723);
const HOSTILE: Ipv4Addr = Ipv4Addr::new(10, 99, 6, 6);
const GOOD: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 1);

struct World {
    network: memory::Network,
    server: Server,
    rng: StdRng,
}

impl World {
    fn new() -> Self {
        let network = memory::Network::new(0);
        let server = Server::builder(1).serve_memory(&network, SERVER).unwrap();
        Self { network, server, rng: StdRng::seed_from_u64(7) }
    }

    async fn connect(&self, from: Ipv4Addr) -> Tunnel {
        let client = Client::builder().memory(self.network.host(from)).build().unwrap();
        let config = TunnelConfig::new(SERVER.to_string(), "testuser", "test123");
        client.connect(config).await.expect("a tunnel")
    }

    /// A good client is served, and nothing is left when it has gone
    async fn lives(&self) {
        let tunnel = self.connect(GOOD).await;
        let mut echo = tunnel.tcp_connect((DEVICE, 7)).await.unwrap();
        echo.write_all(b"alive").await.unwrap();
        let mut answer = [0; 5];
        echo.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"alive");
        drop(echo);
        tunnel.close().await;
        timeout(Duration::from_mins(2), self.server.idle()).await.expect("no session is left");
    }

    fn octets(&mut self, most: usize) -> Vec<u8> {
        let mut octets = vec![0; self.rng.random_range(0..=most)];
        self.rng.fill_bytes(&mut octets);
        octets
    }
}

#[tokio::test(start_paused = true)]
async fn any_octets_on_the_control_connection() {
    let mut world = World::new();
    for round in 0..200 {
        let mut stream = world.network.host(HOSTILE).connect_tcp(CONTROL).await.unwrap();
        let mut octets = world.octets(400);
        if round % 2 == 0 {
            // as far as the magic cookie it is a message
            octets.splice(..0, [0, 156, 0, 1, 0x1A, 0x2B, 0x3C, 0x4D, 0, round % 17]);
        }
        // the server may close before it has taken all
        let _ = stream.write_all(&octets).await;
        if round % 3 == 0 {
            stream.reset();
        }
    }
    world.lives().await;
    assert_eq!(world.server.stats().connections_ever, 201);
}

#[tokio::test(start_paused = true)]
async fn silent_control_connections() {
    let world = World::new();
    let mut held = Vec::new();
    for _ in 0..50 {
        held.push(world.network.host(HOSTILE).connect_tcp(CONTROL).await.unwrap());
    }
    // addresses are left for others, and the silent ones are given up
    world.lives().await;
    for mut stream in held {
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
    }
}

/// Brings up a call by hand, and gives the Call ID that the server knows it by
async fn call(world: &World) -> (memory::MemoryStream, u16) {
    let mut stream = world.network.host(HOSTILE).connect_tcp(CONTROL).await.unwrap();
    let now = || Instant::now().into_std();
    let mut connection = ControlConnection::connect(Config::default(), 6, 6, now());
    loop {
        let mut out = Vec::new();
        connection.poll_transmit(&mut out);
        stream.write_all(&out).await.unwrap();
        while let Some(event) = connection.poll_event() {
            if let Event::CallConnected { peer_call_id, .. } = event {
                return (stream, peer_call_id);
            }
        }
        let mut octets = [0; 256];
        let count = stream.read(&mut octets).await.unwrap();
        connection.handle_octets(now(), &octets[..count]);
    }
}

#[tokio::test(start_paused = true)]
async fn any_datagram_in_any_call_or_none() {
    let mut world = World::new();
    let (stream, call_id) = call(&world).await;
    let mut socket = world.network.host(HOSTILE).open_gre();
    let mut batch = SendBatch::new(64);
    for round in 0..2000_u32 {
        let mut datagram = world.octets(64);
        if round % 4 > 0 {
            let mut header = vec![0x30, 0x01, 0x88, 0x0B, 0, u8::try_from(datagram.len()).unwrap()];
            header.extend(call_id.to_be_bytes());
            header.extend(round.to_be_bytes());
            if round % 4 == 2 {
                header.extend([0xFF, 0x03, 0xC0, 0x21, world.rng.random_range(0..16), 1]);
                header[5] += 6;
            }
            datagram.splice(..0, header);
        }
        let mut packet = batch.take_slot().unwrap();
        packet.reset(datagram.len()).copy_from_slice(&datagram);
        batch.push(Outgoing { packet, destination: SERVER, source: None, tag: 0 });
        assert!(socket.send(&mut batch, |_, error| panic!("{error}")).unwrap());
        tokio::task::yield_now().await;
    }
    world.server.until(|stats| stats.unknown_call > 0).await;
    drop(stream);
    world.lives().await;
}

#[tokio::test(start_paused = true)]
async fn any_ip_packet_in_a_tunnel() {
    let mut world = World::new();
    let tunnel = world.connect(HOSTILE).await;
    let address = tunnel.info().inner_address;
    let packets = tunnel.ip_packets().unwrap();
    for round in 0..2000_u16 {
        let mut packet = world.octets(120);
        packet.push(0);
        if round % 4 > 0 {
            let length = u8::try_from(20 + packet.len()).unwrap();
            let [high, low] = round.to_be_bytes();
            let protocol = [1, 6, 17][usize::from(round % 3)];
            let mut header = vec![0x45, 0, 0, length, high, low, 0, 0, 64, protocol, 0, 0];
            header.extend(address.octets());
            header.extend(DEVICE.octets());
            let words = header.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
            let sum: u32 = words.sum();
            let folded = (sum & 0xFFFF) + (sum >> 16);
            header[10..12].copy_from_slice(&(!u16::try_from(folded).unwrap()).to_be_bytes());
            packet.splice(..0, header);
        }
        // IPv6 is refused at once, where it was not asked for
        let is_ipv6 = packet[0] >> 4 == 6;
        assert_eq!(packets.send(&packet).await.is_err(), is_ipv6);
    }
    drop((packets, tunnel));
    world.lives().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read() {
    let world = World::new();
    let (mut stream, _) = call(&world).await;
    let echo_request = [0, 16, 0, 1, 0x1A, 0x2B, 0x3C, 0x4D, 0, 5, 0, 0, 0, 0, 0, 1];
    // each is answered with 20 octets, until the server has had enough
    let flood = async { while stream.write_all(&echo_request.repeat(16)).await.is_ok() {} };
    timeout(Duration::from_mins(1), flood).await.expect("the server gives it up");
    world.lives().await;
}
