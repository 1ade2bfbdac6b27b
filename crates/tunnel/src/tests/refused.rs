//! A server that disconnects the call because it was refused what it has

use pptp_ppp::{AuthenticationProtocol, Failure as LinkFailure, ServerAuthentication, ServerOrder};

use super::pair::*;
use crate::{ControlFailure, Failure, Layer, Phase};

/// Call-Disconnect-Notify (RFC 2637 §2.13)
const NOTIFY: u8 = 13;

/// A client that has just refused PAP, and hears nothing more over GRE
fn refusing() -> Pair {
    let mut config = server_config(ServerOrder::AccelPpp);
    config.link.authentication = ServerAuthentication::only(AuthenticationProtocol::Pap);
    let mut pair = Pair::new(client_config(), config);
    pair.run_until(secs(1), |pair| pair.client.said.iter().any(|said| said == "C021 03"));
    pair.server.judge(|_, _| Fate::lost());
    pair
}

#[test]
fn a_server_that_disconnects_the_call_on_our_nak_is_told_by_what_it_offered() {
    let mut pair = refusing();
    let told = pair.elapsed();
    pair.client.say_to(pair.now, NOTIFY);
    pair.run(secs(2));
    let (at, error) = pair.client.down().expect("down");
    let offered = Some(AuthenticationProtocol::Pap);
    assert_eq!(error.failure, Failure::Link(LinkFailure::AuthProtocolRefused { offered }));
    assert_eq!((error.phase, error.layer()), (Phase::LinkControl, Layer::Authentication));
    assert_eq!(at, told + ms(300), "GRE may still say why");
}

/// A killed server, or a line that was cut, says nothing of what was refused before
#[test]
fn a_connection_lost_after_our_nak_is_a_lost_connection() {
    let mut pair = refusing();
    pair.client.lose_connection(pair.now);
    pair.run(secs(2));
    let (_, error) = pair.client.down().expect("down");
    assert_eq!(error.failure, Failure::Control(ControlFailure::ConnectionLost));
}

/// Nothing was refused: its own word stands
#[test]
fn a_call_that_is_disconnected_for_no_refusal_of_ours_is_that() {
    let mut pair = Pair::of(ServerOrder::AccelPpp);
    pair.run_until(secs(1), |pair| pair.client.tunnel.phase() == Phase::Authentication);
    pair.server.judge(|_, _| Fate::lost());
    pair.client.say_to(pair.now, NOTIFY);
    pair.run(secs(2));
    let (_, error) = pair.client.down().expect("down");
    assert_eq!(error.name(), "CallDisconnected", "{error}");
}
