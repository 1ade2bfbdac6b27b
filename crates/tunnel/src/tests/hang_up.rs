//! The ends of a tunnel that was up

use pptp_gre::Header;
use pptp_ppp::ServerOrder;

use super::pair::*;
use crate::{ControlFailure, Event, Failure, Phase};

const TERMINATE: &str = "C021 05";
const CLEAR: &str = "Call-Clear-Request";
const STOP: &str = "Stop-Control-Connection-Request";

#[test]
fn a_client_hangs_up_from_the_top_to_the_bottom() {
    for order in ORDERS {
        let mut pair = Pair::up(order);
        pair.close_client();
        assert!(pair.client.down().is_none(), "not before it is done");
        let took = pair.run_until_finished(secs(7));
        assert!(took <= 3 * ROUND_TRIP, "{order:?}: {took:?}");
        pair.client.assert_said_in_order(&[TERMINATE, CLEAR]);
        let (_, error) = pair.client.down().expect("down");
        assert_eq!((&error.failure, error.phase), (&Failure::Closed, Phase::Up));
        let (_, error) = pair.server.down().expect("down");
        assert_eq!(error.name(), "TerminatedByPeer", "{order:?}");
        pair.run(secs(100));
    }
}

#[test]
fn a_peer_that_never_answers_is_not_waited_for_longer_than_seven_seconds() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    pair.server.fall_silent();
    let closed_at = pair.elapsed();
    pair.close_client();
    pair.run(secs(8));
    let finished = pair.client.finished_at.expect("finished");
    assert!(finished <= closed_at + secs(7), "{finished:?}");
    assert!(finished >= closed_at + secs(5), "each step was given its time: {finished:?}");
    pair.client.assert_said_in_order(&[TERMINATE, CLEAR, STOP]);
    let (at, error) = pair.client.down().expect("down");
    assert_eq!((&error.failure, at), (&Failure::Closed, finished));
}

#[test]
fn hanging_up_in_each_phase_of_the_connect_is_bounded_and_told() {
    for order in ORDERS {
        for at in (0..=320).step_by(10) {
            for is_silent in [false, true] {
                let mut pair = Pair::of(order);
                pair.run(ms(at));
                if is_silent {
                    pair.server.fall_silent();
                }
                let closed_at = pair.elapsed();
                pair.close_client();
                pair.run(secs(30));
                let (_, error) = pair.client.down().expect("down");
                assert_eq!(error.failure, Failure::Closed, "{order:?} {at} ms");
                let finished = pair.client.finished_at.expect("finished");
                assert!(finished <= closed_at + secs(7), "{order:?} {at} ms: {finished:?}");
                assert!(is_silent || pair.server.finished_at.is_some(), "{order:?} {at} ms");
            }
        }
    }
}

#[test]
fn a_peer_that_rejects_the_terminate_request_is_hung_up_on_all_the_same() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    pair.server.fall_silent();
    pair.close_client();
    let closed_at = pair.elapsed();
    // a Code-Reject of the code 5
    let reject = [0xFF, 3, 0xC0, 0x21, 7, 1, 0, 8, 5, 1, 0, 4];
    let sequence = u32::try_from(pair.server.tunnel.stats().gre.sealed).ok();
    let header = Header { call_id: CLIENT_CALL, sequence, acknowledgment: None };
    let length = u16::try_from(reject.len()).unwrap();
    pair.client.forge(pair.now, [header.emit(length).as_slice(), &reject].concat());
    pair.run(secs(10));
    let (at, error) = pair.client.down().expect("down");
    assert_eq!(error.failure, Failure::Closed);
    assert_eq!(at, closed_at + secs(4), "the control connection's two steps are left");
}

#[test]
fn a_server_that_hangs_up_is_told_as_what_it_said_first() {
    for order in ORDERS {
        let mut pair = Pair::up(order);
        pair.close_server();
        let took = pair.run_until_finished(secs(7));
        assert!(took <= ms(1500) + 3 * ROUND_TRIP, "{order:?}: {took:?}");
        pair.server.assert_said_in_order(&[TERMINATE, "Call-Disconnect-Notify", STOP]);
        let (_, error) = pair.client.down().expect("down");
        assert_eq!(error.name(), "TerminatedByPeer", "{order:?}");
        let (_, error) = pair.server.down().expect("down");
        assert_eq!(error.failure, Failure::Closed);
    }
}

#[test]
fn both_may_hang_up_at_once() {
    for order in ORDERS {
        let mut pair = Pair::up(order);
        pair.close_client();
        pair.close_server();
        let took = pair.run_until_finished(secs(7));
        assert!(took <= 4 * ROUND_TRIP, "{order:?}: {took:?}");
        for end in [&pair.client, &pair.server] {
            let (_, error) = end.down().expect("down");
            assert_eq!(error.failure, Failure::Closed, "{order:?}");
        }
    }
}

#[test]
fn the_end_of_the_tcp_connection_is_the_end_at_once() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    let now = pair.now;
    pair.client.lose_connection(now);
    pair.client_turn();
    let (at, error) = pair.client.down().expect("down");
    assert_eq!(error.failure, Failure::Control(ControlFailure::ConnectionLost));
    assert_eq!((at, pair.client.finished_at), (pair.elapsed(), Some(at)));
    assert!(pair.client.tunnel.may_send(now).is_err());
    assert_eq!(pair.client.said.last().unwrap(), TERMINATE, "GRE may still pass");
    pair.run(secs(10));
    let (_, error) = pair.server.down().expect("down");
    assert_eq!(error.name(), "TerminatedByPeer", "before the TCP connection's end is seen");
}

#[test]
fn the_end_of_the_tcp_connection_while_hanging_up_is_a_hang_up() {
    for wait in [ms(0), ms(10), secs(3), secs(5)] {
        let mut pair = Pair::up(ServerOrder::Pppd);
        pair.server.fall_silent();
        pair.close_client();
        pair.run(wait);
        let now = pair.now;
        pair.client.lose_connection(now);
        pair.client_turn();
        let (_, error) = pair.client.down().expect("down");
        assert_eq!(error.failure, Failure::Closed);
        assert_eq!(pair.client.finished_at, Some(pair.elapsed()));
    }
}

#[test]
fn a_failure_is_told_once_and_before_the_hang_up_is_done() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    pair.server.fall_silent();
    // echoes stay unanswered from now on
    pair.run(secs(90));
    let (at, error) = pair.client.down().expect("down");
    assert_eq!(error.name(), "EchoTimeout");
    let finished = pair.client.finished_at.expect("finished");
    assert!(finished > at && finished <= at + secs(5), "{at:?} {finished:?}");
    pair.client.assert_said_in_order(&[TERMINATE, CLEAR, STOP]);
    assert!(matches!(pair.client.events.last(), Some((_, Event::Down(_)))));
}

#[test]
fn wrong_credentials_end_both_in_the_phase_of_authentication() {
    for order in ORDERS {
        let mut config = client_config();
        config.link.password = pptp_ppp::Password::new("wrong");
        let mut pair = Pair::new(config, server_config(order));
        pair.run(secs(10));
        let (at, error) = pair.client.down().expect("down");
        assert_eq!((error.name(), error.phase), ("AuthFailed", Phase::Authentication));
        assert_eq!(error.failure.retry(), crate::Retry::Later, "an earlier session may be alive");
        assert!(at <= secs(1), "{at:?}");
        assert!(pair.client.finished_at.is_some_and(|finished| finished <= at + 3 * ROUND_TRIP));
        assert!(pair.server.finished_at.is_some());
    }
}

#[test]
fn a_finished_tunnel_does_nothing_whatever_comes() {
    for order in ORDERS {
        let mut up = Pair::up(order);
        up.client.waiting.push_back(ip_packet(1, 100));
        up.server.waiting.push_back(ip_packet(1, 100));
        up.client_turn();
        up.server_turn();
        up.close_client();
        up.run_until_finished(secs(7));
        let heard = up.server.datagrams.clone();
        for datagram in heard.into_iter().chain([b"anything".to_vec()]) {
            up.client.forge(up.now, datagram);
        }
        for end in [&mut up.client, &mut up.server] {
            for kind in 1..16 {
                end.say_to(up.now, kind);
            }
            end.lose_connection(up.now);
        }
        let recorded = up.client.tunnel.recorder().records();
        // that nothing happens is asserted in each turn
        up.client_turn();
        up.server_turn();
        up.client.tunnel.close(up.now);
        up.client.tunnel.renegotiate(up.now);
        up.client.tunnel.handle_gre_error(up.now, crate::GreError::ProtocolUnreachable);
        up.client.tunnel.handle_gre_error(up.now, crate::GreError::NotSent("gone".into()));
        up.now += secs(1000);
        up.client_turn();
        up.server_turn();
        assert!(up.client.down().is_some() && up.server.down().is_some());
        assert_eq!(up.client.tunnel.recorder().records(), recorded);
    }
}

#[test]
fn a_tunnel_is_not_finished_before_it_has_said_why() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    pair.client.tunnel.handle_control_eof(pair.now);
    assert!(!pair.client.tunnel.is_finished());
    pair.client_turn();
    assert!(pair.client.tunnel.is_finished());
}
