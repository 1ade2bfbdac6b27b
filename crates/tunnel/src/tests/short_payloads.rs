//! PPP payloads of no to eight octets, into either end and out of it, while connecting and when up

use pptp_gre::Header;
use pptp_ppp::{EncryptionDemand, ServerEncryption, ServerOrder};

use super::pair::*;

/// The longest of them
const LONGEST: usize = 8;

/// The beginnings of frames, in every form of their header; each is cut to every length
///
/// None is a whole packet that would ask for something: what there is of control packets is a
/// Discard-Request, or the same code where there is no such thing. Of either half seven look
/// encrypted, since eight that do not open before one that does tell of another key.
const BEGINNINGS: [[[u8; LONGEST]; 7]; 2] = [
    [
        [0xFF, 0x03, 0x00, 0xFD, 0x90, 0x00, 0x5A, 0x5A],
        [0xFD, 0x90, 0x00, 0x5A, 0x5A, 0x5A, 0x5A, 0x5A],
        [0xFF, 0x03, 0x00, 0x21, 0x45, 0x00, 0x00, 0x04],
        [0x21, 0x45, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00],
        [0xFF, 0x03, 0xC0, 0x21, 0x0B, 0x01, 0x00, 0x04],
        [0x80, 0xFD, 0x0B, 0x01, 0x00, 0x06, 0x00, 0x00],
        [0xFF; LONGEST],
    ],
    [
        [0xFF, 0x03, 0xFD, 0x90, 0x00, 0x5A, 0x5A, 0x5A],
        [0x00, 0xFD, 0x90, 0x00, 0x5A, 0x5A, 0x5A, 0x5A],
        [0x00, 0x21, 0x45, 0x00, 0x00, 0x06, 0x00, 0x00],
        [0x57, 0x60, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
        [0xC0, 0x21, 0x0B, 0x01, 0x00, 0x06, 0x00, 0x00],
        [0xC2, 0x23, 0x0B, 0x01, 0x00, 0x06, 0x00, 0x00],
        [0x00; LONGEST],
    ],
];

fn payloads(half: usize) -> impl Iterator<Item = Vec<u8>> {
    let lengths = |beginning: [u8; LONGEST]| (0..=LONGEST).map(move |n| beginning[..n].to_vec());
    BEGINNINGS[half].into_iter().flat_map(lengths)
}

/// A datagram that the other end might have sent, far ahead of what it has sent
fn datagram(call_id: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let header = Header { call_id, sequence: Some(sequence), acknowledgment: None };
    let length = u16::try_from(payload.len()).unwrap();
    [header.emit(length).as_slice(), payload].concat()
}

/// Both ends get each of these payloads now
fn feed(pair: &mut Pair, half: usize) {
    for (sequence, payload) in (1000..).zip(payloads(half)) {
        let now = pair.now;
        let mut to_client = datagram(CLIENT_CALL, sequence, &payload);
        let mut to_server = datagram(SERVER_CALL, sequence, &payload);
        assert_eq!(pair.client.tunnel.handle_gre(now, &mut to_client), None, "{payload:02x?}");
        assert_eq!(pair.server.tunnel.handle_gre(now, &mut to_server), None, "{payload:02x?}");
    }
    pair.client_turn();
    pair.server_turn();
}

/// Whatever it got before: it is up, and exactly the packets that are sent now arrive
fn assert_packets_pass(pair: &mut Pair, context: &str) {
    pair.run(secs(20));
    assert!(pair.client.up().is_some() && pair.server.up().is_some(), "{context}: not up");
    for number in 0..20 {
        pair.client.waiting.push_back(ip_packet(number, 100));
        pair.server.waiting.push_back(ip_packet(number, 100));
        pair.client_turn();
        pair.server_turn();
        pair.run(ms(50));
    }
    let sent: Vec<_> = (0..20).map(|number| ip_packet(number, 100)).collect();
    for end in [&pair.client, &pair.server] {
        assert_eq!(end.packets, sent, "{context}");
        assert_eq!(end.down(), None, "{context}");
    }
}

#[test]
fn short_payloads_at_any_moment_of_a_connect_neither_stop_it_nor_come_out() {
    for order in ORDERS {
        for (moment, half) in (0..24).flat_map(|steps| [(DELAY * steps, 0), (DELAY * steps, 1)]) {
            let mut pair = Pair::of(order);
            pair.run(moment);
            feed(&mut pair, half);
            assert_packets_pass(&mut pair, &format!("{order:?} after {moment:?}, {half}"));
        }
    }
}

/// Nothing in them shows that they are the peer's: not one of their numbers counts
#[test]
fn payloads_of_no_octets_or_a_few_are_not_acknowledged() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    let before = pair.client.tunnel.stats().gre.committed;
    for (sequence, length) in (1000..).zip(0..=LONGEST) {
        let mut encrypted = datagram(CLIENT_CALL, sequence, &BEGINNINGS[0][0][..length]);
        assert_eq!(pair.client.tunnel.handle_gre(pair.now, &mut encrypted), None);
    }
    assert_eq!(pair.client.tunnel.stats().gre.committed, before);
    pair.client_turn();
    assert_packets_pass(&mut pair, "and on it goes");
}

/// Packets that the stack never composes: they are sealed as they are, and the other end drops them
#[test]
fn packets_of_no_to_eight_octets_are_sealed_and_dropped_by_the_other_end() {
    for is_clear in [false, true] {
        let mut pair = up(is_clear);
        for length in 0..=LONGEST {
            pair.client.waiting.push_back(vec![0x45; length]);
            pair.server.waiting.push_back(vec![0x45; length]);
            pair.client_turn();
            pair.server_turn();
            let sealed = pair.server.datagrams.last().unwrap();
            let (_, payload) = Header::parse(sealed).unwrap();
            // FF03 0021, or FF03 00FD with MPPE's two octets and 0021 behind it
            let headers = if is_clear { 4 } else { 8 };
            assert_eq!(payload.len(), headers + length);
            pair.run(ms(50));
            assert!(pair.client.packets.is_empty() && pair.server.packets.is_empty());
        }
        assert_packets_pass(&mut pair, &format!("in the clear: {is_clear}"));
    }
}

/// A pair that is up, encrypted or not, and has passed a packet each way
fn up(is_clear: bool) -> Pair {
    let (mut client, mut server) = (client_config(), server_config(ServerOrder::Pppd));
    if is_clear {
        client.link.encryption.demand = EncryptionDemand::InsecurePrefer;
        server.link.encryption = ServerEncryption::None;
    }
    let mut pair = Pair::new(client, server);
    pair.run(secs(1));
    let facts = pair.client.up().expect("up").1;
    assert_eq!(facts.encryption.is_none(), is_clear);
    pair.client.waiting.push_back(ip_packet(0, 100));
    pair.server.waiting.push_back(ip_packet(0, 100));
    pair.client_turn();
    pair.server_turn();
    pair.run(ms(50));
    for end in [&mut pair.client, &mut pair.server] {
        assert_eq!(std::mem::take(&mut end.packets), [ip_packet(0, 100)]);
    }
    pair
}
