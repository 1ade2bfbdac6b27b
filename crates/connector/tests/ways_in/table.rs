//! Reloads: what stays, what swaps, what drains, and what cannot be had

use std::{
    fs::Permissions,
    io::ErrorKind,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use pptp_connector::{
    settings::{Listen, Protocol, ProxyKind, Selector, UnixSocket},
    way_in::{Datagrams, ListenKey},
};
use pptp_testkit::{Server, content};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    time::{Instant, sleep, timeout},
};

use crate::world::{World, local, log_lines, name, read_all, read_text, soon};

const RESET: Option<ErrorKind> = Some(ErrorKind::ConnectionReset);

/// Two buildings that are up, with listeners in memory
async fn two_buildings() -> (World, Server, Server) {
    let mut world = World::new();
    let servers = (world.serve(1), world.serve(2));
    world.add(1);
    world.add(2);
    world.apply().await;
    world.until("b1", "up").await;
    world.until("b2", "up").await;
    (world, servers.0, servers.1)
}

/// A building that is up, with listeners of the kernel, in real time
async fn with_sockets() -> (World, Server) {
    let mut world = World::with_sockets();
    let server = world.serve(1);
    world.add(1);
    world.apply().await;
    world.until("b1", "up").await;
    (world, server)
}

async fn page(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> String {
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let (page, error) = read_all(stream).await;
    assert_eq!(error, None);
    String::from_utf8(page).unwrap().split("\r\n\r\n").last().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn an_equal_listener_keeps_its_connections_and_another_target_is_for_new_ones() {
    let (mut world, _one, _two) = two_buildings().await;
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    world.forward(1, local(9), "192.168.1.3:19", Protocol::UDP);
    world.apply().await;
    let datagrams = world.datagrams(9).await;
    datagrams.try_send_to(b"500", local(1001)).unwrap();
    assert_eq!(soon(datagrams.receive()).await.unwrap().0, content::datagram(1, 500));
    let mut old = world.client(7).await;
    old.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut old, 1).await, "x");
    let accepted = world.counters(7).await;
    // nothing changes, then another site, then another target of it
    world.apply().await;
    let forwards = std::mem::take(&mut world.settings.sites.get_mut(&name(1)).unwrap().forwards);
    world.settings.sites.get_mut(&name(2)).unwrap().forwards = forwards;
    let forwards = &mut world.settings.sites.get_mut(&name(2)).unwrap().forwards;
    forwards[0].target = "192.168.1.3:80".parse().unwrap();
    world.apply().await;
    let mut new = world.client(7).await;
    assert_eq!(page(&mut new).await, "building 2\n");
    datagrams.try_send_to(b"500", local(1001)).unwrap();
    assert_eq!(soon(datagrams.receive()).await.unwrap().0, content::datagram(2, 500));
    for _ in 0..3 {
        sleep(Duration::from_mins(1)).await;
        old.write_all(b"still").await.unwrap();
        assert_eq!(read_text(&mut old, 5).await, "still");
    }
    assert_eq!(accepted.accepted(), 2, "counters go on as well");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_gone_takes_nobody_and_its_connections_have_thirty_seconds() {
    let (mut world, _one, _two) = two_buildings().await;
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    world.forward(1, local(8), "192.168.1.3:7", Protocol::TCP);
    world.forward(1, local(9), "192.168.1.3:7", Protocol::UDP);
    world.apply().await;
    let datagrams = world.datagrams(9).await;
    datagrams.try_send_to(b"x", local(1001)).unwrap();
    soon(datagrams.receive()).await.unwrap();
    let (mut first, mut second) = (world.client(7).await, world.client(7).await);
    let mut neighbour = world.client(8).await;
    let gone = world.counters(9).await;
    world.settings.sites.get_mut(&name(1)).unwrap().forwards.drain(..1);
    world.settings.sites.get_mut(&name(1)).unwrap().forwards.pop();
    let start = Instant::now();
    world.apply().await;
    assert_eq!(gone.now(), 0, "datagrams have no end to wait for");
    assert!(soon(datagrams.receive()).await.is_err());
    assert_eq!(world.ways.status().await.len(), 1);
    sleep(Duration::from_secs(29)).await;
    for client in [&mut first, &mut second] {
        client.write_all(b"last").await.unwrap();
        assert_eq!(read_text(client, 4).await, "last");
    }
    second.shutdown().await.unwrap();
    assert_eq!(read_all(&mut second).await, (vec![], None), "it may end by itself");
    assert_eq!(read_all(&mut first).await, (vec![], RESET));
    assert_eq!(start.elapsed().as_secs(), 30);
    neighbour.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut neighbour, 1).await, "x");
    // the last of all closes all at once
    let start = Instant::now();
    world.ways.close_all(Duration::ZERO).await;
    assert_eq!(read_all(&mut neighbour).await, (vec![], RESET));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_target_that_a_reload_has_given() {
    let (mut world, _one, _two) = two_buildings().await;
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    world.apply().await;
    let forwards = &mut world.settings.sites.get_mut(&name(1)).unwrap().forwards;
    forwards[0].target = "192.168.1.3:81".parse().unwrap();
    world.apply().await;
    let mut client = world.client(7).await;
    assert_eq!(read_all(&mut client).await, (vec![], RESET));
    let lines = log_lines();
    assert!(lines[0].starts_with("forward tcp 127.0.0.1:7 to b1 192.168.1.3:81: "), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_a_site_that_is_removed_is_refused() {
    let mut world = World::new();
    let mut off = world.serve(1);
    off.power_off().unwrap();
    world.add(1).wait = Duration::from_mins(1);
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    world.apply().await;
    let mut client = world.client(7).await;
    sleep(Duration::from_secs(1)).await;
    world.settings.sites.clear();
    let start = Instant::now();
    world.apply().await;
    assert_eq!(read_all(&mut client).await, (vec![], RESET));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_all_listeners_does_not_wait_for_those_that_drain() {
    let (mut world, _one, _two) = two_buildings().await;
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    world.forward(1, local(8), "192.168.1.3:7", Protocol::TCP);
    world.apply().await;
    let mut clients = [world.client(7).await, world.client(8).await];
    for client in &mut clients {
        client.write_all(b"x").await.unwrap();
        assert_eq!(read_text(client, 1).await, "x");
    }
    world.settings.sites.get_mut(&name(1)).unwrap().forwards.pop();
    world.apply().await;
    let start = Instant::now();
    world.ways.close_all(Duration::from_secs(3)).await;
    assert_eq!(start.elapsed().as_secs(), 3);
    for client in &mut clients {
        assert_eq!(read_all(client).await, (vec![], RESET));
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_comes_back_while_the_old_one_drains_is_a_new_one() {
    let (mut world, _one, _two) = two_buildings().await;
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    world.apply().await;
    let mut old = world.client(7).await;
    let forwards = std::mem::take(&mut world.settings.sites.get_mut(&name(1)).unwrap().forwards);
    world.apply().await;
    world.settings.sites.get_mut(&name(1)).unwrap().forwards = forwards;
    world.apply().await;
    let mut new = world.client(7).await;
    sleep(Duration::from_secs(20)).await;
    old.write_all(b"old").await.unwrap();
    assert_eq!(read_text(&mut old, 3).await, "old");
    assert_eq!(read_all(&mut old).await, (vec![], RESET));
    new.write_all(b"new").await.unwrap();
    assert_eq!(read_text(&mut new, 3).await, "new");
}

#[tokio::test(start_paused = true)]
async fn two_listeners_of_one_address_fail_and_nothing_changes() {
    let (mut world, _one, _two) = two_buildings().await;
    world.forward(1, local(7), "192.168.1.3:7", Protocol::TCP);
    world.apply().await;
    let good = world.settings.clone();
    world.settings.sites.get_mut(&name(1)).unwrap().forwards[0].target =
        "192.168.1.3:80".parse().unwrap();
    world.forward(2, local(7), "192.168.1.3:7", Protocol::TCP);
    world.forward(2, local(8), "192.168.1.3:7", Protocol::TCP);
    world.proxy(ProxyKind::Socks, 8);
    let failed = world.try_apply().await;
    let told: Vec<_> = failed.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "forward tcp 127.0.0.1:7 to b2 192.168.1.3:7: the address is taken by: forward tcp \
             127.0.0.1:7 to b1 192.168.1.3:7",
            "socks proxy 127.0.0.1:8: the address is taken by: forward tcp 127.0.0.1:8 to b2 \
             192.168.1.3:7",
        ]
        .map(|line| line.replace("to b1 192.168.1.3:7", "to b1 192.168.1.3:80"))
    );
    let mut client = world.client(7).await;
    client.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut client, 1).await, "x");
    assert_eq!(world.ways.status().await.len(), 1);
    // TCP and UDP of one number are two addresses
    world.settings = good;
    world.forward(2, local(7), "192.168.1.3:7", Protocol::UDP);
    world.apply().await;
    assert_eq!(world.ways.status().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_equal_listener_keeps_its_socket() {
    let (mut world, _server) = with_sockets().await;
    world.forward(1, local(0), "192.168.1.3:7", Protocol::TCP);
    world.apply().await;
    let bound = world.ways.status().await[0].bound.unwrap();
    assert_ne!(bound.port(), 0);
    let mut client = TcpStream::connect(bound).await.unwrap();
    client.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut client, 1).await, "x");
    world.apply().await;
    assert_eq!(world.ways.status().await[0].bound, Some(bound));
    client.write_all(b"y").await.unwrap();
    assert_eq!(read_text(&mut client, 1).await, "y");
    world.settings.sites.get_mut(&name(1)).unwrap().forwards.clear();
    world.apply().await;
    let refused = TcpStream::connect(bound).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_the_system_chose_stays_that_of_its_target() {
    let mut world = World::with_sockets();
    let _servers = (world.serve(1), world.serve(2));
    world.add(1);
    world.add(2);
    for building in [1, 2] {
        world.forward(building, local(0), "192.168.1.3:80", Protocol::TCP);
        world.forward(building, local(0), "192.168.1.3:7", Protocol::TCP);
        world.proxy(ProxyKind::Socks, 0).sites = Selector::parse([format!("b{building}")]).unwrap();
    }
    world.apply().await;
    let mut before = Vec::new();
    for status in world.ways.status().await {
        before.push((format!("{:?}", status.way), status.bound.unwrap()));
    }
    // the first of each kind is gone, and one is new
    world.settings.sites.get_mut(&name(1)).unwrap().forwards.remove(0);
    world.settings.proxies.remove(0);
    world.forward(1, local(0), "192.168.1.3:9", Protocol::TCP);
    world.apply().await;
    let after = world.ways.status().await;
    assert_eq!(after.len(), 5);
    let mut kept = 0;
    for status in after {
        let way = format!("{:?}", status.way);
        if let Some((_, bound)) = before.iter().find(|(old, _)| *old == way) {
            assert_eq!(status.bound, Some(*bound), "{way}");
            kept += 1;
        } else {
            assert!(before.iter().all(|(_, bound)| status.bound != Some(*bound)), "{way}");
        }
    }
    assert_eq!(kept, 4);
}

/// A port that is free for TCP and UDP on all addresses, below those that the system chooses for others
async fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    for _ in 0..1000 {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await;
        if tcp.is_ok() && UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await.is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_moves_from_all_addresses_to_one_and_back() {
    let (mut world, _server) = with_sockets().await;
    let port = free_port().await;
    let all = (Ipv4Addr::UNSPECIFIED, port);
    world.forward(1, all, "192.168.1.3:7", Protocol::TCP);
    world.forward(1, all, "192.168.1.3:7", Protocol::UDP);
    world.apply().await;
    let mut first = TcpStream::connect(local(port)).await.unwrap();
    first.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut first, 1).await, "x");
    let clients = UdpSocket::bind(local(0)).await.unwrap();
    clients.connect(local(port)).await.unwrap();
    for listen in [local(port), all.into(), local(port)] {
        // a datagram of a client that is known, so that its task is there
        clients.send(b"x").await.unwrap();
        let answered = timeout(Duration::from_secs(10), clients.recv(&mut [0; 8])).await;
        assert_eq!(answered.expect("an answer").unwrap(), 1);
        for forward in &mut world.settings.sites.get_mut(&name(1)).unwrap().forwards {
            forward.listen = Listen::Ip(listen);
        }
        world.apply().await;
        let mut client = TcpStream::connect(local(port)).await.unwrap();
        client.write_all(b"y").await.unwrap();
        assert_eq!(read_text(&mut client, 1).await, "y");
        let mut keys: Vec<_> = world.ways.status().await.into_iter().map(|it| it.key).collect();
        keys.sort();
        assert_eq!(keys, [ListenKey::Tcp(listen), ListenKey::Udp(listen)]);
    }
    first.write_all(b"z").await.unwrap();
    assert_eq!(read_text(&mut first, 1).await, "z", "it drains");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_udp_port_is_free_for_its_heir_also_while_a_client_waits_for_its_site() {
    let mut world = World::with_sockets();
    let mut off = world.serve(1);
    off.power_off().unwrap();
    world.add(1);
    let port = free_port().await;
    let all = (Ipv4Addr::UNSPECIFIED, port);
    world.forward(1, all, "192.168.1.3:7", Protocol::UDP);
    world.apply().await;
    let client = UdpSocket::bind(local(0)).await.unwrap();
    client.send_to(b"x", local(port)).await.unwrap();
    let counters = world.counters(port).await;
    while counters.now() == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    world.settings.sites.get_mut(&name(1)).unwrap().forwards[0].listen = Listen::Ip(local(port));
    world.apply().await;
    assert_eq!(counters.now(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_cannot_be_had_leaves_all_as_it_was() {
    let (mut world, _server) = with_sockets().await;
    let port = free_port().await;
    let all = (Ipv4Addr::UNSPECIFIED, port);
    world.forward(1, all, "192.168.1.3:7", Protocol::TCP);
    world.apply().await;
    let good = world.settings.clone();
    // one that another program has: found before anything is changed
    let taken = TcpListener::bind(local(0)).await.unwrap();
    world.forward(1, taken.local_addr().unwrap(), "192.168.1.3:7", Protocol::TCP);
    world.forward(1, local(0), "192.168.1.3:7", Protocol::TCP);
    let failed = world.try_apply().await;
    assert_eq!(failed.len(), 1);
    assert!(failed[0].error.contains("in use"), "{failed:?}");
    assert_eq!(world.ways.status().await.len(), 1);
    // one that this machine does not have, in place of one that runs: the old one is put back
    world.settings = good;
    let nowhere = (Ipv4Addr::new(192, 0, 2, 1), port).into();
    world.settings.sites.get_mut(&name(1)).unwrap().forwards[0].listen = Listen::Ip(nowhere);
    let failed = world.try_apply().await;
    assert_eq!(failed.len(), 1, "{failed:?}");
    let mut client = TcpStream::connect(local(port)).await.unwrap();
    client.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut client, 1).await, "x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unix_socket_carries_octets_and_goes_with_its_listener() {
    let (mut world, _server) = with_sockets().await;
    let folder = std::env::temp_dir().join(format!("pptp-ways-in-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("echo.sock");
    let forward = world.forward(1, local(0), "192.168.1.3:7", Protocol::TCP);
    forward.listen = Listen::Unix(UnixSocket { path: path.clone(), mode: 0o600, group: None });
    world.apply().await;
    let mut client = tokio::net::UnixStream::connect(&path).await.unwrap();
    client.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut client, 1).await, "x");
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, (vec![], None));
    world.settings.sites.get_mut(&name(1)).unwrap().forwards.clear();
    world.apply().await;
    assert!(!path.exists());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_changes_the_mode_changes_no_file_that_took_the_place_of_the_socket() {
    let (mut world, _server) = with_sockets().await;
    let folder = std::env::temp_dir().join(format!("pptp-victim-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (path, victim) = (folder.join("echo.sock"), folder.join("victim"));
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    std::fs::write(&victim, "").unwrap();
    std::fs::set_permissions(&victim, Permissions::from_mode(0o600)).unwrap();
    let listen = |mode| Listen::Unix(UnixSocket { path: path.clone(), mode, group: None });
    let forward = world.forward(1, local(0), "192.168.1.3:7", Protocol::TCP);
    forward.listen = listen(0o600);
    world.apply().await;
    let mut again = async |wanted| {
        let site = world.settings.sites.get_mut(&name(1)).unwrap();
        site.forwards[0].listen = listen(wanted);
        world.try_apply().await
    };
    assert_eq!(again(0o660).await, []);
    assert_eq!(mode(&path), 0o660);
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&victim, &path).unwrap();
    let failed = again(0o666).await;
    let found = mode(&victim);
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(found, 0o600);
    assert!(failed[0].error.contains("another file has taken the place"), "{failed:?}");
}
