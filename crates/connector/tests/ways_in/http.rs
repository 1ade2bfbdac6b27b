//! The HTTP proxy: CONNECT and absolute form, bodies, refusals, times and sizes, smuggling

use std::{io::ErrorKind, net::Ipv4Addr, time::Duration};

use pptp_connector::{
    settings::{Login, ProxyKind, Selector},
    way_in::MemoryClient,
};
use pptp_fleet::Connect;
use pptp_testkit::{Server, TcpListener, TcpStream};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use crate::world::{World, accept, log_lines, read_all, read_text, soon};

const RESET: Option<ErrorKind> = Some(ErrorKind::ConnectionReset);
const PORT: u16 = 8080;

/// `b1:` and `b2:` in Base64, as curl sends a user without a password
const B1: &str = "Proxy-Authorization: Basic YjE6\r\n";
const B2: &str = "Proxy-Authorization: Basic YjI6\r\n";

/// A proxy to all sites; the building 1 is up, and has a host of the test's own, which accepts on port 80
async fn with_host() -> (World, Server, TcpListener) {
    let (mut world, server) = World::one_building().await;
    let host = server.add_host(Ipv4Addr::new(192, 168, 1, 50)).unwrap();
    let listener = host.tcp_listen(80, 64).unwrap();
    world.proxy(ProxyKind::Http, PORT);
    world.apply().await;
    (world, server, listener)
}

/// An answer, or a request as a host gets it
#[derive(Debug)]
struct Message {
    /// In lower case
    head: String,
    body: String,
}

impl Message {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(it, _)| *it == name).map(|(_, value)| value)
    }
}

/// Reads a head, in lower case
async fn head(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let octet = soon(stream.read_u8()).await;
        head.push(octet.unwrap_or_else(|error| {
            panic!("{error} after {:?}", String::from_utf8_lossy(&head));
        }));
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

/// Reads a head and the body that it announces
async fn message(stream: &mut (impl AsyncReadExt + Unpin)) -> Message {
    let mut message = Message { head: head(stream).await, body: String::new() };
    if let Some(length) = message.header("content-length") {
        let length = length.parse().unwrap();
        message.body = read_text(stream, length).await;
    } else if message.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = String::new();
            while !line.ends_with("\r\n") {
                line.push(soon(stream.read_u8()).await.unwrap().into());
            }
            let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
            message.body += &read_text(stream, length).await;
            assert_eq!(read_text(stream, 2).await, "\r\n");
            if length == 0 {
                break;
            }
        }
    }
    message
}

/// Sends a request, and reads the answer
async fn ask(client: &mut MemoryClient, request: &str) -> Message {
    client.write_all(request.as_bytes()).await.unwrap();
    message(client).await
}

async fn say(host: &mut TcpStream, text: &str) {
    host.write_all(text.as_bytes()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_connection_go_to_the_sites_that_they_name() {
    let (mut world, _server, _listener) = with_host().await;
    let _other = world.serve(2);
    world.add(2);
    world.apply().await;
    let mut client = world.client(PORT).await;
    for _ in 0..3 {
        for (request, page) in [
            (format!("GET http://192.168.1.3/ HTTP/1.1\r\nHost: x\r\n{B1}\r\n"), "building 1\n"),
            (format!("GET http://knx.lan/ HTTP/1.1\r\nHost: x\r\n{B2}\r\n"), "building 2\n"),
            (
                "GET http://knx.lan.b1.pptp.internal:80 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
                "building 1\n",
            ),
        ] {
            let answer = ask(&mut client, &request).await;
            assert_eq!((answer.status(), &*answer.body), (200, page), "{request}");
            assert_eq!(answer.header("via"), Some("1.1 pptp-connector"));
        }
    }
    assert_eq!(world.counters(PORT).await.accepted(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_reaches_its_target_as_if_the_client_were_there() {
    let (world, _server, listener) = with_host().await;
    let mut client = world.client(PORT).await;
    let request = "GET http://192.168.1.50.b1.pptp.internal/a?b=c HTTP/1.1\r\n\
        Host: 192.168.1.50.b1.pptp.internal\r\nX-Other: 1\r\nProxy-Connection: keep-alive\r\n\
        Connection: X-Mine, keep-alive\r\nX-Mine: 2\r\nAuthorization: Basic abc\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut host = accept(&listener).await;
    let mut lines: Vec<_> = head(&mut host).await.lines().map(str::to_owned).collect();
    lines[1..].sort();
    let wanted = [
        "get /a?b=c http/1.1",
        "",
        "authorization: basic abc",
        "connection: close",
        "host: 192.168.1.50",
        "via: 1.1 pptp-connector",
        "x-other: 1",
    ];
    assert_eq!(lines, wanted);
    say(&mut host, "HTTP/1.1 404 Away\r\nContent-Length: 2\r\nConnection: close, X-Its\r\n").await;
    say(&mut host, "X-Its: 3\r\nX-Kept: 4\r\n\r\nno").await;
    let answer = message(&mut client).await;
    assert_eq!((answer.status(), &*answer.body), (404, "no"));
    assert_eq!((answer.header("x-its"), answer.header("x-kept")), (None, Some("4")));
    let counted = world.counters(PORT).await.octets();
    assert_eq!(counted, (0, 2), "of bodies");
}

#[tokio::test(start_paused = true)]
async fn bodies_pass_in_chunks_as_they_come_both_ways() {
    let (world, _server, listener) = with_host().await;
    let mut client = world.client(PORT).await;
    let request = format!(
        "POST http://192.168.1.50/ HTTP/1.1\r\nHost: x\r\n{B1}Transfer-Encoding: chunked\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let mut host = accept(&listener).await;
    let got = head(&mut host).await;
    assert!(got.contains("\r\ntransfer-encoding: chunked\r\n"), "{got}");
    assert!(!got.contains("content-length"), "{got}");
    for _ in 0..3 {
        client.write_all(b"5\r\nhello\r\n").await.unwrap();
        assert_eq!(read_text(&mut host, 10).await, "5\r\nhello\r\n");
    }
    // the answer begins while the request goes on
    say(&mut host, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n").await;
    let answer = head(&mut client).await;
    assert!(answer.contains("\r\ntransfer-encoding: chunked\r\n"), "{answer}");
    assert_eq!(read_text(&mut client, 8).await, "3\r\none\r\n");
    client.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(read_text(&mut host, 5).await, "0\r\n\r\n");
    // five minutes of silence are none of the proxy's business
    sleep(Duration::from_mins(5)).await;
    say(&mut host, "3\r\ntwo\r\n0\r\n\r\n").await;
    assert_eq!(read_text(&mut client, 13).await, "3\r\ntwo\r\n0\r\n\r\n");
    // and the connection serves on
    let page = ask(&mut client, "GET http://192.168.1.3.b1.pptp.internal/ HTTP/1.1\r\n\r\n").await;
    assert_eq!(page.body, "building 1\n");
}

#[tokio::test(start_paused = true)]
async fn large_bodies_pass_whole_both_ways() {
    let (world, _server, _listener) = with_host().await;
    let mut client = world.client(PORT).await;
    let request = format!("GET http://192.168.1.3/16M HTTP/1.1\r\nHost: x\r\n{B1}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let got = head(&mut client).await;
    let length = pptp_testkit::content::LENGTH;
    assert!(got.contains(&format!("content-length: {length}\r\n")), "{got}");
    let mut body = vec![0; length];
    soon(client.read_exact(&mut body)).await.unwrap();
    body.truncate(1 << 20);
    let (length, digest) = (body.len(), hex(&Sha256::digest(&body)));
    let request = format!(
        "PUT http://192.168.1.3/ HTTP/1.1\r\n{B1}Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let got = head(&mut client).await;
    assert_eq!(got, "http/1.1 100 continue\r\n\r\n");
    client.write_all(&body).await.unwrap();
    let answer = message(&mut client).await;
    assert_eq!(answer.body.trim_end(), digest);
    assert_eq!(world.counters(PORT).await.octets().0, length as u64);
}

fn hex(octets: &[u8]) -> String {
    octets.iter().flat_map(|octet| [octet >> 4, octet & 0xF]).map(hex_digit).collect()
}

fn hex_digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_body_keeps_its_length() {
    let (world, _server, listener) = with_host().await;
    let mut client = world.client(PORT).await;
    for (method, answer) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
    ] {
        let request = format!("{method} http://192.168.1.50/ HTTP/1.1\r\nHost: x\r\n{B1}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut host = accept(&listener).await;
        head(&mut host).await;
        say(&mut host, answer).await;
        let got = head(&mut client).await;
        assert_eq!(got.contains("content-length: 1000"), method == "HEAD", "{method} {got}");
    }
    let page = ask(&mut client, &format!("GET http://192.168.1.3/ HTTP/1.1\r\n{B1}\r\n")).await;
    assert_eq!(page.body, "building 1\n", "nothing is left of the bodies that were none");
    // a refusal of HEAD has no body either
    let request = format!("HEAD http://192.168.1.3:81/ HTTP/1.1\r\nHost: x\r\n{B1}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    assert!(head(&mut client).await.starts_with("http/1.1 502"));
    let page = ask(&mut client, &format!("GET http://192.168.1.3/ HTTP/1.1\r\n{B1}\r\n")).await;
    assert_eq!(page.body, "building 1\n");
}

#[tokio::test(start_paused = true)]
async fn connect_passes_octets_both_ways_until_both_halves_have_ended() {
    let (world, _server, listener) = with_host().await;
    let mut client = world.client(PORT).await;
    // octets behind the head are the target's
    let request = format!("CONNECT 192.168.1.50:80 HTTP/1.1\r\nHost: x\r\n{B1}\r\nearly");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut host = accept(&listener).await;
    assert_eq!(read_text(&mut host, 5).await, "early");
    let got = head(&mut client).await;
    assert!(got.starts_with("http/1.1 200"), "{got}");
    assert!(!got.contains("content-length") && !got.contains("transfer-encoding"), "{got}");
    // an old client (nc, corkscrew)
    let mut old = world.client(PORT).await;
    old.write_all(b"CONNECT 192.168.1.3.b1.pptp.internal:7 HTTP/1.0\r\n\r\n").await.unwrap();
    assert!(head(&mut old).await.starts_with("http/1.0 200"));
    old.write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut old, 1).await, "x");
    drop(old);
    // a WebSocket, as far as the proxy is concerned
    client.write_all(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n").await.unwrap();
    assert!(head(&mut host).await.contains("upgrade: websocket"));
    say(&mut host, "HTTP/1.1 101 Switching Protocols\r\n\r\n").await;
    assert!(head(&mut client).await.starts_with("http/1.1 101"));
    sleep(Duration::from_hours(3)).await;
    say(&mut host, "frame").await;
    assert_eq!(read_text(&mut client, 5).await, "frame");
    host.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, (vec![], None));
    client.write_all(b"last").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut host).await, (b"last".to_vec(), None));
    assert_eq!(world.counters(PORT).await.now(), 0);
    // resets pass both ways
    for is_of_client in [true, false] {
        let mut client = world.client(PORT).await;
        client
            .write_all(b"CONNECT 192.168.1.50.b1.pptp.internal:80 HTTP/1.1\r\n\r\n")
            .await
            .unwrap();
        let mut host = accept(&listener).await;
        head(&mut client).await;
        if is_of_client {
            client.reset();
            assert_eq!(read_all(&mut host).await, (vec![], RESET));
        } else {
            host.set_zero_linger().unwrap();
            drop(host);
            assert_eq!(read_all(&mut client).await, (vec![], RESET));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_websocket_in_absolute_form_is_told_the_way_that_works() {
    let (world, _server, _listener) = with_host().await;
    let mut client = world.client(PORT).await;
    let request = format!(
        "GET http://192.168.1.50/ HTTP/1.1\r\n{B1}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    let answer = ask(&mut client, &request).await;
    assert_eq!(answer.status(), 400);
    assert!(answer.body.contains("CONNECT"), "{}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn rfc_9209_a_refusal_tells_its_reason_and_the_connection_serves_on() {
    let (mut world, _server, _listener) = with_host().await;
    let mut off = world.serve(2);
    off.power_off().unwrap();
    world.add(2).wait = Duration::from_secs(4);
    let forbidding = world.proxy(ProxyKind::Http, 8081);
    forbidding.sites = Selector::parse(["b1"]).unwrap();
    forbidding.targets = vec!["192.168.1.3:80".parse().unwrap()];
    world.apply().await;
    for (port, target, user, status, error) in [
        (PORT, "192.168.1.3:81", B1, 502, "connection_refused"),
        (PORT, "192.168.1.77:80", B1, 502, "destination_ip_unroutable"),
        (PORT, "nowhere.lan:80", B1, 502, "dns_error"),
        (PORT, "192.168.1.3.b9.pptp.internal:80", "", 502, "destination_not_found"),
        (PORT, "192.168.1.3:80", B2, 503, "destination_unavailable"),
        (PORT, "192.168.1.254:80", B1, 504, "connection_timeout"),
        (PORT, "knx.lan.b2.pptp.internal:80", B1, 403, "http_request_denied"),
        (8081, "192.168.1.3:80", B2, 403, "http_request_denied"),
        (8081, "192.168.1.3:7", B1, 403, "destination_ip_prohibited"),
        (PORT, "192.168.1.3:80", "", 407, "http_request_denied"),
        (PORT, "[fe80::1]:80", B1, 400, "http_request_error"),
    ] {
        let mut client = world.client(port).await;
        for request in [
            format!("GET http://{target}/ HTTP/1.1\r\nHost: x\r\n{user}\r\n"),
            format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\n{user}\r\n"),
        ] {
            let answer = ask(&mut client, &request).await;
            assert_eq!(answer.status(), status, "{request}{answer:?}");
            let told = answer.header("proxy-status").unwrap();
            let wanted = format!("pptp-connector; error={error}; details=\"");
            assert!(told.starts_with(&wanted), "{request}{told}");
            assert!(!answer.body.trim().is_empty());
            let challenge = answer.header("proxy-authenticate");
            let wanted = (status == 407).then_some("basic realm=\"user name = site\"");
            assert_eq!(challenge, wanted, "{request}");
        }
    }
    // a site that waits for its next dial says when that is
    world.until("b2", "waiting").await;
    let mut client = world.client(PORT).await;
    let answer = ask(&mut client, &format!("GET http://192.168.1.3/ HTTP/1.1\r\n{B2}\r\n")).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 0, "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_to_a_proxy_is_refused() {
    let (world, _server, _listener) = with_host().await;
    for request in [
        "GET / HTTP/1.1\r\nHost: 192.168.1.3\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: 192.168.1.3\r\n",
        "GET https://192.168.1.3/ HTTP/1.1\r\n",
        "CONNECT 192.168.1.3 HTTP/1.1\r\n",
        "GET http://192.168.1.3:0/ HTTP/1.1\r\n",
        "GET http://192.168.1.3:70000/ HTTP/1.1\r\n",
    ] {
        let mut client = world.client(PORT).await;
        let answer = ask(&mut client, &format!("{request}{B1}\r\n")).await;
        assert_eq!(answer.status(), 400, "{request}");
    }
    // one that is not even HTTP
    for octets in ["\x05\x01\x00", "\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}", "x y z\r\n\r\n"] {
        let mut client = world.client(PORT).await;
        client.write_all(octets.as_bytes()).await.unwrap();
        let (answer, error) = read_all(&mut client).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{octets:?}: {answer}");
        assert_eq!(error, None, "{octets:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_opens_the_sites_that_it_may_reach() {
    let (mut world, _server, _listener) = with_host().await;
    let password_sha256 = Sha256::digest(b"secret").into();
    let sites = Selector::parse(["b1"]).unwrap();
    world.settings.proxies[0].logins.push(Login { name: "ann".into(), password_sha256, sites });
    world.apply().await;
    let basic = |text: &str| format!("Proxy-Authorization: basic {text}\r\n");
    // a browser asks without a login first, which is no line of the log
    for (user, target, status) in [
        (String::new(), "192.168.1.3.b1.pptp.internal", 407),
        (B1.to_owned(), "192.168.1.3", 407),
        (basic("YW5uOlNlY3JldA=="), "192.168.1.3.b1.pptp.internal", 407), // ann:Secret
        (basic("YW5uOnNlY3JldA=="), "192.168.1.3.b1.pptp.internal", 200), // ann:secret
        (basic("YW5uOnNlY3JldA=="), "192.168.1.3", 407),                  // names no site
        (basic("YW5uK2IxOnNlY3JldA=="), "192.168.1.3", 200),              // ann+b1:secret
        (basic("YW5uK2IyOnNlY3JldA=="), "192.168.1.3", 502),              // ann+b2:secret
    ] {
        let mut client = world.client(PORT).await;
        let request = format!("GET http://{target}/ HTTP/1.1\r\nHost: x\r\n{user}\r\n");
        let answer = ask(&mut client, &request).await;
        assert_eq!(answer.status(), status, "{request}{answer:?}");
        let challenge = answer.header("proxy-authenticate");
        let wanted = "basic realm=\"user name = login or login+site\"";
        assert_eq!(challenge, (status == 407).then_some(wanted));
    }
    assert_eq!(log_lines().len(), 4, "{:?}", log_lines());
}

#[tokio::test(start_paused = true)]
async fn a_head_has_ten_seconds_and_eight_kibibytes() {
    let (world, _server, _listener) = with_host().await;
    let whole = format!("GET http://192.168.1.3/ HTTP/1.1\r\nHost: x\r\n{B1}\r\n");
    for at in [0, 1, 10, 40, whole.len() - 1] {
        let mut client = world.client(PORT).await;
        let start = Instant::now();
        client.write_all(&whole.as_bytes()[..at]).await.unwrap();
        // an octet now and then does not make it longer
        sleep(Duration::from_secs(7)).await;
        let (answer, _) = read_all(&mut client).await;
        assert_eq!((answer.len(), start.elapsed().as_secs()), (0, 10), "{at} octets");
    }
    assert_eq!(
        world.refused(PORT).await,
        [("protocol", 4)].into(),
        "who sent nothing is no matter"
    );
    assert_eq!(log_lines().len(), 4);
    // behind an answer a head may come within a minute, and then has ten seconds
    let mut client = world.client(PORT).await;
    for _ in 0..3 {
        assert_eq!(ask(&mut client, &whole).await.status(), 200);
        sleep(Duration::from_secs(55)).await;
    }
    let start = Instant::now();
    client.write_all(&whole.as_bytes()[..9]).await.unwrap();
    assert_eq!(read_all(&mut client).await.0, b"");
    assert_eq!(start.elapsed().as_secs(), 10);
    let mut client = world.client(PORT).await;
    assert_eq!(ask(&mut client, &whole).await.status(), 200);
    let start = Instant::now();
    assert_eq!(read_all(&mut client).await, (vec![], None));
    assert_eq!(start.elapsed().as_secs(), 60);
    // eight kibibytes, of many fields or of one
    let mut client = world.client(PORT).await;
    let field = "x".repeat(7000);
    let request = format!("GET http://192.168.1.3/ HTTP/1.1\r\n{B1}X: {field}\r\n\r\n");
    assert_eq!(ask(&mut client, &request).await.status(), 200);
    for field in ["x".repeat(9000), format!("y{}", "\r\nX: y".repeat(90)), "y".repeat(60_000)] {
        let mut client = world.client(PORT).await;
        let request = format!("GET http://192.168.1.3/ HTTP/1.1\r\n{B1}X: {field}\r\n\r\n");
        let _ = client.write_all(request.as_bytes()).await;
        let (answer, _) = read_all(&mut client).await;
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap_or_default();
        let is_refused = ["400", "414", "431"].contains(&status);
        assert!(is_refused || field.len() < 8000 && status == "200", "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_request_is_smuggled_in_another() {
    let (world, _server, listener) = with_host().await;
    let inner = "GET http://192.168.1.50/evil HTTP/1.1\r\n\r\n";
    let length = inner.len();
    // what cannot be told from another request is refused, and nothing reaches the target
    for fields in [
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: 0, {length}\r\n"),
        "Content-Length: +5\r\n".to_owned(),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: 0x10\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: gzip, chunked\r\n".to_owned(),
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        "Host: x\r\n Content-Length: 5\r\n".to_owned(),
    ] {
        let mut client = world.client(PORT).await;
        let request = format!("POST http://192.168.1.50/ HTTP/1.1\r\n{B1}{fields}\r\n{inner}");
        client.write_all(request.as_bytes()).await.unwrap();
        let (answer, _) = read_all(&mut client).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{fields}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{fields}: {answer}");
        let reached = timeout(Duration::from_secs(1), listener.accept()).await;
        assert!(reached.is_err(), "{fields}");
    }
    // a length beside chunks means nothing, and goes no further (RFC 9112 section 6.3)
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    ] {
        let mut client = world.client(PORT).await;
        let request = format!(
            "POST http://192.168.1.50/ HTTP/1.1\r\n{B1}{fields}\r\n{length:x}\r\n{inner}\r\n0\r\n\r\n"
        );
        client.write_all(request.as_bytes()).await.unwrap();
        let mut host = accept(&listener).await;
        let got = message(&mut host).await;
        assert_eq!(got.header("content-length"), None, "{got:?}");
        assert_eq!(got.body, inner);
        say(&mut host, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(message(&mut client).await.status(), 200);
    }
    // the same length twice is one length
    let mut client = world.client(PORT).await;
    let request = format!(
        "POST http://192.168.1.50/ HTTP/1.1\r\n{B1}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let mut host = accept(&listener).await;
    let got = message(&mut host).await;
    assert_eq!(got.head.matches("content-length").count(), 1, "{got:?}");
    assert_eq!(got.body, "hello");
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_smuggled_in_another() {
    let (world, _server, listener) = with_host().await;
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    ] {
        let mut client = world.client(PORT).await;
        let request = format!("GET http://192.168.1.50/ HTTP/1.1\r\nHost: x\r\n{B1}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut host = accept(&listener).await;
        head(&mut host).await;
        say(&mut host, &format!("HTTP/1.1 200 OK\r\n{fields}\r\n6\r\nsecret\r\n0\r\n\r\n")).await;
        let answer = message(&mut client).await;
        assert_eq!(answer.header("content-length"), None, "{answer:?}");
        assert_eq!(answer.body, "secret", "{answer:?}");
        // what a target sends behind its answer reaches nobody
        let request = format!("GET http://192.168.1.3/ HTTP/1.1\r\nHost: x\r\n{B1}\r\n");
        let _ = host.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
        assert_eq!(ask(&mut client, &request).await.body, "building 1\n");
    }
    for fields in [
        "Content-Length: 1\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
    ] {
        let mut client = world.client(PORT).await;
        let request = format!("GET http://192.168.1.50/ HTTP/1.1\r\nHost: x\r\n{B1}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut host = accept(&listener).await;
        head(&mut host).await;
        say(&mut host, &format!("HTTP/1.1 200 OK\r\n{fields}\r\nevil")).await;
        let answer = message(&mut client).await;
        assert_eq!(answer.status(), 502, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let (world, mut server, listener) = with_host().await;
    for (version, fields, by) in [
        ("1.1", "", "reset"),
        ("1.0", "", "reset"),
        ("1.0", "Content-Length: 100\r\n", "end"),
        ("1.1", "Content-Length: 100\r\n", "end"),
        ("1.1", "Transfer-Encoding: chunked\r\n", "end"),
        ("1.1", "Content-Length: 100\r\n", "reset"),
        ("1.0", "", "tunnel"),
    ] {
        world.until("b1", "up").await;
        let mut client = world.client(PORT).await;
        let request = format!("GET http://192.168.1.50/ HTTP/{version}\r\n{B1}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut host = accept(&listener).await;
        head(&mut host).await;
        let body = if fields.starts_with('T') { "4\r\nhalf\r\n" } else { "half" };
        say(&mut host, &format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}")).await;
        head(&mut client).await;
        soon(client.read_exact(&mut [0; 4])).await.unwrap();
        match by {
            "reset" => host.set_zero_linger().unwrap(),
            "tunnel" => server.restart().await.unwrap(),
            _ => {}
        }
        drop(host);
        let (_, error) = read_all(&mut client).await;
        assert_eq!(error, RESET, "{version} {fields} {by}");
    }
    // one that ends cleanly, without a length, is whole
    world.until("b1", "up").await;
    let mut client = world.client(PORT).await;
    let request = format!("GET http://192.168.1.50/ HTTP/1.0\r\n{B1}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut host = accept(&listener).await;
    head(&mut host).await;
    say(&mut host, "HTTP/1.1 200 OK\r\n\r\nwhole").await;
    host.shutdown().await.unwrap();
    head(&mut client).await;
    assert_eq!(read_all(&mut client).await, (b"whole".to_vec(), None));
    // a head that breaks off is an answer of the proxy
    let mut client = world.client(PORT).await;
    client.write_all(request.as_bytes()).await.unwrap();
    let mut host = accept(&listener).await;
    head(&mut host).await;
    say(&mut host, "HTTP/1.1 200 OK\r\nX: ").await;
    drop(host);
    let answer = message(&mut client).await;
    assert_eq!(answer.status(), 502);
    assert!(answer.header("proxy-status").unwrap().contains("http_protocol_error"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_ends_its_request() {
    let (world, _server, listener) = with_host().await;
    let counters = world.counters(PORT).await;
    // while the target is connected, while it thinks, and while it answers
    let mut client = world.client(PORT).await;
    client.write_all(b"CONNECT 192.168.1.254.b1.pptp.internal:80 HTTP/1.1\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(counters.now(), 1);
    client.reset();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(counters.now(), 0);
    for answer in ["", "HTTP/1.1 200 OK\r\n\r\nhalf"] {
        let mut client = world.client(PORT).await;
        let request = format!("GET http://192.168.1.50/ HTTP/1.1\r\nHost: x\r\n{B1}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut host = accept(&listener).await;
        head(&mut host).await;
        say(&mut host, answer).await;
        sleep(Duration::from_secs(1)).await;
        client.reset();
        let (_, error) = timeout(Duration::from_secs(5), read_all(&mut host)).await.unwrap();
        assert!([None, RESET].contains(&error));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(counters.now(), 0, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_come_before_the_request_has_ended() {
    let (world, _server, listener) = with_host().await;
    let mut client = world.client(PORT).await;
    let request = format!(
        "POST http://192.168.1.50/ HTTP/1.1\r\nHost: x\r\n{B1}Content-Length: 1000000\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    client.write_all(&vec![7; 50_000]).await.unwrap();
    let mut host = accept(&listener).await;
    head(&mut host).await;
    say(&mut host, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig").await;
    let answer = message(&mut client).await;
    assert_eq!((answer.status(), &*answer.body), (413, "big"));
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_taken_away_resets_what_it_opened() {
    let (mut world, _server, listener) = with_host().await;
    let mut clients = Vec::new();
    let mut hosts = Vec::new();
    for request in ["GET http://192.168.1.50/ HTTP/1.0\r\n", "CONNECT 192.168.1.50:80 HTTP/1.1\r\n"]
    {
        let mut client = world.client(PORT).await;
        client.write_all(format!("{request}{B1}\r\n").as_bytes()).await.unwrap();
        let mut host = accept(&listener).await;
        if request.starts_with("GET") {
            head(&mut host).await;
            say(&mut host, "HTTP/1.1 200 OK\r\n\r\nhalf").await;
        }
        head(&mut client).await;
        clients.push(client);
        hosts.push(host);
    }
    world.apply().await;
    assert_eq!(read_text(&mut clients[0], 4).await, "half");
    clients[1].write_all(b"x").await.unwrap();
    assert_eq!(read_text(&mut hosts[1], 1).await, "x");
    world.settings.proxies[0].targets = vec!["*:7".parse().unwrap()];
    world.apply().await;
    for client in &mut clients {
        assert_eq!(read_all(client).await, (vec![], RESET));
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_taken_away_while_the_site_is_dialled_opens_nothing() {
    let (mut world, _server, _listener) = with_host().await;
    let second = world.serve(2);
    let host = second.add_host(Ipv4Addr::new(192, 168, 1, 50)).unwrap();
    let listener = host.tcp_listen(80, 64).unwrap();
    let site = world.add(2);
    let idle = Duration::from_mins(1);
    site.dial = site.dial.clone().connect(Connect::OnDemand { idle });
    world.apply().await;
    let mut clients = Vec::new();
    for request in ["GET http://192.168.1.50/ HTTP/1.1\r\n", "CONNECT 192.168.1.50:80 HTTP/1.1\r\n"]
    {
        let mut client = world.client(PORT).await;
        client.write_all(format!("{request}{B2}\r\n").as_bytes()).await.unwrap();
        clients.push(client);
    }
    sleep(Duration::from_millis(30)).await;
    world.settings.proxies[0].sites = Selector::parse(["b1"]).unwrap();
    world.apply().await;
    for client in &mut clients {
        assert_eq!(message(client).await.status(), 403);
    }
    while let Ok(Ok((mut stream, _))) = timeout(Duration::from_secs(5), listener.accept()).await {
        assert_eq!(read_all(&mut stream).await.0, b"", "no octet has passed");
    }
    world.until("b2", "idle").await;
}

#[tokio::test(start_paused = true)]
async fn a_target_may_say_something_before_its_answer_and_switches_no_protocol_unasked() {
    let (world, _server, listener) = with_host().await;
    let mut client = world.client(PORT).await;
    let request = format!("GET http://192.168.1.50/ HTTP/1.1\r\nHost: x\r\n{B1}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut host = accept(&listener).await;
    head(&mut host).await;
    say(&mut host, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n").await;
    say(&mut host, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(message(&mut client).await.body, "ok");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut host = accept(&listener).await;
    head(&mut host).await;
    say(&mut host, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nraw").await;
    let answer = message(&mut client).await;
    assert_eq!(answer.status(), 502, "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_off_by_a_reload_does_not_look_whole() {
    let (mut world, _server, listener) = with_host().await;
    let mut client = world.client(PORT).await;
    let request = format!("GET http://192.168.1.50/ HTTP/1.0\r\n{B1}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut host = accept(&listener).await;
    head(&mut host).await;
    say(&mut host, "HTTP/1.1 200 OK\r\n\r\nhalf").await;
    head(&mut client).await;
    world.settings.proxies.clear();
    let start = Instant::now();
    world.apply().await;
    assert_eq!(read_all(&mut client).await, (b"half".to_vec(), RESET));
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn rfc_9110_9_3_6_a_connect_has_no_body() {
    let (world, _server, listener) = with_host().await;
    for fields in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut client = world.client(PORT).await;
        let request = format!("CONNECT 192.168.1.50:80 HTTP/1.1\r\n{B1}{fields}\r\nhello");
        assert_eq!(ask(&mut client, &request).await.status(), 400, "{fields}");
    }
    let mut client = world.client(PORT).await;
    let request = format!("CONNECT 192.168.1.50:80 HTTP/1.1\r\n{B1}Content-Length: 0\r\n\r\nhello");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut host = accept(&listener).await;
    assert!(head(&mut client).await.starts_with("http/1.1 200"));
    client.write_all(b" world").await.unwrap();
    assert_eq!(read_text(&mut host, 11).await, "hello world");
}
