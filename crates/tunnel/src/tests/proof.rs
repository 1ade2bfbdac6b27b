//! The data path is proven: packets that the tunnel sends itself, and what follows without an answer

use std::time::Duration;

use pptp_ppp::{NothingPasses, Proof, Reachability, ServerOrder};

use super::pair::{DELAY, Fate, ORDERS, Pair, ip_packet, proving_config, secs, server_config};
use crate::{Event, Failure, LinkFailure, Retry};

/// A pair whose client proves its path
fn proving(order: ServerOrder) -> Pair {
    Pair::new(proving_config(), server_config(order))
}

/// Lets the server's router answer the pings that came out of the tunnel, and returns how many
fn answer(pair: &mut Pair) -> usize {
    let packets = std::mem::take(&mut pair.server.packets);
    let pings = packets.into_iter().filter(|packet| is_ping(packet));
    let replies: Vec<_> = pings.map(reply).collect();
    let count = replies.len();
    pair.server.waiting.extend(replies);
    if count > 0 {
        pair.server_turn();
    }
    count
}

fn is_ping(packet: &[u8]) -> bool {
    packet[9] == 1 && packet[20] == 8 && packet[8] > 1
}

fn reply(mut packet: Vec<u8>) -> Vec<u8> {
    let (source, target) = (packet[12..16].to_vec(), packet[16..20].to_vec());
    packet[12..16].copy_from_slice(&target);
    packet[16..20].copy_from_slice(&source);
    packet[20] = 0;
    packet
}

/// Runs for a while and answers pings on the way
fn run(pair: &mut Pair, time: Duration) -> usize {
    let end = pair.now + time;
    let mut answered = 0;
    while pair.now < end {
        pair.run(DELAY);
        answered += answer(pair);
    }
    answered
}

fn news(pair: &Pair) -> Vec<Reachability> {
    let news = pair.client.events.iter().filter_map(|(_, event)| match event {
        Event::Reachable(how) => Some(*how),
        _ => None,
    });
    news.collect()
}

#[test]
fn the_path_is_proven_once_and_users_do_not_see_the_answer() {
    for order in ORDERS {
        let mut pair = proving(order);
        assert_eq!(run(&mut pair, secs(60)), 1, "{order:?}");
        assert_eq!(news(&pair), [Reachability::Proven(Proof::Ping)]);
        assert_eq!(pair.client.packets, Vec::<Vec<u8>>::new());
        let stats = pair.client.tunnel.stats();
        assert_eq!(stats.link.reachability, Reachability::Proven(Proof::Ping));
        assert!(stats.link.ping_round_trip.last().is_some_and(|it| it >= 2 * DELAY));
        assert_eq!((stats.ip_received, stats.ip_sent), (0, 0), "of users");
    }
}

#[test]
fn a_server_that_answers_no_ping_is_unproven_and_stays() {
    let mut pair = proving(ServerOrder::Pppd);
    pair.run(secs(600));
    assert_eq!(news(&pair), [Reachability::Unproven]);
    assert!(pair.client.down().is_none());
}

#[test]
fn a_packet_of_the_remote_network_proves_it_as_well() {
    let mut pair = proving(ServerOrder::Pppd);
    pair.server.waiting.push_back(ip_packet(1, 100));
    pair.run(secs(10));
    assert_eq!(news(&pair), [Reachability::Proven(Proof::Traffic)]);
    assert_eq!(pair.client.packets.len(), 1);
}

#[test]
fn a_server_that_opens_nothing_any_more_is_left_within_fifteen_seconds() {
    let mut pair = proving(ServerOrder::Pppd);
    run(&mut pair, secs(20));
    let deaf_at = pair.now;
    // from now on nothing of ours comes out at its end, though its LCP answers
    for number in 0..60 {
        pair.client.waiting.push_back(ip_packet(number, 100));
        pair.client_turn();
        pair.run(secs(1) / 2);
        pair.server.packets.clear();
        if let Some((_, error)) = pair.client.down() {
            let failure =
                LinkFailure::NothingPasses(NothingPasses::Silence { pings: 4, echoes: 4 });
            assert_eq!(error.failure, Failure::Link(failure));
            assert_eq!(error.retry(), Retry::Soon);
            assert!(pair.now - deaf_at <= secs(15));
            return;
        }
    }
    panic!("up and dead");
}

/// The line is known to carry echoes before it has to
#[test]
fn a_line_that_dies_a_second_after_up_is_found_although_the_control_connection_answers() {
    let mut pair = proving(ServerOrder::Pppd);
    pair.run(secs(1));
    assert!(pair.client.up().is_some());
    pair.server.judge(|_, _| Fate::lost());
    pair.client.judge(|_, _| Fate::lost());
    pair.run(secs(71));
    assert_eq!(pair.client.down().expect("down").1.name(), "EchoTimeout");
}

/// Some peers never answer an LCP echo (f:56961866308 in public reports: a cut each 70 s)
#[test]
fn a_server_that_answers_no_lcp_echo_lives_while_its_control_connection_does() {
    let mut pair = proving(ServerOrder::Pppd);
    pair.server.judge(|_, datagram| {
        let is_echo_reply = datagram.windows(5).any(|some| *some == [0xFF, 0x03, 0xC0, 0x21, 10]);
        if is_echo_reply { Fate::lost() } else { Fate::Arrives(vec![DELAY]) }
    });
    pair.run(secs(5));
    // no frame of the server arrives any more; its control connection answers
    pair.server.judge(|_, _| Fate::lost());
    pair.run(secs(1200));
    assert!(pair.client.down().is_none());
    pair.server.fall_silent();
    pair.run(secs(200));
    let (_, error) = pair.client.down().expect("down");
    assert_eq!(
        error.name(),
        "EchoTimeout",
        "its control connection, asked with the last echo, is silent too"
    );
}

/// The machine slept: the server may have dropped the tunnel long ago
#[test]
fn a_server_that_is_gone_is_found_within_twelve_seconds_when_it_is_asked() {
    let mut pair = proving(ServerOrder::Pppd);
    run(&mut pair, secs(20));
    pair.server.fall_silent();
    pair.server.judge(|_, _| Fate::lost());
    pair.client.tunnel.check_peer(pair.now);
    pair.client_turn();
    pair.run(secs(11));
    assert!(pair.client.down().is_none());
    pair.run(secs(2));
    assert_eq!(pair.client.down().expect("down").1.name(), "EchoTimeout");
}

#[test]
fn a_server_that_is_asked_and_there_stays_and_is_left_alone() {
    let mut pair = proving(ServerOrder::Pppd);
    run(&mut pair, secs(20));
    let before = pair.client.tunnel.stats().link.echo_requests;
    pair.client.tunnel.check_peer(pair.now);
    pair.client_turn();
    run(&mut pair, secs(25));
    assert!(pair.client.down().is_none());
    assert_eq!(pair.client.tunnel.stats().link.echo_requests, before + 1);
}

/// Some servers answer no LCP echo: their control connection speaks for them
#[test]
fn a_server_that_answers_no_lcp_echo_lives_when_it_is_asked() {
    let mut pair = proving(ServerOrder::Pppd);
    pair.server.judge(|_, datagram| {
        let is_echo_reply = datagram.windows(5).any(|some| *some == [0xFF, 0x03, 0xC0, 0x21, 10]);
        if is_echo_reply { Fate::lost() } else { Fate::Arrives(vec![DELAY]) }
    });
    pair.run(secs(5));
    for _ in 0..10 {
        pair.client.tunnel.check_peer(pair.now);
        pair.client_turn();
        pair.run(secs(20));
    }
    assert!(pair.client.down().is_none());
}
