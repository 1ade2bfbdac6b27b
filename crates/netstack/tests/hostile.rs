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
