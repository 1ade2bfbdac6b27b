//! TCP connections between two stacks
#![allow(missing_docs, reason = "tests")]

mod common;

use std::{
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::*;
use pptp_netstack::{CongestionControl, TcpListener, TcpOptions, TcpStream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    time::{Instant, sleep, timeout},
};

fn options() -> TcpOptions {
    TcpOptions::default()
}

async fn connect(pair: &Pair) -> (TcpStream, TcpStream) {
    connect_with(pair, options(), options()).await
}

async fn connect_with(
    pair: &Pair,
    client: TcpOptions,
    server: TcpOptions,
) -> (TcpStream, TcpStream) {
    let listener = pair.server.tcp_listen(any(80), 4, server).unwrap();
    let client = pair.client.tcp_connect(at(SECOND, 80), client);
    let (client, server) = tokio::join!(client, listener.accept());
    (client.unwrap(), server.unwrap().0)
}

async fn copy_all(from: &[u8], writer: &mut TcpStream, reader: &mut TcpStream) -> Vec<u8> {
    let write = async {
        writer.write_all(from).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut got = Vec::with_capacity(from.len());
    let read = reader.read_to_end(&mut got);
    let ((), read) = tokio::join!(write, read);
    read.unwrap();
    got
}

#[tokio::test(start_paused = true)]
async fn a_connection_knows_both_its_ends() {
    let pair = Pair::new();
    let (client, server) = connect(&pair).await;
    assert_eq!(client.peer_addr().unwrap(), at(SECOND, 80));
    assert_eq!(client.local_addr().unwrap().ip(), CLIENT);
    assert!(client.local_addr().unwrap().port() >= 49152);
    assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
    assert_eq!(server.local_addr().unwrap(), client.peer_addr().unwrap());
}

#[tokio::test(start_paused = true)]
async fn connecting_takes_one_round_trip() {
    let pair = Pair::new();
    pair.set_latency(Duration::from_millis(50));
    let _listener = pair.server.tcp_listen(any(80), 4, options()).unwrap();
    let start = Instant::now();
    pair.client.tcp_connect(at(SERVER, 80), options()).await.unwrap();
    let took = start.elapsed();
    assert!((100..105).contains(&took.as_millis()), "{took:?}");
}

/// pppd acknowledges the addresses some milliseconds before its interface takes packets.
#[tokio::test(start_paused = true)]
async fn a_link_that_passes_nothing_for_a_moment_costs_a_tenth_of_a_second() {
    let pair = Pair::new();
    let _listener = pair.server.tcp_listen(any(80), 4, options()).unwrap();
    let start = Instant::now();
    pair.set_filter(move |_, _| start.elapsed() > Duration::from_millis(20));
    pair.client.tcp_connect(at(SERVER, 80), options()).await.unwrap();
    let took = start.elapsed();
    assert!((110..115).contains(&took.as_millis()), "{took:?}");

    // now that it is known to pass, a SYN that is lost has its whole second
    let start = Instant::now();
    pair.set_filter(move |_, _| start.elapsed() > Duration::from_millis(20));
    pair.client.tcp_connect(at(SERVER, 80), options()).await.unwrap();
    let took = start.elapsed();
    assert!((1010..1015).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn so_does_a_ping_and_its_time_is_that_of_the_one_that_is_answered() {
    let pair = Pair::new();
    let start = Instant::now();
    pair.set_filter(move |_, _| start.elapsed() > Duration::from_millis(200));
    let took = pair.client.ping(SERVER, Duration::from_secs(9)).await.unwrap();
    assert!((10..12).contains(&took.as_millis()), "{took:?}");
    assert!((310..315).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());

    let lost = Instant::now();
    pair.set_filter(move |_, _| lost.elapsed() > Duration::from_millis(20));
    pair.client.ping(SERVER, Duration::from_secs(9)).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_more_than_four_times_in_the_first_second() {
    let pair = Pair::new();
    pair.record();
    pair.cut();
    let connecting = pair.client.tcp_connect(at(SERVER, 80), options());
    timeout(Duration::from_millis(999), connecting).await.unwrap_err();
    sleep(Duration::from_secs(5)).await;
    let sent = pair.record();
    assert_eq!(sent.iter().filter(|(_, packet)| packet[33] & 0x02 != 0).count(), 4, "{sent:02x?}");
}

#[tokio::test(start_paused = true)]
async fn sixteen_mebibytes_arrive_as_they_were_sent() {
    let all = [
        CongestionControl::Westwood,
        CongestionControl::Cubic,
        CongestionControl::Reno,
        CongestionControl::None,
    ];
    for congestion_control in all {
        let pair = Pair::new();
        pair.set_latency(Duration::from_micros(200));
        let options = options().congestion_control(congestion_control);
        let (mut client, mut server) = connect_with(&pair, options.clone(), options).await;
        let octets = pattern(16 << 20, 1);
        assert!(copy_all(&octets, &mut server, &mut client).await == octets);
    }
}

#[tokio::test(start_paused = true)]
async fn both_directions_at_once_through_loss() {
    let pair = Pair::new();
    let count = AtomicUsize::new(0);
    pair.set_filter(move |_, _| count.fetch_add(1, Ordering::Relaxed) % 53 != 7);
    let (client, server) = connect(&pair).await;
    let (up, down) = (pattern(200_000, 1), pattern(200_000, 2));
    let exchange = async |stream: TcpStream, send: Vec<u8>| {
        let (mut reader, mut writer) = stream.into_split();
        let write = async move {
            writer.write_all(&send).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let ((), read) = tokio::join!(write, reader.read_to_end(&mut got));
        read.unwrap();
        got
    };
    let (at_client, at_server) =
        tokio::join!(exchange(client, up.clone()), exchange(server, down.clone()));
    assert!(at_client == down && at_server == up);
}

#[tokio::test(start_paused = true)]
async fn the_segments_fit_the_mtu() {
    let pair = Pair::new();
    let (mut client, mut server) = connect(&pair).await;
    pair.record();
    copy_all(&pattern(20_000, 1), &mut server, &mut client).await;
    let longest = pair.record().iter().map(|(_, packet)| packet.len()).max();
    assert_eq!(longest, Some(MTU), "the client's MSS binds the server");
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_connection_still_receives() {
    let pair = Pair::new();
    for closes_first in [true, false] {
        let (client, server) = connect(&pair).await;
        let (mut first, mut second) =
            if closes_first { (client, server) } else { (server, client) };
        first.write_all(b"question").await.unwrap();
        first.shutdown().await.unwrap();
        let error = first.write_all(b"more").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let mut question = String::new();
        second.read_to_string(&mut question).await.unwrap();
        // longer than any linger time: a user that holds the connection may take its time
        sleep(Duration::from_secs(200)).await;
        second.write_all(b"answer").await.unwrap();
        second.shutdown().await.unwrap();
        let mut answer = String::new();
        first.read_to_string(&mut answer).await.unwrap();
        assert_eq!((&*question, &*answer), ("question", "answer"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_is_read_long_after_both_sides_have_finished() {
    let pair = Pair::new();
    let (mut client, mut server) = connect(&pair).await;
    server.write_all(b"the rest").await.unwrap();
    server.shutdown().await.unwrap();
    client.shutdown().await.unwrap();
    sleep(Duration::from_secs(100)).await;
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "the rest");
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0, "and then the end, again and again");
}

#[tokio::test(start_paused = true)]
async fn nobody_listening_is_refused() {
    let pair = Pair::new();
    let error = pair.client.tcp_connect(at(SERVER, 81), options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(pair.client_stats().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_host_times_out_when_the_options_say() {
    let pair = Pair::new();
    pair.cut();
    for seconds in [3, 10] {
        let connect_timeout = Duration::from_secs(seconds);
        let options = options().connect_timeout(connect_timeout);
        let start = Instant::now();
        let error = pair.client.tcp_connect(at(SERVER, 80), options).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::TimedOut, seconds));
    }
    assert_eq!(pair.client_stats().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_reset_is_read_first() {
    let pair = Pair::new();
    let (mut client, mut server) = connect(&pair).await;
    server.write_all(b"last words").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    server.abort();
    sleep(Duration::from_millis(100)).await;
    let mut words = [0; 10];
    client.read_exact(&mut words).await.unwrap();
    assert_eq!(&words, b"last words");
    for _ in 0..2 {
        let error = client.read(&mut words).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(client.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_reset_wakes_reader_and_writer() {
    let pair = Pair::new();
    let (client, server) = connect(&pair).await;
    let (mut reader, mut writer) = client.into_split();
    let read = tokio::spawn(async move { reader.read(&mut [0; 1]).await });
    let write = tokio::spawn(async move { writer.write_all(&vec![0; 1 << 20]).await });
    sleep(Duration::from_secs(1)).await;
    server.set_linger(Duration::ZERO).unwrap();
    drop(server);
    let (read, write) = (read.await.unwrap().unwrap_err(), write.await.unwrap().unwrap_err());
    assert_eq!(
        (read.kind(), write.kind()),
        (ErrorKind::ConnectionReset, ErrorKind::ConnectionReset)
    );
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_told_to_whoever_asks_what_is_ready() {
    let pair = Pair::new();
    let (client, server) = connect(&pair).await;
    assert!(client.take_error().unwrap().is_none());
    server.set_zero_linger().unwrap();
    drop(server);
    let ready = client.ready(Interest::ERROR).await.unwrap();
    assert!(ready.is_error());
    let ready = client.ready(Interest::READABLE | Interest::WRITABLE).await.unwrap();
    assert!(ready.is_read_closed() && ready.is_write_closed(), "{ready:?}");
    let error = client.take_error().unwrap().map(|error| error.kind());
    assert_eq!(error, Some(ErrorKind::ConnectionReset));
    assert_eq!(client.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_times_out() {
    let pair = Pair::new();
    let user_timeout = Duration::from_secs(30);
    let (mut client, _server) =
        connect_with(&pair, options().user_timeout(user_timeout), options()).await;
    // idle for longer than the time-out: nothing is owed, so nothing happens
    sleep(Duration::from_secs(100)).await;
    pair.cut();
    let start = Instant::now();
    client.write_all(b"anyone?").await.unwrap();
    let error = client.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!((30..32).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(client.write(b"x").await.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_fin_after_a_long_silence_is_not_late() {
    let pair = Pair::new();
    let (mut client, mut server) = connect(&pair).await;
    sleep(Duration::from_hours(1)).await;
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
    server.write_all(b"x").await.unwrap();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn keepalive_finds_a_vanished_peer_and_keeps_a_living_one() {
    let pair = Pair::new();
    let keepalive = Some(Duration::from_secs(10));
    let user_timeout = Duration::from_secs(20);
    let with = options().keepalive(keepalive).user_timeout(user_timeout);
    let (mut client, server) = connect_with(&pair, with, options()).await;
    assert_eq!(client.keepalive().unwrap(), keepalive);
    pair.record();
    assert!(timeout(Duration::from_secs(100), client.read(&mut [0; 1])).await.is_err());
    let probes = pair.record().iter().filter(|(to_server, _)| *to_server).count();
    assert!((9..=11).contains(&probes), "{probes}");
    pair.cut();
    let start = Instant::now();
    let error = client.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!((20..=31).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_closed_window_opens_again() {
    let pair = Pair::new();
    let (mut client, mut server) = connect(&pair).await;
    let octets = pattern(500_000, 3);
    let write = tokio::spawn({
        let octets = octets.clone();
        async move {
            server.write_all(&octets).await.unwrap();
            server.shutdown().await.unwrap();
            server
        }
    });
    // the reader sleeps far longer than the writer's time-out: probes keep the connection alive
    sleep(Duration::from_mins(10)).await;
    assert!(!write.is_finished());
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert!(got == octets);
    write.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_window_that_opens_is_announced_at_once() {
    let pair = Pair::new();
    let (mut client, mut server) = connect(&pair).await;
    let octets = pattern(200_000, 3);
    let written = octets.clone();
    let write = tokio::spawn(async move { server.write_all(&written).await.map(|()| server) });
    // until the window is closed, but not until the probes are far apart
    sleep(Duration::from_millis(500)).await;
    let start = Instant::now();
    let mut got = vec![0; octets.len()];
    client.read_exact(&mut got).await.unwrap();
    assert!(got == octets);
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    write.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn peek_and_readiness_take_nothing() {
    let pair = Pair::new();
    let (mut client, mut server) = connect(&pair).await;
    assert_eq!(client.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let wait = timeout(Duration::from_secs(1), client.readable()).await;
    assert!(wait.is_err());
    client.writable().await.unwrap();
    server.write_all(b"hello").await.unwrap();
    client.readable().await.unwrap();
    let mut peeked = [0; 3];
    assert_eq!(client.peek(&mut peeked).await.unwrap(), 3);
    assert_eq!(&peeked, b"hel");
    let mut read = [0; 8];
    assert_eq!(client.read(&mut read).await.unwrap(), 5);
    assert_eq!(&read[..5], b"hello");
}

#[tokio::test(start_paused = true)]
async fn nagle_waits_for_the_acknowledgment_and_nodelay_does_not() {
    let pair = Pair::new();
    for (nodelay, segments) in [(false, 2), (true, 3)] {
        let (mut client, mut server) = connect(&pair).await;
        client.set_nodelay(nodelay).unwrap();
        assert_eq!(client.nodelay().unwrap(), nodelay);
        pair.record();
        for octet in [b"a", b"b", b"c"] {
            client.write_all(octet).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        let mut got = [0; 3];
        server.read_exact(&mut got).await.unwrap();
        let sent = pair.record();
        let data = sent.iter().filter(|(to_server, packet)| *to_server && packet.len() > 40);
        assert_eq!((&got, data.count()), (b"abc", segments));
    }
}

#[tokio::test(start_paused = true)]
async fn halves_split_and_reunite() {
    let pair = Pair::new();
    let (mut client, mut server) = connect(&pair).await;
    let (mut reader, mut writer) = client.split();
    writer.write_all(b"x").await.unwrap();
    server.write_all(b"y").await.unwrap();
    assert_eq!(reader.read_u8().await.unwrap(), b'y');
    let (reader, writer) = client.into_split();
    let mut client = reader.reunite(writer).unwrap();
    client.write_all(b"z").await.unwrap();
    assert_eq!(server.read_u16().await.unwrap(), u16::from_be_bytes(*b"xz"));
    let (mut reader, writer) = client.into_split();
    drop(writer);
    assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0, "a dropped writing half says FIN");
    server.write_all(b"!").await.unwrap();
    assert_eq!(reader.read_u8().await.unwrap(), b'!');
}

#[tokio::test(start_paused = true)]
async fn what_was_written_before_the_drop_arrives() {
    let pair = Pair::new();
    let (mut client, mut server) = connect(&pair).await;
    let octets = pattern(60_000, 4);
    client.write_all(&octets).await.unwrap();
    drop(client);
    let mut got = Vec::new();
    server.read_to_end(&mut got).await.unwrap();
    assert!(got == octets);
    drop(server);
    sleep(Duration::from_secs(1)).await;
    assert_eq!((pair.client_stats().connections, pair.server_stats().connections), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_connection_lingers_for_a_bounded_time() {
    let pair = Pair::new();
    let (mut client, _server) = connect(&pair).await;
    client.write_all(b"never read").await.unwrap();
    pair.cut();
    drop(client);
    sleep(Duration::from_secs(59)).await;
    assert_eq!(pair.client_stats().connections, 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(pair.client_stats().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_finishes_holds_no_buffers() {
    let pair = Pair::new();
    let (client, mut server) = connect(&pair).await;
    drop(client);
    assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(pair.client_stats().connections, 0, "FIN-WAIT-2 without a socket");
    server.write_all(b"to nobody").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(server.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_lost_last_acknowledgment_is_repeated_from_time_wait() {
    let pair = Pair::new();
    let (mut client, mut server) = connect(&pair).await;
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
    drop(client);
    sleep(Duration::from_millis(100)).await;
    // the acknowledgment of the server's FIN is lost once
    let lost = Arc::new(AtomicUsize::new(0));
    let losing = lost.clone();
    pair.set_filter(move |to_server, _| !to_server || losing.fetch_add(1, Ordering::Relaxed) != 0);
    drop(server);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(lost.load(Ordering::Relaxed), 2);
    assert_eq!(pair.server_stats().connections, 0, "the repeated FIN was acknowledged");
}

#[tokio::test(start_paused = true)]
async fn a_burst_fills_the_backlog_and_the_rest_comes_later() {
    let pair = Pair::new();
    let listener = pair.server.tcp_listen(any(80), 3, options()).unwrap();
    let connects: Vec<_> = (0..10)
        .map(|_| {
            let net = pair.client.clone();
            tokio::spawn(async move { net.tcp_connect(at(SERVER, 80), options()).await })
        })
        .collect();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(connects.iter().filter(|connect| connect.is_finished()).count(), 3);
    assert_eq!(pair.server_stats().backlog_overflows, 7);
    let mut accepted = Vec::new();
    while accepted.len() < 10 {
        accepted.push(listener.accept().await.unwrap().0);
    }
    for connect in connects {
        connect.await.unwrap().unwrap();
    }
}

async fn echo(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let (mut reader, mut writer) = stream.split();
            tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        });
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_connections_do_not_mix() {
    let pair = Pair::new();
    tokio::spawn(echo(pair.server.tcp_listen(any(7), 256, options()).unwrap()));
    let small = || options().receive_buffer(8192).send_buffer(8192);
    let talks: Vec<_> = (0..200_u32)
        .map(|number| {
            let net = pair.client.clone();
            tokio::spawn(async move {
                let mut stream = net.tcp_connect(at(SERVER, 7), small()).await.unwrap();
                let octets = pattern(2000 + number as usize, (number % 251) as u8);
                stream.write_all(&octets).await.unwrap();
                stream.shutdown().await.unwrap();
                let mut got = Vec::new();
                stream.read_to_end(&mut got).await.unwrap();
                assert!(got == octets, "connection {number}");
            })
        })
        .collect();
    for talk in talks {
        talk.await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(pair.client_stats().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn no_connection_starves_when_room_is_short() {
    let pair = Pair::new();
    let listener = pair.server.tcp_listen(any(80), 8, options()).unwrap();
    pair.set_latency(Duration::from_micros(100));
    let mut readers = Vec::new();
    for _ in 0..4 {
        let connect = pair.client.tcp_connect(at(SERVER, 80), options());
        let (client, accepted) = tokio::join!(connect, listener.accept());
        let (mut client, mut server) = (client.unwrap(), accepted.unwrap().0);
        tokio::spawn(async move { while server.write_all(&[7; 10_000]).await.is_ok() {} });
        let total = Arc::new(AtomicUsize::new(0));
        readers.push(total.clone());
        tokio::spawn(async move {
            let mut buffer = vec![0; 100_000];
            while let Ok(read) = client.read(&mut buffer).await {
                total.fetch_add(read, Ordering::Relaxed);
            }
        });
    }
    // one packet a turn: less than any one connection wants to send
    pair.set_room(1);
    sleep(Duration::from_millis(500)).await;
    let totals: Vec<_> = readers.iter().map(|total| total.load(Ordering::Relaxed)).collect();
    let (least, most) = (totals.iter().min().unwrap(), totals.iter().max().unwrap());
    assert!(*least > 100_000 && least * 2 > *most, "{totals:?}");
}

#[tokio::test(start_paused = true)]
async fn ports_are_taken_once() {
    let pair = Pair::new();
    let listener = pair.server.tcp_listen(at(SERVER, 80), 1, options()).unwrap();
    let again = pair.server.tcp_listen(any(80), 1, options()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AddrInUse);
    pair.server.tcp_listen(at(SECOND, 80), 1, options()).unwrap();
    let foreign = pair.server.tcp_listen(at(CLIENT, 80), 1, options()).unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::AddrNotAvailable);
    drop(listener);
    let listener = pair.server.tcp_listen(any(0), 1, options()).unwrap();
    assert!(listener.local_addr().unwrap().port() >= 49152);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_listener_resets_whom_it_did_not_accept() {
    let pair = Pair::new();
    let listener = pair.server.tcp_listen(any(80), 2, options()).unwrap();
    let mut client = pair.client.tcp_connect(at(SERVER, 80), options()).await.unwrap();
    drop(listener);
    let error = client.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(pair.server_stats().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn half_open_handshakes_do_not_hold_the_backlog_for_ever() {
    let pair = Pair::new();
    let listener = pair.server.tcp_listen(any(80), 1, options()).unwrap();
    // the client never hears the SYN's answer
    pair.set_filter(|to_server, _| to_server);
    let error = pair.client.tcp_connect(at(SERVER, 80), options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    pair.set_filter(|to_server, packet| to_server || flags(packet) & RST == 0);
    sleep(Duration::from_secs(40)).await;
    assert_eq!(pair.server_stats().connections, 0);
    pair.mend();
    let connect = pair.client.tcp_connect(at(SERVER, 80), options());
    let (client, accepted) = tokio::join!(connect, listener.accept());
    assert!(client.is_ok() && accepted.is_ok());
}
