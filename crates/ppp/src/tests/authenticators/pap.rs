//! Authenticators of PAP

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
