//! Datagrams larger than a packet, between two stacks and by hand
#![allow(missing_docs, reason = "tests")]

mod common;

use std::{
    io::ErrorKind,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::*;
use pptp_netstack::{Stack, StackConfig, TcpOptions, UdpOptions, UdpSocket};
use pptp_packet::VecEgress;
use smoltcp::wire::{IpProtocol, Ipv4Packet};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

fn options() -> UdpOptions {
    UdpOptions::default()
}

/// Waits for a datagram
async fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut datagram = vec![0; 65_536];
    let received = timeout(Duration::from_secs(5), socket.recv(&mut datagram)).await;
    datagram.truncate(received.expect("it comes").unwrap());
    datagram
}

/// The fragments of a packet as a router with this MTU makes them (RFC 791 §3.2)
fn cut(packet: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let step = (mtu - 20) / 8 * 8;
    let (header, payload) = packet.split_at(20);
    let count = payload.chunks(step).count();
    let fragments = payload.chunks(step).enumerate().map(|(at, part)| {
        let mut fragment = [header, part].concat();
        let length = u16::try_from(fragment.len()).unwrap();
        let mut ip = Ipv4Packet::new_unchecked(&mut fragment[..]);
        ip.set_total_len(length);
        ip.clear_flags();
        ip.set_ident(0x7777);
        ip.set_more_frags(at + 1 < count);
        ip.set_frag_offset(u16::try_from(at * step).unwrap());
        ip.fill_checksum();
        fragment
    });
    fragments.collect()
}

#[tokio::test(start_paused = true)]
async fn datagrams_of_any_size_go_and_come_in_packets_that_fit() {
    for mtu in [68, 576, 1396, 1500] {
        let pair = Pair::with(StackConfig { mtu, ..client_config() }, server_config());
        let server = pair.server.udp_bind(any(7), options()).unwrap();
        let client = pair.client.udp_bind(any(0), options()).unwrap();
        client.connect(at(SERVER, 7)).await.unwrap();
        server.connect(client.local_addr().unwrap()).await.unwrap();
        pair.record();
        for len in [0, 1, 100, 1300, 1368, 1369, 1450, 1472, 2000, 9000, 60_000, 65_507] {
            let datagram = pattern(len, 1);
            assert_eq!(client.send(&datagram).await.unwrap(), len);
            assert!(receive(&server).await == datagram, "{len} octets at {mtu}");
            assert_eq!(server.send(&datagram).await.unwrap(), len);
            assert!(receive(&client).await == datagram, "{len} octets back at {mtu}");
        }
        for (to_server, packet) in pair.record() {
            assert!(packet.len() <= if to_server { mtu } else { 1500 });
            assert_eq!(packet[6] & 0x40, 0, "Don't Fragment");
        }
        for stats in [pair.client_stats(), pair.server_stats()] {
            assert!(stats.reassembled > 0 && stats.fragments_out > 0, "{stats:?}");
            let lost = stats.reassembly_conflicts + stats.reassembly_overflows;
            assert_eq!((lost, stats.reassembly_timeouts, stats.malformed), (0, 0, 0), "{stats:?}");
        }
        let (client, server) = (pair.client_stats(), pair.server_stats());
        assert_eq!(client.fragments_out, server.fragments_in);
        assert_eq!(server.fragments_out, client.fragments_in);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_gets_the_fragments_in_order_and_other_sockets_have_their_turns() {
    let pair = Pair::new();
    pair.set_room(1);
    let server = pair.server.udp_bind(any(7), options()).unwrap();
    let beside = pair.server.udp_bind(any(8), options()).unwrap();
    let large = pair.client.udp_bind(any(0), options()).unwrap();
    let small = pair.client.udp_bind(any(0), options()).unwrap();
    pair.record();
    let datagram = pattern(60_000, 2);
    large.send_to(&datagram, at(SERVER, 7)).await.unwrap();
    sleep(Duration::from_millis(5)).await;
    small.send_to(b"in between", at(SERVER, 8)).await.unwrap();
    let began = Instant::now();
    assert_eq!(receive(&beside).await, b"in between");
    assert!(began.elapsed() < Duration::from_millis(20), "{:?}", began.elapsed());
    assert!(receive(&server).await == datagram);
    let sent = pair.record().into_iter().filter(|(to_server, _)| *to_server);
    let offsets: Vec<_> = sent
        .map(|(_, packet)| Ipv4Packet::new_unchecked(packet))
        .filter(|ip| ip.more_frags() || ip.frag_offset() > 0)
        .map(|ip| usize::from(ip.frag_offset()))
        .collect();
    let in_order: Vec<_> = (0..offsets.len()).map(|at| at * 1376).collect();
    assert_eq!(offsets, in_order);
    assert_eq!(offsets.len(), 44);
}

#[tokio::test(start_paused = true)]
async fn an_mtu_that_changes_underway_changes_the_fragments_to_come() {
    for (mtu, then) in [(1400, 576), (576, 1400), (1400, 68)] {
        let pair = Pair::with(StackConfig { mtu, ..client_config() }, server_config());
        pair.set_room(1);
        let server = pair.server.udp_bind(any(7), options()).unwrap();
        let client = pair.client.udp_bind(any(0), options()).unwrap();
        pair.record();
        let (large, whole) = (pattern(9000, 3), pattern(1300, 4));
        client.send_to(&large, at(SERVER, 7)).await.unwrap();
        client.send_to(&whole, at(SERVER, 7)).await.unwrap();
        sleep(Duration::from_millis(3)).await;
        let before = pair.record();
        assert!((1..6).contains(&before.len()), "it is underway: {}", before.len());
        let now = Instant::now().into_std();
        pair.client_link.with_stack(|stack| stack.reconfigure(now, CLIENT, then, Vec::new()));
        assert!(receive(&server).await == large, "{mtu}, then {then}");
        assert!(receive(&server).await == whole, "{mtu}, then {then}");
        let largest = pair.record().iter().map(|(_, packet)| packet.len()).max().unwrap();
        assert!(largest <= then, "{largest}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_another_address_a_datagram_that_is_underway_begins_anew() {
    let pair = Pair::new();
    pair.set_room(1);
    let server = pair.server.udp_bind(any(7), options()).unwrap();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    let datagram = pattern(9000, 3);
    client.send_to(&datagram, at(SERVER, 7)).await.unwrap();
    sleep(Duration::from_millis(3)).await;
    let (now, other) = (Instant::now().into_std(), Ipv4Addr::new(192, 168, 1, 77));
    pair.client_link.with_stack(|stack| stack.reconfigure(now, other, MTU, Vec::new()));
    let mut buffer = vec![0; 10_000];
    let (count, from) = server.recv_from(&mut buffer).await.unwrap();
    assert!(buffer[..count] == datagram && from.ip() == other, "{count} from {from}");
}

#[tokio::test(start_paused = true)]
async fn a_datagram_larger_than_the_send_buffer_waits_alone_and_those_behind_it_keep_their_order() {
    let pair = Pair::new();
    pair.set_room(1);
    let receiver = options().receive_buffer(1 << 20);
    let server = pair.server.udp_bind(any(7), receiver).unwrap();
    let sender = options().send_buffer(4000);
    let client = pair.client.udp_bind(any(0), sender).unwrap();
    client.connect(at(SERVER, 7)).await.unwrap();
    let lengths = [100, 5000, 200, 60_000, 60_000, 3000, 4001, 1];
    for (len, seed) in lengths.into_iter().zip(0..) {
        let sent = timeout(Duration::from_secs(5), client.send(&pattern(len, seed))).await;
        assert_eq!(sent.expect("room in the end").unwrap(), len);
    }
    // dropped, it still sends what it was given
    drop(client);
    for (len, seed) in lengths.into_iter().zip(0..) {
        assert!(receive(&server).await == pattern(len, seed), "{len}");
    }
    assert_eq!(pair.client_stats().udp_sockets, 0);
}

/// A refused sender waits for enough room, and not for the little that there is
#[tokio::test(start_paused = true)]
async fn a_socket_that_refused_a_datagram_is_writable_once_one_has_left() {
    let pair = Pair::new();
    pair.set_room(1);
    let server = pair.server.udp_bind(any(7), options()).unwrap();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    client.connect(at(SERVER, 7)).await.unwrap();
    client.writable().await.unwrap();
    assert_eq!(client.try_send(&[1; 9000]).unwrap(), 9000);
    client.writable().await.unwrap();
    for refused in [9000, 60_000] {
        assert_eq!(client.try_send(&vec![2; refused]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let writable = timeout(Duration::from_millis(2), client.writable()).await;
        assert!(writable.is_err(), "nothing has left since {refused} octets were refused");
    }
    let waits = timeout(Duration::from_secs(1), client.writable()).await;
    waits.expect("the datagram leaves").unwrap();
    assert_eq!(client.try_send(&vec![2; 60_000]).unwrap(), 60_000);
    assert_eq!(receive(&server).await.len(), 9000);
    assert_eq!(receive(&server).await.len(), 60_000);
}

/// While the path is not known to be open, large datagrams wait as small ones do
#[tokio::test(start_paused = true)]
async fn a_large_datagram_waits_whole_for_the_path_to_open() {
    let pair = Pair::new();
    let server = pair.server.udp_bind(any(7), options()).unwrap();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    let now = Instant::now().into_std();
    pair.client_link.with_stack(|stack| stack.hold_datagrams(now, now + Duration::from_secs(1)));
    pair.record();
    for (len, seed) in [(60_000, 1), (9000, 2)] {
        let (client, datagram) = (&client, pattern(len, seed));
        let sent = timeout(Duration::from_millis(500), client.send_to(&datagram, at(SERVER, 7)));
        assert_eq!(sent.await.is_ok(), len == 60_000, "{len}: one is larger than the buffer");
    }
    assert!(pair.record().is_empty(), "nothing leaves before");
    pair.client_link.with_stack(Stack::release_datagrams);
    assert!(receive(&server).await == pattern(60_000, 1));
    client.send_to(&pattern(9000, 2), at(SERVER, 7)).await.unwrap();
    assert!(receive(&server).await == pattern(9000, 2));
}

#[tokio::test(start_paused = true)]
async fn a_datagram_over_the_receive_buffer_is_dropped_and_counted() {
    let pair = Pair::new();
    let small = options().receive_buffer(8000);
    let server = pair.server.udp_bind(any(7), small).unwrap();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    client.connect(at(SERVER, 7)).await.unwrap();
    for len in [8001, 8000] {
        client.send(&pattern(len, 1)).await.unwrap();
    }
    assert_eq!(receive(&server).await.len(), 8000);
    assert_eq!(pair.server_stats().udp_overflows, 1);
}

#[tokio::test(start_paused = true)]
async fn a_loss_costs_the_datagram_it_was_of_and_no_other() {
    let pair = Pair::new();
    let server = pair.server.udp_bind(any(7), options()).unwrap();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    client.connect(at(SERVER, 7)).await.unwrap();
    let number = AtomicUsize::new(0);
    // the second fragment of the second datagram
    pair.set_filter(move |_, _| number.fetch_add(1, Ordering::Relaxed) != 8);
    for seed in 1..=3 {
        client.send(&pattern(9000, seed)).await.unwrap();
    }
    for seed in [1, 3] {
        assert!(receive(&server).await == pattern(9000, seed));
    }
    sleep(Duration::from_secs(29)).await;
    assert_eq!(pair.server_stats().reassembly_timeouts, 0);
    // nothing but its deadline gives the stack a turn
    sleep(Duration::from_secs(2)).await;
    let stats = pair.server_stats();
    assert_eq!((stats.reassembly_timeouts, stats.reassembled), (1, 2), "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn the_identifications_do_not_follow_from_each_other() {
    let pair = Pair::new();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    pair.record();
    for _ in 0..100 {
        client.send_to(&[0; 1500], at(SERVER, 7)).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    let sent = pair.record().into_iter().filter(|(to_server, _)| *to_server);
    let all: Vec<_> = sent.map(|(_, packet)| Ipv4Packet::new_unchecked(packet).ident()).collect();
    assert_eq!(all.len(), 200);
    let of_datagrams: Vec<_> = all.chunks(2).map(|two| two[0]).collect();
    assert!(all.chunks(2).all(|two| two[0] == two[1]), "one for each datagram");
    let steps = of_datagrams.windows(2).filter(|two| two[1].wrapping_sub(two[0]) < 256);
    assert!(steps.count() < 10, "{of_datagrams:?}");
}

#[tokio::test(start_paused = true)]
async fn a_segment_cut_by_a_router_reaches_its_connection() {
    let pair = Pair::new();
    let listener = pair.server.tcp_listen(any(80), 1, TcpOptions::default()).unwrap();
    let connect = pair.client.tcp_connect(at(SERVER, 80), TcpOptions::default());
    let (client, accepted) = tokio::join!(connect, listener.accept());
    let (mut client, (mut server, _)) = (client.unwrap(), accepted.unwrap());
    pair.record();
    // what the server says comes in pieces of 576 octets, the last piece first
    pair.set_filter(|to_server, _| to_server);
    server.write_all(&pattern(1000, 5)).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let segments = pair.record().into_iter().filter(|(to_server, _)| !to_server);
    let (_, segment) = segments.max_by_key(|(_, packet)| packet.len()).unwrap();
    let fragments = cut(&segment, 576);
    assert_eq!(fragments.len(), 2);
    fragments.iter().rev().for_each(|fragment| pair.inject(fragment));
    let mut octets = vec![0; 1000];
    client.read_exact(&mut octets).await.unwrap();
    assert!(octets == pattern(1000, 5));
}

#[tokio::test(start_paused = true)]
async fn an_echo_reply_cut_by_a_router_answers_its_ping() {
    let pair = Pair::new();
    pair.record();
    pair.set_filter(|to_server, _| to_server);
    let net = pair.client.clone();
    let ping =
        tokio::spawn(async move { net.ping_sized(SERVER, 1200, Duration::from_secs(1)).await });
    sleep(Duration::from_millis(100)).await;
    let (_, reply) = pair.record().into_iter().find(|(to_server, _)| !to_server).unwrap();
    for fragment in cut(&reply, 576) {
        pair.inject(&fragment);
    }
    assert!(ping.await.unwrap().is_ok());
}

/// A packet from the server: one fragment, if `offset` or `more` says so
fn packet(to: Ipv4Addr, protocol: IpProtocol, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = [&[0; 20][..], payload].concat();
    let length = u16::try_from(packet.len()).unwrap();
    let mut ip = Ipv4Packet::new_unchecked(&mut packet[..]);
    ip.set_version(4);
    ip.set_header_len(20);
    ip.set_total_len(length);
    ip.set_ident(7);
    ip.set_more_frags(more);
    ip.set_frag_offset(offset);
    ip.set_hop_limit(64);
    ip.set_next_header(protocol);
    ip.set_src_addr(SERVER);
    ip.set_dst_addr(to);
    ip.fill_checksum();
    packet
}

#[tokio::test(start_paused = true)]
async fn only_what_a_socket_could_receive_is_kept() {
    let pair = Pair::new();
    let group = Ipv4Addr::new(239, 1, 2, 3);
    for (to, protocol) in [
        (SERVER, IpProtocol::Udp),
        (Ipv4Addr::LOCALHOST, IpProtocol::Udp),
        (group, IpProtocol::Udp),
        (CLIENT, IpProtocol::Igmp),
        (CLIENT, IpProtocol::Unknown(47)),
    ] {
        pair.inject(&packet(to, protocol, 0, true, &[0; 64]));
    }
    let stats = pair.client_stats();
    assert_eq!((stats.fragments_in, stats.unclaimed), (4, 5), "{stats:?}");
    assert_eq!(stats.martians, 1, "the one for 127.0.0.1 is not looked at further");
    sleep(Duration::from_secs(31)).await;
    let stats = pair.client_stats();
    assert_eq!((stats.reassembly_timeouts, stats.packets_out), (0, 0), "{stats:?}");
    // and the group's members could
    let member = pair.client.udp_bind(any(9), options()).unwrap();
    member.join_multicast_v4(group, Ipv4Addr::UNSPECIFIED).unwrap();
    pair.inject(&packet(group, IpProtocol::Udp, 0, true, &[0; 64]));
    sleep(Duration::from_secs(31)).await;
    assert_eq!(pair.client_stats().reassembly_timeouts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_datagram_for_a_port_that_nobody_has_is_refused_once_it_is_whole() {
    let pair = Pair::new();
    let client = pair.client.udp_bind(any(0), options()).unwrap();
    client.connect(at(SERVER, 7)).await.unwrap();
    client.send(&[0; 5000]).await.unwrap();
    let error = client.recv(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// smoltcp composes no fragments: an echo request that is larger than the MTU gets no answer
#[tokio::test(start_paused = true)]
async fn an_echo_request_over_the_mtu_leads_to_no_packet_over_the_mtu() {
    let pair = Pair::new();
    let mut request = [&[8, 0, 0, 0, 0, 1, 0, 1][..], &[0; 1992]].concat();
    let sum = !0x0802_u16;
    request[2..4].copy_from_slice(&sum.to_be_bytes());
    pair.record();
    for fragment in cut(&packet(CLIENT, IpProtocol::Icmp, 0, false, &request), MTU) {
        pair.inject(&fragment);
    }
    sleep(Duration::from_millis(100)).await;
    assert_eq!(pair.client_stats().reassembled, 1);
    assert!(pair.record().iter().all(|(_, packet)| packet.len() <= MTU));
}

#[tokio::test(start_paused = true)]
async fn a_stack_has_a_deadline_for_fragments_only_while_there_are_any() {
    let began = Instant::now().into_std();
    let mut stack = Stack::new(StackConfig::new(CLIENT, MTU, 1), began);
    let mut out = VecEgress::new(8);
    let fragment = packet(CLIENT, IpProtocol::Udp, 0, true, &[0; 64]);
    assert_eq!(stack.poll_timeout(began), None);
    stack.ingress(began, &fragment, &mut out);
    assert!(!stack.egress(began, &mut out));
    let over = began + Duration::from_secs(30);
    assert_eq!(stack.poll_timeout(began), Some(over));
    stack.egress(over, &mut out);
    assert_eq!((stack.poll_timeout(over), stack.stats().reassembly_timeouts), (None, 1));

    // whole, another address, shut down: there is no fragment left
    let rest = packet(CLIENT, IpProtocol::Udp, 64, false, &[0; 64]);
    stack.ingress(over, &fragment, &mut out);
    stack.ingress(over, &rest, &mut out);
    assert_eq!((stack.poll_timeout(over), stack.stats().reassembled), (None, 1));
    stack.ingress(over, &fragment, &mut out);
    stack.reconfigure(over, CLIENT, 576, Vec::new());
    assert!(stack.poll_timeout(over).is_some(), "another MTU changes nothing");
    stack.reconfigure(over, SECOND, MTU, Vec::new());
    assert_eq!(stack.poll_timeout(over), None);
    stack.reconfigure(over, CLIENT, MTU, Vec::new());
    stack.ingress(over, &fragment, &mut out);
    assert!(stack.poll_timeout(over).is_some());
    stack.shut_down(Arc::new(std::fmt::Error), ErrorKind::NotConnected);
    assert_eq!(stack.poll_timeout(over), None);
}
