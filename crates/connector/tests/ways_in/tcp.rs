//! TCP forwards: octets both ways, ends and resets, refusals, limits

use std::{io::ErrorKind, net::Ipv4Addr, sync::Arc, time::Duration};

use pptp_connector::settings::{Clients, Limits, Protocol};
use pptp_fleet::Connect;
use pptp_testkit::{Server, TcpListener};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use crate::world::{World, accept, local, log_lines, read_all, read_text};

const RESET: Option<ErrorKind> = Some(ErrorKind::ConnectionReset);

/// A forward on this port to a host of the test's own
const PORT: u16 = 7000;

/// A building with a host of the test's own, which accepts on port 5000, and a forward to it
async fn with_host() -> (World, Server, TcpListener) {
    let (mut world, server) = World::one_building().await;
    let host = server.add_host(Ipv4Addr::new(192, 168, 1, 50)).unwrap();
    let listener = host.tcp_listen(5000, 64).unwrap();
    world.forward(1, local(PORT), "192.168.1.50:5000", Protocol::TCP);
    world.apply().await;
    (world, server, listener)
}

#[tokio::test(start_paused = true)]
async fn octets_pass_both_ways_and_the_client_may_close_its_half_first() {
    let (mut world, _server) = World::one_building().await;
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    world.forward(1, local(9), "192.168.1.3:9", Protocol::TCP);
    world.apply().await;
    let mut echo = world.client(7).await;
    for text in ["one", "two", "three"] {
        echo.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(read_text(&mut echo, text.len()).await, text);
    }
    echo.shutdown().await.unwrap();
    assert_eq!(read_all(&mut echo).await, (vec![], None));
    assert_eq!(world.counters(7).await.octets(), (11, 11));
    // the answer comes when the half is closed
    let mut sink = world.client(9).await;
    let many = vec![7; 1 << 20];
    sink.write_all(&many).await.unwrap();
    sink.shutdown().await.unwrap();
    let (digest, error) = read_all(&mut sink).await;
    assert_eq!(error, None);
    assert!(digest.len() >= 64, "{}", String::from_utf8_lossy(&digest));
    assert_eq!(world.counters(9).await.octets().0, 1 << 20);
    assert_eq!(world.refused(9).await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_building_may_close_its_half_first() {
    let (world, _server, listener) = with_host().await;
    let mut client = world.client(PORT).await;
    let mut host = accept(&listener).await;
    host.write_all(b"goodbye").await.unwrap();
    host.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, (b"goodbye".to_vec(), None));
    client.write_all(b"one more thing").await.unwrap();
    assert_eq!(read_text(&mut host, 14).await, "one more thing");
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut host).await, (vec![], None));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_resets_is_a_reset_to_the_building() {
    let (world, _server, listener) = with_host().await;
    let mut client = world.client(PORT).await;
    let mut host = accept(&listener).await;
    client.write_all(b"half a").await.unwrap();
    assert_eq!(read_text(&mut host, 6).await, "half a");
    client.reset();
    assert_eq!(read_all(&mut host).await, (vec![], RESET));
    assert_eq!(world.counters(PORT).await.now(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_is_a_reset_once_the_building_sends() {
    let (world, _server, listener) = with_host().await;
    let client = world.client(PORT).await;
    let mut host = accept(&listener).await;
    drop(client);
    assert_eq!(read_all(&mut host).await, (vec![], None), "it may read on, as far as is known");
    host.write_all(b"answer").await.unwrap();
    let broken = async {
        while host.write_all(b"more").await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(5), broken).await.expect("a reset");
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_the_building_is_one_to_the_client() {
    let (world, _server, listener) = with_host().await;
    let mut client = world.client(PORT).await;
    let mut host = accept(&listener).await;
    host.write_all(b"half a").await.unwrap();
    assert_eq!(read_text(&mut client, 6).await, "half a");
    host.set_zero_linger().unwrap();
    drop(host);
    assert_eq!(read_all(&mut client).await, (vec![], RESET));
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_lost_is_a_reset_and_the_next_client_gets_the_next_tunnel() {
    let (mut world, mut server) = World::one_building().await;
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    world.apply().await;
    let mut client = world.client(7).await;
    client.write_all(b"one").await.unwrap();
    assert_eq!(read_text(&mut client, 3).await, "one");
    server.restart().await.unwrap();
    assert_eq!(read_all(&mut client).await, (vec![], RESET));
    let mut client = world.client(7).await;
    client.write_all(b"two").await.unwrap();
    assert_eq!(read_text(&mut client, 3).await, "two");
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_for_the_site_and_what_it_sent_meanwhile_arrives() {
    let mut world = World::new();
    let idle = Duration::from_mins(1);
    let site = world.add(1);
    site.dial = site.dial.clone().connect(Connect::OnDemand { idle });
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    world.apply().await;
    let server = world.serve(1);
    let mut client = world.client(7).await;
    let early: Vec<u8> = (0..50_000).map(|place: u16| place.to_be_bytes()[1]).collect();
    client.write_all(&early).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, (early, None));
    assert_eq!(server.stats().ended.len(), 0);
    world.until("b1", "idle").await;
}

#[tokio::test(start_paused = true)]
async fn a_site_that_is_not_up_in_time_is_a_reset_and_one_line() {
    let mut world = World::new();
    let mut server = world.serve(1);
    server.power_off().unwrap();
    world.add(1).wait = Duration::from_secs(4);
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    world.apply().await;
    let start = Instant::now();
    let mut client = world.client(7).await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(read_all(&mut client).await, (vec![], RESET));
    assert_eq!(start.elapsed().as_secs(), 4);
    assert_eq!(world.refused(7).await, [("not-up", 1)].into());
    let lines = log_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("forward tcp 127.0.0.1:7 to b1 192.168.1.3:7: "), "{lines:?}");
    assert!(lines[0].contains("did not come up within 4 s"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_site_that_cannot_be_up_in_time_is_refused_at_once() {
    let mut world = World::new();
    let site = world.add(1);
    site.dial = site.dial.clone().connect(Connect::Manual);
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    world.apply().await;
    let start = Instant::now();
    let mut client = world.client(7).await;
    assert_eq!(read_all(&mut client).await, (vec![], RESET));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_reached_is_a_reset_and_its_reason_is_counted() {
    let (mut world, _server) = World::one_building().await;
    for (port, target, reason, seconds) in [
        (7001, "192.168.1.3:81", "refused", 0..2),
        (7002, "192.168.1.77:80", "unreachable", 0..2),
        (7003, "nowhere.lan:80", "name", 0..10),
        (7004, "192.168.1.254:80", "timed-out", 127..128),
    ] {
        world.forward(1, local(port), target, Protocol::TCP);
        world.apply().await;
        let start = Instant::now();
        let mut client = world.client(port).await;
        assert_eq!(read_all(&mut client).await, (vec![], RESET), "{target}");
        assert!(seconds.contains(&start.elapsed().as_secs()), "{target}: {:?}", start.elapsed());
        assert_eq!(world.refused(port).await, [(reason, 1)].into(), "{target}");
    }
    assert_eq!(log_lines().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_one_of_the_sites_own_hosts_or_of_its_dns() {
    let (mut world, _server) = World::one_building().await;
    let device = Ipv4Addr::new(192, 168, 1, 3);
    Arc::make_mut(&mut world.add(1).hosts).insert("device".into(), device);
    world.forward(1, local(7), "device:7", Protocol::TCP);
    world.forward(1, local(8), "knx.lan:7", Protocol::TCP);
    world.apply().await;
    for port in [7, 8] {
        let mut client = world.client(port).await;
        client.write_all(b"name").await.unwrap();
        assert_eq!(read_text(&mut client, 4).await, "name");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_while_it_waits_frees_its_place_without_a_line() {
    let (mut world, _server) = World::one_building().await;
    world.forward(1, local(PORT), "192.168.1.254:80", Protocol::TCP);
    world.apply().await;
    let counters = world.counters(PORT).await;
    // by a reset, also behind octets
    let mut client = world.client(PORT).await;
    client.write_all(b"x").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(counters.now(), 1);
    client.reset();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(counters.now(), 0);
    // by an end without an octet, after a while in which it might want to read only
    let client = world.client(PORT).await;
    drop(client);
    sleep(Duration::from_secs(4)).await;
    assert_eq!(counters.now(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(counters.now(), 0);
    assert_eq!(world.refused(PORT).await, [("gone", 2)].into());
    assert_eq!(log_lines(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_silent_for_too_long_is_reset_at_both_ends() {
    let (mut world, _server, listener) = with_host().await;
    let idle = Some(Duration::from_secs(80));
    world.forward(1, local(7001), "192.168.1.50:5000", Protocol::Tcp { idle });
    world.apply().await;
    let mut client = world.client(7001).await;
    let mut host = accept(&listener).await;
    // a word in either direction is none of silence
    for _ in 0..5 {
        sleep(Duration::from_mins(1)).await;
        client.write_all(b"x").await.unwrap();
        assert_eq!(read_text(&mut host, 1).await, "x");
        sleep(Duration::from_mins(1)).await;
        host.write_all(b"y").await.unwrap();
        assert_eq!(read_text(&mut client, 1).await, "y");
    }
    let start = Instant::now();
    assert_eq!(read_all(&mut client).await, (vec![], RESET));
    assert!((80..=91).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(read_all(&mut host).await, (vec![], RESET));
    // without an idle time none is silent for too long
    let mut client = world.client(PORT).await;
    let mut host = accept(&listener).await;
    sleep(Duration::from_hours(3)).await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut host, 1).await, "x");
}

#[tokio::test(start_paused = true)]
async fn a_client_of_another_network_is_reset() {
    let (mut world, _server) = World::one_building().await;
    let forward = world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    forward.clients = Clients::Networks(vec!["10.1.0.0/16".parse().unwrap()]);
    world.apply().await;
    let mut stranger = world.client_from(7, ([10, 2, 0, 1], 1)).await;
    assert_eq!(read_all(&mut stranger).await, (vec![], RESET));
    assert_eq!(world.refused(7).await, [("client", 1)].into());
    let mapped = Ipv4Addr::new(10, 1, 0, 1).to_ipv6_mapped();
    for from in [([10, 1, 0, 1], 1).into(), (mapped, 1).into()] {
        let from: std::net::SocketAddr = from;
        let mut client = world.client_from(7, from).await;
        client.write_all(b"x").await.unwrap();
        assert_eq!(read_text(&mut client, 1).await, "x");
    }
    // other settings end what they forbid
    let mut client = world.client_from(7, ([10, 1, 0, 1], 1)).await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut client, 1).await, "x");
    let forward = &mut world.settings.sites.values_mut().next().unwrap().forwards[0];
    forward.clients = Clients::Networks(vec![]);
    world.apply().await;
    assert_eq!(read_all(&mut client).await, (vec![], RESET));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_finds_all_places_taken_waits_and_the_neighbours_are_not_harmed() {
    let (mut world, _server) = World::one_building().await;
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP).max_clients = 3;
    world.forward(1, local(8), "192.168.1.3:7", Protocol::TCP);
    world.apply().await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(world.client(7).await);
    }
    let excess = timeout(Duration::from_secs(30), world.client(7)).await;
    assert!(excess.is_err(), "a fourth client waits");
    let mut neighbour = world.client(8).await;
    neighbour.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut neighbour, 1).await, "x");
    for client in &mut clients {
        client.write_all(b"still").await.unwrap();
        assert_eq!(read_text(client, 5).await, "still");
    }
    clients.pop().unwrap().reset();
    let mut fourth = timeout(Duration::from_secs(1), world.client(7)).await.expect("a place");
    fourth.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut fourth, 1).await, "x");
}

#[tokio::test(start_paused = true)]
async fn one_address_has_a_quarter_of_a_listeners_places_and_this_machine_has_all() {
    let (mut world, _server) = World::one_building().await;
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP).max_clients = 8;
    world.apply().await;
    let mut clients = Vec::new();
    for port in 1..=3 {
        clients.push(world.client_from(7, ([10, 0, 0, 1], port)).await);
    }
    assert_eq!(read_all(&mut clients.pop().unwrap()).await, (vec![], RESET));
    assert_eq!(world.refused(7).await, [("client", 1)].into());
    for _ in 0..6 {
        clients.push(world.client(7).await);
    }
    for client in &mut clients {
        client.write_all(b"x").await.unwrap();
        assert_eq!(read_text(client, 1).await, "x");
    }
    drop(clients);
    sleep(Duration::from_secs(1)).await;
    let mut client = world.client_from(7, ([10, 0, 0, 1], 1)).await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut client, 1).await, "x");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_a_place_of_the_process_is_reset_when_its_listener_is_gone() {
    let limits = Limits { connections: 4, ..Limits::default() };
    let mut world = World::with_limits(limits);
    let _server = world.serve(1);
    world.add(1);
    for port in [7, 8, 9] {
        world.forward(1, local(port), "192.168.1.3:7", Protocol::TCP);
    }
    world.apply().await;
    world.until("b1", "up").await;
    let mut clients = Vec::new();
    for port in [7, 7, 8, 8] {
        clients.push(world.client(port).await);
        sleep(Duration::from_secs(1)).await;
    }
    let mut excess = world.client(9).await;
    excess.write_all(b"x").await.unwrap();
    assert!(timeout(Duration::from_secs(5), excess.read_u8()).await.is_err(), "it waits");
    let forwards = &mut world.settings.sites.values_mut().next().unwrap().forwards;
    forwards.pop();
    world.apply().await;
    assert_eq!(read_all(&mut excess).await, (vec![], RESET));
}
