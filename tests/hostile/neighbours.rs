//! The peer of one tunnel, or whoever speaks in its name, never reaches another tunnel

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};

use pptp::{State, Tunnel, net::UdpSocket};
use pptp_testkit::{DEVICE, Server, UdpOptions, memory::Network};
use pptp_tests::{CLIENT, World, address_of, get};
use tokio::time::{sleep, timeout};

use crate::attacker::{Seen, gre, ppp};

const PORT: u16 = 5000;

/// The latest datagram to each of the client's calls, by the call and the server it came from
type Latest = Arc<Mutex<BTreeMap<u16, (Ipv4Addr, Seen)>>>;

fn listen(network: &Network) -> Latest {
    let latest = Latest::default();
    let heard = Arc::clone(&latest);
    network.wiretap_gre(move |from, to, gre| {
        if let Some(seen) = Seen::parse(gre).filter(|_| to == CLIENT) {
            heard.lock().expect("alone").insert(seen.call_id, (from, seen));
        }
        Vec::new()
    });
    latest
}

fn is_up(tunnel: &Tunnel) -> bool {
    matches!(*tunnel.state().borrow(), State::Up)
}

/// Two tunnels to one server, and a third to another
struct Neighbours {
    world: World,
    servers: [Server; 2],
    tunnels: [Tunnel; 3],
    /// Bound to the same port of each tunnel
    sockets: [UdpSocket; 3],
    latest: Latest,
}

impl Neighbours {
    async fn new() -> Self {
        let world = World::new(10);
        let latest = listen(&world.network);
        let servers = [world.building(1), world.building(2)];
        let tunnels = [
            world.connect(&servers[0]).await,
            world.connect(&servers[0]).await,
            world.connect(&servers[1]).await,
        ];
        let sockets = [0, 1, 2].map(|which: usize| tunnels[which].udp_bind(PORT).expect("free"));
        let it = Self { world, servers, tunnels, sockets, latest };
        it.all_go_on().await;
        it
    }

    /// Each tunnel reaches its own building, and nothing came into its socket
    async fn all_go_on(&self) {
        for (which, tunnel) in self.tunnels.iter().enumerate() {
            let building = if which < 2 { 1 } else { 2 };
            let page = get(tunnel, "/").await.expect("a page");
            assert_eq!(page, format!("building {building}\n").into_bytes());
            assert!(is_up(tunnel));
            assert!(self.sockets[which].try_recv(&mut [0; 64]).is_err(), "tunnel {which}");
        }
    }

    /// The calls in the order in which they were dialled, with their latest datagrams
    fn calls(&self) -> [Seen; 3] {
        let latest = self.latest.lock().expect("alone");
        let of_server = |number| {
            let from = address_of(number);
            latest.values().filter(move |(source, _)| *source == from).map(|(_, seen)| seen.clone())
        };
        let calls: Vec<_> = of_server(1).chain(of_server(2)).collect();
        calls.try_into().expect("three")
    }

    fn forge(&self, source: Ipv4Addr, datagram: &Seen) {
        self.world.network.forge_gre(source, CLIENT, &datagram.emit());
    }
}

#[tokio::test(start_paused = true)]
async fn frames_of_one_call_under_the_call_id_of_another() {
    let all = Neighbours::new().await;
    for round in 0..50 {
        let calls = all.calls();
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
            let server = if to < 2 { 1 } else { 2 };
            let sequence = calls[to].sequence.wrapping_add(round % 3);
            let swapped = Seen { call_id: calls[to].call_id, sequence, ..calls[from].clone() };
            all.forge(address_of(server), &swapped);
        }
        sleep(Duration::from_millis(20)).await;
        all.all_go_on().await;
    }
    for tunnel in &all.tunnels {
        let stats = tunnel.stats().tunnel;
        assert!(stats.link.undecryptable > 0, "{stats:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_of_one_server_in_the_name_of_another() {
    let all = Neighbours::new().await;
    let before = all.world.client.stats().unknown_call;
    let stranger = Ipv4Addr::new(10, 99, 6, 6);
    all.world.network.host(stranger);
    for _ in 0..10 {
        for (call, seen) in all.calls().into_iter().enumerate() {
            let other = if call < 2 { address_of(2) } else { address_of(1) };
            for source in [other, stranger] {
                // the next frame of the call, and one that would end its link
                let sequence = seen.sequence.wrapping_add(1);
                all.forge(source, &Seen { sequence, ..seen.clone() });
                let frame = ppp(0xC021, 5, 1, &[]);
                all.forge(source, &Seen { sequence, frame, ..seen.clone() });
            }
        }
        sleep(Duration::from_millis(20)).await;
        all.all_go_on().await;
    }
    assert_eq!(all.world.client.stats().unknown_call - before, 10 * 3 * 4);
}

#[tokio::test(start_paused = true)]
async fn an_inner_address_that_another_tunnel_has_too() {
    let all = Neighbours::new().await;
    let inner = |which: usize| all.tunnels[which].info().inner_address;
    assert_eq!(inner(0), inner(2), "each building gives the same addresses");
    let net = all.servers[0].net();
    let from = net.udp_bind((DEVICE, 9000).into(), UdpOptions::default()).expect("a socket");
    for (to, expected) in [(inner(0), 0), (inner(1), 1)] {
        from.send_to(b"for one alone", (to, PORT)).await.expect("sent");
        sleep(Duration::from_millis(50)).await;
        let came = all.sockets[expected].try_recv(&mut [0; 64]);
        assert_eq!(came.expect("it came"), 13);
        all.all_go_on().await;
    }
}

/// A control message (RFC 2637 §1.4)
fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(12 + body.len()).expect("short").to_be_bytes();
    let kind = kind.to_be_bytes();
    [&length[..], &[0, 1, 0x1A, 0x2B, 0x3C, 0x4D], &kind, &[0, 0], body].concat()
}

#[tokio::test(start_paused = true)]
async fn a_control_connection_that_names_the_call_of_another() {
    let all = Neighbours::new().await;
    let host = all.world.network.host(CLIENT);
    let [_, _, third] = all.calls();
    // server 1 speaks of the call that server 2 has with us, by our Call ID and by any of its own
    for call_id in [third.call_id, 1, 2, 0xFFFF] {
        let call = call_id.to_be_bytes();
        let disconnected = [&call[..], &[4, 0, 0, 0, 0, 0], &[0; 128]].concat();
        let errors = [&call[..], &[0, 0], &[0xFF; 24]].concat();
        let link_info = [&call[..], &[0, 0], &[0xFF; 8]].concat();
        for (kind, body) in [(13, disconnected), (14, errors), (15, link_info)] {
            host.forge_octets(address_of(1), &message(kind, &body));
        }
        sleep(Duration::from_millis(50)).await;
        let page = timeout(Duration::from_secs(5), get(&all.tunnels[2], "/")).await;
        assert_eq!(page.expect("in time").expect("a page"), b"building 2\n");
        assert!(is_up(&all.tunnels[2]));
    }
    // what a server says ends a call, whatever Call ID it says it with: it has only one with us
    assert!(!is_up(&all.tunnels[0]));
}

#[tokio::test(start_paused = true)]
async fn what_ends_one_tunnel_ends_no_other() {
    let all = Neighbours::new().await;
    let calls = all.calls();
    let first = &calls[0];
    let terminate = gre(first.call_id, Some(first.sequence + 1), None, &ppp(0xC021, 5, 1, &[]));
    all.world.network.forge_gre(address_of(1), CLIENT, &terminate);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(all.tunnels.each_ref().map(is_up), [true; 3], "the server does not confirm it");
    all.tunnels[0].hang_up();
    sleep(Duration::from_secs(10)).await;
    let up = all.tunnels.each_ref().map(is_up);
    assert_eq!(up.iter().filter(|up| **up).count(), 2, "{up:?}");
    for (which, tunnel) in all.tunnels.iter().enumerate().filter(|(which, _)| up[*which]) {
        let building = if which < 2 { 1 } else { 2 };
        let page = get(tunnel, "/").await.expect("a page");
        assert_eq!(page, format!("building {building}\n").into_bytes());
    }
}
