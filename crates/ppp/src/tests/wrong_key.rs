//! Two ends with different MPPE keys, as each of them shows it

use pptp_mppe::{Encryptor, KeyStrength};

use super::script::Script;
use crate::{Discard, Failure, WrongKey, frame, wire::packet::Code};

#[test]
fn a_server_that_finds_random_protocols_in_our_packets_has_another_key() {
    let mut script = Script::up();
    for (id, protocol) in (1..).zip([0x3B12_u16, 0xA9C4, 0x3B12]) {
        script.send(frame::LCP, Code::ProtocolReject, id, &rejected(protocol));
        assert!(script.link.is_up(), "{protocol:04x} alone proves nothing");
    }
    script.send(frame::LCP, Code::ProtocolReject, 4, &rejected(0x77A0));
    let protocols = [0x3B12, 0xA9C4, 0x77A0];
    let failure = script.failure().expect("down");
    assert_eq!(failure, Failure::WrongKey(WrongKey::RandomProtocols(protocols)));
    assert!(failure.to_string().contains("MPPE keys of the two ends differ"), "{failure}");
}

#[test]
fn protocols_that_a_server_need_not_know_are_no_wrong_key() {
    let mut script = Script::up();
    for (id, protocol) in (1..).zip([0x8057, frame::IPV6, 0x8057, 0x80FB]) {
        script.send(frame::LCP, Code::ProtocolReject, id, &rejected(protocol));
    }
    assert!(script.link.is_up());
}

#[test]
fn packets_that_never_open_are_a_wrong_key() {
    let mut script = Script::up();
    script.peer = Some(Encryptor::stateless(&[7; 16], KeyStrength::Bits128));
    for _ in 0..7 {
        assert!(matches!(script.receive_ip(), Err(Discard::Undecryptable(_))));
    }
    assert!(script.link.is_up());
    assert!(script.receive_ip().is_err());
    let failure = script.failure();
    assert_eq!(failure, Some(Failure::WrongKey(WrongKey::NothingOpens { packets: 8 })));
}

#[test]
fn packets_that_do_not_open_after_one_that_did_are_forged_or_damaged() {
    let mut script = Script::up();
    script.receive_ip().unwrap();
    script.peer = Some(Encryptor::stateless(&[7; 16], KeyStrength::Bits128));
    for _ in 0..15 {
        assert!(script.receive_ip().is_err());
    }
    assert!(script.link.is_up());
}

/// A Protocol-Reject's data: the protocol, and what came after it
fn rejected(protocol: u16) -> [u8; 6] {
    let [high, low] = protocol.to_be_bytes();
    [high, low, 0x5E, 0x11, 0x0A, 0x97]
}
