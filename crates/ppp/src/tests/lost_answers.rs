//! The effects of a lost answer: the peer asks again, and nothing is counted or taken down

use std::time::Duration;

use super::script::{LCP_REQUEST, MPPE_128, Script};
use crate::{Failure, Phase, Protocol, frame, wire::packet::Code};

const PAP_WANTED: &[u8] = &[3, 4, 0xC0, 0x23];
const NAK: u8 = 3;
const REJECT: u8 = 4;

/// Codes of what was sent in this protocol
fn codes(script: &mut Script, protocol: u16) -> Vec<u8> {
    let sent = script.sent();
    sent.iter().filter(|it| it.protocol == protocol).map(|it| it.code).collect()
}

/// Five Naks are all there are, then comes a Reject: those that were lost are not among them
#[test]
fn rfc1661_section_4_6_the_same_request_sent_again_is_no_further_refusal() {
    let mut script = Script::new();
    script.sent();
    for id in 1..=5 {
        for _ in 0..4 {
            script.send(frame::LCP, Code::ConfigureRequest, id, PAP_WANTED);
            let sent = script.sent();
            let answer = sent.iter().find(|it| it.id == id && it.code != 1).expect("an answer");
            assert_eq!((answer.code, &*answer.data), (NAK, &[3, 5, 0xC2, 0x23, 0x81][..]), "{id}");
        }
    }
    script.send(frame::LCP, Code::ConfigureRequest, 6, PAP_WANTED);
    assert!(codes(&mut script, frame::LCP).contains(&REJECT));
    script.send(frame::LCP, Code::ConfigureRequest, 7, LCP_REQUEST);
    assert!(codes(&mut script, frame::LCP).contains(&2));
    assert_eq!(script.failure(), None);
}

/// A peer that never changes the identifier does not go on for ever
#[test]
fn the_same_request_for_ever_ends_it() {
    let mut script = Script::new();
    let end = (1..30).find_map(|requests| {
        let _ = script.try_receive(frame::LCP, 1, 1, PAP_WANTED);
        script.failure().map(|failure| (requests, failure))
    });
    // nine repetitions of the first refusal cost nothing, and six more refusals end it
    assert!(matches!(end, Some((16, Failure::AuthProtocolRefused { .. }))), "{end:?}");
}

#[test]
fn another_request_under_the_same_identifier_is_judged_anew() {
    let mut script = Script::new();
    script.sent();
    script.send(frame::LCP, Code::ConfigureRequest, 1, PAP_WANTED);
    assert_eq!(codes(&mut script, frame::LCP), [NAK]);
    script.send(frame::LCP, Code::ConfigureRequest, 1, LCP_REQUEST);
    assert!(codes(&mut script, frame::LCP).contains(&2));
}

/// A peer in Ack-Rcvd sends its request anew, and that may be overtaken by our own; one that has
/// begun from scratch sends another still
#[test]
fn a_request_that_is_named_anew_before_the_peer_encrypts_takes_nothing_down_once() {
    let mut script = Script::up();
    script.events();
    script.send(frame::CCP, Code::ConfigureRequest, 2, MPPE_128);
    assert_eq!(codes(&mut script, frame::CCP), [2]);
    script.send(frame::CCP, Code::ConfigureRequest, 2, MPPE_128);
    assert_eq!(codes(&mut script, frame::CCP), [2], "our Ack was lost");
    assert_eq!(script.events(), []);
    script.receive_ip().expect("with the same keys");

    let mut script = Script::up();
    script.send(frame::CCP, Code::ConfigureRequest, 2, MPPE_128);
    script.sent();
    script.send(frame::CCP, Code::ConfigureRequest, 3, MPPE_128);
    assert_eq!(codes(&mut script, frame::CCP), [1, 2], "over again");
    assert!(!script.link.is_up());
}

/// Some servers are deaf to IPCP until CCP is open, and CCP may take its time on a bad line
#[test]
fn ipcp_has_its_ten_requests_behind_ccp_whatever_went_unheard_before() {
    let mut script = Script::at_network();
    script.wait(Duration::from_secs(25));
    script.send(frame::CCP, Code::ConfigureRequest, 1, MPPE_128);
    script.acknowledge(frame::CCP);
    script.wait(Duration::from_secs(25));
    assert_eq!((script.failure(), script.link.phase()), (None, Phase::Network));
    script.wait(Duration::from_secs(10));
    let protocol = Protocol::Ipcp;
    assert_eq!(script.failure(), Some(Failure::NegotiationTimeout { protocol }));
}
