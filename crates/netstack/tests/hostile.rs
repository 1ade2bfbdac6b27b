//! Segments and datagrams no honest peer sends
#![allow(missing_docs, reason = "tests")]

mod common;

use std::{net::Ipv4Addr, time::Duration};

use common::*;
use pptp_netstack::{TcpOptions, UdpOptions};
use smoltcp::wire::{IpAddress, Ipv4Packet, TcpPacket, UdpPacket};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

/// Changes some octets behind the addresses and makes the checksums good again
fn bend(packet: &[u8], random: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let mut next = || random.next().unwrap();
    let mut bent = packet.to_vec();
    for _ in 0..=next() % 4 {
        let header = 20..bent.len().min(64);
        let at = header.start + usize::from(next()) % header.len();
        // the ports mostly stay, or no socket would see it
        if at >= 24 || next() < 8 {
            bent[at] = if next() < 128 { next() } else { bent[at].wrapping_add(1) };
        }
    }
    let (source, destination): (IpAddress, IpAddress) = {
        let ip = Ipv4Packet::new_unchecked(&bent[..]);
        (ip.src_addr().into(), ip.dst_addr().into())
    };
    match bent[9] {
        6 => {
            let segment = &mut bent[20..];
            TcpPacket::new_unchecked(segment).fill_checksum(&source, &destination);
        }
        17 if bent.len() >= 28 => {
            let mut datagram = UdpPacket::new_unchecked(&mut bent[20..]);
            if usize::from(datagram.len()) >= 8 && usize::from(datagram.len()) <= packet.len() - 20
            {
                datagram.fill_checksum(&source, &destination);
            }
        }
        _ => {}
    }
    bent
}

#[tokio::test(start_paused = true)]
async fn bent_packets_never_panic_and_never_hang() {
    for seed in 0..40 {
        let pair = Pair::new();
        pair.record();
        let mut random = pattern(1 << 20, seed).into_iter();
        let listener = pair.server.tcp_listen(any(80), 4, TcpOptions::default()).unwrap();
        let datagrams = pair.client.udp_bind(any(9), UdpOptions::default()).unwrap();
        let connect = pair.client.tcp_connect(at(SERVER, 80), TcpOptions::default());
        let (client, accepted) = tokio::join!(connect, listener.accept());
        let (mut client, server) = (client.unwrap(), accepted.unwrap().0);
        let echo = pair.server.udp_bind(any(0), UdpOptions::default()).unwrap();
        for _ in 0..40 {
            let _ = server.try_write(&[1; 3000]);
            let _ = client.try_write(&[2; 3000]);
            echo.send_to(&[3; 100], at(CLIENT, 9)).await.unwrap();
            sleep(Duration::from_millis(7)).await;
            for (to_server, packet) in pair.record() {
                if !to_server {
                    pair.inject(&bend(&packet, &mut random));
                }
            }
            let _ = client.try_read(&mut [0; 2000]);
            let _ = server.try_read(&mut [0; 2000]);
            let _ = datagrams.try_recv(&mut [0; 2000]);
        }
        let _ = timeout(Duration::from_secs(1), client.shutdown()).await;
        let _ = timeout(Duration::from_secs(1), client.read_to_end(&mut Vec::new())).await;
        drop((client, server, datagrams, listener));
        sleep(Duration::from_mins(5)).await;
        assert!(pair.client_link.with_stack(|stack| stack.is_idle()), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_syns_is_bounded_by_the_backlog() {
    let pair = Pair::new();
    let _listener = pair.client.tcp_listen(any(80), 5, TcpOptions::default()).unwrap();
    pair.record();
    let _ = pair.server.tcp_connect(at(CLIENT, 80), TcpOptions::default()).await.unwrap();
    let (_, syn) = pair.record().into_iter().find(|(_, packet)| flags(packet) == SYN).unwrap();
    for number in 0..1000_u16 {
        let mut forged = syn.clone();
        forged[20..22].copy_from_slice(&number.to_be_bytes());
        let (source, destination) = (IpAddress::Ipv4(SERVER), IpAddress::Ipv4(CLIENT));
        let segment = &mut forged[20..];
        TcpPacket::new_unchecked(segment).fill_checksum(&source, &destination);
        pair.inject(&forged);
    }
    let stats = pair.client_stats();
    assert!(stats.connections <= 5, "{stats:?}");
    assert!(stats.backlog_overflows >= 995, "{stats:?}");
}

/// An IPv4 packet for the client (RFC 791 §3.1), fragmented if `offset` is not 0
fn packet(protocol: u8, offset: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let offset = offset.to_be_bytes();
    let mut packet =
        vec![0x45, 0, length[0], length[1], 0, 1, offset[0], offset[1], 64, protocol, 0, 0];
    packet.extend(SERVER.octets());
    packet.extend(CLIENT.octets());
    packet.extend(payload);
    Ipv4Packet::new_unchecked(&mut packet[..]).fill_checksum();
    let (source, destination) = (IpAddress::Ipv4(SERVER), IpAddress::Ipv4(CLIENT));
    match protocol {
        6 => TcpPacket::new_unchecked(&mut packet[20..]).fill_checksum(&source, &destination),
        17 => UdpPacket::new_unchecked(&mut packet[20..]).fill_checksum(&source, &destination),
        _ => {
            let sum = payload
                .chunks(2)
                .map(|two| u32::from(two[0]) << 8 | u32::from(two[1]))
                .sum::<u32>();
            let sum = !u16::try_from((sum & 0xFFFF) + (sum >> 16)).unwrap();
            packet[22..24].copy_from_slice(&sum.to_be_bytes());
        }
    }
    packet
}

/// TCP from any port to one of the client's
fn segment(from: u16, to: u16, flags: u8) -> Vec<u8> {
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    packet(6, 0, &[&ports[..], &[0, 0, 0, 9, 0, 0, 0, 9, 0x50, flags, 4, 0, 0, 0, 0, 0]].concat())
}

fn datagram(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    let length = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
    packet(17, 0, &[&ports[..], &length, &[0, 0], payload].concat())
}

#[tokio::test(start_paused = true)]
async fn floods_are_answered_a_thousand_times_a_second_and_hold_nothing() {
    type Forge = fn(u16) -> Vec<u8>;
    let kinds: [(&str, Forge); 8] = [
        ("SYNs to a listener", |number| segment(number, 80, SYN)),
        ("SYNs to no listener", |number| segment(number, 81, SYN)),
        ("resets", |number| segment(number, 80, RST)),
        ("acknowledgments of nothing", |number| segment(number, 80, 0x10)),
        ("datagrams for no socket", |number| datagram(number, number | 1, b"nobody")),
        ("pings", |number| {
            packet(1, 0, &[&[8, 0, 0, 0][..], &number.to_be_bytes(), &[0, 1]].concat())
        }),
        ("fragments", |number| packet(17, 0x2000 | number & 0x1FFF, &[0; 64])),
        ("answers of a DNS server that nobody asked", |number| datagram(53, number, &[0x80; 40])),
    ];
    for (what, forge) in kinds {
        let pair = Pair::new();
        let listener = pair.client.tcp_listen(any(80), 8, TcpOptions::default()).unwrap();
        let before = pair.client_stats();
        for number in 0..20_000 {
            pair.inject(&forge(10_000 + number));
            if number % 64 == 0 {
                sleep(Duration::from_millis(10)).await;
            }
        }
        let stats = pair.client_stats();
        let answers = stats.packets_out - before.packets_out;
        println!("{what}: 20,000 in 3.1 s, {answers} answers, {} connections", stats.connections);
        assert!(answers <= 4_200, "{what}: {stats:?}");
        assert!(stats.connections <= 8, "{what}: {stats:?}");
        drop(listener);
        sleep(Duration::from_mins(5)).await;
        assert!(pair.client_link.with_stack(|stack| stack.is_idle()), "{what}");
    }
}

/// A packet for somebody else
fn readdressed(mut packet: Vec<u8>, destination: Ipv4Addr) -> Vec<u8> {
    packet[16..20].copy_from_slice(&destination.octets());
    Ipv4Packet::new_unchecked(&mut packet[..]).fill_checksum();
    let (source, destination) = (IpAddress::Ipv4(SERVER), IpAddress::Ipv4(destination));
    match packet[9] {
        6 => TcpPacket::new_unchecked(&mut packet[20..]).fill_checksum(&source, &destination),
        17 => UdpPacket::new_unchecked(&mut packet[20..]).fill_checksum(&source, &destination),
        _ => {}
    }
    packet
}

/// The inner address of another tunnel, for one, whose server this peer would like to speak for
#[tokio::test(start_paused = true)]
async fn what_is_addressed_to_somebody_else_reaches_nobody() {
    let pair = Pair::new();
    let listener = pair.client.tcp_listen(any(80), 8, TcpOptions::default()).unwrap();
    let socket = pair.client.udp_bind(any(9), UdpOptions::default()).unwrap();
    let kinds = [
        segment(9999, 80, SYN),
        datagram(9999, 9, b"for another"),
        packet(1, 0, &[8, 0, 0, 0, 0, 1, 0, 1]),
    ];
    let neighbour = Ipv4Addr::new(192, 168, 1, 20);
    let others = [neighbour, Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 0, 0, 1), SERVER];
    let before = pair.client_stats();
    for kind in &kinds {
        for other in others {
            pair.inject(&readdressed(kind.clone(), other));
            sleep(Duration::from_millis(20)).await;
        }
    }
    let stats = pair.client_stats();
    assert_eq!(stats.packets_out, before.packets_out, "nobody is answered: {stats:?}");
    assert_eq!((stats.unclaimed - before.unclaimed, stats.connections), (12, 0), "{stats:?}");
    assert!(socket.try_recv(&mut [0; 64]).is_err());
    assert!(timeout(Duration::from_secs(1), listener.accept()).await.is_err());

    for kind in &kinds {
        pair.inject(kind);
    }
    sleep(Duration::from_millis(20)).await;
    let answers = pair.client_stats().packets_out - before.packets_out;
    assert_eq!(answers, 2, "SYN and ping are answered when they are ours");
    assert_eq!(socket.try_recv(&mut [0; 64]).unwrap(), 11);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_datagram_of_this_host_is_counted_and_dropped() {
    let pair = Pair::new();
    pair.inject(&[]);
    pair.inject(&[0x45; 19]);
    pair.inject(&[0x60; 60]);
    assert_eq!(pair.client_stats().malformed, 3);
    let elsewhere = pair.server.udp_bind(any(0), UdpOptions::default()).unwrap();
    elsewhere.send_to(b"x", at(Ipv4Addr::new(192, 168, 1, 99), 9)).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let stats = pair.client_stats();
    assert_eq!((stats.unclaimed, stats.packets_out), (1, 0));
}
