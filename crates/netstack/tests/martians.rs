//! Addresses that no packet may have: none of them is let in, and none of them is sent to
#![allow(missing_docs, reason = "tests")]

mod common;

use std::{
    io::{self, ErrorKind},
    net::Ipv4Addr,
    time::Duration,
};

use common::{dns::*, *};
use hickory_proto::op::ResponseCode;
use pptp_netstack::{AddressError, SocketError, StackConfig, TcpOptions, UdpOptions};
use smoltcp::wire::{Icmpv4Packet, IpAddress, Ipv4Packet, TcpPacket, UdpPacket};
use tokio::time::{sleep, timeout};

/// An IPv4 packet with good checksums
fn packet(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let header = [0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, protocol, 0, 0];
    let mut packet = [&header[..], &source.octets(), &destination.octets(), payload].concat();
    Ipv4Packet::new_unchecked(&mut packet[..]).fill_checksum();
    let (from, to) = (IpAddress::Ipv4(source), IpAddress::Ipv4(destination));
    match protocol {
        1 => Icmpv4Packet::new_unchecked(&mut packet[20..]).fill_checksum(),
        6 => TcpPacket::new_unchecked(&mut packet[20..]).fill_checksum(&from, &to),
        _ => UdpPacket::new_unchecked(&mut packet[20..]).fill_checksum(&from, &to),
    }
    packet
}

/// A datagram to port 5000, a SYN to port 80, an echo request, and a datagram to a port that is closed
fn all(source: Ipv4Addr, destination: Ipv4Addr) -> [Vec<u8>; 4] {
    let syn = [0, 80, 0, 80, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, SYN, 0xFF, 0xFF, 0, 0, 0, 0];
    [
        (17, &[0, 53, 0x13, 0x88, 0, 13, 0, 0, b'h', b'e', b'l', b'l', b'o'][..]),
        (6, &syn),
        (1, &[8, 0, 0, 0, 0, 1, 0, 1]),
        (17, &[0, 53, 0x13, 0x89, 0, 8, 0, 0]),
    ]
    .map(|(protocol, payload)| packet(source, destination, protocol, payload))
}

/// RFC 1122 §3.2.1.3: no other host has a loopback address, our own, or a broadcast address
#[tokio::test(start_paused = true)]
async fn packets_from_addresses_that_no_other_host_has_are_dropped() {
    let pair = Pair::with(StackConfig { prefix_len: 24, ..client_config() }, server_config());
    let socket = pair.client.udp_bind(any(5000), UdpOptions::default()).unwrap();
    let listener = pair.client.tcp_listen(any(80), 16, TcpOptions::default()).unwrap();
    let martians = [
        "127.0.0.1",
        "127.255.0.1",
        "0.0.0.0",
        "0.0.0.1",
        "240.0.0.1",
        "255.255.255.254",
        "255.255.255.255",
        "224.0.0.1",
        "239.255.255.250",
        "192.168.1.234",
        "192.168.1.255",
    ];
    let mut sent = 0;
    for source in martians {
        for packet in all(source.parse().unwrap(), CLIENT) {
            pair.inject(&packet);
            sent += 1;
        }
        sleep(Duration::from_millis(20)).await;
        let stats = pair.client_stats();
        assert_eq!((stats.martians, stats.packets_out), (sent, 0), "{source}: {stats:?}");
        assert!(socket.try_recv(&mut [0; 16]).is_err(), "a datagram from {source}");
    }
    assert!(timeout(Duration::from_secs(1), listener.accept()).await.is_err());

    // other packets are taken and answered: SYN-ACK, echo reply, port unreachable
    for packet in all(SERVER, CLIENT) {
        pair.inject(&packet);
    }
    sleep(Duration::from_millis(3)).await;
    let stats = pair.client_stats();
    assert_eq!((stats.martians, stats.packets_out), (sent, 3), "{stats:?}");
    assert_eq!(socket.try_recv(&mut [0; 16]).unwrap(), 5);
}

/// Without a known subnet another host may have an address that would be its broadcast address
#[tokio::test(start_paused = true)]
async fn an_address_that_ends_in_255_is_a_host_if_the_subnet_is_not_known() {
    let pair = Pair::new();
    let socket = pair.client.udp_bind(any(5000), UdpOptions::default()).unwrap();
    pair.inject(&all("192.168.1.255".parse().unwrap(), CLIENT)[0]);
    assert_eq!(socket.try_recv(&mut [0; 16]).unwrap(), 5);
    assert_eq!(pair.client_stats().martians, 0);
}

#[tokio::test(start_paused = true)]
async fn packets_to_addresses_that_no_host_has_are_dropped() {
    let pair = Pair::new();
    let socket = pair.client.udp_bind(any(5000), UdpOptions::default()).unwrap();
    let _listener = pair.client.tcp_listen(any(80), 16, TcpOptions::default()).unwrap();
    for destination in ["127.0.0.1", "0.0.0.0", "0.1.2.3", "240.0.0.1"] {
        for packet in all(SERVER, destination.parse().unwrap()) {
            pair.inject(&packet);
        }
    }
    sleep(Duration::from_millis(20)).await;
    let stats = pair.client_stats();
    assert_eq!((stats.martians, stats.unclaimed, stats.packets_out), (16, 16, 0), "{stats:?}");
    assert!(socket.try_recv(&mut [0; 16]).is_err());
    // the limited broadcast address is everyone's
    pair.inject(&all(SERVER, Ipv4Addr::BROADCAST)[0]);
    assert_eq!(socket.try_recv(&mut [0; 16]).unwrap(), 5);
}

fn socket_error(error: &io::Error) -> SocketError {
    *error.get_ref().and_then(|error| error.downcast_ref()).expect("an error of a socket")
}

/// The error of each kind of socket for an address; none of them sends a packet
async fn refusals(pair: &Pair, address: Ipv4Addr) -> Vec<io::Error> {
    let net = &pair.client;
    let second = Duration::from_secs(1);
    let unconnected = net.udp_bind(any(0), UdpOptions::default()).unwrap();
    let broadcasts = UdpOptions::default().broadcast(true);
    let broadcasting = net.udp_bind(any(0), broadcasts).unwrap();
    let text = format!("{address}:80");
    let attempts = async {
        vec![
            net.tcp_connect(at(address, 80), TcpOptions::default()).await.map(drop),
            net.tcp_connect(text.as_str(), TcpOptions::default()).await.map(drop),
            net.tcp_connect(&[at(address, 80)][..], TcpOptions::default()).await.map(drop),
            net.ping(address, second).await.map(drop),
            net.ping_sized(address, 100, second).await.map(drop),
            unconnected.send_to(b"x", (address, 80)).await.map(drop),
            unconnected.send_to(b"x", text.as_str()).await.map(drop),
            unconnected.try_send_to(b"x", at(address, 80)).map(drop),
            unconnected.connect((address, 80)).await,
            unconnected.connect(text.as_str()).await,
            broadcasting.send_to(b"x", (address, 80)).await.map(drop),
        ]
    };
    let refusals = timeout(Duration::from_millis(1), attempts).await.expect("refused at once");
    refusals.into_iter().map(Result::unwrap_err).collect()
}

#[tokio::test(start_paused = true)]
async fn no_socket_sends_to_an_address_that_no_packet_may_have() {
    let pair = Pair::new();
    let [loopback, other, zero, reserved] =
        ["127.0.0.1", "127.8.8.8", "0.0.0.1", "240.0.0.1"].map(|it| it.parse().unwrap());
    let cases = [
        (loopback, SocketError::Loopback { address: loopback }),
        (other, SocketError::Loopback { address: other }),
        (zero, SocketError::ThisNetwork { address: zero }),
        (Ipv4Addr::UNSPECIFIED, SocketError::ThisNetwork { address: Ipv4Addr::UNSPECIFIED }),
        (reserved, SocketError::ReservedAddress { address: reserved }),
        (CLIENT, SocketError::OwnAddress { address: CLIENT }),
    ];
    for (address, expected) in cases {
        let mut errors = refusals(&pair, address).await;
        if address != CLIENT {
            errors.push(pair.client.lookup_host(&address.to_string()).await.unwrap_err());
        }
        for error in errors {
            assert_eq!((error.kind(), socket_error(&error)), (ErrorKind::InvalidInput, expected));
            assert!(error.to_string().starts_with(&address.to_string()), "{error}");
        }
    }
    sleep(Duration::from_secs(3)).await;
    assert_eq!(pair.client_stats().packets_out, 0, "nothing has left");
    let error = SocketError::Loopback { address: loopback }.to_string();
    assert!(error.contains("this host itself") && error.contains("RFC 1122"), "{error}");
}

/// An address that a DNS server gave is judged as any other
#[tokio::test(start_paused = true)]
async fn a_name_whose_address_is_loopback_leads_nowhere() {
    let pair = Pair::new();
    let mut record = a("www.lan.", 3);
    record.data = hickory_proto::rr::RData::A(Ipv4Addr::LOCALHOST.into());
    serve(&pair, SERVER, says(ResponseCode::NoError, vec![record]));
    let error = pair.client.tcp_connect("www.lan:80", TcpOptions::default()).await.unwrap_err();
    let expected = SocketError::Loopback { address: Ipv4Addr::LOCALHOST };
    assert_eq!(socket_error(&error), expected);
    let socket = pair.client.udp_bind(any(0), UdpOptions::default()).unwrap();
    let error = socket.send_to(b"x", "www.lan:9").await.unwrap_err();
    assert_eq!(socket_error(&error), expected);
}

/// IPCP may name any DNS server: one at an address that no packet may have is never asked
#[tokio::test(start_paused = true)]
async fn a_dns_server_at_a_loopback_address_is_not_asked() {
    let loopback = Ipv4Addr::new(127, 0, 0, 53);
    let dns = vec![loopback, Ipv4Addr::UNSPECIFIED, CLIENT, SERVER];
    let pair = Pair::with(StackConfig { dns, ..client_config() }, server_config());
    serve(&pair, SERVER, says(ResponseCode::NoError, vec![a("www.lan.", 3)]));
    pair.record();
    assert_eq!(pair.client.lookup_host("www.lan").await.unwrap(), [SECOND]);
    let sent = pair.record().into_iter().filter(|(to_server, _)| *to_server);
    let to: Vec<_> = sent.map(|(_, packet)| packet[16..20].to_vec()).collect();
    assert_eq!(to, [SERVER.octets().to_vec()]);

    let pair = Pair::with(StackConfig { dns: vec![loopback], ..client_config() }, server_config());
    let error = pair.client.lookup_host("www.lan").await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("127.0.0.53 gave no answer for www.lan: "), "{text}");
    assert!(text.contains("loopback address"), "{text}");
    assert_eq!(pair.client_stats().packets_out, 0);
}

#[tokio::test(start_paused = true)]
async fn a_bad_address_is_shown() {
    let pair = Pair::new();
    let socket = pair.client.udp_bind(any(0), UdpOptions::default()).unwrap();
    for text in ["192.168.1.3", "192.168.1.3:0", "knx.lan:0", "knx.lan", "::1", ":80"] {
        let connect = pair.client.tcp_connect(text, TcpOptions::default()).await.unwrap_err();
        let errors = [
            connect,
            socket.send_to(b"x", text).await.unwrap_err(),
            socket.connect(text).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
            let error = error.get_ref().and_then(|it| it.downcast_ref::<AddressError>());
            assert!(error.is_some());
        }
    }
    let error = pair.client.tcp_connect(at(SECOND, 0), TcpOptions::default()).await.unwrap_err();
    assert_eq!(socket_error(&error), SocketError::PortZero { address: SECOND });
    assert!(error.to_string().contains("192.168.1.3:0"), "{error}");
    let error = socket.send_to(b"x", (SECOND, 0)).await.unwrap_err();
    assert_eq!(socket_error(&error), SocketError::PortZero { address: SECOND });
    let none: &[std::net::SocketAddr] = &[];
    let error = pair.client.tcp_connect(none, TcpOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("the list of addresses is empty"), "{error}");
}
