//! A login that is refused, and what its owner says to that

use std::time::Duration;

use pptp_ppp::{Password, Question, Questions, ServerAuthentication, ServerOrder};

use super::pair::*;
use crate::{Event, Failure, LinkFailure};

/// The time that a connect may take here, without the owner's time to think
const LIMIT: Duration = secs(10);

/// Longer than that
const THOUGHT: Duration = secs(30);

fn pair(password: &str, authentication: ServerAuthentication) -> Pair {
    let mut client = client_config();
    client.link.password = Password::new(password);
    client.link.questions = Questions { new_password: true, other_credentials: true };
    let mut server = server_config(ServerOrder::Pppd);
    server.link.authentication = authentication;
    let start = Pair::of(ServerOrder::Pppd).now;
    client.connect_deadline = Some((start + LIMIT, LIMIT));
    Pair::new(client, server)
}

fn expired() -> Pair {
    pair("test123", ServerAuthentication { expired: true, ..ServerAuthentication::default() })
}

fn refused() -> Pair {
    pair("wrong", ServerAuthentication { retries: 2, ..ServerAuthentication::default() })
}

/// The questions to the client's owner, who thinks about each for half a minute
fn question(pair: &mut Pair) -> Question {
    let asked = |pair: &Pair| {
        pair.client.events.iter().find_map(|(_, event)| match event {
            Event::Ask(question) => Some(question.clone()),
            _ => None,
        })
    };
    pair.run_until(secs(5), |pair| asked(pair).is_some());
    pair.run(THOUGHT);
    assert!(pair.client.down().is_none(), "the owner's time is not the connect's");
    asked(pair).expect("a question")
}

fn refusal(pair: &Pair) -> u32 {
    let (_, error) = pair.client.down().expect("down");
    match &error.failure {
        Failure::Link(LinkFailure::AuthFailed { code, .. }) => *code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_expired_password_is_changed_however_long_the_owner_thinks() {
    let mut pair = expired();
    assert!(matches!(question(&mut pair), Question::NewPassword { .. }));
    pair.client.tunnel.change_password(pair.now, Password::new("a new one"));
    pair.client_turn();
    pair.run(secs(2));
    assert!(pair.client.up().is_some(), "{:?}", pair.client.events);
    assert!(pair.client.events.iter().any(|(_, event)| *event == Event::PasswordChanged));
}

#[test]
fn another_login_is_taken() {
    let mut pair = refused();
    assert!(matches!(question(&mut pair), Question::OtherCredentials { code: 691, .. }));
    let password = Password::new("test123");
    pair.client.tunnel.log_in_as(pair.now, "testuser".to_owned(), password);
    pair.client_turn();
    pair.run(secs(2));
    assert!(pair.client.up().is_some(), "{:?}", pair.client.events);
}

#[test]
fn an_owner_that_gives_up_gets_the_servers_refusal() {
    for (mut pair, code) in [(expired(), 648), (refused(), 691)] {
        question(&mut pair);
        pair.client.tunnel.give_up_login(pair.now);
        pair.client_turn();
        assert_eq!(refusal(&pair), code);
        pair.run_until_finished(secs(10));
    }
}

/// A server that says nothing to the answer: what was left of the deadline when the owner was asked
/// is left after the answer
#[test]
fn the_connect_deadline_goes_on_where_it_stood() {
    let mut pair = expired();
    question(&mut pair);
    pair.server.fall_silent();
    pair.client.tunnel.change_password(pair.now, Password::new("a new one"));
    pair.client_turn();
    pair.run(secs(60));
    let (at, error) = pair.client.down().expect("down");
    assert_eq!(error.name(), "ConnectTimeout");
    // the deadline of the other pair's clock is a little earlier
    let due = ROUND_TRIP + LIMIT + THOUGHT;
    assert!(at <= due && at + ms(100) > due, "{at:?}, due {due:?}");
}

/// RFC 1994 §4.1: at random times, and the link goes on
#[test]
fn a_server_may_have_it_proven_again_while_the_tunnel_is_up() {
    let mut pair = Pair::up(ServerOrder::Pppd);
    let before = pair.server.said.len();
    pair.server.tunnel.challenge(pair.now);
    pair.server_turn();
    pair.run(secs(1));
    assert_eq!(pair.server.said[before..], ["C223 01", "C223 03"], "Challenge and Success");
    assert!(pair.client.down().is_none() && pair.server.down().is_none());
    pair.client.waiting.push_back(ip_packet(1, 100));
    pair.client_turn();
    pair.run(secs(1));
    assert_eq!(pair.server.packets, [ip_packet(1, 100)]);
}
