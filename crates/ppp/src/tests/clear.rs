//! Clients for which a link in the clear would do, and servers that make up their minds late

use std::time::Duration;

use pptp_mschap::Password;

use super::script::{ADDRESSES, MPPE_128, PEER_ADDRESS, Script, Sent, last_request};
use crate::{ClientConfig, Discard, EncryptionDemand, Failure, Stats, frame, wire::packet::Code};

const SECOND: Duration = Duration::from_secs(1);

const IP_IN_THE_CLEAR: [u8; 21] =
    *b"\x21\x45\0\0\x14\0\0\0\0\x40\x01\x66\xE7\x0A\0\0\x01\x0A\0\0\x02";

fn at_network(demand: EncryptionDemand) -> Script {
    let mut config = ClientConfig::new("User", Password::new("clientPass"));
    config.encryption.demand = demand;
    let mut script = Script::with(config);
    script.open_lcp();
    script.authenticate();
    script
}

/// IPCP comes to an end, whatever CCP does
fn open_ipcp(script: &mut Script) -> Vec<Sent> {
    script.send(frame::IPCP, Code::ConfigureRequest, 1, PEER_ADDRESS);
    let sent = script.sent();
    let id = last_request(&sent, frame::IPCP).id;
    script.send(frame::IPCP, Code::ConfigureNak, id, ADDRESSES);
    script.acknowledge(frame::IPCP);
    sent
}

/// A link that is up in the clear, since neither end asked for more
fn clear() -> Script {
    let mut script = at_network(EncryptionDemand::InsecureAllow);
    open_ipcp(&mut script);
    assert!(script.link.is_up());
    script.sent();
    script
}

#[test]
fn our_own_echo_that_comes_back_is_no_sign_of_life() {
    let mut script = clear();
    script.wait(30 * SECOND);
    let request = script.sent().pop().unwrap();
    assert_eq!((request.code, request.data.len()), (9, 4));
    for _ in 0..4 {
        script.send(frame::LCP, Code::EchoReply, request.id, &request.data);
        script.wait(10 * SECOND);
    }
    assert_eq!(script.failure(), Some(Failure::EchoTimeout { unanswered: 4 }));
}

fn takes_clear(script: &mut Script) -> Result<(), Discard> {
    script.receive_frame(&mut IP_IN_THE_CLEAR.clone())
}

#[test]
fn what_is_no_ip_packet_is_dropped_in_the_clear_too() {
    let mut script = clear();
    for at in [1, 4, 11] {
        let mut damaged = IP_IN_THE_CLEAR;
        damaged[at] ^= 0x10;
        assert_eq!(script.receive_frame(&mut damaged), Err(Discard::Implausible), "octet {at}");
    }
    let Stats { implausible, plaintext, .. } = script.link.stats();
    assert_eq!((implausible, plaintext), (3, 0));
    assert_eq!(takes_clear(&mut script), Ok(()));
}

/// A server's CCP may come to nothing in any of these ways, before anything was encrypted
#[test]
fn ccp_that_comes_to_nothing_leaves_a_link_in_the_clear() {
    type End = fn(&mut Script, u8);
    let ends: [(&str, End); 5] = [
        ("Terminate-Request", |script, _| {
            script.send(frame::CCP, Code::TerminateRequest, 9, &[]);
        }),
        ("Protocol-Reject", |script, _| {
            script.send(frame::LCP, Code::ProtocolReject, 9, &[0x80, 0xFD]);
        }),
        ("MPPE rejected", |script, id| {
            script.send(frame::CCP, Code::ConfigureReject, id, MPPE_128);
            script.send(frame::CCP, Code::ConfigureRequest, 9, &[]);
            script.send(frame::CCP, Code::ConfigureRequest, 10, &[]);
            script.acknowledge(frame::CCP);
        }),
        ("Nak without end", |script, id| {
            for id in id..id + 6 {
                script.send(frame::CCP, Code::ConfigureNak, id, MPPE_128);
            }
        }),
        ("silence behind its request", |script, _| {
            script.send(frame::CCP, Code::ConfigureRequest, 9, &[18, 6, 0, 0, 0, 0x20]);
            script.wait(Duration::from_secs(31));
        }),
    ];
    for (name, end) in ends {
        let mut script = at_network(EncryptionDemand::InsecurePrefer);
        let sent = open_ipcp(&mut script);
        assert!(!script.link.is_up(), "CCP is not settled");
        end(&mut script, last_request(&sent, frame::CCP).id);
        assert_eq!(script.failure(), None, "{name}");
        assert!(script.link.is_up(), "{name}");
        assert_eq!(takes_clear(&mut script), Ok(()), "{name}");
    }
}

/// Each direction is negotiated by itself (RFC 1962 §2)
#[test]
fn one_direction_alone_is_not_agreed_to() {
    let mut script = at_network(EncryptionDemand::InsecurePrefer);
    let id = last_request(&script.sent(), frame::CCP).id;
    script.send(frame::CCP, Code::ConfigureReject, id, MPPE_128);
    script.sent();
    script.send(frame::CCP, Code::ConfigureRequest, 9, MPPE_128);
    let reject = Sent { protocol: frame::CCP, code: 4, id: 9, data: MPPE_128.to_vec() };
    assert_eq!(script.sent(), [reject]);

    let mut script = clear();
    script.send(frame::CCP, Code::ConfigureRequest, 1, &[]);
    script.acknowledge(frame::CCP);
    assert_eq!(script.failure(), Some(Failure::EncryptionUnavailable { offered: None }));
}

/// While the two ends talk about encryption again, nothing passes in the clear
#[test]
fn ccp_anew_takes_a_link_in_the_clear_down_until_it_has_come_to_something() {
    let mut script = clear();
    script.send(frame::CCP, Code::ConfigureRequest, 1, &[]);
    let id = last_request(&script.sent(), frame::CCP).id;
    script.send(frame::CCP, Code::ConfigureReject, id, MPPE_128);
    script.acknowledge(frame::CCP);
    assert!(script.link.is_up());

    script.send(frame::CCP, Code::ConfigureRequest, 2, &[]);
    assert!(script.link.is_up(), "it may have crossed our request");
    script.sent();
    script.send(frame::CCP, Code::ConfigureRequest, 3, &[]);
    assert!(!script.link.is_up());
    assert_eq!(takes_clear(&mut script), Err(Discard::Plaintext));
    let id = last_request(&script.sent(), frame::CCP).id;
    script.send(frame::CCP, Code::ConfigureReject, id, MPPE_128);
    script.acknowledge(frame::CCP);
    assert!(script.link.is_up());
    assert_eq!(takes_clear(&mut script), Ok(()));
}

#[test]
fn a_protocol_reject_of_ccp_that_was_never_begun_is_nothing_new() {
    let mut script = clear();
    script.send(frame::LCP, Code::ProtocolReject, 9, &[0x80, 0xFD]);
    assert!(script.link.is_up());
    assert_eq!(script.sent(), []);
}
