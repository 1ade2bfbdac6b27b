//! Two hosts and the wire between them, in virtual time
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

pub mod dns;

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use pptp_netstack::{Local, LocalLink, Net, StackConfig, Stats};
use pptp_packet::VecEgress;
use tokio::{task::JoinHandle, time::Instant};

pub const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 234);
pub const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
pub const SECOND: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 3);
pub const MTU: usize = 1400;
const ROOM: usize = 64;

/// Turns at one instant
const MOST_TURNS: usize = 1_000;

/// The decision whether a packet gets through; the flag is true on the way to the server
type Passes = Box<dyn FnMut(bool, &[u8]) -> bool + Send>;

pub struct Pair {
    pub client: Net,
    pub server: Net,
    pub client_link: Arc<LocalLink>,
    pub server_link: Arc<LocalLink>,
    rules: Arc<Mutex<Rules>>,
    pump: JoinHandle<()>,
}

struct Rules {
    latency: Duration,
    room: usize,
    passes: Passes,
    seen: Vec<(bool, Vec<u8>)>,
    record: bool,
    to_server: VecDeque<Vec<u8>>,
    to_client: VecDeque<Vec<u8>>,
}

pub fn client_config() -> StackConfig {
    StackConfig { dns: vec![SERVER, SECOND], ..StackConfig::new(CLIENT, MTU, 1) }
}

pub fn server_config() -> StackConfig {
    let config = StackConfig::new(SERVER, 1500, 2);
    StackConfig { second_address: Some(SECOND), prefix_len: 24, ..config }
}

impl Pair {
    pub fn new() -> Self {
        Self::with(client_config(), server_config())
    }

    pub fn with(client: StackConfig, server: StackConfig) -> Self {
        let (client, client_link) = Local::new(client);
        let (server, server_link) = Local::new(server);
        let (client_link, server_link) = (Arc::new(client_link), Arc::new(server_link));
        let rules = Rules {
            latency: Duration::from_millis(5),
            room: ROOM,
            passes: Box::new(|_, _| true),
            seen: Vec::new(),
            record: false,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
        };
        let rules = Arc::new(Mutex::new(rules));
        let pump = tokio::spawn(pump(client_link.clone(), server_link.clone(), rules.clone()));
        Self { client, server, client_link, server_link, rules, pump }
    }

    pub fn set_latency(&self, one_way: Duration) {
        self.rules.lock().unwrap().latency = one_way;
    }

    /// Makes it a slow line: so many packets a millisecond
    pub fn set_room(&self, room: usize) {
        self.rules.lock().unwrap().room = room;
    }

    pub fn set_filter(&self, passes: impl FnMut(bool, &[u8]) -> bool + Send + 'static) {
        self.rules.lock().unwrap().passes = Box::new(passes);
    }

    pub fn cut(&self) {
        self.set_filter(|_, _| false);
    }

    pub fn mend(&self) {
        self.set_filter(|_, _| true);
    }

    /// The packets that were sent since recording began
    pub fn record(&self) -> Vec<(bool, Vec<u8>)> {
        let mut rules = self.rules.lock().unwrap();
        rules.record = true;
        std::mem::take(&mut rules.seen)
    }

    /// Gives a packet to the client that the server did not send
    pub fn inject(&self, packet: &[u8]) {
        self.client_link.handle_ip(Instant::now().into_std(), packet);
    }

    pub fn client_stats(&self) -> Stats {
        self.client_link.stats()
    }

    pub fn server_stats(&self) -> Stats {
        self.server_link.stats()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

async fn pump(client: Arc<LocalLink>, server: Arc<LocalLink>, rules: Arc<Mutex<Rules>>) {
    let mut flying: VecDeque<(Instant, bool, Vec<u8>)> = VecDeque::new();
    let (mut last, mut turns) = (Instant::now(), 0);
    loop {
        let next = flying.iter().map(|(at, ..)| *at).min();
        let arrival = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = client.ready() => {}
            () = server.ready() => {}
            () = arrival => {}
        }
        let now = Instant::now();
        turns = if now == last { turns + 1 } else { 0 };
        last = now;
        // virtual time stands still while anybody is busy, and so would the test
        assert!(turns < MOST_TURNS, "a host is busy for ever");
        let due = flying.iter().take_while(|(at, ..)| *at <= now).count();
        for (_, to_server, packet) in flying.drain(..due) {
            let link = if to_server { &server } else { &client };
            link.handle_ip(now.into_std(), &packet);
        }
        for (to_server, link) in [(true, &client), (false, &server)] {
            let room = rules.lock().unwrap().room;
            let mut out = VecEgress::new(room);
            link.turn(now.into_std(), &mut out);
            assert_eq!(out.dropped, 0, "composed without room");
            let mut rules = rules.lock().unwrap();
            for packet in out.packets {
                if rules.record {
                    rules.seen.push((to_server, packet.clone()));
                }
                if (rules.passes)(to_server, &packet) {
                    flying.push_back((now + rules.latency, to_server, packet));
                }
            }
        }
        if rules.lock().unwrap().room < ROOM {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

pub fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    (address, port).into()
}

pub fn any(port: u16) -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, port).into()
}

/// Octets that differ from place to place, so that a mix-up is seen
pub fn pattern(len: usize, seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed) | 0x100;
    let mut octet = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| octet()).collect()
}

/// The TCP flags of a packet
pub fn flags(packet: &[u8]) -> u8 {
    if packet[9] == 6 { packet[33] } else { 0 }
}

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
