//! The protocols of authentication that a client agrees to

use super::*;

/// EAP is allowed, so that it is agreed to at its second asking
#[test]
fn weaker_protocols_get_a_nak_a_reject_and_then_the_end() {
    for (value, offered) in [
        (&[0xC0, 0x23][..], AuthenticationProtocol::Pap),
        (&[0xC2, 0x23, 0x05], AuthenticationProtocol::ChapMd5),
        (&[0xC2, 0x23, 0x80], AuthenticationProtocol::MsChapV1),
        (&[0xC2, 0x23, 0x06], AuthenticationProtocol::ChapOther(6)),
        (&[0xC0, 0x27], AuthenticationProtocol::Other(0xC027)),
    ] {
        let mut script = Script::new();
        for id in 0..7 {
            script.send(frame::LCP, Code::ConfigureRequest, id, &lcp_request(value));
        }
        let answers: Vec<u8> =
            script.sent().iter().map(|it| it.code).filter(|code| *code != 1).collect();
        assert_eq!(answers, [3, 3, 3, 3, 3, 4, 5], "{offered}");
        let expected = Failure::AuthProtocolRefused { offered: Some(offered) };
        assert_eq!(script.failure(), Some(expected));
    }
}

#[test]
fn a_server_that_yields_to_the_nak_is_fine() {
    let mut script = Script::new();
    script.send(frame::LCP, Code::ConfigureRequest, 0, &lcp_request(&[0xC2, 0x27]));
    let sent = script.sent();
    let nak = sent.iter().find(|it| it.code == 3).unwrap();
    assert_eq!((nak.id, &*nak.data), (0, &[3, 5, 0xC2, 0x23, 0x81][..]));
    script.acknowledge_in(&sent, frame::LCP);
    script.send(frame::LCP, Code::ConfigureRequest, 1, LCP_REQUEST);
    assert_eq!(script.link.phase(), Phase::Authentication);
}

#[test]
fn a_server_that_hangs_up_over_it_gave_that_reason() {
    let mut script = Script::new();
    script.send(frame::LCP, Code::ConfigureRequest, 0, &lcp_request(&[0xC0, 0x23]));
    script.send(frame::LCP, Code::TerminateRequest, 1, b"peer refused to authenticate");
    let offered = Some(AuthenticationProtocol::Pap);
    assert_eq!(script.failure(), Some(Failure::AuthProtocolRefused { offered }));
}

#[test]
fn a_server_that_wants_no_authentication_is_refused() {
    let mut script = Script::new();
    script.send(frame::LCP, Code::ConfigureRequest, 0, &[1, 4, 5, 0x78]);
    script.acknowledge(frame::LCP);
    let expected = Failure::AuthProtocolRefused { offered: None };
    assert_eq!(script.failure(), Some(expected));
    assert_eq!(codes(&script.sent()), [(frame::LCP, 5)]);
}
