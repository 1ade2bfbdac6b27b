//! What streams in memory cannot show: resets, ends and datagrams of the kernel's sockets, in real time over loopback

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use pptp_connector::settings::{Listen, Protocol, ProxyKind, UnixSocket};
use pptp_testkit::{Server, TcpListener, content};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket, UnixStream},
    time::sleep,
};

use crate::world::{World, accept, local, name, read_all, read_text, soon};

const RESET: Option<ErrorKind> = Some(ErrorKind::ConnectionReset);

/// A building that is up, with a host of the test's own, which accepts on port 5000
async fn with_host() -> (World, Server, TcpListener) {
    let mut world = World::with_sockets();
    let server = world.serve(1);
    world.add(1);
    world.apply().await;
    world.until("b1", "up").await;
    let host = server.add_host(Ipv4Addr::new(192, 168, 1, 50)).unwrap();
    let listener = host.tcp_listen(5000, 64).unwrap();
    (world, server, listener)
}

/// Adds a forward, and returns the address that is bound
async fn forward(world: &mut World, target: &str) -> SocketAddr {
    world.forward(1, local(0), target, Protocol::TCP);
    world.apply().await;
    let is_it = |way: &str| way.ends_with(&format!("to b1 {target}"));
    let status = world.ways.status().await;
    status.iter().find(|status| is_it(&status.way.to_string())).unwrap().bound.unwrap()
}

/// Adds a proxy, and returns the address that is bound
async fn proxy(world: &mut World, kind: ProxyKind) -> SocketAddr {
    world.proxy(kind, 0);
    world.apply().await;
    world.ways.status().await[0].bound.unwrap()
}

/// Waits until no client is served any more
async fn until_nobody(world: &World) {
    let status = world.ways.status().await;
    let gone = async {
        while status.iter().any(|status| status.counters.now() > 0) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    soon(gone).await;
}

async fn until_somebody(world: &World) {
    let status = world.ways.status().await;
    while status.iter().all(|status| status.counters.now() == 0) {
        sleep(Duration::from_millis(5)).await;
    }
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_noticed_while_the_target_is_connected_also_behind_octets() {
    let (mut world, _server, _listener) = with_host().await;
    let bound = forward(&mut world, "192.168.1.254:80").await;
    for octets in [0, 1, 5000, 100_000] {
        let mut client = TcpStream::connect(bound).await.unwrap();
        client.write_all(&vec![7; octets]).await.unwrap();
        until_somebody(&world).await;
        reset(client);
        until_nobody(&world).await;
    }
    // also of a client that has closed its half: it waits for the answer until then
    let mut client = TcpStream::connect(bound).await.unwrap();
    client.write_all(b"x").await.unwrap();
    client.shutdown().await.unwrap();
    until_somebody(&world).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(world.ways.status().await[0].counters.now(), 1);
    world.settings.sites.get_mut(&name(1)).unwrap().forwards.clear();
    world.apply().await;
    world.ways.close_all(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resets_pass_both_ways_and_a_refused_client_gets_one() {
    let (mut world, _server, listener) = with_host().await;
    let bound = forward(&mut world, "192.168.1.50:5000").await;
    let mut client = TcpStream::connect(bound).await.unwrap();
    let mut host = accept(&listener).await;
    client.write_all(b"half").await.unwrap();
    assert_eq!(read_text(&mut host, 4).await, "half");
    reset(client);
    assert_eq!(read_all(&mut host).await, (vec![], RESET));
    let mut client = TcpStream::connect(bound).await.unwrap();
    let mut host = accept(&listener).await;
    host.write_all(b"half").await.unwrap();
    assert_eq!(read_text(&mut client, 4).await, "half");
    host.set_zero_linger().unwrap();
    drop(host);
    assert_eq!(read_all(&mut client).await, (vec![], RESET));
    let bound = forward(&mut world, "192.168.1.3:81").await;
    let mut client = TcpStream::connect(bound).await.unwrap();
    assert_eq!(read_all(&mut client).await, (vec![], RESET));
    // and ends stay ends
    let bound = forward(&mut world, "192.168.1.3:7").await;
    let mut client = TcpStream::connect(bound).await.unwrap();
    client.write_all(b"all of it").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, (b"all of it".to_vec(), None));
    until_nobody(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_socks_arrives_though_octets_of_the_client_are_not_read() {
    let (mut world, _server, _listener) = with_host().await;
    let bound = proxy(&mut world, ProxyKind::Socks).await;
    let mut client = TcpStream::connect(bound).await.unwrap();
    client
        .write_all(b"\x05\x01\x02\x01\x02b1\x00\x05\x01\x00\x01\xC0\xA8\x01\x03\x00\x51")
        .await
        .unwrap();
    // it believes in success, and has sent already
    client.write_all(&vec![7; 30_000]).await.unwrap();
    let (answer, error) = read_all(&mut client).await;
    assert_eq!(answer, b"\x05\x02\x01\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00");
    assert_eq!(error, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_http_arrives_though_octets_of_the_client_are_not_read() {
    let (mut world, _server, _listener) = with_host().await;
    let bound = proxy(&mut world, ProxyKind::Http).await;
    for _ in 0..10 {
        let mut client = TcpStream::connect(bound).await.unwrap();
        let head = "POST http://192.168.1.3.b1.pptp.internal:81/ HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        // it fails when the proxy has ended
        let _ = client.write_all(&vec![7; 1_000_000]).await;
        let (answer, _) = read_all(&mut client).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer:?}");
        assert!(answer.ends_with('\n'), "{answer:?}");
    }
    until_nobody(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connect_takes_the_kernels_stream_out_of_hyper() {
    let (mut world, _server, listener) = with_host().await;
    let bound = proxy(&mut world, ProxyKind::Http).await;
    let mut client = TcpStream::connect(bound).await.unwrap();
    let request = b"CONNECT 192.168.1.50.b1.pptp.internal:5000 HTTP/1.1\r\n\r\nearly";
    client.write_all(request).await.unwrap();
    let mut host = accept(&listener).await;
    assert_eq!(read_text(&mut host, 5).await, "early");
    host.write_all(b"answer").await.unwrap();
    let mut answer = String::new();
    while !answer.ends_with("answer") {
        answer.push(soon(client.read_u8()).await.unwrap().into());
    }
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    reset(client);
    assert_eq!(read_all(&mut host).await, (vec![], RESET));
    until_nobody(&world).await;
    // one that goes away while its target is connected is noticed
    let mut client = TcpStream::connect(bound).await.unwrap();
    client.write_all(b"CONNECT 192.168.1.254.b1.pptp.internal:80 HTTP/1.1\r\n\r\n").await.unwrap();
    until_somebody(&world).await;
    reset(client);
    until_nobody(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_of_socks_has_a_port_beside_its_connection() {
    let (mut world, _server, _listener) = with_host().await;
    let bound = proxy(&mut world, ProxyKind::Socks).await;
    let mut client = TcpStream::connect(bound).await.unwrap();
    client
        .write_all(b"\x05\x01\x02\x01\x02b1\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00")
        .await
        .unwrap();
    let mut answer = [0; 14];
    soon(client.read_exact(&mut answer)).await.unwrap();
    let [5, 2, 1, 0, 5, 0, 0, 1, 127, 0, 0, 1, high, low] = answer else { panic!("{answer:?}") };
    let relay = local(u16::from_be_bytes([high, low]));
    let datagrams = UdpSocket::bind(local(0)).await.unwrap();
    let head = [0, 0, 0, 1, 192, 168, 1, 3, 0, 19];
    datagrams.send_to(&[&head, &b"600"[..]].concat(), relay).await.unwrap();
    let mut octets = vec![0; 2048];
    let (count, from) = soon(datagrams.recv_from(&mut octets)).await.unwrap();
    assert_eq!(from, relay);
    assert_eq!(octets[..count], [&head, &content::datagram(1, 600)[..]].concat());
    drop(client);
    until_nobody(&world).await;
    UdpSocket::bind(relay).await.expect("the relay is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_on_unix_sockets_serve_and_have_no_relay() {
    let (mut world, _server, _listener) = with_host().await;
    let folder = Folder::new();
    for (kind, file) in [(ProxyKind::Socks, "socks.sock"), (ProxyKind::Http, "http.sock")] {
        let path = folder.0.join(file);
        let socket = UnixSocket { path, mode: 0o600, group: None };
        world.proxy(kind, 0).listen = Listen::Unix(socket);
    }
    world.apply().await;
    let greeting = b"\x05\x01\x02\x01\x02b1\x00";
    for (request, code) in [
        (b"\x05\x01\x00\x01\xC0\xA8\x01\x03\x00\x07", 0),
        (b"\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00", 7),
    ] {
        let mut client = UnixStream::connect(folder.0.join("socks.sock")).await.unwrap();
        client.write_all(greeting).await.unwrap();
        client.write_all(request).await.unwrap();
        let mut answer = [0; 14];
        soon(client.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer[5], code, "{request:?}");
        if code == 0 {
            client.write_all(b"hello").await.unwrap();
            assert_eq!(read_text(&mut client, 5).await, "hello");
        }
    }
    let mut client = UnixStream::connect(folder.0.join("http.sock")).await.unwrap();
    let request = "GET http://knx.lan.b1.pptp.internal/ HTTP/1.0\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let (answer, error) = read_all(&mut client).await;
    assert!(answer.ends_with(b"building 1\n"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(error, None);
    until_nobody(&world).await;
}

/// A folder that is gone when this is dropped
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("pptp-kernel-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
