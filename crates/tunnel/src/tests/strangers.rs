//! Datagrams of our call that are not the server's, or not as PPTP has them

use std::net::Ipv4Addr;

use pptp_gre::Header;
use pptp_ppp::ServerOrder;

use super::pair::*;
use crate::{Failure, GreError, Phase};

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
/// The time at which the Outgoing-Call-Reply is there
const CALLED: std::time::Duration = ms(120);

/// A datagram of the client's call, with these octets before the payload length
fn datagram(begin: [u8; 4]) -> Vec<u8> {
    let header = Header { call_id: CLIENT_CALL, sequence: Some(0), acknowledgment: None };
    let mut octets = [header.emit(4).as_slice(), &[0xFF, 0x03, 0xC0, 0x21]].concat();
    octets[..4].copy_from_slice(&begin);
    octets
}

/// A pair whose server's GRE is lost, just after the call was taken
fn silent() -> Pair {
    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.server.judge(|_, _| Fate::lost());
    pair.run_until(secs(1), |pair| pair.client.tunnel.phase() == Phase::LinkControl);
    pair
}

fn ends_with(mut pair: Pair, failure: &Failure) {
    pair.run(secs(20));
    let (at, error) = pair.client.down().expect("down");
    assert_eq!((&error.failure, at, error.phase), (failure, CALLED + secs(10), Phase::LinkControl));
    assert_eq!(error.layer(), crate::Layer::Gre);
}

const BLOCKED: Failure = Failure::GreBlocked { after: secs(10), heard: false, send_error: None };

#[test]
fn gre_with_a_checksum_bit_is_told_by_its_header_when_nothing_else_came() {
    for (begin, flags, protocol) in [
        ([0xB0, 0x01, 0x88, 0x0B], 0xB001, 0x880B),
        ([0x30, 0x00, 0x88, 0x0B], 0x3000, 0x880B),
        ([0x30, 0x01, 0x08, 0x00], 0x3001, 0x0800),
    ] {
        let mut pair = silent();
        for _ in 0..3 {
            pair.client.forge(pair.now, datagram(begin));
            pair.run(secs(3));
        }
        ends_with(pair, &Failure::GreUnsupported { flags, protocol });
    }
}

#[test]
fn gre_from_another_address_is_told_with_both_when_nothing_else_came() {
    let mut pair = silent();
    for from in [OTHER, Ipv4Addr::new(198, 51, 100, 1)] {
        let error = GreError::FromElsewhere { from, server: SERVER };
        pair.client.tunnel.handle_gre_error(pair.now, error);
    }
    ends_with(pair, &Failure::GreFromElsewhere { from: OTHER, server: SERVER });
}

#[test]
fn what_is_cut_short_says_nothing_of_the_server() {
    let mut pair = silent();
    pair.client.forge(pair.now, datagram([0x30, 0x01, 0x88, 0x0B])[..9].to_vec());
    ends_with(pair, &BLOCKED);
}

/// Before the call and once LCP is through, anybody may send what he likes
#[test]
fn strangers_outside_the_wait_for_the_first_datagram_are_not_remembered() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.server.judge(|_, _| Fate::lost());
    let error = || GreError::FromElsewhere { from: OTHER, server: SERVER };
    pair.client.tunnel.handle_gre_error(pair.now, error());
    ends_with(pair, &BLOCKED);

    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.run_until(secs(1), |pair| pair.client.up().is_some());
    pair.client.tunnel.handle_gre_error(pair.now, error());
    pair.client.forge(pair.now, datagram([0xB0, 0x01, 0x88, 0x0B]));
    pair.run(secs(30));
    assert!(pair.client.down().is_none(), "{:?}", pair.client.down());
}

/// The server's own GRE arrives: then it is not the strangers that are to blame
#[test]
fn strangers_beside_the_servers_own_gre_change_nothing() {
    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.client.judge(|_, _| Fate::lost());
    pair.run_until(secs(1), |pair| pair.client.tunnel.phase() == Phase::LinkControl);
    let error = GreError::FromElsewhere { from: OTHER, server: SERVER };
    pair.client.tunnel.handle_gre_error(pair.now, error);
    pair.run(secs(60));
    let (_, error) = pair.client.down().expect("down");
    assert!(matches!(error.failure, Failure::GreBlocked { heard: true, .. }), "{error}");

    let mut pair = Pair::of(ServerOrder::Pppd);
    pair.run_until(secs(1), |pair| pair.client.tunnel.phase() == Phase::LinkControl);
    pair.client.forge(pair.now, datagram([0xB0, 0x01, 0x88, 0x0B]));
    pair.run(secs(2));
    assert!(pair.client.up().is_some(), "{:?}", pair.client.events);
}
