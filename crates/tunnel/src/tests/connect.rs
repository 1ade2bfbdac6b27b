//! From nothing to up

use pptp_ppp::{Password, ServerOrder};

use super::pair::*;
use crate::{Event, Failure, Phase, Timer};

const PHASES: [Phase; 5] = [
    Phase::ControlConnection,
    Phase::Call,
    Phase::LinkControl,
    Phase::Authentication,
    Phase::Network,
];

#[test]
fn the_round_trips_told_are_the_time_it_took() {
    for (order, expected) in ORDERS.into_iter().zip([7, 7, 8]) {
        let mut pair = Pair::of(order);
        pair.run(secs(1));
        let (at, facts) = pair.client.up().expect("up");
        assert_eq!(at, expected * ROUND_TRIP, "{order:?}");
        assert_eq!(u32::from(facts.round_trips), expected, "{order:?}");
        assert_eq!(facts.connect_time, at);
        assert_eq!((facts.inner_address, facts.peer_address), (ADDRESS, Some(GATEWAY)));
        assert_eq!((facts.mtu, &*facts.peer_name), (1396, "pptpd"));
        let (at, facts) = pair.server.up().expect("up");
        assert!(at <= expected * ROUND_TRIP + DELAY, "{order:?}");
        assert_eq!((facts.inner_address, facts.peer_address), (GATEWAY, Some(ADDRESS)));
    }
}

#[test]
fn each_phase_is_told_once_and_in_order_and_the_timeline_has_its_time() {
    for order in ORDERS {
        let mut pair = Pair::of(order);
        pair.run(secs(1));
        assert_eq!(pair.client.phases(), PHASES, "{order:?}");
        assert_eq!(pair.server.phases(), PHASES, "{order:?}");
        let client = &pair.client;
        assert!(matches!(client.events.last(), Some((_, Event::Up(_)))), "{:?}", client.events);
        let timeline = client.tunnel.timeline();
        assert_eq!((timeline.phase(), client.tunnel.phase()), (Phase::Up, Phase::Up));
        for (at, event) in &client.events {
            let phase = match event {
                Event::Phase(phase) => *phase,
                _ => Phase::Up,
            };
            assert_eq!(timeline.reached(phase), Some(*at), "{phase}");
        }
        let reached = [1, 2, 3, 4].map(|trips| Some(trips * ROUND_TRIP));
        assert_eq!(
            PHASES[..4].iter().map(|phase| timeline.reached(*phase)).collect::<Vec<_>>(),
            reached
        );
        let shares = timeline.shares().map(|(_, share)| share).sum();
        assert_eq!(timeline.reached(Phase::Up), Some(shares), "nothing is left out");
    }
}

#[test]
fn gre_that_overtakes_the_outgoing_call_reply_costs_no_time() {
    for late in [ms(10), ms(50), ms(200)] {
        let mut pair = Pair::of(ServerOrder::Pppd);
        pair.client.control_delay = DELAY + late;
        pair.run(secs(5));
        let (at, _) = pair.client.up().expect("up");
        // two control messages come late, and after them only GRE's round trips are left
        assert_eq!(at, 7 * ROUND_TRIP + 2 * late);
        assert_eq!(pair.client.tunnel.stats().too_early, 0);
    }
}

#[test]
fn no_more_than_sixteen_datagrams_wait_for_the_outgoing_call_reply() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.client.control_delay = secs(2);
    pair.server.judge(|_, _| Fate::Arrives(vec![ms(0); 20]));
    pair.run(secs(6));
    assert!(pair.client.up().is_some(), "{:?}", pair.client.events);
    assert_eq!(pair.client.tunnel.stats().too_early, 4);
}

#[test]
fn no_more_than_eight_kibioctets_wait_for_the_outgoing_call_reply() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.client.control_delay = secs(1);
    pair.run(ms(200));
    for sequence in 0..12 {
        let now = pair.now;
        let header = pptp_gre::Header {
            call_id: CLIENT_CALL,
            sequence: Some(sequence),
            acknowledgment: None,
        };
        let datagram = [header.emit(1012).as_slice(), &[0; 1012]].concat();
        pair.client.forge(now, datagram);
        pair.client_turn();
    }
    assert_eq!(pair.client.tunnel.stats().too_early, 4, "eight of 1 KiB are kept");
    pair.run(secs(9));
    assert!(pair.client.up().is_some(), "{:?}", pair.client.events);
}

#[test]
fn a_server_that_falls_silent_after_its_first_reply_runs_into_the_earlier_deadline() {
    for (limit, expected) in [(secs(5), "ConnectTimeout"), (secs(60), "NoCallReply")] {
        let mut config = client_config();
        let start = Pair::of(ServerOrder::Pppd).now;
        config.connect_deadline = Some((start + limit, limit));
        let mut pair = Pair::new(config, server_config(ServerOrder::Pppd));
        pair.run_until(secs(1), |pair| !pair.server.said.is_empty());
        pair.server.fall_silent();
        pair.run(secs(70));
        let (at, error) = pair.client.down().expect("down");
        assert_eq!((error.name(), error.phase), (expected, Phase::Call));
        // the deadline of the other pair's clock is a little earlier
        let due = limit.min(2 * ROUND_TRIP + secs(20));
        assert!(at + ms(100) > due && at <= due + ms(100), "{at:?}");
        if let Failure::ConnectTimeout { .. } = error.failure {
            let text = error.to_string();
            let shares = "TCP connect 40 ms, control connection 40 ms, call 4";
            assert!(text.contains("not connected within 5 s"), "{text}");
            assert!(text.contains(shares), "{text}");
        }
        let finished = pair.client.finished_at.expect("finished");
        assert!(finished <= at + secs(5), "{finished:?}");
    }
}

#[test]
fn a_server_that_says_nothing_at_all_is_given_up() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.server.fall_silent();
    pair.run(secs(20));
    let (at, error) = pair.client.down().expect("down");
    assert_eq!((error.name(), at), ("NoControlReply", ROUND_TRIP + secs(10)));
    assert_eq!(pair.client.finished_at, Some(at), "there is nothing to hang up");
}

#[test]
fn a_link_that_goes_silent_in_each_phase_is_given_up_in_that_phase() {
    for phase in [Phase::Authentication, Phase::Network] {
        let mut pair = Pair::of(ServerOrder::Pppd);
        pair.run_until(secs(1), |pair| pair.client.tunnel.phase() == phase);
        pair.server.fall_silent();
        pair.run(secs(120));
        let (at, error) = pair.client.down().expect("down");
        assert_eq!(error.phase, phase, "{error}");
        assert!(at <= secs(61), "{at:?} {error}");
        assert!(pair.client.finished_at.is_some_and(|finished| finished <= at + secs(5)));
    }
}

/// TCP and GRE take different ways, and a server hangs up as soon as it has said no
#[test]
fn the_reason_in_gre_counts_although_the_control_connection_ended_before_it_came() {
    for order in ORDERS {
        for lag in [0, 50, 150] {
            let mut config = client_config();
            config.link.password = Password::new("wrong");
            let mut pair = Pair::new(config, server_config(order));
            pair.server.judge(move |_, _| Fate::Arrives(vec![ms(lag)]));
            pair.run(secs(20));
            let (_, error) = pair.client.down().expect("down");
            assert_eq!(error.name(), "AuthFailed", "{order:?}, {lag} ms: {error}");
            assert!(pair.client.finished_at.is_some() && pair.server.finished_at.is_some());
        }
    }
}

#[test]
fn a_connect_whose_control_connection_ends_without_a_reason_has_that_for_a_reason() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.run_until(secs(1), |pair| pair.client.tunnel.phase() == Phase::Authentication);
    pair.server.judge(|_, _| Fate::lost());
    let lost = pair.elapsed();
    pair.client.lose_connection(pair.now);
    pair.run(secs(1));
    let (at, error) = pair.client.down().expect("down");
    assert_eq!((error.name(), at), ("ConnectionLost", lost + ms(300)));
    assert_eq!(pair.client.finished_at, Some(at));
}

#[test]
fn hanging_up_does_not_wait_for_a_reason() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.run_until(secs(1), |pair| pair.client.tunnel.phase() == Phase::Authentication);
    pair.client.lose_connection(pair.now);
    pair.close_client();
    let closed = pair.elapsed();
    pair.run(secs(1));
    let (at, error) = pair.client.down().expect("down");
    assert_eq!((&error.failure, at), (&Failure::Closed, closed));
    assert!(pair.client.finished_at.is_some());
}

#[test]
fn every_deadline_of_a_connect_has_its_reason() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    let mut reasons = Vec::new();
    while pair.client.up().is_none() {
        pair.run(ms(1));
        let reason = timer(&pair.client.tunnel).expect("a connect always waits for something");
        if reasons.last() != Some(&reason) {
            reasons.push(reason);
        }
    }
    let control = [pptp_control::Timer::ControlReply, pptp_control::Timer::CallReply];
    assert_eq!(reasons[..2], control.map(Timer::Control), "{reasons:?}");
    assert!(reasons.len() < 30, "{reasons:?}");
}
