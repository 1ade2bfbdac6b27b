//! The whole way of a packet in memory: a client's tunnel, stack and socket, and a peer for them
//!
//! The client takes the same steps as a turn of the crate `pptp`. The peer is a real tunnel, so that
//! every datagram is a true one, but of TCP it knows no more than a bulk transfer needs; what it
//! does is not measured.

mod cipher;
mod client;
mod host;
mod queues;

use std::{
    array::from_fn,
    net::{Ipv4Addr, SocketAddrV4},
    ops::Range,
    time::{Duration, Instant},
};

use pptp_netstack::TcpOptions;
use pptp_tunnel::{
    Config, ConnectTimeline, ControlServerConfig, GreBehavior, LinkServerConfig, Password,
    ServerConfig, Tunnel,
};
use tokio::runtime::{Builder, Runtime};

pub use self::{
    cipher::{CipherOnly, Traffic},
    client::{Client, Socket, complete},
    host::{HEADERS, Host, ip_header},
    queues::{SendQueue, Slots},
};
use crate::{heap::allocations, measure::thread_time};

/// Packets of a batch
pub const PACKETS: usize = 8;
/// Octets of a whole IP packet where either end takes frames of 1400 octets
pub const FULL: usize = 1396;
/// Batches of a round, so that a round is as much as the driver receives at once
pub const BATCHES: usize = 8;
/// Packets of a round
pub const ROUND: u32 = 64;
const _: () = assert!(PACKETS * BATCHES == ROUND as usize);
/// Segments that the peer acknowledges at once (RFC 1122 §4.2.3.2)
pub const SEGMENTS_ACKNOWLEDGED: usize = 2;

/// Which way the data go
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the client
    Download,
    /// From the client
    Upload,
}

/// A tunnel with a TCP connection through it, and the peer of both
#[derive(Debug)]
pub struct Path {
    client: Client,
    socket: Socket,
    _idle: Vec<Socket>,
    server: Box<Tunnel>,
    host: Host,
    /// Octets of data in a segment
    segment: usize,
}

/// What one driver has for all its tunnels, the time, and the buffers of the sockets' tasks
#[derive(Debug)]
pub struct Road {
    /// Datagrams that came for the clients
    pub received: Slots,
    /// Datagrams that the clients send
    pub sent: SendQueue,
    /// Now
    pub now: Instant,
    packet: Vec<u8>,
    octets: Vec<u8>,
}

impl Road {
    /// Without traffic, at some moment
    pub fn new() -> Self {
        Self {
            received: Slots::new(PACKETS * BATCHES),
            sent: SendQueue::new(2 * PACKETS * BATCHES),
            now: Instant::now(),
            packet: Vec::new(),
            octets: vec![0x5A; 32 << 10],
        }
    }
}

impl Default for Road {
    fn default() -> Self {
        Self::new()
    }
}

/// What a round took and moved
#[derive(Clone, Debug)]
pub struct Round {
    /// CPU time of what the clients did
    pub time: Duration,
    /// How often they allocated
    pub allocations: usize,
    /// What there was for the cipher to do
    pub traffic: Traffic,
}

/// Takes a round: [`BATCHES`] batches of [`PACKETS`] packets, shared out over the paths in turn
///
/// The first one is for the path at `first`.
pub fn round(road: &mut Road, paths: &mut [Path], first: usize, direction: Direction) -> Round {
    let of_batch: [usize; BATCHES] = from_fn(|batch| (first + batch) % paths.len());
    road.received.clear();
    let batches = of_batch.map(|path| {
        let from = road.received.datagrams().len();
        paths[path].prepare(road, direction);
        (path, from..road.received.datagrams().len())
    });
    let opened = road.received.datagrams().iter();
    let opened = opened.filter_map(|packet| Traffic::inner_len(packet.as_slice())).collect();
    let before = allocations();
    let begin = thread_time();
    for batches in batches.chunks(paths.len()) {
        turns(road, paths, batches, direction);
    }
    let time = thread_time().saturating_sub(begin);
    let allocations = allocations() - before;
    let mut sealed = Vec::new();
    let Road { sent, now, .. } = road;
    sent.drain(|path, datagram| {
        sealed.extend(Traffic::inner_len(datagram));
        paths[path].deliver(*now, datagram);
    });
    for path in of_batch {
        exchange_control(&paths[path].client, &mut paths[path].server, *now);
    }
    Round { time, allocations, traffic: Traffic { opened, sealed } }
}

/// What is measured: a turn of each path that has a batch, with what its socket's task does
fn turns(
    road: &mut Road,
    paths: &mut [Path],
    batches: &[(usize, Range<usize>)],
    direction: Direction,
) {
    let Road { received, sent, now, octets, .. } = road;
    *now += TURN;
    for (path, datagrams) in batches {
        sent.tag = *path;
        let datagrams = &mut received.datagrams()[datagrams.clone()];
        paths[*path].client.inputs(*now, datagrams, sent);
    }
    for (path, _) in batches {
        paths[*path].use_socket(octets, direction);
    }
    for (path, _) in batches {
        sent.tag = *path;
        paths[*path].client.outputs(*now, sent);
    }
}

impl Path {
    /// Dials, and connects a socket with buffers of that many octets
    ///
    /// Needs a tokio runtime around it.
    pub fn new(road: &mut Road, buffer: usize) -> Self {
        Self::with_idle_sockets(road, buffer, 0)
    }

    /// The same, and before it connects sockets that stay idle
    pub fn with_idle_sockets(road: &mut Road, buffer: usize, count: usize) -> Self {
        let mut dialling = Dialling::new(road);
        dialling.come_up(road);
        let idle = (0..count).map(|_| dialling.connect(road, IDLE_BUFFER)).collect();
        let socket = dialling.connect(road, buffer);
        let Dialling { client, server, host } = dialling;
        let segment = client.mtu() - HEADERS;
        Self { client, socket, _idle: idle, server, host, segment }
    }

    /// Composes and seals a batch of the peer's: segments, or acknowledgments of segments
    fn prepare(&mut self, road: &mut Road, direction: Direction) {
        let Road { received, packet, octets, now, .. } = road;
        match direction {
            Direction::Download => {
                for _ in 0..PACKETS {
                    self.host.segment(packet, &octets[..self.segment]);
                    seal(&mut self.server, *now, received, packet);
                }
            }
            Direction::Upload => {
                let step = SEGMENTS_ACKNOWLEDGED * self.segment;
                for _ in 0..PACKETS / SEGMENTS_ACKNOWLEDGED {
                    if self.host.acknowledge(packet, step) {
                        seal(&mut self.server, *now, received, packet);
                    }
                }
            }
        }
    }

    /// What the socket's task does if it is woken
    fn use_socket(&mut self, octets: &mut [u8], direction: Direction) {
        match direction {
            Direction::Download => {
                let read = self.socket.read(octets);
                assert_eq!(read, PACKETS * self.segment, "all was read");
            }
            Direction::Upload => _ = self.socket.write(octets),
        }
    }

    /// The peer takes a datagram
    fn deliver(&mut self, now: Instant, datagram: &mut [u8]) {
        if let Some(packet) = self.server.handle_gre(now, datagram) {
            self.host.handle(packet);
        }
    }
}

fn seal(server: &mut Tunnel, now: Instant, received: &mut Slots, packet: &[u8]) {
    let slot = received.take(packet.len());
    slot.as_mut_slice().copy_from_slice(packet);
    server.seal(now, slot);
}

/// A tunnel that is not up yet
struct Dialling {
    client: Client,
    server: Box<Tunnel>,
    host: Host,
}

impl Dialling {
    fn new(road: &Road) -> Self {
        let server = Tunnel::accept(server_config(), SERVER_CALL, [2; 32], road.now);
        let mut config = Config::new(USER, Password::new(PASSWORD));
        config.link.proof.is_enabled = false; // this host answers no ping, and is asked again for 3 s
        let timeline = ConnectTimeline::new(road.now);
        let client = Tunnel::connect(config, CLIENT_CALL, [1; 32], timeline, road.now);
        let host = Host::new(SocketAddrV4::new(HOST, 80));
        Self { client: Client::new(client), server: Box::new(server), host }
    }

    fn connect(&mut self, road: &mut Road, buffer: usize) -> Socket {
        let options =
            TcpOptions::default().receive_buffer(buffer).send_buffer(buffer).nodelay(true);
        let connect = self.client.connect(SocketAddrV4::new(HOST, 80), options);
        let stream = complete(connect, || self.turn(road));
        self.turn(road);
        Socket::new(stream.expect("the host answers"))
    }

    fn come_up(&mut self, road: &mut Road) {
        for _ in 0..100 {
            self.turn(road);
            if self.client.is_up() {
                return;
            }
        }
        panic!("not up after 100 turns");
    }

    /// A turn of either end, and of the host
    fn turn(&mut self, road: &mut Road) {
        let Self { client, server, host } = self;
        let Road { received, sent, now, packet, .. } = road;
        *now += TURN;
        client.inputs(*now, received.datagrams(), sent);
        client.outputs(*now, sent);
        received.clear();
        server.handle_timeout(*now);
        let mut syn = false;
        sent.drain(|_, datagram| {
            if let Some(packet) = server.handle_gre(*now, datagram) {
                syn |= host.handle(packet);
            }
        });
        while server.poll_event().is_some() {}
        server.poll_frames(*now, received);
        if syn {
            host.syn_ack(packet);
            seal(server, *now, received, packet);
        }
        server.poll_gre(*now, received);
        exchange_control(client, server, *now);
    }
}

/// Hands over what the control connections have to say, echoes among it
fn exchange_control(client: &Client, server: &mut Tunnel, now: Instant) {
    let mut control = client.exchange_control(now, &[]);
    if !control.is_empty() {
        server.handle_control(now, &control);
        control.clear();
    }
    if server.poll_control(now, &mut control) {
        client.exchange_control(now, &control);
    }
}

/// What sockets need around them
pub fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime needs nothing but memory")
}

pub(crate) fn server_config() -> ServerConfig {
    let mut link = LinkServerConfig::new(HOST, Ipv4Addr::new(192, 168, 1, 200));
    link.secrets = vec![(USER.to_owned(), Password::new(PASSWORD))];
    // more than a round sends before it is acknowledged
    let control = ControlServerConfig { receive_window: Some(1024), ..Default::default() };
    ServerConfig { control, link, gre: GreBehavior::default() }
}

pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "password";
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const CLIENT_CALL: u16 = 1;
const SERVER_CALL: u16 = 2;

/// Of a socket that nobody uses
const IDLE_BUFFER: usize = 4 << 10;
/// The time from one turn to the next: eight packets of a line with 100 Mbit/s
const TURN: Duration = Duration::from_millis(1);
