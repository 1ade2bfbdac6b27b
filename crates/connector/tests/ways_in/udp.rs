//! UDP forwards: inner ports and how long they are kept, sources, redials, bounds

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use pptp_connector::{
    settings::{Clients, ForwardSettings, Limits, Protocol},
    way_in::{Datagrams, MemoryDatagrams},
};
use pptp_fleet::Connect;
use pptp_testkit::{LanHost, Server, UdpSocket, content};
use tokio::time::{sleep, timeout};

use crate::world::{World, local, log_lines, name};

const PORT: u16 = 3671;

/// A building with a host of the test's own, whose socket on port 5000 a forward leads to
async fn with_host() -> (World, Server, LanHost, UdpSocket) {
    let (mut world, server) = World::one_building().await;
    let host = server.add_host(Ipv4Addr::new(192, 168, 1, 50)).unwrap();
    let socket = host.udp_bind(5000).unwrap();
    world.forward(1, local(PORT), "192.168.1.50:5000", Protocol::UDP);
    world.apply().await;
    (world, server, host, socket)
}

fn first_forward(world: &mut World) -> &mut ForwardSettings {
    &mut world.settings.sites.get_mut(&name(1)).unwrap().forwards[0]
}

/// A client of this machine
fn client(port: u16) -> SocketAddr {
    local(port)
}

/// What a host of a building gets next, with the inner address of the client
async fn at_host(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut octets = vec![0; 2048];
    let received = timeout(Duration::from_secs(2), socket.recv_from(&mut octets)).await;
    let (count, from) = received.ok()?.unwrap();
    octets.truncate(count);
    Some((octets, from))
}

/// What comes back, and for which client
async fn answer(clients: &MemoryDatagrams) -> Option<(Vec<u8>, SocketAddr)> {
    let received = timeout(Duration::from_secs(2), clients.receive()).await;
    received.ok().map(|received| received.unwrap())
}

/// The inner port from which a client's datagram arrives
async fn inner(clients: &MemoryDatagrams, from: u16, socket: &UdpSocket) -> SocketAddr {
    clients.try_send_to(b"x", client(from)).unwrap();
    at_host(socket).await.expect("it arrives").1
}

#[tokio::test(start_paused = true)]
async fn each_client_has_an_inner_port_and_gets_what_is_sent_to_it() {
    let (world, _server, _host, socket) = with_host().await;
    let clients = world.datagrams(PORT).await;
    let one = inner(&clients, 1001, &socket).await;
    let two = inner(&clients, 1002, &socket).await;
    assert_ne!(one, two);
    for _ in 0..3 {
        socket.send_to(b"for one", one).await.unwrap();
        socket.send_to(b"for two!", two).await.unwrap();
        assert_eq!(answer(&clients).await, Some((b"for one".to_vec(), client(1001))));
        assert_eq!(answer(&clients).await, Some((b"for two!".to_vec(), client(1002))));
        assert_eq!(inner(&clients, 1001, &socket).await, one);
    }
    let counters = world.counters(PORT).await;
    assert_eq!((counters.accepted(), counters.now()), (2, 2));
    assert_eq!(counters.octets(), (5, 45));
    assert_eq!(counters.dropped(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_inner_port_is_kept_for_five_minutes_after_the_last_datagram() {
    let (world, _server, _host, socket) = with_host().await;
    let clients = world.datagrams(PORT).await;
    let first = inner(&clients, 1001, &socket).await;
    sleep(Duration::from_secs(290)).await;
    assert_eq!(inner(&clients, 1001, &socket).await, first);
    sleep(Duration::from_secs(290)).await;
    // one of the device keeps it as well
    socket.send_to(b"hello", first).await.unwrap();
    assert!(answer(&clients).await.is_some());
    sleep(Duration::from_secs(290)).await;
    assert_eq!(world.counters(PORT).await.now(), 1);
    assert_eq!(inner(&clients, 1001, &socket).await, first);
    sleep(Duration::from_secs(301)).await;
    assert_eq!(world.counters(PORT).await.now(), 0);
    assert_ne!(inner(&clients, 1001, &socket).await, first);
}

#[tokio::test(start_paused = true)]
async fn a_forward_may_keep_inner_ports_for_another_time() {
    let (mut world, _server, _host, socket) = with_host().await;
    let idle = Duration::from_secs(30);
    first_forward(&mut world).protocol = Protocol::Udp { idle, any_source: false };
    world.apply().await;
    let clients = world.datagrams(PORT).await;
    inner(&clients, 1001, &socket).await;
    sleep(Duration::from_secs(29)).await;
    assert_eq!(world.counters(PORT).await.now(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.counters(PORT).await.now(), 0);
}

#[tokio::test(start_paused = true)]
async fn answers_of_others_than_the_target_are_dropped_unless_they_are_asked_for() {
    let (mut world, server, host, socket) = with_host().await;
    let other_port = host.udp_bind(5001).unwrap();
    let other = server.add_host(Ipv4Addr::new(192, 168, 1, 51)).unwrap();
    let other_host = other.udp_bind(5000).unwrap();
    let clients = world.datagrams(PORT).await;
    let kept = inner(&clients, 1001, &socket).await;
    for stranger in [&other_port, &other_host] {
        stranger.send_to(b"stranger", kept).await.unwrap();
    }
    assert_eq!(answer(&clients).await, None);
    assert_eq!(world.counters(PORT).await.dropped(), 2);
    socket.send_to(b"target", kept).await.unwrap();
    assert_eq!(answer(&clients).await, Some((b"target".to_vec(), client(1001))));
    let idle = Duration::from_mins(5);
    first_forward(&mut world).protocol = Protocol::Udp { idle, any_source: true };
    world.apply().await;
    let next = inner(&clients, 1001, &socket).await;
    for source in [&other_port, &other_host, &socket] {
        source.send_to(b"anyone", next).await.unwrap();
        assert_eq!(answer(&clients).await, Some((b"anyone".to_vec(), client(1001))));
    }
}

#[tokio::test(start_paused = true)]
async fn an_inner_port_is_the_same_over_a_redial_with_the_same_address() {
    let (world, mut server, _host, socket) = with_host().await;
    let clients = world.datagrams(PORT).await;
    let before = inner(&clients, 1001, &socket).await;
    server.restart().await.unwrap();
    // the device may be the first to speak
    let mut answered = None;
    for _ in 0..60 {
        let _ = socket.send_to(b"telegram", before).await;
        answered = answer(&clients).await;
        if answered.is_some() {
            break;
        }
    }
    assert_eq!(answered, Some((b"telegram".to_vec(), client(1001))));
    assert_eq!(inner(&clients, 1001, &socket).await, before);
    assert_eq!(world.counters(PORT).await.accepted(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_redial_with_another_address_gives_a_client_another_socket() {
    let (world, mut server, _host, socket) = with_host().await;
    let clients = world.datagrams(PORT).await;
    let before = inner(&clients, 1001, &socket).await;
    server.restart().await.unwrap();
    server.add_host(Ipv4Addr::new(192, 168, 1, 20)).expect("the inner address is taken");
    world.until("b1", "up").await;
    let mut after = None;
    for _ in 0..60 {
        clients.try_send_to(b"x", client(1001)).unwrap();
        after = at_host(&socket).await;
        if after.is_some() {
            break;
        }
    }
    let (_, after) = after.expect("it arrives");
    assert_ne!(after.ip(), before.ip());
    socket.send_to(b"answer", after).await.unwrap();
    assert_eq!(answer(&clients).await, Some((b"answer".to_vec(), client(1001))));
}

#[tokio::test(start_paused = true)]
async fn datagrams_wait_for_a_site_that_comes_up_in_time_within_their_bounds() {
    let mut world = World::new();
    let idle = Duration::from_mins(1);
    let site = world.add(1);
    site.dial = site.dial.clone().connect(Connect::OnDemand { idle });
    world.forward(1, local(PORT), "192.168.1.3:7", Protocol::UDP);
    world.forward(1, local(9), "192.168.1.3:7", Protocol::UDP);
    world.apply().await;
    let _server = world.serve(1);
    let (clients, long) = (world.datagrams(PORT).await, world.datagrams(9).await);
    for number in 0..100 {
        clients.try_send_to(&[number], client(1001)).unwrap();
    }
    for number in 0..10 {
        long.try_send_to(&[number; 10_000], client(1001)).unwrap();
    }
    for number in 0..64 {
        assert_eq!(answer(&clients).await, Some((vec![number], client(1001))));
    }
    assert_eq!(answer(&clients).await, None);
    assert_eq!(world.counters(PORT).await.dropped(), 36);
    assert_eq!(world.counters(9).await.dropped(), 4, "64 KiB are six of them");
    // the last use is five minutes ago, and then the site's own time goes by
    world.until("b1", "up").await;
    sleep(Duration::from_mins(4)).await;
    world.until("b1", "up").await;
    sleep(Duration::from_secs(150)).await;
    world.until("b1", "idle").await;
}

#[tokio::test(start_paused = true)]
async fn datagrams_for_a_site_that_is_not_up_in_time_are_dropped_and_told_once() {
    let mut world = World::new();
    let mut server = world.serve(1);
    server.power_off().unwrap();
    world.add(1).wait = Duration::from_secs(4);
    world.forward(1, local(PORT), "192.168.1.3:7", Protocol::UDP);
    world.apply().await;
    let clients = world.datagrams(PORT).await;
    for _ in 0..5 {
        clients.try_send_to(b"early", client(1001)).unwrap();
    }
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.counters(PORT).await.dropped(), 5);
    assert_eq!(world.refused(PORT).await, [("not-up", 1)].into());
    assert_eq!(log_lines().len(), 1, "{:?}", log_lines());
    server.restart().await.unwrap();
    world.until("b1", "up").await;
    clients.try_send_to(b"late", client(1001)).unwrap();
    assert_eq!(answer(&clients).await, Some((b"late".to_vec(), client(1001))));
    assert_eq!(world.counters(PORT).await.accepted(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_port_on_which_nobody_listens_does_not_end_a_clients_socket() {
    let (world, _server, host, socket) = with_host().await;
    let clients = world.datagrams(PORT).await;
    let before = inner(&clients, 1001, &socket).await;
    drop(socket);
    for _ in 0..5 {
        clients.try_send_to(b"x", client(1001)).unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    let socket = host.udp_bind(5000).unwrap();
    assert_eq!(inner(&clients, 1001, &socket).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_client_more_takes_the_place_of_the_most_silent_one() {
    let (mut world, _server, _host, socket) = with_host().await;
    first_forward(&mut world).max_clients = 4;
    world.apply().await;
    let clients = world.datagrams(PORT).await;
    let mut ports = Vec::new();
    for from in [1001, 1002, 1003, 1004, 1001] {
        ports.push(inner(&clients, from, &socket).await);
        sleep(Duration::from_secs(1)).await;
    }
    // its first datagram arrives, and the second client is the one that has gone
    let fifth = inner(&clients, 1005, &socket).await;
    assert!(!ports.contains(&fifth));
    for (from, port) in [(1001, ports[0]), (1003, ports[2]), (1004, ports[3]), (1005, fifth)] {
        assert_eq!(inner(&clients, from, &socket).await, port, "{from}");
        socket.send_to(b"x", port).await.unwrap();
        assert_eq!(answer(&clients).await, Some((b"x".to_vec(), client(from))));
    }
    socket.send_to(b"x", ports[1]).await.unwrap();
    assert_eq!(answer(&clients).await, None);
    let counters = world.counters(PORT).await;
    assert_eq!((counters.accepted(), counters.now(), counters.dropped()), (5, 4, 0));
    // many clients at once: the table has its bound, and the last ones are in it
    for from in 2000..2100 {
        clients.try_send_to(b"x", client(from)).unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(counters.now(), 4);
}

#[tokio::test(start_paused = true)]
async fn places_of_the_process_that_are_all_taken_are_not_those_of_a_neighbour() {
    let mut world = World::with_limits(Limits { connections: 6, ..Limits::default() });
    let _server = world.serve(1);
    world.add(1);
    for port in [1, 2, 3] {
        world.forward(1, local(port), "192.168.1.3:7", Protocol::UDP);
    }
    world.apply().await;
    world.until("b1", "up").await;
    let mut listeners = Vec::new();
    for port in [1, 2, 3] {
        listeners.push(world.datagrams(port).await);
    }
    let mut got = Vec::new();
    for listener in &listeners {
        let mut count = 0;
        for from in 1001..=1004 {
            listener.try_send_to(b"x", client(from)).unwrap();
            count += usize::from(answer(listener).await.is_some());
        }
        got.push(count);
    }
    // each has half of the six; the last finds none, and its neighbours keep theirs
    assert_eq!(got, [4, 4, 0]);
    for listener in &listeners[..2] {
        listener.try_send_to(b"x", client(1004)).unwrap();
        assert!(answer(listener).await.is_some());
    }
    assert_eq!(world.counters(3).await.dropped(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_another_network_is_dropped() {
    let (mut world, _server, _host, socket) = with_host().await;
    let network = "10.1.0.0/16".parse().unwrap();
    first_forward(&mut world).clients = Clients::Networks(vec![network]);
    world.apply().await;
    let clients = world.datagrams(PORT).await;
    let (friend, stranger) = (([10, 1, 0, 1], 1).into(), ([10, 2, 0, 1], 1).into());
    clients.try_send_to(b"stranger", stranger).unwrap();
    clients.try_send_to(b"friend", friend).unwrap();
    let (got, inner) = at_host(&socket).await.unwrap();
    assert_eq!(got, b"friend");
    assert_eq!(world.refused(PORT).await, [("client", 1)].into());
    // other settings end what they forbid
    first_forward(&mut world).clients = Clients::Networks(vec![]);
    world.apply().await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.counters(PORT).await.now(), 0);
    socket.send_to(b"x", inner).await.unwrap();
    assert_eq!(answer(&clients).await, None);
}

#[tokio::test(start_paused = true)]
async fn one_address_has_a_quarter_of_a_listeners_places() {
    let (mut world, _server, _host, socket) = with_host().await;
    first_forward(&mut world).max_clients = 8;
    world.apply().await;
    let clients = world.datagrams(PORT).await;
    for port in 1..=5 {
        clients.try_send_to(b"x", ([10, 0, 0, 1], port).into()).unwrap();
    }
    clients.try_send_to(b"y", ([10, 0, 0, 2], 1).into()).unwrap();
    let mut got = Vec::new();
    while let Some((octets, _)) = at_host(&socket).await {
        got.extend(octets);
    }
    got.sort_unstable();
    assert_eq!(got, b"xxy");
    let counters = world.counters(PORT).await;
    assert_eq!((counters.now(), counters.dropped()), (3, 3));
    // and takes nobody's place
    let neighbour = inner(&clients, 1001, &socket).await;
    for port in 1002..=1005 {
        inner(&clients, port, &socket).await;
    }
    clients.try_send_to(b"x", ([10, 0, 0, 1], 3).into()).unwrap();
    assert_eq!(at_host(&socket).await, None);
    assert_eq!((counters.now(), counters.dropped()), (8, 4));
    assert_eq!(inner(&clients, 1001, &socket).await, neighbour);
}

#[tokio::test(start_paused = true)]
async fn another_target_is_that_of_the_next_datagram() {
    let (mut world, _server, host, socket) = with_host().await;
    let _two = world.serve(2);
    world.add(2);
    let hosts = &mut world.settings.sites.get_mut(&name(1)).unwrap().hosts;
    Arc::make_mut(hosts).insert("device".into(), Ipv4Addr::new(192, 168, 1, 50));
    world.apply().await;
    let clients = world.datagrams(PORT).await;
    let before = inner(&clients, 1001, &socket).await;
    // equal settings change nothing
    world.apply().await;
    assert_eq!(inner(&clients, 1001, &socket).await, before);
    // another port
    let other = host.udp_bind(5001).unwrap();
    first_forward(&mut world).target = "device:5001".parse().unwrap();
    world.apply().await;
    inner(&clients, 1001, &other).await;
    // another address of the same name
    let hosts = &mut world.settings.sites.get_mut(&name(1)).unwrap().hosts;
    Arc::make_mut(hosts).insert("device".into(), Ipv4Addr::new(192, 168, 1, 3));
    world.apply().await;
    clients.try_send_to(b"x", client(1001)).unwrap();
    assert!(at_host(&other).await.is_none());
    // another site
    let forward = world.settings.sites.get_mut(&name(1)).unwrap().forwards.pop().unwrap();
    let forward = ForwardSettings { target: "192.168.1.3:19".parse().unwrap(), ..forward };
    world.settings.sites.get_mut(&name(2)).unwrap().forwards.push(forward);
    world.apply().await;
    clients.try_send_to(b"600", client(1001)).unwrap();
    assert_eq!(answer(&clients).await, Some((content::datagram(2, 600), client(1001))));
    assert_eq!(world.counters(PORT).await.now(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_its_site_has_the_target_of_a_reload() {
    let mut world = World::new();
    let mut off = world.serve(1);
    off.power_off().unwrap();
    let _two = world.serve(2);
    world.add(1);
    world.add(2);
    world.forward(1, local(PORT), "192.168.1.3:19", Protocol::UDP);
    world.apply().await;
    world.until("b2", "up").await;
    let clients = world.datagrams(PORT).await;
    clients.try_send_to(b"500", client(1001)).unwrap();
    sleep(Duration::from_secs(1)).await;
    let forward = world.settings.sites.get_mut(&name(1)).unwrap().forwards.pop().unwrap();
    world.settings.sites.get_mut(&name(2)).unwrap().forwards.push(forward);
    world.apply().await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(world.counters(PORT).await.now(), 0, "the old wait is over");
    clients.try_send_to(b"600", client(1001)).unwrap();
    assert_eq!(answer(&clients).await, Some((content::datagram(2, 600), client(1001))));
    off.restart().await.unwrap();
    world.until("b1", "up").await;
    assert_eq!(answer(&clients).await, None, "what was for the old target is not sent late");
}
