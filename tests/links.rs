//! What LCP and the NCPs agree on, as the tunnel's user meets it

use std::{io, net::Ipv6Addr, time::Duration};

use pptp::{State, Tunnel};
use pptp_testkit::{DEVICE, Extras, Server, ServerOrder};
use pptp_tests::{World, config, digest_of, get, knx_name};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ORDERS: [ServerOrder; 3] = [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras];

/// So many octets into the building's sink
async fn put(tunnel: &Tunnel, octets: &[u8]) -> io::Result<()> {
    let mut sink = tunnel.tcp_connect((DEVICE, 9)).await?;
    sink.write_all(octets).await?;
    sink.shutdown().await?;
    let mut digest = String::new();
    sink.read_to_string(&mut digest).await?;
    assert_eq!(digest, digest_of(octets));
    Ok(())
}

/// The least that any server asks for: the stack works with segments of 84 octets
#[tokio::test(start_paused = true)]
async fn a_server_that_takes_128_octets_at_a_time_gets_no_more() {
    for order in ORDERS {
        for (mru, mtu) in [(128, 124), (576, 572)] {
            let world = World::new(1);
            let building = world.serve(1, Server::builder(1).order(order).mru(mru));
            let tunnel = world.connect(&building).await;
            assert_eq!(tunnel.info().mtu, mtu, "{order:?}");
            assert_eq!(get(&tunnel, "/").await.unwrap(), b"building 1\n");
            assert_eq!(knx_name(&tunnel).await.unwrap(), "building-1");
            put(&tunnel, &vec![7; 300_000]).await.unwrap();
            assert_eq!(tunnel.lookup_txt("whoami.lan").await.unwrap(), ["building-1"]);
            let udp = tunnel.udp_bind(0).unwrap();
            let largest = usize::from(mtu) - 28;
            udp.send_to(&vec![1; largest], (DEVICE, 7)).await.unwrap();
            let mut echoed = [0; 1500];
            assert_eq!(udp.recv(&mut echoed).await.unwrap(), largest);
            let sent = tunnel.stats().stack.expect("a stack").fragments_out;
            udp.send_to(&vec![1; largest + 1], (DEVICE, 7)).await.unwrap();
            assert_eq!(udp.recv(&mut echoed).await.unwrap(), largest + 1, "in two fragments");
            assert_eq!(tunnel.stats().stack.expect("a stack").fragments_out, sent + 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn compressed_headers_both_ways_carry_what_others_carry() {
    for order in ORDERS {
        let world = World::new(1);
        let building = world.serve(1, Server::builder(1).order(order));
        let config = config(building.address()).header_compression(true);
        let tunnel = world.client.connect(config).await.unwrap();
        put(&tunnel, &vec![7; 300_000]).await.unwrap();
        assert_eq!(get(&tunnel, "/").await.unwrap(), b"building 1\n");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_everything_and_talks_costs_at_most_a_few_round_trips() {
    let extras = Extras {
        link_options: vec![(13, vec![6]), (17, vec![6, 0x4E]), (4, vec![0xC0, 0x25, 0, 0, 0, 1])],
        address_options: vec![(2, vec![0, 0x2D, 15, 1])],
        identification: Some("MSRASV5.20".into()),
        seconds_remaining: Some(3600),
        ..Extras::default()
    };
    for order in ORDERS {
        let world = World::new(50);
        let building = world.serve(1, Server::builder(1).order(order).extras(extras.clone()));
        let tunnel = world.connect(&building).await;
        let info = tunnel.info();
        assert!(info.round_trips <= 9, "{order:?}: {}", info.round_trips);
        let trips = Duration::from_millis(100) * u32::from(info.round_trips);
        assert_eq!(info.connect_time, trips, "{order:?}: {}", info.timeline);
    }
}

/// An IPv6 echo request between two link-local addresses (RFC 4443 §4.1)
fn ping6(from: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
    let message = [128, 0, 0, 0, 0x12, 0x34, 0, 1, b'h', b'i'];
    let length = u16::try_from(message.len()).unwrap();
    let header = [&[0x60, 0, 0, 0][..], &length.to_be_bytes(), &[58, 64]];
    let mut packet = [&header.concat()[..], &from.octets(), &to.octets(), &message].concat();
    let checksum = checksum_of(&packet).to_be_bytes();
    packet[42..44].copy_from_slice(&checksum);
    packet
}

/// Of an message of ICMP for IPv6 with its pseudo-header (RFC 8200 §8.1); 0 if there is a right one in it
fn checksum_of(packet: &[u8]) -> u16 {
    let mut covered = packet[8..].to_vec();
    covered.extend([0, 0, packet[4], packet[5], 0, 0, 0, 58]);
    let words = covered.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum >> 16) + (sum & 0xFFFF);
    }
    !u16::try_from(sum).unwrap()
}

#[tokio::test(start_paused = true)]
async fn ipv6_packets_pass_where_both_ends_want_it() {
    for order in ORDERS {
        let world = World::new(10);
        let building = world.serve(1, Server::builder(1).order(order).ipv6(true));
        let tunnel = world.client.connect(config(building.address()).ipv6(true)).await.unwrap();
        // IPV6CP may open a round trip after IPCP, and holds nobody up
        let mut state = tunnel.state();
        while tunnel.info().ipv6.is_none() {
            state.changed().await.unwrap();
        }
        let addresses = tunnel.info().ipv6.unwrap();
        assert_eq!(get(&tunnel, "/").await.unwrap(), b"building 1\n", "IPv4 goes on beside it");
        let packets = tunnel.ip_packets().unwrap();
        packets.send(&ping6(addresses.address, addresses.peer_address)).await.unwrap();
        let mut reply = [0; 1500];
        let length = packets.recv(&mut reply).await.unwrap();
        let expected = ping6(addresses.peer_address, addresses.address);
        assert_eq!((reply[40], &reply[8..40]), (129, &expected[8..40]), "an echo reply");
        assert_eq!(checksum_of(&reply[..length]), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn ipv6_is_off_unless_both_want_it() {
    for (client, server) in [(false, true), (true, false)] {
        let world = World::new(10);
        let building = world.serve(1, Server::builder(1).ipv6(server));
        let tunnel = world.client.connect(config(building.address()).ipv6(client)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(40)).await;
        assert_eq!(tunnel.info().ipv6, None);
        assert_eq!(get(&tunnel, "/").await.unwrap(), b"building 1\n");
        let packets = tunnel.ip_packets().unwrap();
        let local = Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, 0, 1);
        let refused = packets.send(&ping6(local, local)).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}

/// Another address is another end: what was connected from the old one is over, and says why
#[tokio::test(start_paused = true)]
async fn sockets_are_told_when_a_renegotiation_changes_the_address() {
    for order in ORDERS {
        let world = World::new(20);
        let building = world.serve(1, Server::builder(1).order(order).moves_clients());
        let config = config(building.address()).address_may_change(true);
        let tunnel = world.client.connect(config).await.unwrap();
        let before = tunnel.info().inner_address;
        let mut echo = tunnel.tcp_connect((DEVICE, 7)).await.unwrap();
        echo.write_all(b"before").await.unwrap();
        echo.read_exact(&mut [0; 6]).await.unwrap();
        let mut states = tunnel.state();
        building.renegotiate_all();
        states.wait_for(|state| matches!(state, State::Renegotiating)).await.unwrap();
        states.wait_for(|state| matches!(state, State::Up)).await.unwrap();
        let after = tunnel.info().inner_address;
        assert_ne!(before, after, "{order:?}");
        let error = echo.read(&mut [0; 6]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{order:?}: {error}");
        assert!(error.to_string().contains("address"), "it says why: {error}");
        assert_eq!(get(&tunnel, "/").await.unwrap(), b"building 1\n", "and new ones work");
        let local = tunnel.tcp_connect((DEVICE, 7)).await.unwrap().local_addr().unwrap();
        assert_eq!(local.ip(), after);
        tunnel.close().await;
        building.idle().await;
    }
}

/// Unless that is allowed, since IPCP is in the clear: another address may be an attacker's
#[tokio::test(start_paused = true)]
async fn another_address_after_the_first_ends_the_tunnel() {
    for order in ORDERS {
        let world = World::new(20);
        let building = world.serve(1, Server::builder(1).order(order).moves_clients());
        let tunnel = world.connect(&building).await;
        let before = tunnel.info().inner_address;
        building.renegotiate_all();
        let reason = tokio::time::timeout(Duration::from_secs(10), tunnel.closed()).await.unwrap();
        assert_eq!(reason.name(), "AddressChanged", "{order:?}: {reason}");
        assert!(reason.to_string().contains(&before.to_string()), "the old one is told: {reason}");
        assert_eq!(reason.failure.retry(), pptp::error::Retry::Soon);
        assert_eq!(tunnel.info().inner_address, before, "the new one was never taken");
        let again = world.connect(&building).await;
        assert_eq!(get(&again, "/").await.unwrap(), b"building 1\n", "{order:?}: dialled again");
    }
}
