//! UDP, ping and multicast between two stacks
#![allow(missing_docs, reason = "tests")]

mod common;

use std::{collections::BTreeSet, io::ErrorKind, net::Ipv4Addr, sync::Arc, time::Duration};

use common::*;
use pptp_netstack::{Stack, StackConfig, TcpOptions, UdpOptions};
use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{Icmpv4Packet, Ipv4Packet},
};
use tokio::{
    io::Interest,
    time::{Instant, sleep, timeout},
};

fn options() -> UdpOptions {
    UdpOptions::default()
}

/// An ICMP message of type and code from `router` to the client that quotes the packet
fn icmp(router: Ipv4Addr, kind: u8, code: u8, packet: &[u8]) -> Vec<u8> {
    let mut reply = vec![0; 28];
    // the header and eight octets are all that RFC 792 promises
    reply.extend_from_slice(&packet[..28]);
    let message = &mut Icmpv4Packet::new_unchecked(&mut reply[20..]);
    message.set_msg_type(kind.into());
    message.set_msg_code(code);
    message.fill_checksum();
    let ip = smoltcp::wire::Ipv4Repr {
        src_addr: router,
        dst_addr: CLIENT,
        next_header: smoltcp::wire::IpProtocol::Icmp,
        payload_len: reply.len() - 20,
        hop_limit: 64,
    };
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut reply[..]), &ChecksumCapabilities::default());
    reply
}

#[tokio::test(start_paused = true)]
async fn datagrams_go_and_come() {
    let pair = Pair::new();
    let server = pair.server.udp_bind(at(SECOND, 3671), options()).unwrap();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    assert_eq!(client.send_to(b"search", at(SECOND, 3671)).await.unwrap(), 6);
    let mut buffer = [0; 100];
    let (count, from) = server.recv_from(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..count], b"search");
    assert_eq!(from, at(CLIENT, client.local_addr().unwrap().port()));
    server.send_to(b"", from).await.unwrap();
    server.send_to(b"longer than the buffer", from).await.unwrap();
    let from = at(SECOND, 3671);
    assert_eq!(client.recv_from(&mut buffer).await.unwrap(), (0, from), "an empty datagram is one");
    let mut short = [0; 6];
    assert_eq!(client.peek_from(&mut short).await.unwrap(), (6, from));
    assert_eq!(client.recv_from(&mut short).await.unwrap(), (6, from), "the rest is cut off");
    assert_eq!(&short, b"longer");
    assert_eq!(client.try_recv_from(&mut short).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test(start_paused = true)]
async fn many_tasks_share_a_socket_and_lose_nothing() {
    let pair = Pair::new();
    let server = Arc::new(pair.server.udp_bind(any(9), options()).unwrap());
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move {
                let mut got = Vec::new();
                let mut buffer = [0; 8];
                while let Ok(received) =
                    timeout(Duration::from_secs(5), server.recv_from(&mut buffer)).await
                {
                    assert_eq!(received.unwrap().0, 4);
                    got.push(u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]));
                }
                got
            })
        })
        .collect();
    let client = Arc::new(pair.client.udp_bind(any(0), options()).unwrap());
    for sender in 0..4_u32 {
        let client = client.clone();
        tokio::spawn(async move {
            for number in (0..50).map(|number| sender * 50 + number) {
                client.send_to(&number.to_be_bytes(), at(SERVER, 9)).await.unwrap();
                sleep(Duration::from_millis(3)).await;
            }
        });
    }
    let mut got = BTreeSet::new();
    for reader in readers {
        for number in reader.await.unwrap() {
            assert!(got.insert(number), "{number} came twice");
        }
    }
    assert_eq!(got.len(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_sender_waits_for_room() {
    let pair = Pair::new();
    let server = pair.server.udp_bind(any(9), options().receive_buffer(1 << 20));
    let server = server.unwrap();
    let client = pair.client.udp_bind(any(0), options().send_buffer(3000)).unwrap();
    for number in 0..100_u8 {
        client.send_to(&[number; 1000], at(SERVER, 9)).await.unwrap();
    }
    let mut buffer = [0; 1000];
    for number in 0..100 {
        server.recv_from(&mut buffer).await.unwrap();
        assert_eq!(buffer, [number; 1000]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_drop_leaves() {
    let pair = Pair::new();
    let server = pair.server.udp_bind(any(9), options()).unwrap();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    client.send_to(b"farewell", at(SERVER, 9)).await.unwrap();
    drop(client);
    assert_eq!(server.recv_from(&mut [0; 9]).await.unwrap().0, 8);
    assert_eq!(pair.client_stats().udp_sockets, 0);
}

#[tokio::test(start_paused = true)]
async fn a_datagram_over_65507_octets_is_too_long() {
    let pair = Pair::new();
    let server = pair.server.udp_bind(any(9), options()).unwrap();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    let most = 65_507;
    client.send_to(&vec![1; most], at(SERVER, 9)).await.unwrap();
    assert_eq!(server.recv_from(&mut vec![0; most + 1]).await.unwrap().0, most);
    let error = client.send_to(&vec![1; most + 1], at(SERVER, 9)).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("message too long"), "{error}");
    assert!(error.raw_os_error().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_full_receive_buffer_drops_and_counts() {
    let pair = Pair::new();
    let small = options().receive_buffer(2500);
    let server = pair.server.udp_bind(any(9), small).unwrap();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    for _ in 0..5 {
        client.send_to(&[0; 1000], at(SERVER, 9)).await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(pair.server_stats().udp_overflows, 3);
    assert_eq!(server.try_recv(&mut [0; 2000]).unwrap(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_connected_socket_hears_its_peer_alone() {
    let pair = Pair::new();
    let peer = pair.server.udp_bind(at(SERVER, 9), options()).unwrap();
    let stranger = pair.server.udp_bind(at(SECOND, 9), options()).unwrap();
    let client = pair.client.udp_bind(any(4000), options()).unwrap();
    let error = client.send(b"x").await.unwrap_err();
    assert!(error.to_string().starts_with("Destination address required"), "{error}");
    assert_eq!(client.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    client.connect(at(SERVER, 9)).await.unwrap();
    assert_eq!(client.peer_addr().unwrap(), at(SERVER, 9));
    assert_eq!(client.local_addr().unwrap(), at(CLIENT, 4000), "the inner address");
    stranger.send_to(b"stranger", at(CLIENT, 4000)).await.unwrap();
    client.send(b"hello").await.unwrap();
    let (_, from) = peer.recv_from(&mut [0; 8]).await.unwrap();
    peer.send_to(b"peer", from).await.unwrap();
    let mut buffer = [0; 8];
    assert_eq!(client.recv(&mut buffer).await.unwrap(), 4);
    assert_eq!(&buffer[..4], b"peer");
}

#[tokio::test(start_paused = true)]
async fn a_connected_socket_is_told_once_that_nobody_listens() {
    let pair = Pair::new();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    client.send_to(b"x", at(SERVER, 9)).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    client.connect(at(SERVER, 9)).await.unwrap();
    let mut buffer = [0; 1];
    assert!(
        timeout(Duration::from_secs(1), client.recv(&mut buffer)).await.is_err(),
        "unconnected"
    );
    client.send(b"x").await.unwrap();
    let error = client.recv(&mut buffer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(timeout(Duration::from_secs(1), client.recv(&mut buffer)).await.is_err());
    client.send(b"x").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn icmp_errors_end_a_connect_and_not_a_connection() {
    for (code, kind) in [
        (0, ErrorKind::NetworkUnreachable),
        (1, ErrorKind::HostUnreachable),
        (3, ErrorKind::ConnectionRefused),
        (13, ErrorKind::HostUnreachable),
    ] {
        let pair = Pair::new();
        pair.record();
        pair.cut();
        let net = pair.client.clone();
        let far = at(Ipv4Addr::new(10, 1, 2, 3), 80);
        let connect =
            tokio::spawn(async move { net.tcp_connect(far, TcpOptions::default()).await });
        sleep(Duration::from_millis(100)).await;
        let sent = pair.record();
        pair.inject(&icmp(SERVER, 3, code, &sent[0].1));
        let error = connect.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(pair.client_stats().connections, 0);
    }
    let pair = Pair::new();
    let listener = pair.server.tcp_listen(any(80), 1, TcpOptions::default()).unwrap();
    pair.record();
    let client = pair.client.tcp_connect(at(SERVER, 80), TcpOptions::default()).await.unwrap();
    let sent = pair.record();
    pair.inject(&icmp(SERVER, 3, 1, &sent[0].1));
    let read = timeout(Duration::from_secs(1), client.readable()).await;
    assert!(read.is_err(), "an established connection is not ended by it");
    drop(listener);
}

#[tokio::test(start_paused = true)]
async fn a_connected_udp_socket_is_told_that_its_host_is_unreachable() {
    let pair = Pair::new();
    pair.record();
    pair.cut();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    client.connect(at(Ipv4Addr::new(10, 1, 2, 3), 9)).await.unwrap();
    client.send(b"12345678").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    pair.inject(&icmp(SERVER, 3, 1, &pair.record()[0].1));
    let error = client.recv(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
}

#[tokio::test(start_paused = true)]
async fn broadcasts_need_leave_and_reach_everyone_on_the_port() {
    let pair = Pair::new();
    let first = pair.server.udp_bind(at(SERVER, 9), options()).unwrap();
    let second = pair.server.udp_bind(at(SECOND, 9), options()).unwrap();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    let error = client.send_to(b"x", at(Ipv4Addr::BROADCAST, 9)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    client.set_broadcast(true).unwrap();
    assert!(client.broadcast().unwrap());
    for to in [Ipv4Addr::BROADCAST, Ipv4Addr::new(192, 168, 1, 255)] {
        client.send_to(b"all", at(to, 9)).await.unwrap();
        assert_eq!(first.recv_from(&mut [0; 3]).await.unwrap().0, 3);
        assert_eq!(second.recv_from(&mut [0; 3]).await.unwrap().0, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_unknown_subnet_hears_the_broadcasts_of_its_lan() {
    let pair = Pair::new();
    let client = pair.client.udp_bind(any(9), options()).unwrap();
    let server = pair.server.udp_bind(any(0), options().broadcast(true)).unwrap();
    for to in [Ipv4Addr::BROADCAST, Ipv4Addr::new(192, 168, 1, 255)] {
        server.send_to(b"lan", at(to, 9)).await.unwrap();
        let mut buffer = [0; 3];
        let (_, from) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer, from.ip()), (b"lan", SERVER.into()));
    }
    assert_eq!(pair.server_stats().unclaimed, 0, "no port unreachable for a broadcast");
}

#[tokio::test(start_paused = true)]
async fn a_group_is_heard_by_its_members_and_told_to_the_router() {
    let group = Ipv4Addr::new(224, 0, 23, 12);
    let pair = Pair::new();
    let client = pair.client.udp_bind(any(3671), options()).unwrap();
    let server = pair.server.udp_bind(any(0), options()).unwrap();
    server.send_to(b"unheard", at(group, 3671)).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    pair.record();
    client.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED).unwrap();
    let again = client.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AddrInUse);
    sleep(Duration::from_millis(100)).await;
    let report = pair.record().into_iter().find(|(to_server, packet)| *to_server && packet[9] == 2);
    let (_, report) = report.expect("an IGMP report");
    assert_eq!((report[20], &report[24..28]), (0x16, &group.octets()[..]));
    server.send_to(b"heard", at(group, 3671)).await.unwrap();
    let mut buffer = [0; 8];
    let (count, _) = client.recv_from(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..count], b"heard");

    client.leave_multicast_v4(group, Ipv4Addr::UNSPECIFIED).unwrap();
    sleep(Duration::from_millis(100)).await;
    assert!(pair.record().iter().any(|(_, packet)| packet[9] == 2 && packet[20] == 0x17));
    server.send_to(b"gone", at(group, 3671)).await.unwrap();
    assert!(timeout(Duration::from_secs(1), client.recv_from(&mut buffer)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn members_in_the_same_stack_hear_the_sender_unless_it_says_otherwise() {
    let group = Ipv4Addr::new(224, 0, 23, 12);
    let pair = Pair::new();
    let member = pair.client.udp_bind(any(3671), options()).unwrap();
    member.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED).unwrap();
    let sender = pair.client.udp_bind(any(0), options()).unwrap();
    let port = sender.local_addr().unwrap().port();
    sender.send_to(b"heard", (group, 3671)).await.unwrap();
    assert_eq!(member.recv_from(&mut [0; 8]).await.unwrap(), (5, at(CLIENT, port)));
    sender.set_multicast_loop_v4(false).unwrap();
    sender.send_to(b"unheard", (group, 3671)).await.unwrap();
    assert!(timeout(Duration::from_secs(1), member.recv_from(&mut [0; 8])).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn packets_have_the_time_to_live_that_was_set() {
    let group = Ipv4Addr::new(224, 0, 23, 12);
    let pair = Pair::new();
    let socket = pair.client.udp_bind(any(0), options()).unwrap();
    socket.set_ttl(7).unwrap();
    socket.set_multicast_ttl_v4(8).unwrap();
    pair.record();
    socket.send_to(b"x", (SERVER, 9)).await.unwrap();
    socket.send_to(b"x", (group, 9)).await.unwrap();
    socket.writable().await.unwrap();
    sleep(Duration::from_millis(1)).await;
    socket.set_multicast_ttl_v4(0).unwrap();
    socket.send_to(b"stays", (group, 9)).await.unwrap();
    let _listener = pair.server.tcp_listen(any(80), 1, TcpOptions::default()).unwrap();
    let stream = pair.client.tcp_connect((SERVER, 80), TcpOptions::default()).await.unwrap();
    stream.set_ttl(9).unwrap();
    stream.try_write(b"x").unwrap();
    sleep(Duration::from_millis(100)).await;
    let sent = pair.record().into_iter().filter(|(to_server, _)| *to_server);
    let sent = sent.map(|(_, packet)| (packet[9], packet[8])).collect::<Vec<_>>();
    assert_eq!(sent, [(17, 7), (17, 8), (6, 64), (6, 64), (6, 9)]);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_was_taken_is_told_to_nobody_else() {
    let pair = Pair::new();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    client.connect((SERVER, 9)).await.unwrap();
    client.send(b"x").await.unwrap();
    let ready = client.ready(Interest::ERROR).await.unwrap();
    assert!(ready.is_error());
    let error = client.take_error().unwrap().map(|error| error.kind());
    assert_eq!(error, Some(ErrorKind::ConnectionRefused));
    assert!(client.take_error().unwrap().is_none());
    assert_eq!(client.try_recv(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test(start_paused = true)]
async fn a_membership_query_is_answered_without_any_other_traffic() {
    let group = Ipv4Addr::new(239, 1, 2, 3);
    let pair = Pair::new();
    let client = pair.client.udp_bind(any(9), options()).unwrap();
    client.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED).unwrap();
    sleep(Duration::from_millis(100)).await;
    pair.record();
    // a general query of 10 s (RFC 2236 §2)
    let mut query = vec![0; 20];
    query.extend_from_slice(&[0x11, 100, 0xEE, 0x9B, 0, 0, 0, 0]);
    let ip = smoltcp::wire::Ipv4Repr {
        src_addr: SERVER,
        dst_addr: Ipv4Addr::new(224, 0, 0, 1),
        next_header: smoltcp::wire::IpProtocol::Igmp,
        payload_len: 8,
        hop_limit: 1,
    };
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut query[..]), &ChecksumCapabilities::default());
    pair.inject(&query);
    sleep(Duration::from_secs(11)).await;
    let sent = pair.record();
    let reports = sent.iter().filter(|(to_server, packet)| *to_server && packet[20] == 0x16);
    assert_eq!(reports.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn ping_measures_the_round_trip() {
    let pair = Pair::new();
    pair.set_latency(Duration::from_millis(30));
    let took = pair.client.ping(SECOND, Duration::from_secs(1)).await.unwrap();
    assert_eq!(took.as_millis(), 60);
    let pings = (0..20).map(|number| {
        let net = pair.client.clone();
        let to = if number % 2 == 0 { SERVER } else { Ipv4Addr::new(10, 0, 0, 1) };
        tokio::spawn(async move { net.ping(to, Duration::from_secs(2)).await })
    });
    for (number, ping) in pings.collect::<Vec<_>>().into_iter().enumerate() {
        match ping.await.unwrap() {
            Ok(took) => assert_eq!((number % 2, took.as_millis()), (0, 60)),
            Err(error) => assert_eq!((number % 2, error.kind()), (1, ErrorKind::TimedOut)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_of_any_size_up_to_the_mtu_leaves_in_a_packet_of_that_size() {
    let pair = Pair::new();
    pair.record();
    let mtu = client_config().mtu;
    for packet_len in [28, 84, 600, mtu] {
        pair.client.ping_sized(SERVER, packet_len, Duration::from_secs(1)).await.unwrap();
        let lengths: Vec<_> = pair.record().iter().map(|(_, packet)| packet.len()).collect();
        assert_eq!(lengths, [packet_len; 2], "the request and its reply");
    }
    let error = pair.client.ping_sized(SERVER, mtu + 1, Duration::from_secs(1)).await.unwrap_err();
    assert!(error.to_string().starts_with("Message too long"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn ping_fails_when_a_router_says_so() {
    let pair = Pair::new();
    pair.record();
    pair.cut();
    let net = pair.client.clone();
    let start = Instant::now();
    let far = Ipv4Addr::new(10, 0, 0, 1);
    let ping = tokio::spawn(async move { net.ping(far, Duration::from_secs(9)).await });
    sleep(Duration::from_millis(100)).await;
    pair.inject(&icmp(SERVER, 3, 1, &pair.record()[0].1));
    assert_eq!(ping.await.unwrap().unwrap_err().kind(), ErrorKind::HostUnreachable);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn ports_are_taken_once() {
    let pair = Pair::new();
    let bound = pair.server.udp_bind(at(SERVER, 9), options()).unwrap();
    assert_eq!(pair.server.udp_bind(any(9), options()).unwrap_err().kind(), ErrorKind::AddrInUse);
    pair.server.udp_bind(at(SECOND, 9), options()).unwrap();
    drop(bound);
    pair.server.udp_bind(at(SERVER, 9), options()).unwrap();
    let foreign = pair.server.udp_bind(at(CLIENT, 9), options()).unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::AddrNotAvailable);
    let six = pair.server.udp_bind("[::1]:9".parse().unwrap(), options()).unwrap_err();
    assert_eq!(six.kind(), ErrorKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn two_clients_with_one_seed_and_another_address_do_not_meet() {
    // the same subnet in two buildings: nothing is shared between two pairs
    let one = Pair::new();
    let other = Pair::with(StackConfig { address: SECOND, ..client_config() }, server_config());
    let server = one.server.udp_bind(any(9), options()).unwrap();
    let wrong = other.server.udp_bind(any(9), options()).unwrap();
    let client = one.client.udp_bind(any(0), options()).unwrap();
    client.send_to(b"one", at(SERVER, 9)).await.unwrap();
    assert_eq!(server.recv_from(&mut [0; 3]).await.unwrap().0, 3);
    assert!(timeout(Duration::from_secs(1), wrong.recv_from(&mut [0; 3])).await.is_err());
}

/// The datagrams of both directions that a closed path lets through: none, but all that is repeated
#[tokio::test(start_paused = true)]
async fn datagrams_wait_until_the_path_opens_and_the_first_is_not_lost() {
    let pair = Pair::new();
    let server = pair.server.udp_bind(at(SECOND, 3671), options()).unwrap();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    let began = Instant::now();
    hold(&pair, Duration::from_secs(1));
    client.send_to(b"first", at(SECOND, 3671)).await.unwrap();
    client.send_to(b"second", at(SECOND, 3671)).await.unwrap();
    let mut buffer = [0; 100];
    sleep(Duration::from_millis(300)).await;
    assert!(server.try_recv_from(&mut buffer).is_err(), "they wait");
    release(&pair);
    for expected in [&b"first"[..], b"second"] {
        let (count, _) = server.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..count], expected);
    }
    assert!(began.elapsed() < Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_path_that_says_nothing_holds_datagrams_for_as_long_as_was_said_and_tcp_never() {
    let pair = Pair::new();
    let server = pair.server.udp_bind(at(SECOND, 3671), options()).unwrap();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    let listener = pair.server.tcp_listen(at(SECOND, 80), 1, TcpOptions::default()).unwrap();
    let began = Instant::now();
    hold(&pair, Duration::from_secs(1));
    client.send_to(b"question", at(SECOND, 3671)).await.unwrap();
    let connect = pair.client.tcp_connect(at(SECOND, 80), TcpOptions::default());
    let (stream, _) = tokio::join!(connect, listener.accept());
    stream.unwrap();
    assert!(began.elapsed() < Duration::from_millis(500), "TCP does not wait");
    let mut buffer = [0; 100];
    server.recv_from(&mut buffer).await.unwrap();
    let took = began.elapsed();
    assert!((1000..1200).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_32_datagrams_and_64_kib_wait() {
    for (payload, expected) in [(1, 32), (1300, 32), (0, 32)] {
        let pair = Pair::new();
        let options = options().send_buffer(1 << 20);
        let client = pair.client.udp_bind(any(0), options).unwrap();
        hold(&pair, Duration::from_secs(1));
        let datagram = vec![7; payload];
        let mut sent = 0;
        while client.try_send_to(&datagram, at(SECOND, 3671)).is_ok() {
            sent += 1;
        }
        assert_eq!(sent, expected, "of {payload} octets");
        let writable = timeout(Duration::from_millis(900), client.writable()).await;
        assert!(writable.is_err(), "it is not writable while it would have to wait");
        timeout(Duration::from_millis(200), client.writable()).await.unwrap().unwrap();
        client.try_send_to(&datagram, at(SECOND, 3671)).unwrap();
    }
}

/// Lets the client's datagrams wait
fn hold(pair: &Pair, time: Duration) {
    let now = Instant::now().into_std();
    pair.client_link.with_stack(|stack: &mut Stack| stack.hold_datagrams(now, now + time));
}

fn release(pair: &Pair) {
    pair.client_link.with_stack(Stack::release_datagrams);
}
