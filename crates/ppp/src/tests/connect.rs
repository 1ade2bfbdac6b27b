//! A client and a server of this crate, joined by a line

use std::{net::Ipv4Addr, time::Duration};

use pptp_mppe::{Arrival, KeyStrength, Order};
use pptp_mschap::Password;
use pptp_packet::PacketBuf;

use super::wire::Wire;
use crate::{
    ClientConfig, Encryption, Event, Failure, Link, MppeBits, Phase, Received, ServerConfig,
    ServerEncryption, ServerOrder,
};

const DELAY: Duration = Duration::from_millis(20);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 200);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const DNS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::new(9, 9, 9, 9)];
const ORDERS: [ServerOrder; 3] = [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras];

pub(super) fn client_config() -> ClientConfig {
    ClientConfig::new("testuser", Password::new("test123"))
}

pub(super) fn server_config(order: ServerOrder) -> ServerConfig {
    let secrets =
        [("other", "else"), ("testuser", "test123")].map(|(u, p)| (u.to_owned(), Password::new(p)));
    ServerConfig {
        order,
        secrets: secrets.into(),
        dns: DNS.into(),
        ..ServerConfig::new(GATEWAY, ADDRESS)
    }
}

pub(super) fn wire(client: ClientConfig, server: ServerConfig) -> Wire {
    Wire::new(Link::client(client, [1; 32]), Link::server(server, [2; 32]), DELAY)
}

fn connected(order: ServerOrder) -> Wire {
    let mut wire = wire(client_config(), server_config(order));
    wire.connect().run_until_up(Duration::from_secs(5));
    wire
}

#[test]
fn the_round_trips_counted_are_the_time_it_took() {
    for (order, expected) in ORDERS.into_iter().zip([4, 4, 5]) {
        let wire = connected(order);
        println!("{order:?}\n{}", wire.ladder);
        let (at, _) = wire.client.up().expect("up");
        let taken = at.as_millis() / (2 * DELAY).as_millis();
        assert_eq!(taken, expected, "{order:?}");
        assert_eq!(u128::from(wire.client.link.round_trips()), taken, "{order:?}");
        assert_eq!(wire.client.link.stats().shortest_round_trip, Some(2 * DELAY));
    }
}

#[test]
fn a_first_request_lost_in_a_terminal_costs_nothing() {
    for (order, expected) in [(ServerOrder::Pppd, 4), (ServerOrder::Rras, 5)] {
        let mut wire = wire(client_config(), server_config(order));
        wire.swallow_first().connect().run_until_up(Duration::from_secs(5));
        let (at, _) = wire.client.up().expect("up");
        assert_eq!(at, expected * 2 * DELAY, "{order:?}\n{}", wire.ladder);
        assert_eq!(u32::from(wire.client.link.round_trips()), expected);
    }
}

#[test]
fn every_fact_negotiated_is_told() {
    for order in ORDERS {
        let wire = connected(order);
        let (_, client) = wire.client.up().unwrap();
        let (_, server) = wire.server.up().unwrap();
        assert_eq!((client.inner_address, client.peer_address), (ADDRESS, Some(GATEWAY)));
        assert_eq!((server.inner_address, server.peer_address), (GATEWAY, Some(ADDRESS)));
        assert_eq!(client.dns, DNS);
        assert_eq!((client.mru, client.peer_mru, client.mtu), (1400, 1400, 1396));
        assert_eq!((client.magic, client.peer_magic), (server.peer_magic, server.magic));
        assert!(client.magic.is_some() && client.magic != client.peer_magic);
        assert_eq!((&*client.peer_name, &*server.peer_name), ("pptpd", "testuser"));
        let expected = Encryption { strength: KeyStrength::Bits128, stateful: false };
        assert_eq!((client.encryption, server.encryption), (Some(expected), Some(expected)));
        let has_compression = order != ServerOrder::AccelPpp;
        assert_eq!((client.pfc, client.acfc), (has_compression, has_compression));
        let phases = wire.client.events.iter().filter_map(|(_, event)| match event {
            Event::Phase(phase) => Some(*phase),
            _ => None,
        });
        let expected = [Phase::LinkControl, Phase::Authentication, Phase::Network, Phase::Up];
        assert_eq!(phases.collect::<Vec<_>>(), expected);
    }
}

/// An IPv4 header with a right checksum
const PACKET: [u8; 20] =
    [0x45, 0, 0, 0x14, 0, 0, 0, 0, 0x40, 1, 0x66, 0xE7, 0x0A, 0, 0, 1, 0x0A, 0, 0, 2];

fn sealed(link: &mut Link) -> Vec<u8> {
    let mut packet = PacketBuf::new();
    packet.reset(PACKET.len()).copy_from_slice(&PACKET);
    assert!(link.seal(&mut packet));
    packet.as_slice().to_vec()
}

/// A sequence number far beyond those of the connect
const LATER: u32 = 1000;

fn ahead(sequence: u32) -> Arrival {
    Arrival { sequence: LATER + sequence, order: Order::Ahead }
}

#[test]
fn inner_packets_pass_both_ways_encrypted() {
    for order in ORDERS {
        let Wire { client, server, now, .. } = &mut connected(order);
        for sequence in 0..5 {
            let mut frame = sealed(&mut client.link);
            assert!(!frame.windows(20).any(|window| window == PACKET));
            let received = server.link.handle_frame(*now, ahead(sequence), &mut frame);
            assert_eq!(received, Received::Ip(&mut PACKET.clone()));
            let mut frame = sealed(&mut server.link);
            let received = client.link.handle_frame(*now, ahead(sequence), &mut frame);
            assert_eq!(received, Received::Ip(&mut PACKET.clone()));
        }
    }
}

#[test]
fn a_header_is_compressed_only_if_the_peer_asked() {
    for (order, header) in [
        (ServerOrder::Pppd, &[0xFD, 0x90, 0x00][..]),
        (ServerOrder::AccelPpp, &[0xFF, 0x03, 0x00, 0xFD, 0x90, 0x00]),
    ] {
        let frame = sealed(&mut connected(order).client.link);
        assert!(frame.starts_with(header), "{frame:02x?}");
    }
}

#[test]
fn nothing_is_sealed_before_the_link_is_up() {
    let mut link = Link::client(client_config(), [0; 32]);
    let mut packet = PacketBuf::new();
    packet.reset(20);
    assert!(!link.seal(&mut packet));
    assert_eq!(packet.len(), 20);
}

#[test]
fn wrong_credentials_are_told_as_each_server_tells_them() {
    for (order, retry, message) in [
        (ServerOrder::Pppd, true, "Access denied"),
        (ServerOrder::AccelPpp, false, "Authentication failure"),
        (ServerOrder::Rras, true, ""),
    ] {
        for (user, password) in [("testuser", "wrong"), ("nobody", "test123"), ("", "")] {
            let config = ClientConfig::new(user, Password::new(password));
            let mut wire = wire(config, server_config(order));
            wire.connect().run(Duration::from_secs(5));
            let expected = Failure::AuthFailed { code: 691, retry, message: message.to_owned() };
            assert_eq!(wire.client.failure(), Some(&expected));
            assert_eq!(wire.client.link.phase(), Phase::Dead);
            assert_eq!(wire.client.link.poll_timeout(), None);
        }
    }
}

#[test]
fn a_server_without_encryption_ends_it() {
    for (order, offered) in [
        (ServerOrder::Pppd, None),
        (ServerOrder::AccelPpp, None),
        (ServerOrder::Rras, Some(MppeBits(0x0100_0001))),
    ] {
        let config = ServerConfig { encryption: ServerEncryption::None, ..server_config(order) };
        let mut wire = wire(client_config(), config);
        wire.connect().run(Duration::from_secs(5));
        let expected = Failure::EncryptionUnavailable { offered };
        assert_eq!(wire.client.failure(), Some(&expected), "{order:?}\n{}", wire.ladder);
        assert!(wire.client.up().is_none());
    }
}

#[test]
fn two_ends_converge_although_frames_are_lost() {
    let mut given_up = 0;
    for order in ORDERS {
        for seed in 0..300 {
            let mut wire = wire(client_config(), server_config(order));
            wire.lose(0.2, seed).connect().run_until_up(Duration::from_secs(90));
            let is_up = wire.client.link.is_up() && wire.server.link.is_up();
            let has_ended = wire.client.failure().is_some() && wire.server.failure().is_some();
            assert!(is_up || has_ended, "{order:?} {seed} hangs\n{}", wire.ladder);
            given_up += u32::from(!is_up);
        }
    }
    // Ten transmissions of the same can be lost one after the other, though rarely.
    assert!(given_up <= 4, "{given_up} of 900 gave up");
}

#[test]
fn both_ends_learn_of_an_orderly_close() {
    for order in ORDERS {
        let mut wire = connected(order);
        wire.client.link.close(wire.now);
        assert!(!wire.client.link.is_up());
        wire.turn();
        wire.run(Duration::from_secs(5));
        assert_eq!(wire.client.events.last().unwrap().1, Event::Closed);
        assert!(matches!(wire.server.failure(), Some(Failure::TerminatedByPeer { .. })));
        assert_eq!(wire.client.link.poll_timeout(), None);
    }
}

#[test]
fn a_close_without_an_answer_ends_within_two_seconds() {
    let mut wire = connected(ServerOrder::Pppd);
    wire.lose(1.0, 0);
    let closed_at = wire.now;
    wire.client.link.close(wire.now);
    wire.turn();
    wire.run_until_up(Duration::from_secs(3));
    assert_eq!(wire.client.events.last().unwrap().1, Event::Closed);
    assert_eq!(wire.now - closed_at, Duration::from_secs(2));
}

#[test]
fn a_silent_peer_is_asked_and_then_given_up() {
    let mut wire = connected(ServerOrder::Pppd);
    wire.run(Duration::from_mins(10));
    assert!(wire.client.link.is_up(), "both answer");
    assert!(wire.client.link.stats().echo_requests >= 1);
    wire.lose(1.0, 0).run(Duration::from_secs(90));
    assert_eq!(wire.client.failure(), Some(&Failure::EchoTimeout { unanswered: 4 }));
}

#[test]
fn secrets_are_not_printed() {
    let wire = connected(ServerOrder::Rras);
    let printed = format!("{:?} {:?}", wire.client.link, wire.server.link);
    assert!(!printed.contains("test123"));
}
