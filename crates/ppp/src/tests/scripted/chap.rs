//! Challenges and their answers

use super::*;

#[test]
fn the_same_challenge_gets_the_identical_response_another_one_another() {
    let mut script = Script::at_authentication();
    script.sent();
    script.challenge(1);
    script.challenge(1);
    let sent = script.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    script.new_challenge();
    script.challenge(1);
    assert_ne!(script.sent()[0], sent[0]);
}

#[test]
fn rfc2759_section_5_a_wrong_or_missing_proof_ends_it() {
    let wrong = format!("S={}", "0".repeat(40));
    for text in [&wrong, "", "S=12", "Access granted"] {
        let mut script = Script::at_authentication();
        script.challenge(1);
        script.receive(frame::CHAP, 3, 1, text.as_bytes());
        assert_eq!(script.failure(), Some(Failure::ServerNotAuthentic), "{text:?}");
    }
}

#[test]
fn a_success_nobody_asked_for_lets_nobody_in() {
    let mut script = Script::at_authentication();
    let discard = script.try_receive(frame::CHAP, 3, 1, b"S=");
    assert_eq!(discard, Err(Discard::OutOfPhase));
    script.challenge(1);
    let (success, _) = script.success();
    let other_id = script.try_receive(frame::CHAP, 3, 2, success.as_bytes());
    assert_eq!(other_id, Err(Discard::OutOfPhase));
    assert_eq!(script.link.phase(), Phase::Authentication);
}

#[test]
fn failures_as_real_servers_word_them() {
    for (text, code, retry, message) in [
        ("E=691 R=0 V=3 M=Authentication failure", 691, false, "Authentication failure"),
        (
            "E=691 R=1 C=00112233445566778899AABBCCDDEEFF V=0 M=Access denied",
            691,
            true,
            "Access denied",
        ),
        ("E=691 R=1 C=00112233445566778899AABBCCDDEEFF V=3", 691, true, ""),
        ("E=648 R=0 V=3", 648, false, ""),
        ("go away", 0, false, "go away"),
        ("", 0, false, ""),
    ] {
        let mut script = Script::at_authentication();
        script.challenge(7);
        script.receive(frame::CHAP, 4, 7, text.as_bytes());
        let message = message.to_owned();
        assert_eq!(script.failure(), Some(Failure::AuthFailed { code, retry, message }));
    }
}

#[test]
fn a_challenge_of_another_length_is_malformed() {
    let mut script = Script::at_authentication();
    for data in [&[][..], &[8, 1, 1, 1, 1, 1, 1, 1, 1], &[16, 1], &[0], &[255; 20]] {
        let discard = script.try_receive(frame::CHAP, 1, 1, data);
        assert_eq!(discard, Err(Discard::Malformed), "{data:02x?}");
    }
}

#[test]
fn a_challenge_while_up_is_answered_and_the_keys_stay() {
    let mut script = Script::up();
    script.receive_ip().unwrap();
    script.new_challenge();
    script.challenge(9);
    let (success, _) = script.success();
    script.receive(frame::CHAP, 3, 9, success.as_bytes());
    assert!(script.link.is_up());
    script.receive_ip().unwrap();
    script.new_challenge();
    script.challenge(10);
    script.receive(frame::CHAP, 3, 10, b"S=0000000000000000000000000000000000000000");
    assert_eq!(script.failure(), Some(Failure::ServerNotAuthentic));
}

/// A Challenge that was on its way twice, and the Success that its second Response brings
#[test]
fn the_same_challenge_gets_the_same_response_also_after_its_success() {
    let mut script = Script::at_authentication();
    script.challenge(1);
    let first = script.sent().pop().unwrap();
    script.challenge(1);
    let (success, _) = script.success();
    script.receive(frame::CHAP, 3, 1, success.as_bytes());
    script.sent();
    script.challenge(1);
    assert_eq!(script.sent(), [first]);
    let again = script.try_receive(frame::CHAP, 3, 1, success.as_bytes());
    assert_eq!(again, Err(Discard::OutOfPhase));
    assert_eq!(script.link.phase(), Phase::Network);
}

#[test]
fn a_lost_success_is_asked_for_again_when_the_server_goes_ahead() {
    let mut script = Script::at_authentication();
    script.challenge(1);
    let first = script.sent().pop().unwrap();
    let early = script.try_receive(frame::CCP, 1, 1, MPPE_128);
    assert_eq!(early, Err(Discard::OutOfPhase));
    assert_eq!(script.sent(), [first]);
}
