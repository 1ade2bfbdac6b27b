//! The SOCKS proxy: replies, sites and logins, handshakes in pieces, UDP ASSOCIATE

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use pptp_connector::{
    settings::{Login, ProxyKind, Selector},
    way_in::{Datagrams, MemoryClient, MemoryDatagrams},
};
use pptp_testkit::{Server, content};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use crate::world::{World, log_lines, read_all, read_text, soon};

const RESET: Option<ErrorKind> = Some(ErrorKind::ConnectionReset);
const PORT: u16 = 1080;

const CONNECT: u8 = 1;
const BIND: u8 = 2;
const ASSOCIATE: u8 = 3;

/// A proxy to all sites; the building 1 is up
async fn with_proxy() -> (World, Server) {
    let (mut world, server) = World::one_building().await;
    world.proxy(ProxyKind::Socks, PORT);
    world.apply().await;
    (world, server)
}

fn login(user: &str, password: &str) -> Vec<u8> {
    let mut octets = vec![5, 1, 2, 1, u8::try_from(user.len()).unwrap()];
    octets.extend(user.as_bytes());
    octets.push(u8::try_from(password.len()).unwrap());
    octets.extend(password.as_bytes());
    octets
}

fn request(command: u8, host: &str, port: u16) -> Vec<u8> {
    let mut octets = vec![5, command, 0];
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        octets.push(1);
        octets.extend(address.octets());
    } else if let Ok(address) = host.parse::<Ipv6Addr>() {
        octets.push(4);
        octets.extend(address.octets());
    } else {
        octets.extend([3, u8::try_from(host.len()).unwrap()]);
        octets.extend(host.as_bytes());
    }
    octets.extend(port.to_be_bytes());
    octets
}

/// Reads the reply to a request: its code, and the address in it
async fn reply(client: &mut MemoryClient) -> (u8, SocketAddr) {
    let mut octets = [0; 10];
    soon(client.read_exact(&mut octets)).await.unwrap();
    let [5, code, 0, 1, a, b, c, d, high, low] = octets else { panic!("{octets:?}") };
    (code, ([a, b, c, d], u16::from_be_bytes([high, low])).into())
}

async fn expect(client: &mut MemoryClient, octets: &[u8]) {
    let mut read = vec![0; octets.len()];
    soon(client.read_exact(&mut read)).await.unwrap();
    assert_eq!(read, octets);
}

/// A client that has sent its request, with a user name unless it is empty
async fn asked(world: &World, port: u16, user: &str, request: &[u8]) -> MemoryClient {
    let mut client = world.client(port).await;
    if user.is_empty() {
        client.write_all(&[5, 1, 0]).await.unwrap();
        expect(&mut client, &[5, 0]).await;
    } else {
        client.write_all(&login(user, "x")).await.unwrap();
        expect(&mut client, &[5, 2, 1, 0]).await;
    }
    client.write_all(request).await.unwrap();
    client
}

/// The code of the reply; a refused client is told the end behind it
async fn code(world: &World, port: u16, user: &str, request: &[u8]) -> u8 {
    let mut client = asked(world, port, user, request).await;
    let (code, _) = reply(&mut client).await;
    if code != 0 {
        assert_eq!(read_all(&mut client).await, (vec![], None), "a clean end, so that it is read");
    }
    code
}

async fn echoes(client: &mut MemoryClient) {
    client.write_all(b"hello").await.unwrap();
    assert_eq!(read_text(client, 5).await, "hello");
}

#[tokio::test(start_paused = true)]
async fn rfc_1928_6_each_cause_has_its_reply() {
    let (mut world, _server) = with_proxy().await;
    let mut off = world.serve(2);
    off.power_off().unwrap();
    world.add(2).wait = Duration::from_secs(4);
    let router = Ipv4Addr::new(192, 168, 1, 1);
    Arc::make_mut(&mut world.add(1).hosts).insert("router".into(), router);
    let pinned = world.proxy(ProxyKind::Socks, 1081);
    pinned.sites = Selector::parse(["b1"]).unwrap();
    pinned.targets = vec!["192.168.1.3:7".parse().unwrap()];
    world.apply().await;
    for (port, user, command, (host, to), wanted) in [
        (PORT, "b1", CONNECT, ("192.168.1.3", 7), 0),
        (PORT, "b1", CONNECT, ("192.168.1.3", 0), 1),
        (PORT, "b9", CONNECT, ("192.168.1.3", 7), 2),
        (PORT, "B 9", CONNECT, ("192.168.1.3", 7), 2),
        (PORT, "", CONNECT, ("192.168.1.3", 7), 2),
        (PORT, "b1", CONNECT, ("knx.lan.b2.pptp.internal", 7), 2),
        (PORT, "b\n1", CONNECT, ("knx.lan.b2.pptp.internal", 7), 2),
        (1081, "b2", CONNECT, ("192.168.1.3", 7), 2),
        (1081, "b1", CONNECT, ("192.168.1.3", 80), 2),
        (1081, "b1", CONNECT, ("192.168.1.1", 7), 2),
        (1081, "b1", CONNECT, ("router", 7), 2),
        (1081, "b1", CONNECT, ("knx.lan", 7), 0),
        (PORT, "b2", CONNECT, ("192.168.1.3", 7), 3),
        (PORT, "b1", CONNECT, ("192.168.1.77", 7), 4),
        (PORT, "b1", CONNECT, ("nowhere.lan", 7), 4),
        (PORT, "b1", CONNECT, ("a..b", 7), 4),
        (PORT, "b1", CONNECT, ("192.168.1.3", 81), 5),
        (PORT, "b1", CONNECT, ("192.168.1.254", 7), 6),
        (PORT, "b1", BIND, ("192.168.1.3", 7), 7),
        (PORT, "b1", 9, ("192.168.1.3", 7), 7),
        (PORT, "b1", CONNECT, ("fe80::1", 7), 8),
        (PORT, "b1", CONNECT, ("[fe80::1]", 7), 8),
    ] {
        let got = code(&world, port, user, &request(command, host, to)).await;
        assert_eq!(got, wanted, "{user} {command} {host}:{to}");
    }
    assert!(!log_lines().iter().any(|line| line.contains(char::is_control)));
    // a kind of address that does not exist
    assert_eq!(code(&world, PORT, "b1", &[5, 1, 0, 2, 0, 0, 0, 0]).await, 8);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(world.counters(PORT).await.now(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_site_is_in_the_user_name_or_in_the_host_name_or_the_proxy_has_one_alone() {
    let (mut world, _server) = with_proxy().await;
    let _other = world.serve(2);
    world.add(2);
    world.proxy(ProxyKind::Socks, 1081).sites = Selector::parse(["b2"]).unwrap();
    world.apply().await;
    for (port, user, host, building) in [
        (PORT, "b1", "192.168.1.3", 1),
        (PORT, "B2", "192.168.1.3", 2),
        (PORT, "", "192.168.1.3.b1.pptp.internal", 1),
        (PORT, "", "knx.lan.B2.PPTP.internal.", 2),
        (PORT, "b2", "192.168.1.3.b2.pptp.internal", 2),
        (1081, "", "192.168.1.3", 2),
        (1081, "b2", "192.168.1.3", 2),
    ] {
        let mut client = asked(&world, port, user, &request(CONNECT, host, 80)).await;
        assert_eq!(reply(&mut client).await.0, 0, "{user} {host}");
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let (page, error) = read_all(&mut client).await;
        assert_eq!(error, None);
        let page = String::from_utf8(page).unwrap();
        assert!(page.ends_with(&format!("building {building}\n")), "{user} {host}: {page}");
    }
}

#[tokio::test(start_paused = true)]
async fn curl_offers_three_methods_and_an_empty_password() {
    let (world, _server) = with_proxy().await;
    let mut client = world.client(PORT).await;
    client.write_all(&[5, 3, 0, 1, 2]).await.unwrap();
    expect(&mut client, &[5, 2]).await;
    client.write_all(&[1, 2, b'b', b'1', 0]).await.unwrap();
    expect(&mut client, &[1, 0]).await;
    client.write_all(&request(CONNECT, "192.168.1.3", 7)).await.unwrap();
    assert_eq!(reply(&mut client).await.0, 0);
    echoes(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_method_of_ours_is_told_so() {
    let (mut world, _server) = with_proxy().await;
    for octets in [&[5, 1, 1][..], &[5, 2, 1, 0x80]] {
        let mut client = world.client(PORT).await;
        client.write_all(octets).await.unwrap();
        assert_eq!(read_all(&mut client).await, (vec![5, 0xFF], None), "{octets:?}");
    }
    for octets in [&[4, 1, 0, 80, 1, 2, 3, 4, 0][..], &[5, 0], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut client = world.client(PORT).await;
        client.write_all(octets).await.unwrap();
        assert_eq!(read_all(&mut client).await, (vec![], None), "{octets:?}");
    }
    assert_eq!(world.refused(PORT).await, [("login", 2), ("protocol", 3)].into());
    // with logins the method without one is none
    world.settings.proxies[0].logins.push(ann("*"));
    world.apply().await;
    let mut client = world.client(PORT).await;
    client.write_all(&[5, 1, 0]).await.unwrap();
    assert_eq!(read_all(&mut client).await, (vec![5, 0xFF], None));
}

fn ann(sites: &str) -> Login {
    let sites = Selector::parse([sites]).unwrap();
    Login { name: "ann".into(), password_sha256: Sha256::digest(b"secret").into(), sites }
}

#[tokio::test(start_paused = true)]
async fn a_login_opens_the_sites_that_it_may_reach() {
    let (mut world, _server) = with_proxy().await;
    let _other = world.serve(2);
    Arc::make_mut(&mut world.add(1).labels).insert("city".into(), "Bonn".into());
    world.add(2);
    world.settings.proxies[0].logins.push(ann("@city=Bonn"));
    world.apply().await;
    let to = request(CONNECT, "192.168.1.3", 7);
    let named = request(CONNECT, "192.168.1.3.b1.pptp.internal", 7);
    let disagrees = request(CONNECT, "192.168.1.3.b2.pptp.internal", 7);
    for (user, request, wanted) in [
        ("ann+b1", &to, 0),
        ("ann", &named, 0),
        ("ann+b1", &named, 0),
        ("ann+b1", &disagrees, 2),
        ("ann", &to, 2),
        ("ann+b2", &to, 2),
        ("ann", &disagrees, 2),
    ] {
        let mut client = world.client(PORT).await;
        client.write_all(&login(user, "secret")).await.unwrap();
        expect(&mut client, &[5, 2, 1, 0]).await;
        client.write_all(request).await.unwrap();
        assert_eq!(reply(&mut client).await.0, wanted, "{user} {request:?}");
    }
    for (user, password) in
        [("ann", ""), ("ann+b1", "Secret"), ("bob", "secret"), ("b1", "secret"), ("Ann", "secret")]
    {
        let mut client = world.client(PORT).await;
        client.write_all(&login(user, password)).await.unwrap();
        assert_eq!(read_all(&mut client).await, (vec![5, 2, 1, 1], None), "{user} {password}");
    }
    assert_eq!(world.refused(PORT).await.get("login"), Some(&5));
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_taken_away_resets_what_it_opened_and_nothing_else() {
    let (mut world, _server) = with_proxy().await;
    world.settings.proxies[0].logins.push(ann("*"));
    let mut bob = ann("*");
    bob.name = "bob".into();
    world.settings.proxies[0].logins.push(bob);
    world.apply().await;
    let mut clients = Vec::new();
    for (user, port) in [("ann+b1", 7), ("bob+b1", 7), ("bob+b1", 19), ("bob+b1", 7)] {
        let mut client = world.client(PORT).await;
        client.write_all(&login(user, "secret")).await.unwrap();
        expect(&mut client, &[5, 2, 1, 0]).await;
        client.write_all(&request(CONNECT, "192.168.1.3", port)).await.unwrap();
        assert_eq!(reply(&mut client).await.0, 0);
        clients.push(client);
    }
    let [ann, bob, source, last] = &mut clients[..] else { unreachable!() };
    world.apply().await;
    echoes(ann).await;
    world.settings.proxies[0].logins.remove(0);
    world.apply().await;
    assert_eq!(read_all(ann).await, (vec![], RESET));
    echoes(bob).await;
    world.settings.proxies[0].targets = vec!["*:7".parse().unwrap()];
    world.apply().await;
    assert_eq!(read_all(source).await, (vec![], RESET));
    echoes(bob).await;
    world.settings.proxies[0].logins[0].password_sha256 = [0; 32];
    world.apply().await;
    assert_eq!(read_all(bob).await, (vec![], RESET));
    assert_eq!(read_all(last).await, (vec![], RESET));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_may_come_in_any_pieces_with_octets_behind_it() {
    let (world, _server) = with_proxy().await;
    let mut whole = login("b1", "x");
    whole.extend(request(CONNECT, "knx.lan", 7));
    whole.extend(b"hello");
    let answers = async |client: &mut MemoryClient| {
        expect(client, &[5, 2, 1, 0]).await;
        assert_eq!(reply(client).await.0, 0);
        assert_eq!(read_text(client, 5).await, "hello");
        echoes(client).await;
    };
    for at in 0..=whole.len() {
        let mut client = world.client(PORT).await;
        client.write_all(&whole[..at]).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        client.write_all(&whole[at..]).await.unwrap();
        answers(&mut client).await;
    }
    let mut client = world.client(PORT).await;
    for octet in &whole {
        client.write_all(&[*octet]).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    answers(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_not_whole_ends_after_ten_seconds() {
    let (world, _server) = with_proxy().await;
    let mut whole = login("b1", "x");
    whole.extend(request(CONNECT, "knx.lan", 7));
    for at in 0..whole.len() {
        let mut client = world.client(PORT).await;
        let start = Instant::now();
        client.write_all(&whole[..at]).await.unwrap();
        let (_, error) = read_all(&mut client).await;
        assert_eq!((error, start.elapsed().as_secs()), (RESET, 10), "{at} octets");
    }
    let count = whole.len() as u64;
    assert_eq!(world.refused(PORT).await, [("protocol", count)].into());
    assert_eq!(log_lines().len(), whole.len());
    // one that closes its half has nothing more to say
    let mut client = world.client(PORT).await;
    client.write_all(&[5, 1]).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, (vec![], None));
}

/// An association to a site, with the client's end of its relay
async fn associated(world: &World, user: &str) -> (MemoryClient, MemoryDatagrams) {
    let request = request(ASSOCIATE, "0.0.0.0", 0);
    let mut client = asked(world, PORT, user, &request).await;
    let (code, bound) = reply(&mut client).await;
    assert_eq!(code, 0);
    assert_eq!(bound, ([127, 0, 0, 1], 1).into());
    let relay = soon(client.relay()).await.expect("a relay");
    (client, relay)
}

/// A datagram as a client sends it to its relay
fn wrapped(host: &str, port: u16, payload: &[u8]) -> Vec<u8> {
    let mut octets = request(0, host, port);
    octets[0] = 0;
    octets.extend(payload);
    octets
}

fn from(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

async fn answer(relay: &MemoryDatagrams) -> Option<(Vec<u8>, SocketAddr)> {
    let received = timeout(Duration::from_secs(2), relay.receive()).await;
    received.ok().map(|received| received.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_relay_carries_datagrams_to_any_host_of_its_site_and_to_no_other_site() {
    let (mut world, _server) = with_proxy().await;
    let _other = world.serve(2);
    world.add(2);
    world.apply().await;
    let (_one, first) = associated(&world, "b1").await;
    let (_two, second) = associated(&world, "b2").await;
    for _ in 0..3 {
        for (relay, building) in [(&first, 1), (&second, 2)] {
            relay.try_send_to(&wrapped("192.168.1.3", 19, b"600"), from(50_000)).unwrap();
            let (datagram, to) = answer(relay).await.expect("an answer");
            assert_eq!(to, from(50_000));
            let wanted = wrapped("192.168.1.3", 19, &content::datagram(building, 600));
            assert_eq!(datagram, wanted);
        }
    }
    // another host of the site
    first.try_send_to(&wrapped("192.168.1.1", 53, &[0; 12]), from(50_000)).unwrap();
    let (datagram, _) = answer(&first).await.expect("an answer");
    assert_eq!(datagram[..10], wrapped("192.168.1.1", 53, b""));
}

#[tokio::test(start_paused = true)]
async fn a_relay_takes_datagrams_of_one_source_alone_and_drops_what_it_cannot_pass() {
    let (mut world, _server) = with_proxy().await;
    world.settings.proxies[0].targets = vec!["*:7".parse().unwrap()];
    world.apply().await;
    let counters = world.counters(PORT).await;
    let (mut client, relay) = associated(&world, "b1").await;
    let good = wrapped("192.168.1.3", 7, b"hello");
    let mut fragment = good.clone();
    fragment[2] = 1;
    let stranger = SocketAddr::from(([10, 0, 0, 9], 50_000));
    let me = from(50_000);
    // nothing of these is the first datagram of the client
    let mut dropped = 0;
    for (datagram, source) in [
        (&good, stranger),
        (&fragment, me),
        (&good[..9].to_vec(), me),
        (&vec![], me),
        (&wrapped("192.168.1.3", 9, b"x"), me),
        (&wrapped("knx.lan", 7, b"x"), me),
        (&wrapped("fe80::1", 7, b"x"), me),
    ] {
        relay.try_send_to(datagram, source).unwrap();
        sleep(Duration::from_millis(1)).await;
        dropped += 1;
        assert_eq!(counters.dropped(), dropped, "{datagram:?} of {source}");
    }
    relay.try_send_to(&good, me).unwrap();
    assert_eq!(answer(&relay).await, Some((good.clone(), me)));
    relay.try_send_to(&good, from(50_001)).unwrap();
    assert_eq!(answer(&relay).await, None, "another port of the same machine is another program");
    assert_eq!(counters.octets(), (5, 5));
    // it ends with its connection, on which octets mean nothing
    client.write_all(b"octets").await.unwrap();
    relay.try_send_to(&good, me).unwrap();
    assert!(answer(&relay).await.is_some());
    assert_eq!(counters.now(), 1);
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, (vec![], None));
    assert!(soon(relay.receive()).await.is_err(), "the relay is closed");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(counters.now(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_relay_outlives_a_tunnel_and_keeps_its_inner_port() {
    let (world, mut server) = with_proxy().await;
    let host = server.add_host(Ipv4Addr::new(192, 168, 1, 50)).unwrap();
    let socket = host.udp_bind(5000).unwrap();
    let (_client, relay) = associated(&world, "b1").await;
    let datagram = wrapped("192.168.1.50", 5000, b"x");
    let mut octets = [0; 8];
    relay.try_send_to(&datagram, from(50_000)).unwrap();
    let (_, inner) = soon(socket.recv_from(&mut octets)).await.unwrap();
    server.restart().await.unwrap();
    let mut next = None;
    for _ in 0..60 {
        relay.try_send_to(&datagram, from(50_000)).unwrap();
        let received = timeout(Duration::from_secs(1), socket.recv_from(&mut octets)).await;
        if let Ok(Ok((_, from))) = received {
            next = Some(from);
            break;
        }
    }
    assert_eq!(next, Some(inner));
    socket.send_to(b"answer", inner).await.unwrap();
    let (answered, _) = answer(&relay).await.expect("the device finds its client");
    assert_eq!(answered, wrapped("192.168.1.50", 5000, b"answer"));
}

#[tokio::test(start_paused = true)]
async fn an_association_needs_a_site_that_is_up() {
    let (mut world, _server) = with_proxy().await;
    let mut off = world.serve(2);
    off.power_off().unwrap();
    world.add(2).wait = Duration::from_secs(4);
    world.apply().await;
    let to = request(ASSOCIATE, "0.0.0.0", 0);
    for (user, request, wanted) in [
        ("", &to, 2),
        ("b9", &to, 2),
        ("b2", &to, 3),
        ("", &request(ASSOCIATE, "b1.pptp.internal", 0), 0),
        ("b1", &request(ASSOCIATE, "::", 0), 0),
    ] {
        assert_eq!(code(&world, PORT, user, request).await, wanted, "{user} {request:?}");
    }
    // a right that is taken away ends it
    let (mut client, relay) = associated(&world, "b1").await;
    world.settings.proxies[0].sites = Selector::parse(["b2"]).unwrap();
    world.apply().await;
    assert_eq!(read_all(&mut client).await, (vec![], RESET));
    assert!(soon(relay.receive()).await.is_err());
}
