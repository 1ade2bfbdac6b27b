//! IP packets

use std::{cell::Cell, collections::HashSet, rc::Rc};

use pptp_gre::Header;
use pptp_ppp::ServerOrder;

use super::pair::*;
use crate::Event;

/// Returns true if a datagram carries an encrypted packet
fn is_data(datagram: &[u8]) -> bool {
    let Ok((_, payload)) = Header::parse(datagram) else { return false };
    matches!(&datagram[payload], [0xFF, 3, 0, 0xFD, ..] | [0, 0xFD, ..] | [0xFD, ..])
}

/// Loses, delays and doubles in turns; counts what it loses
fn a_bad_line(lost: &Rc<Cell<usize>>) -> impl FnMut(std::time::Instant, &[u8]) -> Fate + 'static {
    let lost = Rc::clone(lost);
    let mut count = 0_u32;
    move |_, datagram| {
        count += 1;
        Fate::Arrives(match count % 60 {
            3 | 17 | 18 | 19 | 44 => {
                lost.set(lost.get() + usize::from(is_data(datagram)));
                vec![]
            }
            7 | 23 | 31 => vec![ms(9)],
            11 | 39 => vec![ms(0), ms(0)],
            13 | 57 => vec![ms(0), ms(7)],
            29 => vec![ms(250)],
            _ => vec![ms(0)],
        })
    }
}

#[test]
fn a_thousand_packets_each_way_come_out_as_they_went_in() {
    for order in ORDERS {
        let mut pair = Pair::up(order);
        let recorded = pair.client.tunnel.recorder().records();
        for number in 0..1000_u16 {
            pair.client.waiting.push_back(ip_packet(number, 20 + usize::from(number)));
            pair.server.waiting.push_back(ip_packet(number, 1396));
            pair.client_turn();
            pair.server_turn();
            pair.run(ms(1));
        }
        pair.run(secs(1));
        let expected: Vec<_> = (0..1000).map(|n| ip_packet(n, 20 + usize::from(n))).collect();
        assert!(pair.server.packets == expected, "{order:?}");
        let expected: Vec<_> = (0..1000).map(|n| ip_packet(n, 1396)).collect();
        assert!(pair.client.packets == expected, "{order:?}");
        let stats = pair.client.tunnel.stats();
        assert_eq!((stats.ip_sent, stats.ip_received), (1000, 1000));
        assert_eq!((stats.gre.missing, stats.link.undecryptable), (0, 0));
        assert_eq!(pair.client.tunnel.recorder().records(), recorded, "of control frames only");
    }
}

#[test]
fn a_line_that_loses_reorders_and_doubles_costs_what_it_loses_and_nothing_comes_twice() {
    for order in ORDERS {
        let mut pair = Pair::up(order);
        let lost = [Rc::default(), Rc::default()];
        pair.client.judge(a_bad_line(&lost[0]));
        pair.server.judge(a_bad_line(&lost[1]));
        for number in 0..1000 {
            pair.client.waiting.push_back(ip_packet(number, 100));
            pair.server.waiting.push_back(ip_packet(number, 700));
            pair.client_turn();
            pair.server_turn();
            pair.run(ms(1));
        }
        pair.run(secs(3));
        for (end, len, lost) in [(&pair.server, 100, &lost[0]), (&pair.client, 700, &lost[1])] {
            assert!(lost.get() > 50, "the line is bad enough: {}", lost.get());
            let sent: HashSet<_> = (0..1000).map(|number| ip_packet(number, len)).collect();
            let received: HashSet<_> = end.packets.iter().cloned().collect();
            assert_eq!(received.len(), end.packets.len(), "{order:?}: one came twice");
            assert!(received.is_subset(&sent));
            assert_eq!(received.len() + lost.get(), 1000, "{order:?}");
            let stats = end.tunnel.stats();
            assert!(stats.gre.late > 0 && stats.gre.duplicates > 0, "{stats:?}");
        }
        assert!(pair.client.down().is_none() && pair.server.down().is_none());
    }
}

#[test]
fn a_full_window_paces_and_does_not_stop() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    pair.client.waiting.extend((0..1000).map(|number| ip_packet(number, 1396)));
    pair.client_turn();
    assert!(!pair.client.waiting.is_empty(), "a window of 64 at most at once");
    pair.run(secs(4));
    assert_eq!(pair.server.packets.len(), 1000);
}

#[test]
fn a_one_way_upload_passes_although_the_peer_acknowledges_nothing() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    pair.server.judge(|_, _| Fate::lost());
    pair.client.waiting.extend((0..300).map(|number| ip_packet(number, 1396)));
    pair.client_turn();
    pair.run(secs(3));
    assert_eq!(pair.server.packets.len(), 300);
}

#[test]
fn an_idle_tunnel_sleeps_until_its_echoes() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    let quiet = pair.client.datagrams.len();
    pair.run(secs(25));
    assert_eq!(pair.client.datagrams.len(), quiet);
    pair.run(secs(3600));
    assert!(pair.client.down().is_none() && pair.server.down().is_none());
    let echoes = pair.client.tunnel.stats().link.echo_requests;
    assert!((1..=120).contains(&echoes), "{echoes}");
}

#[test]
fn the_connect_deadline_ends_with_the_connect() {
    let mut config = client_config();
    let limit = secs(10);
    config.connect_deadline = Some((Pair::of(ServerOrder::Pppd).now + limit, limit));
    let mut pair = Pair::new(config, server_config(ServerOrder::Pppd));
    pair.run(secs(20));
    assert!(pair.client.up().is_some() && pair.client.down().is_none());
}

#[test]
fn the_first_packet_does_not_overtake_what_lets_it_pass() {
    for order in ORDERS {
        let mut pair = Pair::of(order);
        pair.client.waiting.push_back(ip_packet(1, 100));
        pair.server.waiting.push_back(ip_packet(2, 100));
        pair.run(secs(1));
        assert_eq!(pair.server.packets, [ip_packet(1, 100)], "{order:?}");
        assert_eq!(pair.client.packets, [ip_packet(2, 100)], "{order:?}");
    }
}

#[test]
fn packets_pass_again_after_either_end_has_renegotiated() {
    for order in ORDERS {
        let mut pair = Pair::up(order);
        let phases = pair.client.phases();
        for round in 0..6 {
            let told = pair.client.events.len();
            let now = pair.now;
            let end = if round % 2 == 0 { &mut pair.client } else { &mut pair.server };
            end.tunnel.renegotiate(now);
            pair.client_turn();
            pair.server_turn();
            // What is on its way now has lost its keys, and the client asks before it believes that
            // the server has begun anew.
            pair.run(ROUND_TRIP + secs(2));
            pair.client.waiting.push_back(ip_packet(round, 100));
            pair.server.waiting.push_back(ip_packet(round, 100));
            pair.client_turn();
            pair.server_turn();
            pair.run(secs(1));
            let events: Vec<_> = pair.client.events[told..].iter().map(|(_, e)| e).collect();
            assert!(matches!(*events, [Event::Renegotiating, Event::Up(_)]), "{events:?}");
            pair.run(secs(10));
        }
        let expected: Vec<_> = (0..6).map(|number| ip_packet(number, 100)).collect();
        assert!(pair.client.packets == expected && pair.server.packets == expected, "{order:?}");
        assert_eq!(pair.client.phases(), phases, "the phases are those of the connect");
        let facts = pair.client.up().unwrap().1;
        assert!(facts.connect_time < secs(1), "and so is the time");
    }
}

#[test]
fn what_an_egress_without_room_leaves_is_there_for_the_next_turn() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.client.room = 0;
    pair.run_until(secs(1), |pair| pair.client.phases().contains(&crate::Phase::LinkControl));
    let (at, timer) = pair.client.tunnel.poll_timeout().expect("LCP's restart");
    println!("frames wait for room: {:?} from now, for {timer:?}", at - pair.now);
    assert!(pair.client.datagrams.is_empty());
    assert!(at > pair.now, "what waits for room has no deadline: its owner knows of the room");
    pair.client.room = usize::MAX;
    pair.client_turn();
    assert!(!pair.client.datagrams.is_empty());
    pair.run(secs(1));
    assert!(pair.client.up().is_some());
}

#[test]
fn an_acknowledgment_without_room_stays_due() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    pair.client.room = 0;
    pair.server.waiting.extend((0..2).map(|number| ip_packet(number, 100)));
    pair.server_turn();
    pair.run_until(secs(1), |pair| pair.client.packets.len() == 2);
    let before = pair.client.tunnel.stats().gre.acknowledgments_sent;
    // not by its deadline yet: two wait for it, so it is due at once, which no deadline tells
    let (at, timer) = pair.client.tunnel.poll_timeout().expect("the acknowledgment");
    println!("an acknowledgment waits for room: {:?} from now, for {timer:?}", at - pair.now);
    pair.now = at;
    pair.client_turn();
    assert_eq!(pair.client.tunnel.poll_timeout(), Some((at, timer)), "due, and stays so");
    pair.client.room = 1;
    pair.client_turn();
    assert_eq!(pair.client.tunnel.stats().gre.acknowledgments_sent, before + 1);
    assert!(pair.client.tunnel.poll_timeout().is_none_or(|(at, _)| at > pair.now));
}
