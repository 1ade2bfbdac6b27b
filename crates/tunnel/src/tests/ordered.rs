//! IP packets that need their order: those of stateful MPPE, and those in the clear

use std::time::Duration;

use pptp_gre::Header;
use pptp_ppp::{
    Encryption, EncryptionDemand, KeyStrength, ServerEncryption, ServerOrder, StatefulReset,
};

use super::pair::*;
use crate::{Reordering, Timer};

fn pair(server: ServerEncryption, reordering: Reordering) -> Pair {
    let mut client = client_config();
    client.reordering = reordering;
    client.link.encryption.demand = EncryptionDemand::InsecurePrefer;
    client.link.encryption.insecure_stateful = Some(StatefulReset::Linux);
    let mut config = server_config(ServerOrder::Pppd);
    config.link.encryption = server;
    let mut pair = Pair::new(client, config);
    pair.run(secs(1));
    let stateful = Some(Encryption { strength: KeyStrength::Bits128, stateful: true });
    let expected = if server == ServerEncryption::NoCcp { None } else { stateful };
    assert_eq!(pair.client.up().expect("up").1.encryption, expected);
    pair
}

const CLEAR: ServerEncryption = ServerEncryption::NoCcp;
const STATEFUL: ServerEncryption = ServerEncryption::Mppe128Stateful(StatefulReset::Linux);

/// Every seventh datagram is 9 ms late, and sent are they each millisecond
fn overtaken(pair: &mut Pair) -> Vec<Vec<u8>> {
    let mut count = 0;
    pair.client.judge(move |_, _| {
        count += 1;
        Fate::Arrives(vec![ms(if count % 7 == 3 { 9 } else { 0 })])
    });
    send(pair, 500);
    (0..500).map(|number| ip_packet(number, 100)).collect()
}

fn send(pair: &mut Pair, packets: u16) {
    for number in 0..packets {
        pair.client.waiting.push_back(ip_packet(number, 100));
        pair.client_turn();
        pair.run(ms(1));
    }
    pair.run(secs(1));
}

#[test]
fn packets_that_are_overtaken_come_out_in_their_order() {
    for server in [CLEAR, STATEFUL] {
        let mut pair = pair(server, Reordering::default());
        let expected = overtaken(&mut pair);
        assert!(pair.server.packets == expected, "{server:?}: {}", pair.server.packets.len());
        let stats = pair.server.tunnel.stats();
        assert_eq!((stats.gre.late, stats.link.undecryptable), (0, 0));
    }
}

#[test]
fn a_lost_packet_is_waited_for_no_longer_than_its_patience() {
    for (reordering, waited) in [
        (Reordering::default(), ms(300)),
        (Reordering { max_wait: ms(50), ..Reordering::default() }, ms(50)),
        (Reordering { depth: 0, ..Reordering::default() }, Duration::ZERO),
    ] {
        let mut pair = pair(CLEAR, reordering);
        let mut count = 0;
        pair.server.judge(move |_, _| {
            count += 1;
            if count == 1 { Fate::lost() } else { Fate::passes() }
        });
        pair.server.waiting.extend((0..3).map(|number| ip_packet(number, 100)));
        pair.server_turn();
        let began = pair.now;
        pair.run_until(secs(2), |pair| pair.client.packets.len() == 2);
        assert_eq!(pair.client.packets, [ip_packet(1, 100), ip_packet(2, 100)]);
        assert_eq!(pair.now - began, DELAY + waited);
        assert_ne!(timer(&pair.client.tunnel), Some(Timer::Reorder));
    }
}

#[test]
fn a_stateful_session_survives_what_a_line_loses() {
    let mut pair = pair(STATEFUL, Reordering::default());
    let mut count = 0_u32;
    pair.client.judge(move |_, _| {
        count += 1;
        if count % 250 == 13 { Fate::lost() } else { Fate::passes() }
    });
    send(&mut pair, 2000);
    let arrived = pair.server.packets.len();
    assert!(arrived > 900, "{arrived} of 2000, though some 110 are lost with each");
    let numbers: Vec<_> = pair.server.packets.iter().map(|packet| packet[4..6].to_vec()).collect();
    assert!(numbers.is_sorted(), "none out of order");
    assert!(pair.client.tunnel.stats().link.reset_requests >= 8, "one for each loss");
}

/// A frame in the clear proves nothing: with a number far ahead it does not count, whatever it says
#[test]
fn a_forged_packet_far_ahead_does_not_move_the_window() {
    let mut pair = pair(CLEAR, Reordering::default());
    send(&mut pair, 3);
    let header = Header { call_id: SERVER_CALL, sequence: Some(70_000), acknowledgment: None };
    let packet = ip_packet(666, 100);
    let length = u16::try_from(packet.len() + 4).unwrap();
    let forged = [header.emit(length).as_slice(), &[0xFF, 3, 0, 0x21], &packet].concat();
    let now = pair.now;
    pair.server.forge(now, forged);
    send(&mut pair, 3);
    assert!(!pair.server.packets.contains(&packet));
    assert_eq!(pair.server.packets.len(), 6);
    let stats = pair.server.tunnel.stats().gre;
    assert_eq!((stats.beyond_guard, stats.jumps), (1, 0));
}

/// An inner packet in the clear has at least to look like one
#[test]
fn what_is_no_ip_packet_is_dropped() {
    let mut pair = pair(CLEAR, Reordering::default());
    let mut broken = ip_packet(7, 100);
    broken[10] ^= 1;
    pair.client.waiting.push_back(broken);
    send(&mut pair, 1);
    assert_eq!(pair.server.packets, [ip_packet(0, 100)]);
    assert_eq!(pair.server.tunnel.stats().link.implausible, 1);
}

#[test]
fn stateless_encryption_puts_nothing_in_order() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    let expected = overtaken(&mut pair);
    assert_ne!(pair.server.packets, expected, "late packets pass as they come");
    assert_eq!(pair.server.packets.len(), expected.len());
}
