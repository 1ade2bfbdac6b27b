//! CCP and MPPE under each policy

use super::*;

#[test]
fn a_server_that_insists_on_less_is_left() {
    for bits in [0_u32, 0x0100_0020, 0x0100_0080, 0x40, 0x20, 0x0100_0001, 0x10] {
        let mut script = Script::at_network();
        let option = [&[18, 6][..], &bits.to_be_bytes()].concat();
        for id in 1..=6 {
            script.send(frame::CCP, Code::ConfigureRequest, id, &option);
        }
        let offered = Some(MppeBits(bits));
        let expected = Some(Failure::EncryptionUnavailable { offered });
        assert_eq!(script.failure(), expected, "{bits:08x}");
        let sent = script.sent();
        let naks: Vec<_> = sent.iter().filter(|it| it.code == 3).map(|it| &*it.data).collect();
        assert_eq!(naks, [MPPE_128; 5]);
        assert_eq!(sent.last().map(|it| (it.protocol, it.code)), Some((frame::LCP, 5)));
    }
}

#[test]
fn a_server_that_naks_ours_for_ever_is_left() {
    let mut script = Script::at_network();
    for _ in 0..6 {
        let sent = script.sent();
        let id = last_request(&sent, frame::CCP).id;
        assert_eq!(last_request(&sent, frame::CCP).data, MPPE_128);
        script.send(frame::CCP, Code::ConfigureNak, id, &[18, 6, 1, 0, 0, 0x20]);
    }
    let offered = Some(MppeBits(0x0100_0020));
    assert_eq!(script.failure(), Some(Failure::EncryptionUnavailable { offered }));
}

#[test]
fn a_server_that_rejects_it_is_left_at_once() {
    let nothing = Some(Failure::EncryptionUnavailable { offered: None });
    let mut script = Script::at_network();
    let id = last_request(&script.sent(), frame::CCP).id;
    script.send(frame::CCP, Code::ConfigureReject, id, MPPE_128);
    assert_eq!(script.failure(), nothing);

    let mut script = Script::at_network();
    script.send(frame::LCP, Code::ProtocolReject, 1, &[0x80, 0xFD, 1, 1, 0, 4]);
    assert_eq!(script.failure(), nothing);

    let mut script = Script::at_network();
    script.send(frame::CCP, Code::TerminateRequest, 1, &[]);
    assert_eq!(script.failure(), nothing);
}

/// A pppd with `require-mppe-40` insists before it has answered our request
#[test]
fn a_server_that_hangs_up_over_it_gave_that_reason() {
    let mut script = Script::at_network();
    script.send(frame::CCP, Code::ConfigureRequest, 1, &[18, 6, 1, 0, 0, 0x20]);
    script.send(frame::LCP, Code::TerminateRequest, 2, b"MPPE required but peer refused");
    let offered = Some(MppeBits(0x0100_0020));
    assert_eq!(script.failure(), Some(Failure::EncryptionUnavailable { offered }));

    let mut script = Script::at_network();
    script.send(frame::LCP, Code::TerminateRequest, 2, b"bye");
    assert!(matches!(script.failure(), Some(Failure::TerminatedByPeer { .. })));
}

#[test]
fn a_request_without_mppe_is_never_acknowledged() {
    let mut script = Script::at_network();
    script.acknowledge(frame::CCP);
    script.send(frame::CCP, Code::ConfigureRequest, 1, &[]);
    let nak = script.sent().into_iter().find(|it| it.protocol == frame::CCP).unwrap();
    assert_eq!((nak.code, &*nak.data), (3, MPPE_128));
    assert!(!script.link.is_up());
}

#[test]
fn encryption_that_is_taken_down_ends_the_link() {
    for code in [Code::ConfigureRequest, Code::TerminateRequest] {
        let mut script = Script::up();
        script.receive_ip().unwrap();
        script.send(frame::CCP, code, 9, MPPE_128);
        assert_eq!(script.failure(), Some(Failure::EncryptionLost));
        assert!(!script.link.is_up());
    }
    let mut script = Script::up();
    script.receive_ip().unwrap();
    script.send(frame::LCP, Code::ProtocolReject, 1, &[0x80, 0xFD]);
    assert_eq!(script.failure(), Some(Failure::EncryptionLost));
}

#[test]
fn a_request_sent_again_before_the_peer_encrypts_gets_the_same_ack() {
    let mut script = Script::up();
    script.send(frame::CCP, Code::ConfigureRequest, 1, MPPE_128);
    assert_eq!(codes(&script.sent()), [(frame::CCP, 2)]);
    assert!(script.link.is_up());
    script.receive_ip().unwrap();
}

/// A client for which a link in the clear would do
fn preferring() -> ClientConfig {
    let mut config = ClientConfig::new("User", Password::new("clientPass"));
    config.encryption.demand = EncryptionDemand::InsecurePrefer;
    config
}

fn encrypted() -> Script {
    let mut script = Script::with(preferring());
    script.open_lcp();
    script.authenticate();
    script.open_network();
    assert!(script.link.is_up());
    script.sent();
    script
}

const IP_IN_THE_CLEAR: &[u8] = b"\x21\x45\0\0\x14\0\0\0\0\x40\x01\x66\xE7\x0A\0\0\x01\x0A\0\0\x02";

#[test]
fn what_was_encrypted_never_goes_on_in_the_clear_though_that_would_have_done() {
    type End = fn(&mut Script);
    let ends: [(&str, End); 5] = [
        ("Terminate-Request", |script| script.send(frame::CCP, Code::TerminateRequest, 9, &[])),
        ("Protocol-Reject", |script| {
            script.send(frame::LCP, Code::ProtocolReject, 9, &[0x80, 0xFD]);
        }),
        ("CCP without MPPE", |script| {
            script.send(frame::CCP, Code::ConfigureRequest, 9, &[]);
            let id = last_request(&script.sent(), frame::CCP).id;
            script.send(frame::CCP, Code::ConfigureReject, id, MPPE_128);
        }),
        ("LCP anew, CCP rejected", |script| {
            script.open_lcp();
            script.new_challenge();
            script.authenticate();
            script.send(frame::LCP, Code::ProtocolReject, 9, &[0x80, 0xFD]);
        }),
        ("LCP anew, zero bits", |script| {
            script.open_lcp();
            script.new_challenge();
            script.authenticate();
            for id in 1..=6 {
                script.send(frame::CCP, Code::ConfigureRequest, id, &[18, 6, 0, 0, 0, 0]);
            }
        }),
    ];
    for (name, end) in ends {
        let mut script = encrypted();
        let plain = script.receive_frame(&mut IP_IN_THE_CLEAR.to_vec());
        assert_eq!(plain, Err(Discard::Plaintext));
        end(&mut script);
        assert_eq!(script.failure(), Some(Failure::EncryptionLost), "{name}");
        assert!(!script.link.is_up());
    }
}

#[test]
fn what_was_encrypted_wants_an_authentication_with_keys_ever_after() {
    let mut config = preferring();
    config.authentication.insecure_pap = true;
    let mut script = Script::with(config);
    script.open_lcp();
    script.authenticate();
    script.open_network();
    for id in 0..7 {
        script.send(frame::LCP, Code::ConfigureRequest, id, &lcp_request(&[0xC0, 0x23]));
    }
    let offered = AuthenticationProtocol::Pap;
    assert_eq!(script.failure(), Some(Failure::AuthProtocolWithoutKeys { offered }));
}

#[test]
fn a_link_in_the_clear_is_encrypted_once_the_server_asks() {
    let mut config = preferring();
    config.encryption.demand = EncryptionDemand::InsecureAllow;
    let mut script = Script::with(config);
    script.open_lcp();
    script.authenticate();
    let sent = script.sent();
    assert!(sent.iter().all(|it| it.protocol != frame::CCP), "not asked for: {sent:?}");
    script.send(frame::IPCP, Code::ConfigureRequest, 1, PEER_ADDRESS);
    let id = last_request(&sent, frame::IPCP).id;
    script.send(frame::IPCP, Code::ConfigureNak, id, ADDRESSES);
    script.acknowledge(frame::IPCP);
    assert!(script.link.is_up());
    assert_eq!(script.receive_frame(&mut IP_IN_THE_CLEAR.to_vec()), Ok(()));

    script.send(frame::CCP, Code::ConfigureRequest, 1, MPPE_128);
    assert!(!script.link.is_up());
    script.acknowledge(frame::CCP);
    assert!(script.link.is_up());
    let plain = script.receive_frame(&mut IP_IN_THE_CLEAR.to_vec());
    assert_eq!(plain, Err(Discard::Plaintext));
    script.receive_ip().unwrap();
    let ups = script.events().into_iter().filter_map(|event| match event {
        Event::Up(negotiated) => Some(negotiated.encryption.is_some()),
        _ => None,
    });
    assert_eq!(ups.collect::<Vec<_>>(), [false, true]);
}

#[test]
fn ip_in_the_clear_is_dropped_in_every_phase_and_not_rejected() {
    let scripts = [Script::new(), Script::at_authentication(), Script::at_network(), Script::up()];
    for mut script in scripts {
        script.sent();
        for octets in [&[0x21, 0x45, 0][..], &[0xFF, 0x03, 0, 0x21, 0x45], &[0, 0x57, 0x60]] {
            assert_eq!(script.receive_frame(&mut octets.to_vec()), Err(Discard::Plaintext));
        }
        assert_eq!(script.link.stats().plaintext, 3);
        assert_eq!(script.sent(), []);
    }
}

#[test]
fn encrypted_frames_before_the_link_is_up_are_dropped() {
    let mut script = Script::at_network();
    assert_eq!(script.receive_ip(), Err(Discard::OutOfPhase));
    let mut script = Script::up();
    let garbage = script.receive_frame(&mut [0x00, 0xFD, 0x90, 0x00, 1, 2, 3, 4, 5]);
    assert!(matches!(garbage, Err(Discard::Undecryptable(_))));
    assert_eq!(script.link.stats().undecryptable, 1);
}

#[test]
fn rfc1962_section_4_1_a_reset_request_is_answered_at_once() {
    let mut script = Script::up();
    script.send(frame::CCP, Code::ResetRequest, 42, &[]);
    let reset_ack = Sent { protocol: frame::CCP, code: 15, id: 42, data: vec![] };
    assert_eq!(script.sent(), [reset_ack]);
    assert!(script.link.is_up());
}
