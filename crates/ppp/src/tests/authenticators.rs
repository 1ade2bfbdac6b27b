//! A client against authenticators that follow a script, most of them bad

use std::time::Duration;

use pptp_mschap::{
    AuthenticatorResponse, HashName, Password, PasswordEncoding, challenge_hash, md5_response,
    nt_response,
};

use super::script::{MPPE_128, Script, Sent};
use crate::wire::packet::{ChapValue, Code, Packet};
use crate::{
    AuthenticationProtocol, ClientConfig, Discard, Event, Failure, Phase, Protocol, Questions,
    frame,
};

const CHALLENGE: [u8; 16] = [0x5B; 16];
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn config() -> ClientConfig {
    let mut config = ClientConfig::new(r"CORP\User", Password::new("clientPass"));
    config.authentication.insecure_mschap_v1 = true;
    config.authentication.insecure_chap_md5 = true;
    config.authentication.insecure_pap = true;
    config.authentication.at_first_asking = true;
    config.encryption.demand = crate::EncryptionDemand::InsecureAllow;
    config
}

/// A client that has agreed to this protocol
fn agreed(value: &[u8]) -> Script {
    agreed_with(config(), value)
}

pub(super) fn agreed_with(config: ClientConfig, value: &[u8]) -> Script {
    let mut script = Script::with(config);
    let length = u8::try_from(value.len() + 2).unwrap();
    let request = [&[1, 4, 5, 0x78, 3, length], value].concat();
    script.send(frame::LCP, Code::ConfigureRequest, 0, &request);
    let sent = script.sent();
    let request = sent.iter().find(|it| it.protocol == frame::LCP && it.code == 1).unwrap();
    script.send(frame::LCP, Code::ConfigureAck, request.id, &request.data);
    assert_eq!(script.link.phase(), Phase::Authentication);
    // What was sent before LCP's answer to us is of no more interest, except the first of PAP's.
    script
}

fn v2() -> Script {
    agreed(&[0xC2, 0x23, 0x81])
}

fn v1() -> Script {
    agreed(&[0xC2, 0x23, 0x80])
}

fn eap() -> Script {
    agreed(&[0xC2, 0x27])
}

fn chap_value(value: &[u8], name: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    ChapValue { value, name }.emit(&mut data);
    data
}

fn challenge(script: &mut Script, id: u8, value: &[u8]) -> Sent {
    script.receive(frame::CHAP, 1, id, &chap_value(value, b""));
    script.sent().pop().expect("a Response")
}

fn proof(response: &[u8], challenge: &[u8; 16]) -> String {
    let hash = Password::new("clientPass").nt_hash(PasswordEncoding::Utf16);
    let chap = ChapValue::parse(response).unwrap();
    let peer = chap.value[..16].try_into().unwrap();
    let response = chap.value[24..48].try_into().unwrap();
    let challenge = challenge_hash(&peer, challenge, chap.name, HashName::StripDomain);
    assert_eq!(nt_response(&challenge, &hash), response);
    AuthenticatorResponse::new(&hash, &response, &challenge).to_string()
}

mod chap {
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
        assert_eq!(
            script.try_receive(frame::CHAP, 3, 1, late.as_bytes()),
            Err(Discard::OutOfPhase)
        );
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
            let mut script =
                agreed_with(ClientConfig { questions, ..config() }, &[0xC2, 0x23, 0x80]);
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
}

mod pap {
    use super::*;

    fn pap() -> Script {
        agreed(&[0xC0, 0x23])
    }

    #[test]
    fn rfc1334_section_2_2_1_the_request_is_repeated_with_new_identifiers() {
        let mut script = pap();
        let mut requests = script.sent();
        for _ in 0..12 {
            script.wait(3 * SECOND);
            requests.extend(script.sent());
        }
        requests.retain(|it| it.protocol == frame::PAP);
        assert_eq!(requests.len(), 10);
        assert!(requests.iter().all(|it| it.data == requests[0].data && it.code == 1));
        assert_eq!(requests[0].data, b"\x09CORP\\User\x0AclientPass");
        let ids: Vec<u8> = requests.iter().map(|it| it.id).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        let protocol = Protocol::Pap;
        assert_eq!(script.failure(), Some(Failure::NegotiationTimeout { protocol }));
    }

    #[test]
    fn an_ack_of_any_request_with_or_without_text_lets_in() {
        for (wait, id) in [(0, 1), (4, 1), (4, 2)] {
            for data in [&b""[..], b"\x00", b"\x02Hi", b"\x09Hi", b"\xFF"] {
                let mut script = pap();
                script.wait(wait * SECOND);
                script.receive(frame::PAP, 2, id, data);
                assert_eq!(script.link.phase(), Phase::Network, "{id} {data:02x?}");
                let again = script.try_receive(frame::PAP, 3, id, data);
                assert_eq!(again, Err(Discard::OutOfPhase), "it is over");
            }
        }
        for (code, id) in [(2, 0), (2, 2), (3, 9), (1, 1), (4, 1), (0, 1)] {
            let outcome = pap().try_receive(frame::PAP, code, id, b"");
            assert_eq!(outcome, Err(Discard::OutOfPhase), "{code} {id}");
        }
    }

    #[test]
    fn a_nak_tells_its_words_however_they_come() {
        for (data, words) in [
            (&b""[..], ""),
            (b"\x00", ""),
            (b"\x05wrong", "wrong"),
            (b"\x03wrong", "wro"),
            (b"\x09wrong", "wrong"),
            (b"Login incorrect", "Login incorrect"),
            (b"\x02\xFF\xFE", "\u{FFFD}\u{FFFD}"),
        ] {
            let mut script = pap();
            script.receive(frame::PAP, 3, 1, data);
            let message = words.to_owned();
            let expected = Failure::AuthFailed { code: 0, retry: false, message };
            assert_eq!(script.failure(), Some(expected), "{data:02x?}");
        }
    }

    #[test]
    fn a_lost_ack_is_asked_for_again_when_the_server_goes_ahead() {
        let mut script = pap();
        script.sent();
        assert_eq!(script.try_receive(frame::CCP, 1, 1, MPPE_128), Err(Discard::OutOfPhase));
        let sent = script.sent();
        assert_eq!((sent.len(), sent[0].protocol, sent[0].id), (1, frame::PAP, 2));
    }
}

mod eap {
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
        assert_eq!(
            usize::from(length),
            response.len() - 1,
            "the inner length is all behind the type"
        );
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
        assert_ne!(
            script.sent().pop().unwrap().data,
            first.data,
            "the same identifier, another one"
        );
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
}

/// Only what LCP agreed on has a say
#[test]
fn protocols_that_were_not_agreed_on_are_ignored() {
    let all = [frame::PAP, frame::CHAP, frame::EAP];
    for (value, own) in [
        (&[0xC0, 0x23][..], frame::PAP),
        (&[0xC2, 0x23, 0x05], frame::CHAP),
        (&[0xC2, 0x23, 0x80], frame::CHAP),
        (&[0xC2, 0x23, 0x81], frame::CHAP),
        (&[0xC2, 0x27], frame::EAP),
    ] {
        for protocol in all.into_iter().filter(|protocol| *protocol != own) {
            let mut script = agreed(value);
            script.sent();
            for code in 0..8 {
                let outcome = script.try_receive(protocol, code, 1, &[1, 0, 0, 0]);
                assert_eq!(outcome, Err(Discard::OutOfPhase), "{protocol:04x} {code}");
            }
            assert_eq!(script.sent(), []);
        }
    }
    let mut script = Script::up();
    for protocol in [frame::PAP, frame::EAP] {
        assert_eq!(script.try_receive(protocol, 1, 1, &[1]), Err(Discard::OutOfPhase));
    }
    assert_eq!(script.sent(), []);
}
