//! Slow, silent and many clients, in virtual time

use std::time::Duration;

use pptp_connector::api::ReloadReport;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

use crate::world::World;

const LATENCY: Duration = Duration::from_millis(10);

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_and_one_whose_head_does_not_end_are_closed_after_10_seconds() {
    let world = World::new(LATENCY);
    for begin in ["", "GET /livez HT", "GET /livez HTTP/1.1\r\nHost: loc"] {
        let asked = Instant::now();
        let mut stream = world.connect();
        stream.write_all(begin.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(asked.elapsed().as_secs(), 10, "{begin}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_octet_by_octet_has_10_seconds_in_all() {
    let world = World::new(LATENCY);
    let mut stream = world.connect();
    let begin = Instant::now();
    for octet in std::iter::repeat_n(b"GET /livez HTTP/1.1\r\nA: ".iter(), 10).flatten() {
        if stream.write_all(&[*octet]).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    assert!(begin.elapsed() <= Duration::from_secs(12), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_head_without_an_end_is_refused_at_64_kib() {
    let world = World::new(LATENCY);
    let mut stream = world.connect();
    let mut sent = 0;
    let line = [b'a'; 1024];
    stream.write_all(b"GET /livez HTTP/1.1\r\nA: ").await.unwrap();
    while sent < 1 << 20 {
        if stream.write_all(&line).await.is_err() {
            break;
        }
        sent += line.len();
    }
    assert!(sent <= 80 << 10, "{sent}");
}

#[tokio::test(start_paused = true)]
async fn the_33rd_connection_is_told_so_and_the_places_come_back() {
    let world = World::new(LATENCY);
    let silent: Vec<_> = (0..32).map(|_| world.connect()).collect();
    let refused = world.ask("GET", "/livez").await;
    assert_eq!(refused.problem(), (503, "busy".into()));
    drop(silent);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.ask("GET", "/livez").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_silent_clients_are_closed_and_then_all_is_as_before() {
    let world = World::new(LATENCY);
    let clients: Vec<_> = (0..10_000).map(|_| world.connect()).collect();
    sleep(Duration::from_secs(11)).await;
    for mut client in clients {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
    }
    assert_eq!(world.ask("GET", "/livez").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn streams_leave_places_for_other_requests() {
    let world = World::new(LATENCY);
    let request = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut streams = Vec::new();
    for _ in 0..24 {
        streams.push(world.begin(request).await);
    }
    assert_eq!(world.ask("GET", "/v1/events").await.problem(), (503, "busy".into()));
    assert_eq!(world.ask("GET", "/v1/status").await.status, 200);
    streams.pop();
    sleep(Duration::from_secs(1)).await;
    world.begin(request).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_no_events_is_closed_10_seconds_after_there_is_no_room() {
    let world = World::new(LATENCY);
    let request = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (_, mut silent) = world.begin(request).await;
    let (_, mut reader) = world.begin(request).await;
    let follow = tokio::spawn(async move {
        let (mut octets, mut buffer) = (0, vec![0; 4096]);
        while octets < 200_000 {
            octets += reader.read(&mut buffer).await.unwrap();
        }
    });
    let begin = Instant::now();
    for _ in 0..2000 {
        world.daemon.log().reloaded(&ReloadReport::default());
        sleep(Duration::from_millis(10)).await;
    }
    follow.await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(21), "nobody waits for the silent one");
    // what was in its buffer is still there, and then the end
    let mut octets = Vec::new();
    silent.read_to_end(&mut octets).await.unwrap();
    assert!(octets.len() < 20_000, "{}", octets.len());
}

#[tokio::test(start_paused = true)]
async fn a_capture_that_is_not_read_ends_and_the_site_goes_on() {
    let world = World::new(LATENCY);
    let _server = world.serve(1);
    world.add("b1", 1, "Berlin").await;
    world.until("b1", "up").await;
    let request = "GET /v1/sites/b1/capture HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (_, mut silent) = world.begin(request).await;
    let lease = world.fleet().site("b1").unwrap().lease().unwrap();
    let mut http = lease.tcp_connect(([192, 168, 1, 3], 80)).await.unwrap();
    http.write_all(b"GET /16M HTTP/1.0\r\n\r\n").await.unwrap();
    let mut octets = Vec::new();
    http.read_to_end(&mut octets).await.unwrap();
    assert!(octets.len() > 16 << 20);
    sleep(Duration::from_secs(11)).await;
    let mut captured = Vec::new();
    silent.read_to_end(&mut captured).await.unwrap();
    assert!(captured.len() < 100_000, "{}", captured.len());
}

#[tokio::test(start_paused = true)]
async fn all_connections_end_when_the_server_is_stopped() {
    let world = World::new(LATENCY);
    let (_, mut stream) = world.begin("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    world.stop.cancel();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}
