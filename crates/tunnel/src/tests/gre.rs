//! GRE that does not pass, and GRE that somebody else made

use pptp_gre::Header;
use pptp_ppp::ServerOrder;

use super::pair::*;
use crate::{Failure, GreError, Phase};

/// The time at which the Outgoing-Call-Reply is there
const CALLED: std::time::Duration = ms(120);

fn send_error(failure: &Failure) -> Option<&str> {
    match failure {
        Failure::GreBlocked { send_error, .. } => send_error.as_deref(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_server_whose_gre_does_not_arrive_is_blocked_after_ten_seconds() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.server.judge(|_, _| Fate::lost());
    pair.run(secs(20));
    let (at, error) = pair.client.down().expect("down");
    assert_eq!(
        error.failure,
        Failure::GreBlocked { after: secs(10), heard: false, send_error: None }
    );
    assert_eq!((at, error.phase), (CALLED + secs(10), Phase::LinkControl));
    let asked = pair.client.said.iter().filter(|said| *said == "C021 01").count();
    assert_eq!(asked, 4, "at 0, 3, 6 and 9 s");
    assert!(pair.client.finished_at.is_some() && pair.server.finished_at.is_some());
}

#[test]
fn a_server_that_gets_none_of_ours_is_told_from_one_that_is_silent() {
    for order in ORDERS {
        let mut pair = Pair::of(order);
        pair.client.judge(|_, _| Fate::lost());
        pair.run(secs(60));
        let (at, error) = pair.client.down().expect("down");
        assert!(matches!(error.failure, Failure::GreBlocked { heard: true, send_error: None, .. }));
        assert!((secs(10)..=secs(31)).contains(&at), "{order:?}: {at:?}");
        assert_eq!(error.layer(), crate::Layer::Gre);
        assert!(error.to_string().contains("took note of none of ours"), "{error}");
    }
}

#[test]
fn gre_that_the_kernel_refuses_is_blocked_although_the_servers_arrives() {
    for order in ORDERS {
        let mut pair = Pair::of(order);
        pair.client.judge(|_, _| Fate::Refused("Operation not permitted (os error 1)"));
        pair.run(secs(20));
        let (at, error) = pair.client.down().expect("down");
        assert!((CALLED + secs(9)..=CALLED + secs(12)).contains(&at), "{at:?}");
        assert_eq!(send_error(&error.failure), Some("Operation not permitted (os error 1)"));
        assert!(error.to_string().contains("Operation not permitted"), "{error}");
    }
}

#[test]
fn gre_that_the_kernel_refuses_while_nothing_comes_says_so() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.server.judge(|_, _| Fate::lost());
    pair.client.judge(|_, _| Fate::Refused("Network is unreachable"));
    pair.run(secs(20));
    let (at, error) = pair.client.down().expect("down");
    assert_eq!(at, CALLED + secs(10));
    assert_eq!(send_error(&error.failure), Some("Network is unreachable"));
}

#[test]
fn a_refusal_that_passes_does_no_harm() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    let mut first = 3;
    pair.client.judge(move |_, _| {
        first -= i32::from(first > 0);
        if first > 0 { Fate::Refused("No buffer space available") } else { Fate::passes() }
    });
    pair.run(secs(30));
    let (at, _) = pair.client.up().expect("up");
    assert!(at < secs(5), "{at:?}");
    assert!(pair.client.down().is_none());
}

/// The fate of the client's datagrams, by the second of the call; its requests go out at 0, 3,
/// 6, 9 and 12 s. A bare acknowledgment comes through, so that the server does not give up.
fn by_second(pair: &mut Pair, fate: impl Fn(u64) -> Fate + 'static) {
    pair.run(ms(79));
    let begin = pair.now;
    pair.server.forge(begin, datagram(SERVER_CALL, None, Some(0), &[]));
    pair.client.judge(move |now, _| fate((now - begin).as_secs()));
}

const FULL: Fate = Fate::Refused("No buffer space available");

#[test]
fn a_refusal_long_past_is_not_blamed_for_what_goes_lost_later() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    by_second(&mut pair, |second| if second == 0 { FULL } else { Fate::lost() });
    pair.run(secs(20));
    let blocked = |(_, error): (_, &crate::TunnelError)| error.name() == "GreBlocked";
    assert!(!pair.client.down().is_some_and(blocked), "{:?}", pair.client.down());
}

#[test]
fn refusals_with_a_datagram_sent_between_them_are_not_one() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    by_second(&mut pair, |second| match second {
        0 | 9 => FULL,
        ..12 => Fate::lost(),
        _ => Fate::passes(),
    });
    pair.run(secs(20));
    assert!(pair.client.up().is_some(), "{:?}", pair.client.down());
}

#[test]
fn a_datagram_sent_before_the_ten_seconds_are_over_ends_the_refusals() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    by_second(&mut pair, |second| match second {
        ..9 => FULL,
        9..12 => Fate::lost(),
        _ => Fate::passes(),
    });
    pair.run(secs(20));
    assert!(pair.client.up().is_some(), "{:?}", pair.client.down());
}

#[test]
fn refusals_after_the_connect_are_losses_and_no_more() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    pair.client.judge(|_, _| FULL);
    for _ in 0..15 {
        pair.client.waiting.push_back(ip_packet(1, 100));
        pair.server.waiting.push_back(ip_packet(1, 100));
        pair.client_turn();
        pair.server_turn();
        pair.run(secs(1));
    }
    pair.client.judge(|_, _| Fate::passes());
    pair.run(secs(60));
    assert!(pair.client.down().is_none() && pair.server.down().is_none());
}

#[test]
fn one_refusal_late_in_lcp_does_not_end_it_at_once() {
    // the client hears the server, but not its answers, for 14 s
    let mut pair = Pair::of(ServerOrder::Pppd);
    let begin = pair.now;
    pair.server.judge(move |now, datagram| {
        let (_, payload) = Header::parse(datagram).unwrap();
        let is_request = matches!(&datagram[payload], [0xFF, 3, 0xC0, 0x21, 1, ..]);
        if is_request || now > begin + secs(14) { Fate::passes() } else { Fate::lost() }
    });
    by_second(&mut pair, |second| if second == 12 { FULL } else { Fate::passes() });
    pair.run(secs(30));
    assert!(pair.client.up().is_some(), "{:?}", pair.client.down());
}

#[test]
fn a_protocol_unreachable_before_the_first_datagram_ends_it_at_once() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.server.judge(|_, _| Fate::lost());
    pair.run(CALLED);
    pair.client.tunnel.handle_gre_error(pair.now, GreError::ProtocolUnreachable);
    pair.client_turn();
    let (at, error) = pair.client.down().expect("down");
    assert_eq!(at, pair.elapsed());
    let after = std::time::Duration::ZERO;
    let blocked = Failure::GreBlocked { after, heard: false, send_error: None };
    assert_eq!(error.failure, blocked);
}

#[test]
fn a_protocol_unreachable_is_no_more_than_a_remark_at_any_other_time() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    let mut before = 0;
    for _ in 0..100 {
        pair.run(ms(4));
        // anyone may forge one; between the call's beginning and the first datagram it is believed
        let is_awaited = pair.client.phases().last() == Some(&Phase::LinkControl)
            && pair.client.tunnel.stats().gre.committed == 0;
        if !is_awaited {
            before += 1;
            pair.client.tunnel.handle_gre_error(pair.now, GreError::ProtocolUnreachable);
            pair.client_turn();
        }
    }
    assert!(before > 90);
    assert!(pair.client.up().is_some() && pair.client.down().is_none());
}

/// A datagram for the client as the server would send it
fn datagram(
    call_id: u16,
    sequence: Option<u32>,
    acknowledgment: Option<u32>,
    frame: &[u8],
) -> Vec<u8> {
    let header = Header { call_id, sequence, acknowledgment };
    let length = u16::try_from(frame.len()).unwrap();
    [header.emit(length).as_slice(), frame].concat()
}

/// The datagrams that somebody else may send to the client, whose next datagram has the number `next`
fn forgeries(next: u32) -> [Vec<u8>; 9] {
    let garbage: Vec<u8> = (0..200_u8).map(|i| i.wrapping_mul(7)).collect();
    let encrypted = |count: u8| [&[0xFF, 3, 0, 0xFD, 0x90, count], &garbage[..]].concat();
    let plaintext = [&[0xFF, 3, 0, 0x21], &ip_packet(7, 100)[..]].concat();
    let mut truncated = datagram(CLIENT_CALL, Some(next), None, &encrypted(0));
    truncated.pop();
    [
        datagram(CLIENT_CALL + 1, Some(next), None, &encrypted(0)),
        datagram(CLIENT_CALL, Some(next + 5_000), None, &encrypted(200)),
        datagram(CLIENT_CALL, Some(next + 3_000_000), None, &encrypted(100)),
        datagram(CLIENT_CALL, Some(next), None, &plaintext),
        datagram(CLIENT_CALL, Some(next + 1), Some(0x7000_0000), &plaintext),
        truncated,
        vec![],
        vec![0x30],
        garbage,
    ]
}

#[test]
fn forged_datagrams_move_nothing() {
    for order in ORDERS {
        let mut pair = Pair::up(order);
        for which in 0..9 {
            let next = u32::try_from(pair.server.tunnel.stats().gre.sealed).unwrap();
            for _ in 0..3 {
                pair.client.forge(pair.now, forgeries(next)[which].clone());
            }
            let number = u16::try_from(which).unwrap();
            pair.server.waiting.push_back(ip_packet(number, 300));
            pair.server_turn();
            pair.run(ms(50));
        }
        let expected: Vec<_> = (0..9).map(|number| ip_packet(number, 300)).collect();
        assert!(pair.client.packets == expected, "{order:?}: {}", pair.client.packets.len());
        let stats = pair.client.tunnel.stats();
        assert_eq!((stats.other_call, stats.malformed), (3, 12));
        assert_eq!((stats.link.plaintext, stats.link.undecryptable), (6, 6));
        assert_eq!((stats.gre.missing, stats.gre.jumps, stats.gre.duplicates), (0, 0, 0));
        assert_eq!(stats.gre.acknowledgments_ignored, 3);
        assert_eq!(stats.ip_received, 9);
        assert!(pair.client.down().is_none());
    }
}
