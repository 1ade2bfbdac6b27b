//! The least and the most of every duration and size that the API takes
#![allow(missing_docs, reason = "tests")]

mod common;

use std::{io::ErrorKind, net::Ipv4Addr, time::Duration};

use common::*;
use pptp_netstack::{StackConfig, TcpOptions, TcpStream, UdpOptions};
use smoltcp::wire::{IpAddress, TcpPacket};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

const DURATIONS: [Duration; 4] =
    [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(u64::MAX - 1), Duration::MAX];
const SIZES: [usize; 3] = [0, 1, usize::MAX];
const SECOND_LONG: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

fn tcp() -> TcpOptions {
    TcpOptions::default()
}

async fn connect(pair: &Pair, options: TcpOptions) -> (TcpStream, TcpStream) {
    let listener = pair.server.tcp_listen(any(80), 1, options.clone()).unwrap();
    let client = pair.client.tcp_connect((SERVER, 80), options);
    let both = async { tokio::join!(client, listener.accept()) };
    let (client, server) = timeout(60 * SECOND_LONG, both).await.expect("no hang");
    (client.unwrap(), server.unwrap().0)
}

/// 50,000 octets go there and come back within a minute
async fn talk(client: &mut TcpStream, server: &mut TcpStream) {
    say(client, server).await;
    say(server, client).await;
}

async fn say(from: &mut TcpStream, to: &mut TcpStream) {
    let octets = pattern(50_000, 1);
    let mut got = vec![0; octets.len()];
    let both = async { tokio::join!(from.write_all(&octets), to.read_exact(&mut got)) };
    let (written, read) = timeout(60 * SECOND_LONG, both).await.expect("no hang");
    written.unwrap();
    read.unwrap();
    assert!(got == octets);
}

#[tokio::test(start_paused = true)]
async fn keepalive_neither_floods_nor_panics() {
    for every in DURATIONS {
        let expected = every.clamp(SECOND_LONG, DAY);
        let pair = Pair::new();
        let (mut client, mut server) = connect(&pair, tcp().keepalive(Some(every))).await;
        assert_eq!(client.keepalive().unwrap(), Some(expected));
        server.set_keepalive(None).unwrap();
        client.set_keepalive(Some(every)).unwrap();
        assert_eq!(client.keepalive().unwrap(), Some(expected));
        talk(&mut client, &mut server).await;
        sleep(SECOND_LONG).await;
        pair.record();
        sleep(10 * expected).await;
        let probes = pair.record().into_iter().filter(|(to_server, _)| *to_server).count();
        assert!((9..=11).contains(&probes), "{probes} in {:?}", 10 * expected);
        talk(&mut client, &mut server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_timeout_leaves_time_to_answer_and_no_deadline_beyond_a_day() {
    for user_timeout in DURATIONS {
        let pair = Pair::new();
        pair.set_latency(Duration::from_millis(200));
        let (mut client, mut server) = connect(&pair, tcp().user_timeout(user_timeout)).await;
        talk(&mut client, &mut server).await;
        sleep(SECOND_LONG).await;
        pair.cut();
        client.write_all(b"x").await.unwrap();
        let gone = timeout(DAY + SECOND_LONG, client.read(&mut [0; 1])).await.expect("an end");
        assert_eq!(gone.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}

#[tokio::test(start_paused = true)]
async fn any_linger_ends_within_a_minute() {
    for linger in DURATIONS {
        for later in [false, true] {
            let pair = Pair::new();
            let options = if later { tcp() } else { tcp().linger(linger) };
            let (mut client, _server) = connect(&pair, options).await;
            if later {
                client.set_linger(linger).unwrap();
            }
            pair.cut();
            client.write_all(b"never acknowledged").await.unwrap();
            drop(client);
            sleep(62 * SECOND_LONG).await;
            assert_eq!(pair.client_stats().connections, 0, "{linger:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waits_end_at_once_or_never() {
    let pair = Pair::new();
    let nobody = Ipv4Addr::new(192, 168, 1, 99);
    let _listener = pair.server.tcp_listen(any(80), 8, tcp()).unwrap();
    for wait in DURATIONS {
        let options = tcp().connect_timeout(wait);
        if wait < SECOND_LONG {
            let connect = pair.client.tcp_connect((SERVER, 80), options).await;
            assert_eq!(connect.unwrap_err().kind(), ErrorKind::TimedOut);
            let ping = pair.client.ping(SERVER, wait).await;
            assert_eq!(ping.unwrap_err().kind(), ErrorKind::TimedOut);
        } else {
            pair.client.ping(SERVER, wait).await.unwrap();
            pair.client.tcp_connect((SERVER, 80), options.clone()).await.unwrap();
            let connect = pair.client.tcp_connect((nobody, 80), options);
            assert!(timeout(DAY, connect).await.is_err());
            assert!(timeout(DAY, pair.client.ping(nobody, wait)).await.is_err());
        }
    }
    sleep(SECOND_LONG).await;
    assert!(pair.client_link.with_stack(|stack| stack.is_idle()));
}

#[tokio::test(start_paused = true)]
async fn tcp_talks_with_buffers_of_any_size() {
    for receive_buffer in SIZES {
        for send_buffer in SIZES {
            let pair = Pair::new();
            let options = tcp().receive_buffer(receive_buffer).send_buffer(send_buffer);
            let (mut client, mut server) = connect(&pair, options).await;
            talk(&mut client, &mut server).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn udp_buffers_of_any_size_hold_a_datagram() {
    for size in SIZES {
        let pair = Pair::new();
        let options = || UdpOptions::default().receive_buffer(size).send_buffer(size);
        let client = pair.client.udp_bind(any(0), options()).unwrap();
        let server = pair.server.udp_bind(any(9), options()).unwrap();
        client.send_to(&[7; MTU - 28], (SERVER, 9)).await.unwrap();
        let received = timeout(SECOND_LONG, server.recv_from(&mut [0; MTU])).await;
        assert_eq!(received.expect("room for it").unwrap().0, MTU - 28);
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_at_least_one_and_not_without_bound() {
    let small = || tcp().receive_buffer(0).send_buffer(0);
    for (backlog, most) in [(0, 1), (1, 1), (usize::MAX, 4096)] {
        let pair = Pair::new();
        let listener = pair.client.tcp_listen(any(80), backlog, small()).unwrap();
        pair.record();
        let connect = pair.server.tcp_connect((CLIENT, 80), tcp());
        let (connected, accepted) = tokio::join!(connect, listener.accept());
        let _connected = (connected.unwrap(), accepted.unwrap());
        let (_, syn) = pair.record().into_iter().find(|(_, packet)| flags(packet) == SYN).unwrap();
        for number in 1000..6000_u16 {
            let mut forged = syn.clone();
            forged[20..22].copy_from_slice(&number.to_be_bytes());
            let (source, destination) = (IpAddress::Ipv4(SERVER), IpAddress::Ipv4(CLIENT));
            TcpPacket::new_unchecked(&mut forged[20..]).fill_checksum(&source, &destination);
            pair.inject(&forged);
        }
        assert_eq!(pair.client_stats().connections, 1 + most, "of a backlog of {backlog}");
    }
}

#[tokio::test(start_paused = true)]
async fn any_mtu_is_one_that_ipv4_has() {
    for (mtu, taken) in [(0, 68), (usize::MAX, 65_535)] {
        let config = |address, seed| StackConfig::new(address, mtu, seed);
        let pair = Pair::with(config(CLIENT, 1), config(SERVER, 2));
        let (mut client, mut server) = connect(&pair, tcp()).await;
        talk(&mut client, &mut server).await;
        let server = pair.server.udp_bind(any(9), UdpOptions::default()).unwrap();
        let client = pair.client.udp_bind(any(0), UdpOptions::default()).unwrap();
        let most = vec![7; taken - 28];
        client.send_to(&most, (SERVER, 9)).await.unwrap();
        assert_eq!(server.recv_from(&mut vec![0; taken]).await.unwrap().0, most.len());
        assert_eq!(pair.client_stats().fragments_out, 0, "it fits one packet");
        let sent = client.send_to(&vec![7; taken - 27], (SERVER, 9)).await;
        assert_eq!(sent.is_ok(), taken == 68, "65,508 octets are no datagram");
        if sent.is_ok() {
            assert_eq!(server.recv_from(&mut vec![0; taken]).await.unwrap().0, taken - 27);
            assert_eq!(pair.client_stats().fragments_out, 2);
        }
    }
}
