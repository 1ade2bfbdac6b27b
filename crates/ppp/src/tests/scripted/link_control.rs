//! LCP: echoes, codes, phases and loops

use super::*;

#[test]
fn rfc1661_section_5_8_an_echo_is_answered_within_the_peers_mru() {
    let mut script = Script::new();
    let request = [&[1, 4, 0, 128][..], &LCP_REQUEST[4..]].concat();
    script.send(frame::LCP, Code::ConfigureRequest, 0, &request);
    let early = script.try_receive(frame::LCP, 9, 5, &[0; 8]);
    assert_eq!(early, Err(Discard::OutOfPhase), "not before LCP is open");
    let sent = script.sent();
    let magic = last_request(&sent, frame::LCP).data[6..10].to_vec();
    script.acknowledge_in(&sent, frame::LCP);
    let long: Vec<u8> = (0..200).collect();
    for (data, length) in [(&long[..], 124), (&long[..6], 6), (&[], 4)] {
        script.send(frame::LCP, Code::EchoRequest, 5, data);
        let reply = script.sent().pop().unwrap();
        assert_eq!((reply.code, reply.id, reply.data.len()), (10, 5, length));
        assert_eq!(reply.data[..4], magic);
        assert!(data.get(4..length).is_none_or(|data| reply.data[4..] == *data));
    }
}

#[test]
fn our_own_echo_that_comes_back_is_life_where_the_peer_has_proven_who_it_is() {
    let mut script = Script::up();
    for _ in 0..4 {
        script.wait(30 * SECOND);
        let request = script.sent().pop().unwrap();
        assert_eq!((request.code, request.data.len()), (9, 4));
        script.send(frame::LCP, Code::EchoReply, request.id, &request.data);
        script.wait(10 * SECOND);
    }
    assert_eq!(script.failure(), None, "a looped line knows no password");
}

#[test]
fn a_peer_that_answers_or_sends_anything_lives() {
    let mut script = Script::up();
    for _ in 0..20 {
        script.wait(35 * SECOND);
        let request = script.sent().pop().unwrap();
        script.send(frame::LCP, Code::EchoReply, request.id, &[0; 6]);
    }
    for _ in 0..100 {
        script.wait(20 * SECOND);
        script.receive_ip().unwrap();
    }
    assert_eq!(script.sent(), [], "nobody is asked who sends");
    assert!(script.link.is_up());
}

#[test]
fn a_peer_that_has_never_answered_an_echo_is_asked_by_its_carrier_before_it_is_dead() {
    let mut script = Script::up();
    let asks = |script: &mut Script| {
        script.events().into_iter().filter(|event| *event == Event::AskCarrier).count()
    };
    script.wait(59 * SECOND);
    assert_eq!(asks(&mut script), 0, "three Echo-Requests");
    script.wait(SECOND);
    assert_eq!(asks(&mut script), 1, "with the fourth");
    for _ in 0..10 {
        script.now += SECOND;
        script.link.note_carrier_alive(script.now);
        script.wait(9 * SECOND);
        assert!(script.link.is_up());
        script.wait(60 * SECOND);
        assert_eq!(asks(&mut script), 1, "each time");
    }
    script.wait(10 * SECOND);
    assert_eq!(script.failure(), Some(Failure::EchoTimeout { unanswered: 4 }), "no answer");
}

#[test]
fn the_carrier_of_a_peer_that_answers_echoes_is_left_alone() {
    let mut script = Script::up();
    script.wait(35 * SECOND);
    let request = script.sent().pop().unwrap();
    script.send(frame::LCP, Code::EchoReply, request.id, &[0; 6]);
    script.wait(100 * SECOND);
    assert!(!script.events().contains(&Event::AskCarrier));
    assert!(!script.link.is_up());
}

#[test]
fn the_echo_deadline_stays_where_it_is_while_packets_come() {
    let mut script = Script::up();
    script.wait(5 * SECOND); // the first proof is over
    let deadline = script.link.poll_timeout();
    script.now += 10 * SECOND;
    script.receive_ip().unwrap();
    assert_eq!(script.link.poll_timeout(), deadline);
    assert!(matches!(deadline, Some((_, Timer::Echo))));
}

#[test]
fn extensions_of_lcp_are_tolerated_and_unknown_codes_rejected() {
    let mut script = Script::up();
    for code in [Code::DiscardRequest, Code::Identification, Code::TimeRemaining] {
        script.send(frame::LCP, code, 1, b"\0\0\0\0MSRASV5.20");
    }
    assert_eq!(script.sent(), []);
    script.receive(frame::LCP, 99, 7, b"what");
    let reject = script.sent().pop().unwrap();
    assert_eq!((reject.code, &*reject.data), (7, &b"\x63\x07\0\x08what"[..]));
}

#[test]
fn a_rejected_code_matters_only_if_everyone_has_to_know_it() {
    let mut script = Script::up();
    script.send(frame::LCP, Code::CodeReject, 1, &[9, 1, 0, 8, 0, 0, 0, 0]);
    assert!(script.link.is_up());
    let empty = script.try_receive(frame::LCP, 7, 1, &[]);
    assert_eq!(empty, Err(Discard::Malformed));
    script.send(frame::LCP, Code::CodeReject, 1, &[1, 1, 0, 4]);
    let rejected = Failure::RejectedCode { protocol: Protocol::Lcp, code: 1 };
    assert_eq!(script.failure(), Some(rejected));
}

#[test]
fn unknown_protocols_are_rejected_ten_times_a_second() {
    let mut script = Script::up();
    for _ in 0..30 {
        let discard = script.try_receive(0x8057, 1, 1, &[1, 10, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(discard, Err(Discard::UnknownProtocol));
    }
    let sent = script.sent();
    assert_eq!(codes(&sent), [(frame::LCP, 8); 10]);
    assert_eq!(sent[0].data[..3], [0x80, 0x57, 1]);
    assert_ne!(sent[0].id, sent[1].id);
    script.wait(SECOND);
    script.try_receive(0x8057, 1, 1, &[]).unwrap_err();
    assert_eq!(script.sent().len(), 1);
}

#[test]
fn the_phase_gate_lets_nothing_in_too_early() {
    let mut script = Script::new();
    script.sent();
    for protocol in [frame::CHAP, frame::CCP, frame::IPCP, frame::PAP, frame::EAP, 0x8057] {
        let discard = script.try_receive(protocol, 1, 1, &[]);
        assert_eq!(discard, Err(Discard::OutOfPhase), "{protocol:04x}");
    }
    let mut script = Script::at_authentication();
    script.sent();
    for protocol in [frame::CCP, frame::IPCP, frame::PAP, frame::EAP, 0x8057] {
        let discard = script.try_receive(protocol, 1, 1, &[]);
        assert_eq!(discard, Err(Discard::OutOfPhase), "{protocol:04x}");
    }
    assert_eq!(script.sent(), [], "and never a Terminate-Ack");
}

#[test]
fn the_peer_may_end_the_link_with_a_word() {
    let mut script = Script::up();
    script.send(frame::LCP, Code::TerminateRequest, 3, b"Connect time expired");
    assert_eq!(codes(&script.sent()), [(frame::LCP, 6)]);
    let message = "Connect time expired".to_owned();
    let failure = Failure::TerminatedByPeer { protocol: Protocol::Lcp, message };
    let down = Event::Down { phase: Phase::Up, failure };
    assert_eq!(script.events().last(), Some(&down));
    assert_eq!(script.link.poll_timeout(), None);
    assert_eq!(script.receive_ip(), Err(Discard::Dead));
}

#[test]
fn rfc1661_section_4_4_a_request_on_an_open_link_starts_it_over() {
    let mut script = Script::up();
    script.receive_ip().unwrap();
    script.events();
    script.send(frame::LCP, Code::ConfigureRequest, 77, LCP_REQUEST);
    assert_eq!(script.events(), [Event::Renegotiating, Event::Phase(Phase::LinkControl)]);
    assert_eq!(script.receive_ip(), Err(Discard::OutOfPhase), "the keys are gone");
    script.acknowledge(frame::LCP);
    script.new_challenge();
    script.authenticate();
    script.open_network();
    assert!(script.link.is_up());
    script.receive_ip().expect("with the new keys");
    assert_eq!(script.link.stats().renegotiations, 1);
}

#[test]
fn endless_renegotiation_is_misbehavior() {
    let mut script = Script::at_authentication();
    for id in 0..9 {
        script.try_receive(frame::CHAP, 3, 1, &[]).unwrap_err();
        script.send(frame::LCP, Code::ConfigureRequest, id, LCP_REQUEST);
        if script.link.phase() != Phase::Dead {
            script.acknowledge(frame::LCP);
        }
    }
    let expected = Failure::PeerMisbehaved(Rule::EndlessRenegotiation);
    assert_eq!(script.failure(), Some(expected));
}

#[test]
fn a_looped_back_line_is_recognized() {
    let mut script = Script::new();
    for _ in 0..100 {
        for mut octets in std::iter::from_fn(|| script.link.poll_frame()).collect::<Vec<_>>() {
            let _ = script.receive_frame(&mut octets);
        }
    }
    assert_eq!(script.failure(), Some(Failure::Loopback));
}

#[test]
fn two_ends_that_never_agree_do_not_go_on_for_ever() {
    let mut script = Script::new();
    for id in 0..=255 {
        // Each time another option that is rejected
        script.send(frame::LCP, Code::ConfigureRequest, id, &[30, 3, id]);
        if script.link.phase() == Phase::Dead {
            break;
        }
    }
    let expected = Failure::NoAgreement { protocol: Protocol::Lcp };
    assert_eq!(script.failure(), Some(expected));
}
