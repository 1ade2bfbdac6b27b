//! Terminate-Requests with an error code of Windows, of each protocol and in each phase

use std::time::Duration;

use pptp_mschap::Password;

use super::script::{Script, last_request};
use crate::{
    AuthenticationProtocol, ClientConfig, Event, Failure, Phase, Protocol, RasCode, frame,
    wire::packet::Code,
};

fn data(code: u32) -> Vec<u8> {
    [&[0x12, 0x34, 0x56, 0x78, 0x00, 0x3C, 0xCD, 0x74][..], &code.to_be_bytes()].concat()
}

/// Each code with the failure that it means in LCP
fn table() -> Vec<(u32, Failure)> {
    let login = |code| (code, Failure::AuthFailed { code, retry: false, message: String::new() });
    let ended = |code| {
        let message = String::new();
        (code, Failure::TerminatedByPeer { protocol: Protocol::Lcp, message })
    };
    let without = Failure::EncryptionUnavailable { offered: None };
    vec![
        ended(0),
        ended(619),
        ended(629),
        login(646),
        login(647),
        login(648),
        login(649),
        login(691),
        ended(718),
        (720, Failure::RejectedProtocol { protocol: Protocol::Ipcp }),
        ended(721),
        (732, Failure::NoAddress),
        (733, Failure::RejectedProtocol { protocol: Protocol::Ipcp }),
        ended(734),
        ended(736),
        (738, Failure::NoAddress),
        (741, without.clone()),
        (742, without.clone()),
        (743, without),
        (778, Failure::ServerNotAuthentic),
        (919, Failure::AuthProtocolRefused { offered: None }),
        ended(828),
        ended(u32::MAX),
    ]
}

/// The failure, and the code of Windows that was told before it
fn told(script: &mut Script) -> (Option<Failure>, Option<RasCode>) {
    let events = script.events();
    let code = events.iter().find_map(|event| match event {
        Event::PeerSaid(code) => Some(*code),
        _ => None,
    });
    let failure = events.into_iter().find_map(|event| match event {
        Event::Down { failure, .. } => Some(failure),
        _ => None,
    });
    (failure, code)
}

fn end(mut script: Script, protocol: u16, code: u32) -> (Option<Failure>, Option<RasCode>) {
    script.send(protocol, Code::TerminateRequest, 77, &data(code));
    told(&mut script)
}

#[test]
fn each_code_in_lcp_is_the_failure_that_it_means_in_each_phase() {
    let phases: [(fn() -> Script, Phase); 4] = [
        (Script::new, Phase::LinkControl),
        (Script::at_authentication, Phase::Authentication),
        (Script::at_network, Phase::Network),
        (Script::up, Phase::Up),
    ];
    for (begin, phase) in phases {
        for (code, failure) in table() {
            let script = begin();
            assert_eq!(script.link.phase(), phase);
            let ended = end(script, frame::LCP, code);
            assert_eq!(ended, (Some(failure), Some(RasCode(code))), "{code} in {phase}");
        }
    }
}

#[test]
fn each_code_in_ipcp_is_the_failure_that_it_means_before_and_after_up() {
    for begin in [Script::at_network, Script::up] {
        for (code, mut failure) in table() {
            if let Failure::TerminatedByPeer { protocol, .. } = &mut failure {
                *protocol = Protocol::Ipcp;
            }
            let ended = end(begin(), frame::IPCP, code);
            assert_eq!(ended, (Some(failure), Some(RasCode(code))), "{code}");
        }
    }
}

/// The encryption is the part that does not converge there, or is missing there
#[test]
fn each_code_in_ccp_is_the_failure_that_it_means_before_and_after_up() {
    for begin in [Script::at_network, Script::up] {
        for (code, mut failure) in table() {
            match &mut failure {
                Failure::TerminatedByPeer { protocol, .. }
                | Failure::RejectedProtocol { protocol } => *protocol = Protocol::Ccp,
                Failure::NoAddress => failure = Failure::EncryptionUnavailable { offered: None },
                _ => {}
            }
            let ended = end(begin(), frame::CCP, code);
            assert_eq!(ended, (Some(failure), Some(RasCode(code))), "{code}");
        }
    }
}

/// A server that is refused EAP's method says 691 of a login that it has never seen
#[test]
fn what_was_refused_before_goes_before_a_code_about_the_login() {
    let pap = &[1, 4, 5, 0x78, 3, 4, 0xC0, 0x23];
    for code in [691, 919] {
        let mut script = Script::new();
        script.send(frame::LCP, Code::ConfigureRequest, 0, pap);
        let offered = Some(AuthenticationProtocol::Pap);
        let expected = Failure::AuthProtocolRefused { offered };
        assert_eq!(end(script, frame::LCP, code), (Some(expected), Some(RasCode(code))));
    }
    let config = ClientConfig::new("User", Password::new("clientPass"));
    let mut script = Script::with(config);
    let eap = &[1, 4, 5, 0x78, 3, 4, 0xC2, 0x27];
    script.send(frame::LCP, Code::ConfigureRequest, 0, eap);
    script.send(frame::LCP, Code::ConfigureRequest, 1, eap);
    script.acknowledge(frame::LCP);
    script.receive(frame::EAP, 1, 1, &[13, 0x20]);
    let offered = Some(AuthenticationProtocol::EapMethod(13));
    let expected = Failure::AuthProtocolRefused { offered };
    assert_eq!(script.link.disagreement(), Some(expected.clone()));
    assert_eq!(end(script, frame::LCP, 691), (Some(expected), Some(RasCode(691))));
}

#[test]
fn a_peer_that_hangs_up_with_words_has_no_code() {
    let mut script = Script::up();
    script.send(frame::LCP, Code::TerminateRequest, 7, b"MPPE disabled");
    let message = "MPPE disabled".to_owned();
    let expected = Failure::TerminatedByPeer { protocol: Protocol::Lcp, message };
    assert_eq!(told(&mut script), (Some(expected), None));
}

/// Its restart timer sends the same request each 3 s, whatever we say to it
#[test]
fn a_server_deaf_to_our_refusal_of_pap_is_given_up_when_it_has_asked_five_times() {
    let pap = &[1, 4, 5, 0x78, 3, 4, 0xC0, 0x23];
    for naks in [0, 5] {
        let mut script = Script::new();
        script.acknowledge(frame::LCP);
        for id in 1..=naks {
            script.send(frame::LCP, Code::ConfigureRequest, id, pap);
        }
        let begun = script.now;
        let mut failure = None;
        for _ in 0..10 {
            script.send(frame::LCP, Code::ConfigureRequest, 9, pap);
            failure = script.failure();
            if failure.is_some() {
                break;
            }
            script.wait(Duration::from_secs(3));
        }
        let offered = Some(AuthenticationProtocol::Pap);
        assert_eq!(failure, Some(Failure::AuthProtocolRefused { offered }), "{naks}");
        assert_eq!(script.now - begun, Duration::from_secs(12), "{naks}");
    }
}

/// The peer may have received nothing of ours: then the line is at fault, which other tests cover
#[test]
fn a_server_that_has_answered_nothing_of_ours_is_not_called_deaf() {
    let mut script = Script::new();
    for _ in 0..8 {
        script.send(frame::LCP, Code::ConfigureRequest, 9, &[1, 4, 5, 0x78, 3, 4, 0xC0, 0x23]);
        script.wait(Duration::from_secs(3));
    }
    assert_eq!(script.failure(), None);
    let sent = script.sent();
    assert_eq!(last_request(&sent, frame::LCP).code, 1, "it asks on");
}
