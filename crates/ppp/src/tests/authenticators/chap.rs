//! Authenticators of CHAP

use super::*;

#[test]
fn success_texts_that_prove_it_and_those_that_do_not() {
    for (change, good) in [
        (&(|proof: String| proof) as &dyn Fn(String) -> String, true),
        (&|proof| format!("{proof} M=Access granted"), true),
        (&|proof| format!("{proof}M=Access granted"), true),
        (&|proof| format!("{proof} M="), true),
        (&|proof| proof.to_lowercase().replace("s=", "S="), true),
        (&|proof| proof.to_lowercase(), false),
        (&|proof| format!(" {proof}"), false),
        (&|proof| format!("{proof} "), false),
        (&|proof| format!("{proof}0"), false),
        (&|proof| format!("{proof}\0"), false),
        (&|proof| format!("{proof} N=1"), false),
        (&|proof| format!("{proof}  M=two"), false),
        (&|proof| proof[..41].to_owned(), false),
        (&|proof| proof[2..].to_owned(), false),
        (&|proof| format!("M=hello {proof}"), false),
        (&|proof| format!("S={}", "0".repeat(proof.len() - 2)), false),
        (&|proof| proof.chars().rev().collect(), false),
        (&|_| "S=".to_owned(), false),
        (&|_| "S".to_owned(), false),
        (&|_| String::new(), false),
        (&|_| "Access granted".to_owned(), false),
        (&|_| format!("S={}", "G".repeat(40)), false),
        (&|_| "\u{FF}".repeat(200), false),
    ] {
        let mut script = v2();
        let response = challenge(&mut script, 1, &CHALLENGE);
        let text = change(proof(&response.data, &CHALLENGE));
        script.receive(frame::CHAP, 3, 1, text.as_bytes());
        let phase = if good { Phase::Network } else { Phase::Dead };
        assert_eq!(script.link.phase(), phase, "{text:?}");
        let failure = (!good).then_some(Failure::ServerNotAuthentic);
        assert_eq!(script.failure(), failure, "{text:?}");
    }
}

#[test]
fn the_size_of_a_value_may_not_lie() {
    for (size, rest, good) in
        [(0, 16, false), (15, 16, false), (16, 16, true), (17, 16, false), (255, 16, false)]
    {
        let mut script = v2();
        let data = [vec![size], vec![1; rest]].concat();
        let outcome = script.try_receive(frame::CHAP, 1, 1, &data);
        assert_eq!(outcome.is_ok(), good, "{size}");
    }
    assert_eq!(v2().try_receive(frame::CHAP, 1, 1, &[]), Err(Discard::Malformed));
}

#[test]
fn duplicate_late_and_changed_challenges() {
    let mut script = v2();
    let first = challenge(&mut script, 1, &CHALLENGE);
    assert_eq!(challenge(&mut script, 1, &CHALLENGE), first, "a duplicate");
    let other_id = challenge(&mut script, 2, &CHALLENGE);
    assert_ne!(other_id.data, first.data, "another identifier is another challenge");
    let changed = challenge(&mut script, 2, &[9; 16]);
    assert_ne!(changed.data, other_id.data);
    // The verdict on an answer that has been replaced counts for nothing.
    let late = proof(&first.data, &CHALLENGE);
    assert_eq!(script.try_receive(frame::CHAP, 3, 1, late.as_bytes()), Err(Discard::OutOfPhase));
    let right = proof(&changed.data, &[9; 16]);
    script.receive(frame::CHAP, 3, 2, right.as_bytes());
    assert_eq!(script.link.phase(), Phase::Network);
    assert_eq!(challenge(&mut script, 2, &[9; 16]), changed, "late, and still the same answer");
}

#[test]
fn rfc1994_section_4_1_the_value_of_md5() {
    let mut script = agreed(&[0xC2, 0x23, 0x05]);
    let response = challenge(&mut script, 7, &[1, 2, 3]);
    let value = md5_response(7, b"clientPass", &[1, 2, 3]);
    assert_eq!(response.data, chap_value(&value, br"CORP\User"));
    script.receive(frame::CHAP, 3, 7, b"");
    assert_eq!(script.link.phase(), Phase::Network);
}

#[test]
fn rfc2433_section_6_no_lan_manager_response_is_ever_sent() {
    let mut script = v1();
    let response = challenge(&mut script, 7, &[0x10, 0x2D, 0xB5, 0xDF, 0x08, 0x5D, 0x30, 0x41]);
    let chap = ChapValue::parse(&response.data).unwrap();
    assert_eq!(chap.value.len(), 49);
    assert_eq!(chap.value[..24], [0; 24]);
    // RFC 2433 has these 24 octets for another password; ours were computed independently.
    let nt = [0x54, 0xF2, 0x2A, 0xC5, 0xAA, 0x6C, 0x5C, 0xBF, 0x7E, 0x60, 0x53, 0x18];
    assert_eq!(chap.value[24..36], nt);
    assert_eq!(chap.value[48], 1, "use the NT response");
    assert_eq!(chap.name, br"CORP\User", "the name on the wire has its domain");
}

#[test]
fn silence_ends_it_after_a_minute() {
    for value in [&[0xC2, 0x23, 0x81][..], &[0xC2, 0x23, 0x05]] {
        let mut script = agreed(value);
        script.wait(59 * SECOND);
        assert_eq!(script.link.phase(), Phase::Authentication);
        challenge(&mut script, 1, &CHALLENGE);
        script.wait(59 * SECOND);
        assert_eq!(script.link.phase(), Phase::Authentication);
        script.wait(2 * SECOND);
        let protocol = Protocol::Chap;
        assert_eq!(script.failure(), Some(Failure::NegotiationTimeout { protocol }));
    }
}

/// The challenge that a Change-Password and another login answer: the one that the Failure names, or in
/// MS-CHAPv1 the one that follows from the last
#[test]
fn rfc2433_section_7_what_a_second_answer_answers() {
    let named: [u8; 8] = *b"newchall";
    let last: [u8; 8] = [0xF0, 1, 2, 3, 4, 5, 6, 7];
    for (text, expected) in [
        ("E=691 R=1 C=6E65776368616C6C V=2", named),
        ("E=691 R=1 V=2", [0x07, 1, 2, 3, 4, 5, 6, 7]),
        ("E=691 R=1 C=00 V=2", [0x07, 1, 2, 3, 4, 5, 6, 7]),
    ] {
        let questions = Questions { other_credentials: true, ..Questions::default() };
        let mut script = agreed_with(ClientConfig { questions, ..config() }, &[0xC2, 0x23, 0x80]);
        challenge(&mut script, 3, &last);
        script.receive(frame::CHAP, 4, 3, text.as_bytes());
        assert!(script.events().iter().any(|event| matches!(event, Event::Ask(_))));
        script.link.log_in_as(script.now, "User".to_owned(), Password::new("MyPw"));
        let answer = script.sent().pop().unwrap();
        assert_eq!((answer.code, answer.id), (2, 4), "one further");
        let hash = Password::new("MyPw").nt_hash(PasswordEncoding::Utf16);
        let chap = ChapValue::parse(&answer.data).unwrap();
        assert_eq!(chap.value[24..48], nt_response(&expected, &hash), "{text}");
        // The Failure comes again, since our answer seems lost: the same once more
        script.receive(frame::CHAP, 4, 3, text.as_bytes());
        assert_eq!(script.sent(), [answer]);
    }
}

#[test]
fn what_can_and_what_cannot_be_changed() {
    for (value, text, asks) in [
        (&[0xC2, 0x23, 0x81][..], "E=648 R=0 V=3", true),
        (&[0xC2, 0x23, 0x81], "E=648 R=1 C=00112233445566778899AABBCCDDEEFF V=3 M=x", true),
        (&[0xC2, 0x23, 0x81], "E=648", true),
        (&[0xC2, 0x23, 0x80], "E=648 R=0 V=2", true),
        (&[0xC2, 0x23, 0x80], "E=648 R=0", true),
        // Version 1 would send the hashes under a key that travels with them.
        (&[0xC2, 0x23, 0x80], "E=648 R=0 V=1", false),
        (&[0xC2, 0x23, 0x05], "E=648 R=1 V=3", false),
        (&[0xC2, 0x23, 0x81], "E=691 R=1 V=3", false),
        (&[0xC2, 0x23, 0x81], "E=647 R=0 V=3", false),
    ] {
        let questions = Questions { new_password: true, ..Questions::default() };
        let mut script = agreed_with(ClientConfig { questions, ..config() }, value);
        let length = if value == [0xC2, 0x23, 0x80] { 8 } else { 16 };
        challenge(&mut script, 1, &vec![7; length]);
        script.receive(frame::CHAP, 4, 1, text.as_bytes());
        let asked = script.events().iter().any(|event| matches!(event, Event::Ask(_)));
        assert_eq!(asked, asks, "{value:02x?} {text}");
        if asks {
            script.link.change_password(script.now, Password::new("newPass1"));
            let sent = script.sent().pop().unwrap();
            let expected = if length == 8 { (6, 1114) } else { (7, 582) };
            assert_eq!((sent.code, sent.data.len()), expected);
            assert_eq!(sent.id, 2);
        }
    }
}

/// The server does not wait for the owner: whatever it says, the old password is not sent again
#[test]
fn nothing_is_answered_while_the_owner_thinks() {
    let questions = Questions { other_credentials: true, new_password: true };
    let mut script = agreed_with(ClientConfig { questions, ..config() }, &[0xC2, 0x23, 0x81]);
    challenge(&mut script, 1, &CHALLENGE);
    script.receive(frame::CHAP, 4, 1, b"E=691 R=1 V=3");
    for id in 0..4 {
        let data = chap_value(&CHALLENGE, b"");
        let outcome = script.try_receive(frame::CHAP, 1, id, &data);
        assert_eq!(outcome, Err(Discard::OutOfPhase));
    }
    assert_eq!(script.try_receive(frame::CCP, 1, 1, MPPE_128), Err(Discard::OutOfPhase));
    assert_eq!(script.sent(), []);
    script.wait(61 * SECOND);
    assert!(matches!(script.failure(), Some(Failure::AuthFailed { code: 691, .. })));
}
