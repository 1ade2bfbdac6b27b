//! Authenticators of EAP-MSCHAPv2

use super::*;

fn inner(code: u8, id: u8, body: &[u8]) -> Vec<u8> {
    let mut data = vec![26];
    Packet { code, id, data: body }.emit(&mut data);
    data
}

fn inner_challenge(id: u8) -> Vec<u8> {
    inner(1, id, &chap_value(&CHALLENGE, b"server"))
}

fn ask(script: &mut Script, id: u8, data: &[u8]) -> Sent {
    script.receive(frame::EAP, 1, id, data);
    let sent = script.sent().pop().expect("a Response");
    assert_eq!((sent.protocol, sent.code, sent.id), (frame::EAP, 2, id));
    sent
}

/// A client that has answered the challenge, and what it answered
fn challenged() -> (Script, Vec<u8>) {
    let mut script = eap();
    let response = ask(&mut script, 1, &inner_challenge(9)).data;
    (script, response)
}

fn proof_of(response: &[u8]) -> String {
    let packet = Packet::parse(&response[1..]).unwrap();
    assert_eq!((packet.code, packet.id), (2, 9));
    proof(packet.data, &CHALLENGE)
}

/// A client that has the server's proof and acknowledged it
fn proven() -> Script {
    let (mut script, response) = challenged();
    let text = proof_of(&response);
    let sent = ask(&mut script, 2, &inner(3, 9, text.as_bytes()));
    assert_eq!(sent.data, [26, 3]);
    assert_eq!(script.link.phase(), Phase::Authentication, "Success is to come");
    script
}

#[test]
fn the_whole_ladder() {
    let mut script = eap();
    assert_eq!(ask(&mut script, 0, &[1]).data, b"\x01CORP\\User");
    assert_eq!(ask(&mut script, 1, b"\x01Who are you?").data, b"\x01CORP\\User");
    assert_eq!(ask(&mut script, 2, b"\x02Password expires in 3 days").data, [2]);
    assert_eq!(ask(&mut script, 3, &[4, 1, 9]).data, [3, 26]);
    let response = ask(&mut script, 4, &inner_challenge(9)).data;
    let length = u16::from_be_bytes([response[3], response[4]]);
    assert_eq!(usize::from(length), response.len() - 1, "the inner length is all behind the type");
    let text = proof_of(&response);
    assert_eq!(ask(&mut script, 5, &inner(3, 9, text.as_bytes())).data, [26, 3]);
    script.receive(frame::EAP, 3, 5, &[]);
    assert_eq!(script.link.phase(), Phase::Network);
    assert_eq!(script.try_receive(frame::EAP, 3, 5, &[]), Err(Discard::OutOfPhase), "twice");
    assert_eq!(script.try_receive(frame::EAP, 4, 5, &[]), Err(Discard::OutOfPhase), "late");
    assert_eq!(script.link.phase(), Phase::Network);
}

#[test]
fn rfc3748_section_4_1_the_same_request_gets_the_same_response() {
    let mut script = eap();
    for (id, data) in [(0, vec![1]), (1, vec![4, 1, 9]), (2, inner_challenge(9))] {
        let first = ask(&mut script, id, &data);
        assert_eq!(ask(&mut script, id, &data), first);
        assert_eq!(ask(&mut script, id, &data), first);
    }
    let first = ask(&mut script, 3, &inner_challenge(9));
    script.receive(frame::EAP, 1, 3, &inner(1, 9, &chap_value(&[8; 16], b"")));
    assert_ne!(script.sent().pop().unwrap().data, first.data, "the same identifier, another one");
}

#[test]
fn rfc3748_section_4_2_a_success_before_the_method_is_over_is_ignored() {
    let premature = |mut script: Script| {
        for id in [0, 1, 2, 3, 255] {
            let outcome = script.try_receive(frame::EAP, 3, id, &[]);
            assert_eq!(outcome, Err(Discard::OutOfPhase));
            assert_eq!(script.link.phase(), Phase::Authentication);
        }
    };
    premature(eap());
    let mut script = eap();
    ask(&mut script, 0, &[1]);
    premature(script);
    let mut script = eap();
    ask(&mut script, 0, &[4, 0]);
    premature(script);
    premature(challenged().0);
    let mut script = proven();
    // Challenged once more: what was proven before counts no longer.
    ask(&mut script, 7, &inner(1, 10, &chap_value(&[8; 16], b"")));
    premature(script);
}

#[test]
fn a_wrong_proof_is_the_end() {
    for text in ["", "S=", "M=hi", &format!("S={}", "1".repeat(40))] {
        let (mut script, _) = challenged();
        script.receive(frame::EAP, 1, 2, &inner(3, 9, text.as_bytes()));
        assert_eq!(script.failure(), Some(Failure::ServerNotAuthentic), "{text:?}");
        let answered = script.sent().iter().any(|it| it.protocol == frame::EAP);
        assert!(!answered, "a wrong proof is not acknowledged");
    }
}

#[test]
fn a_success_nobody_asked_for_is_ignored() {
    let mut script = eap();
    let outcome = script.try_receive(frame::EAP, 1, 1, &inner(3, 9, b"S="));
    assert_eq!(outcome, Err(Discard::OutOfPhase));
}

#[test]
fn a_lost_success_is_not_waited_for_when_the_server_goes_ahead() {
    let mut script = proven();
    script.receive(frame::CCP, 1, 1, MPPE_128);
    assert_eq!(script.link.phase(), Phase::Network);
    let (mut script, _) = challenged();
    let outcome = script.try_receive(frame::CCP, 1, 1, MPPE_128);
    assert_eq!(outcome, Err(Discard::OutOfPhase), "but not without the proof");
}

#[test]
fn a_refusal_is_acknowledged_and_then_the_end() {
    for text in ["E=691 R=1 C=00112233445566778899AABBCCDDEEFF V=3 M=no", "E=691 R=0 M=no"] {
        let (mut script, _) = challenged();
        script.receive(frame::EAP, 1, 2, &inner(4, 9, text.as_bytes()));
        let sent = script.sent();
        assert_eq!((sent[0].protocol, &*sent[0].data), (frame::EAP, &[26, 4][..]));
        assert!(matches!(script.failure(), Some(Failure::AuthFailed { code: 691, .. })));
    }
}

#[test]
fn a_failure_of_eap_itself_ends_what_was_begun() {
    let login = Failure::AuthFailed { code: 0, retry: false, message: String::new() };
    let method =
        Failure::AuthProtocolRefused { offered: Some(AuthenticationProtocol::EapMethod(13)) };
    let mut script = eap();
    assert_eq!(script.try_receive(frame::EAP, 4, 0, &[]), Err(Discard::OutOfPhase));
    ask(&mut script, 0, &[1]);
    script.receive(frame::EAP, 4, 0, &[]);
    assert_eq!(script.failure(), Some(login.clone()));
    let mut script = eap();
    ask(&mut script, 0, &[13, 0x20]);
    script.receive(frame::EAP, 4, 0, &[]);
    assert_eq!(script.failure(), Some(method));
    let (mut script, _) = challenged();
    script.receive(frame::EAP, 4, 1, &[]);
    assert_eq!(script.failure(), Some(login.clone()));
    let mut script = proven();
    script.receive(frame::EAP, 4, 2, &[]);
    assert_eq!(script.failure(), Some(login));
}

/// CVE-2020-8597 and its family: every length inside against what is there
#[test]
fn inner_lengths_at_their_edges() {
    let body = chap_value(&CHALLENGE, b"server");
    let rest = u16::try_from(body.len() + 4).unwrap();
    for (length, good) in [
        (0, false),
        (1, false),
        (2, false),
        (3, false),
        (4, false),  // no value any more
        (20, false), // cuts the value
        (21, true),  // cuts the name off
        (rest - 1, true),
        (rest, true),
        (rest + 1, false),
        (255, false),
        (u16::MAX, false),
    ] {
        let mut data = inner(1, 9, &body);
        data[3..5].copy_from_slice(&length.to_be_bytes());
        let outcome = eap().try_receive(frame::EAP, 1, 1, &data);
        assert_eq!(outcome.is_ok(), good, "MS-Length {length}");
    }
    for (size, good) in [
        (0, false),
        (1, false),
        (2, false),
        (15, false),
        (16, true),
        (17, false),
        (22, false),
        (23, false),
        (255, false),
    ] {
        let mut data = inner(1, 9, &body);
        data[5] = size;
        let outcome = eap().try_receive(frame::EAP, 1, 1, &data);
        assert_eq!(outcome.is_ok(), good, "Value-Size {size}");
    }
    for name in [0, 1, 255, 256, 1400, 65_535 - 4 - 1 - 4 - 17] {
        let data = inner(1, 9, &chap_value(&CHALLENGE, &vec![b'n'; name]));
        assert_eq!(eap().try_receive(frame::EAP, 1, 1, &data), Ok(()), "a name of {name}");
    }
    for cut in 0..inner_challenge(9).len() {
        let data = inner_challenge(9);
        let outcome = eap().try_receive(frame::EAP, 1, 1, &data[..cut]);
        assert!(outcome.is_err(), "cut at {cut}");
    }
}

#[test]
fn the_other_operations_cut_off_or_unknown() {
    for code in [0, 2, 5, 6, 7, 8, 255] {
        let (mut script, _) = challenged();
        let outcome = script.try_receive(frame::EAP, 1, 2, &inner(code, 9, &[0; 600]));
        assert_eq!(outcome, Err(Discard::OutOfPhase), "{code}");
    }
    for data in [&[26][..], &[26, 3], &[26, 3, 9], &[26, 3, 9, 0], &[26, 3, 9, 0, 3]] {
        let (mut script, _) = challenged();
        assert_eq!(script.try_receive(frame::EAP, 1, 2, data), Err(Discard::Malformed));
    }
    for (code, data) in [(1, &[][..]), (1, &[3, 26]), (2, &[1]), (5, &[1]), (0, &[])] {
        let outcome = eap().try_receive(frame::EAP, code, 1, data);
        assert!(outcome.is_err(), "{code} {data:02x?}");
    }
}

#[test]
fn silence_ends_it_after_a_minute() {
    let mut script = eap();
    ask(&mut script, 0, &[1]);
    script.wait(61 * SECOND);
    let protocol = Protocol::Eap;
    assert_eq!(script.failure(), Some(Failure::NegotiationTimeout { protocol }));
}

/// RFC 3748 wants a Request repeated until it is answered, and the owner is slow
#[test]
fn a_refusal_repeated_while_the_owner_thinks_changes_nothing() {
    let questions = Questions { new_password: true, ..Questions::default() };
    let mut script = agreed_with(ClientConfig { questions, ..config() }, &[0xC2, 0x27]);
    ask(&mut script, 1, &inner_challenge(9));
    let text = b"E=648 R=0 C=00112233445566778899AABBCCDDEEFF V=3";
    for _ in 0..3 {
        let _ = script.try_receive(frame::EAP, 1, 2, &inner(4, 9, text));
    }
    assert_eq!(script.sent(), []);
    script.link.change_password(script.now, Password::new("newPass1"));
    let change = script.sent().pop().unwrap();
    assert_eq!((change.id, change.data.len()), (2, 587));
    assert_eq!(change.data[..5], [26, 7, 10, 0x02, 0x4A], "586 octets, one identifier further");
    assert_eq!(ask(&mut script, 2, &inner(4, 9, text)), change, "the same once more");
}
