//! A client against peers that follow a script, some of them bad

use std::net::Ipv4Addr;
use std::time::Duration;

use pptp_mppe::{Arrival, Order};
use pptp_mschap::Password;

use super::script::{ADDRESSES, LCP_REQUEST, MPPE_128, PEER_ADDRESS, Script, Sent, last_request};
use crate::wire::packet::Code;
use crate::{
    AuthenticationProtocol, ClientConfig, Discard, EncryptionDemand, Event, Failure, Link,
    MppeBits, Phase, Protocol, Received, Rule, Timer, frame,
};

const SECOND: Duration = Duration::from_secs(1);

fn codes(sent: &[Sent]) -> Vec<(u16, u8)> {
    sent.iter().map(|it| (it.protocol, it.code)).collect()
}

/// An LCP request with this Authentication-Protocol
fn lcp_request(authentication: &[u8]) -> Vec<u8> {
    let length = u8::try_from(authentication.len() + 2).unwrap();
    [&[1, 4, 5, 0x78, 3, length], authentication].concat()
}

mod authentication_policy {
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
}

mod chap {
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
}

mod encryption_policy {
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

    /// pppd with `require-mppe-40`, while its answer to our own request is still on its way
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

    const IP_IN_THE_CLEAR: &[u8] =
        b"\x21\x45\0\0\x14\0\0\0\0\x40\x01\x66\xE7\x0A\0\0\x01\x0A\0\0\x02";

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
        let scripts =
            [Script::new(), Script::at_authentication(), Script::at_network(), Script::up()];
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
}

mod addresses {
    use super::*;

    fn nak(options: &[u8]) -> Option<Failure> {
        let mut script = Script::at_network();
        let id = last_request(&script.sent(), frame::IPCP).id;
        script.send(frame::IPCP, Code::ConfigureNak, id, options);
        if script.link.phase() == Phase::Network {
            script.acknowledge(frame::IPCP);
        }
        script.failure()
    }

    #[test]
    fn an_address_that_no_host_can_have_is_none() {
        for octets in [[0; 4], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
            let options = [&[3, 6][..], &octets].concat();
            assert_eq!(nak(&options), Some(Failure::NoAddress), "{octets:?}");
        }
        assert_eq!(nak(ADDRESSES), None);
    }

    #[test]
    fn the_server_may_reject_dns_or_lack_an_address() {
        let mut script = Script::at_network();
        let sent = script.sent();
        let request = last_request(&sent, frame::IPCP);
        script.send(frame::IPCP, Code::ConfigureReject, request.id, &request.data[6..]);
        script.acknowledge_in(&sent, frame::CCP);
        script.send(frame::CCP, Code::ConfigureRequest, 1, MPPE_128);
        script.send(frame::IPCP, Code::ConfigureRequest, 1, &[3, 6, 0, 0, 0, 0]);
        let sent = script.sent();
        assert!(sent.iter().any(|it| it.code == 4 && it.data == [3, 6, 0, 0, 0, 0]));
        script.send(frame::IPCP, Code::ConfigureRequest, 2, &[]);
        let id = last_request(&sent, frame::IPCP).id;
        script.send(frame::IPCP, Code::ConfigureNak, id, &ADDRESSES[..6]);
        script.acknowledge(frame::IPCP);
        let events = script.events();
        let Some(Event::Up(negotiated)) = events.last() else { panic!("{events:?}") };
        assert_eq!(negotiated.address, Ipv4Addr::new(192, 168, 1, 200));
        assert_eq!((negotiated.peer_address, &*negotiated.dns), (None, &[][..]));
    }

    #[test]
    fn a_server_that_rejects_or_ends_ipcp_is_left() {
        let mut script = Script::at_network();
        script.send(frame::LCP, Code::ProtocolReject, 1, &[0x80, 0x21]);
        let rejected = Failure::RejectedProtocol { protocol: Protocol::Ipcp };
        assert_eq!(script.failure(), Some(rejected));

        let mut script = Script::at_network();
        script.send(frame::IPCP, Code::TerminateRequest, 1, b"no address for you");
        let (protocol, message) = (Protocol::Ipcp, "no address for you".to_owned());
        assert_eq!(script.failure(), Some(Failure::TerminatedByPeer { protocol, message }));
    }

    #[test]
    fn an_address_that_changes_later_is_told() {
        let password = Password::new("clientPass");
        let config = ClientConfig::new("User", password);
        let mut script = Script::up_with(ClientConfig { address_may_change: true, ..config });
        script.receive_ip().unwrap();
        script.events();
        script.send(frame::IPCP, Code::ConfigureRequest, 9, PEER_ADDRESS);
        assert!(!script.link.is_up());
        let sent = script.sent();
        let request = last_request(&sent, frame::IPCP);
        assert_eq!(request.data[..6], ADDRESSES[..6], "the address it had is asked for");
        script.send(frame::IPCP, Code::ConfigureNak, request.id, &[3, 6, 10, 0, 0, 9]);
        script.acknowledge(frame::IPCP);
        let events = script.events();
        assert!(events.contains(&Event::Renegotiating));
        let Some(Event::Up(negotiated)) = events.last() else { panic!("{events:?}") };
        assert_eq!(negotiated.address, Ipv4Addr::new(10, 0, 0, 9));
        script.receive_ip().expect("the keys are still the same");
    }
}

mod link_control {
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
    fn endless_renegotiation_is_misbehaviour() {
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
    fn a_looped_back_line_is_recognised() {
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
}

mod answers {
    use super::*;

    #[test]
    fn stale_and_doubled_answers_are_ignored() {
        let mut script = Script::at_network();
        let sent = script.sent();
        let request = last_request(&sent, frame::IPCP).clone();
        let (id, data) = (request.id, request.data);
        script.send(frame::IPCP, Code::ConfigureNak, id, ADDRESSES);
        script.sent();
        for code in [Code::ConfigureAck, Code::ConfigureNak, Code::ConfigureReject] {
            script.send(frame::IPCP, code, id, &data);
            script.send(frame::IPCP, code, id.wrapping_add(9), &data);
        }
        assert_eq!(script.link.stats().stale_answers, 6);
        assert_eq!(script.sent(), []);

        script.acknowledge_in(&sent, frame::CCP);
        script.acknowledge_in(&sent, frame::CCP);
        assert_eq!(script.link.stats().stale_answers, 7);
        assert_eq!(script.sent(), []);
    }

    #[test]
    fn an_ack_of_something_else_is_malformed() {
        let mut script = Script::new();
        let sent = script.sent();
        let id = last_request(&sent, frame::LCP).id;
        let discard = script.try_receive(frame::LCP, 2, id, &[1, 4, 9, 9]);
        assert_eq!(discard, Err(Discard::Malformed));
        script.acknowledge_in(&sent, frame::LCP);
    }

    #[test]
    fn a_terminate_ack_from_before_the_peer_was_open_is_old_news() {
        let mut script = Script::at_network();
        let sent = script.sent();
        let request = last_request(&sent, frame::IPCP).clone();
        script.send(frame::IPCP, Code::ConfigureNak, request.id, ADDRESSES);
        let sent = script.sent();
        script.acknowledge_in(&sent, frame::IPCP);
        let id = last_request(&sent, frame::IPCP).id;
        script.send(frame::IPCP, Code::TerminateAck, id, &[]);
        script.wait(4 * SECOND);
        let again = script.sent().into_iter().find(|it| it.protocol == frame::IPCP);
        let again = again.unwrap();
        assert_eq!(
            (again.code, again.id),
            (1, id.wrapping_add(1)),
            "only because theirs is missing"
        );
    }

    #[test]
    fn a_control_frame_that_comes_twice_is_dropped() {
        let mut script = Script::up();
        script.send(frame::LCP, Code::EchoRequest, 1, &[0; 4]);
        script.sequence -= 1;
        let again = script.try_receive(frame::LCP, 9, 1, &[0; 4]);
        assert_eq!(again, Err(Discard::Duplicate));
        assert_eq!(script.sent().len(), 1);
    }

    #[test]
    fn ours_goes_out_again_before_the_ack_when_the_peer_shows_up_late() {
        let mut script = Script::new();
        let first = script.sent();
        script.send(frame::LCP, Code::ConfigureRequest, 0, LCP_REQUEST);
        let sent = script.sent();
        assert_eq!(codes(&sent), [(frame::LCP, 1), (frame::LCP, 2)]);
        assert_eq!(sent[0], first[0], "the same request with the same identifier");
    }

    #[test]
    fn ipcp_goes_out_with_ccp_and_again_when_ccp_opens() {
        let mut script = Script::at_network();
        assert_eq!(codes(&script.sent()), [(frame::CCP, 1), (frame::IPCP, 1)]);
        script.send(frame::CCP, Code::ConfigureRequest, 1, MPPE_128);
        assert_eq!(codes(&script.sent()), [(frame::CCP, 2), (frame::IPCP, 1)]);
        script.send(frame::IPCP, Code::ConfigureRequest, 1, PEER_ADDRESS);
        assert_eq!(codes(&script.sent()), [(frame::IPCP, 1), (frame::IPCP, 2)]);
    }
}

mod timeouts {
    use super::*;

    #[test]
    fn rfc1661_section_4_6_ten_requests_three_seconds_apart() {
        let mut script = Script::new();
        script.wait(29 * SECOND);
        assert_eq!(script.sent().len(), 10);
        assert_eq!(script.failure(), None);
        script.wait(SECOND);
        let expected = Failure::NegotiationTimeout { protocol: Protocol::Lcp };
        assert_eq!(script.failure(), Some(expected));
    }

    #[test]
    fn each_protocol_is_waited_for_and_named() {
        let mut script = Script::at_authentication();
        script.wait(61 * SECOND);
        let chap = Failure::NegotiationTimeout { protocol: Protocol::Chap };
        assert_eq!(script.failure(), Some(chap));

        let mut script = Script::at_network();
        script.wait(31 * SECOND);
        let ccp = Failure::NegotiationTimeout { protocol: Protocol::Ccp };
        assert_eq!(script.failure(), Some(ccp));

        let mut script = Script::at_network();
        script.send(frame::CCP, Code::ConfigureRequest, 1, MPPE_128);
        script.acknowledge(frame::CCP);
        script.wait(31 * SECOND);
        let ipcp = Failure::NegotiationTimeout { protocol: Protocol::Ipcp };
        assert_eq!(script.failure(), Some(ipcp));
    }

    /// CCP gives up at the moment at which the last Echo-Request is due
    #[test]
    fn nothing_is_told_or_asked_behind_the_end() {
        let policy =
            crate::EchoPolicy { silence: 20 * SECOND, interval: 4 * SECOND, unanswered: 3 };
        let config = ClientConfig::new("User", Password::new("clientPass"));
        let mut script = Script::with(ClientConfig { echo: policy, ..config });
        script.open_lcp();
        script.authenticate();
        script.send(frame::IPCP, Code::ConfigureRequest, 1, PEER_ADDRESS);
        let sent = script.sent();
        let Sent { id, .. } = *last_request(&sent, frame::IPCP);
        script.send(frame::IPCP, Code::ConfigureNak, id, ADDRESSES);
        script.acknowledge(frame::IPCP);
        script.wait(27 * SECOND);
        script.events();
        script.sent();
        script.wait(SECOND);
        let failure = Failure::NegotiationTimeout { protocol: Protocol::Ccp };
        let down = Event::Down { phase: Phase::Network, failure };
        assert_eq!(script.events(), [down]);
        let codes: Vec<_> = script.sent().iter().map(|it| (it.protocol, it.code)).collect();
        assert_eq!(codes, [(frame::LCP, Code::TerminateRequest.into())]);
    }

    #[test]
    fn a_link_never_opened_does_nothing() {
        let config = ClientConfig::new("u", Password::new("p"));
        let mut link = Link::client(config, [0; 32]);
        let now = super::super::epoch();
        let arrival = Arrival { sequence: 0, order: Order::Ahead };
        let mut frame = [0xC0, 0x21, 1, 1, 0, 4];
        let received = link.handle_frame(now, arrival, &mut frame);
        assert_eq!(received, Received::Discarded(Discard::Dead));
        link.close(now);
        assert_eq!((link.poll_event(), link.poll_timeout()), (None, None));
        assert_eq!(link.poll_frame(), None);
    }
}

/// An idle link is small: beside this it holds a few short options and the last Response
#[test]
fn an_idle_link_is_small() {
    let size = size_of::<crate::machine::Machine<crate::client::Client>>();
    // 1536, and what the proof of the data path and its figures take
    assert!(size <= 1536 + 152, "{size} octets");
}
