//! The facts that an error tells beside its failure: the moment, and the number from Windows

use pptp_ppp::RasCode;

use super::*;

fn error(failure: impl Into<Failure>, phase: Phase) -> TunnelError {
    let mut timeline = ConnectTimeline::new(Instant::now());
    timeline.enter(timeline.started(), phase);
    TunnelError::new(failure.into(), timeline)
}

#[test]
fn a_server_that_closes_is_told_by_the_moment_with_an_advice_for_each() {
    for (phase, moment, word) in [
        (Phase::ControlConnection, "closed by the peer before it said a word", "limit of conn"),
        (
            Phase::Call,
            "closed by the peer when it was asked for the call",
            "sessions may be in use",
        ),
        (Phase::LinkControl, "closed by the peer after it took the call", "during LCP"),
    ] {
        let error = error(ControlFailure::ConnectionLost, phase);
        assert!(error.to_string().contains(moment), "{error}");
        assert!(error.advice().contains(word), "{error}");
    }
    let up = error(ControlFailure::ConnectionLost, Phase::Up);
    assert_eq!(up.told(), "the TCP connection was closed by the peer");
}

/// Each code with the failure that a link makes of it: number and meaning are in the text, once
#[test]
fn a_code_of_windows_is_told_with_its_number_and_an_advice_that_fits() {
    let ended =
        || LinkFailure::TerminatedByPeer { protocol: Protocol::Lcp, message: String::new() };
    let login = |code| LinkFailure::AuthFailed { code, retry: false, message: String::new() };
    let rejected = || LinkFailure::RejectedProtocol { protocol: Protocol::Ipcp };
    let encryption = || LinkFailure::EncryptionUnavailable { offered: None };
    for (code, failure, meaning, word) in [
        (0, ended(), "the peer wished to end it", "idle or a session limit"),
        (619, ended(), "could not be established", "lost its line"),
        (629, ended(), "closed by the remote computer", "lost its line"),
        (718, ended(), "no answer in time", "lost its line"),
        (721, ended(), "does not answer", "lost its line"),
        (646, login(646), "not at this hour", "hour"),
        (647, login(647), "the account is disabled", "enable it"),
        (648, login(648), "the password has expired", "change it"),
        (649, login(649), "may not dial in", "permission to dial in"),
        (691, login(691), "wrong user name or password", "one of three"),
        (720, rejected(), "no PPP control protocol configured", "TCP/IP"),
        (733, rejected(), "for this network protocol", "TCP/IP"),
        (732, LinkFailure::NoAddress, "does not converge", "pool"),
        (738, LinkFailure::NoAddress, "did not assign an address", "pool"),
        (734, ended(), "LCP was terminated", "dial again"),
        (736, ended(), "terminated the control protocol", "dial again"),
        (741, encryption(), "server does not support", "MPPE 128 bit"),
        (742, encryption(), "client does not support", "MPPE 128 bit"),
        (743, encryption(), "requires encryption", "MPPE 128 bit"),
        (778, LinkFailure::ServerNotAuthentic, "could not prove who it is", "play the server"),
        (
            919,
            LinkFailure::AuthProtocolRefused { offered: None },
            "no authentication protocol in common",
            "MS-CHAPv2",
        ),
        (828, ended(), "without a meaning here", "its log"),
    ] {
        let error = error(failure, Phase::Up).with_ras_code(Some(RasCode(code)));
        let text = error.to_string();
        assert_eq!(text.matches(&format!("error {code}")).count(), 1, "{text}");
        assert!(text.contains(meaning), "{code}: {text}");
        assert!(error.advice().contains(word), "{code}: {}", error.advice());
        let numbers = error.codes().iter().map(|code| code.number).collect::<Vec<_>>();
        assert_eq!(numbers.first(), Some(&code));
        assert_eq!(numbers.iter().filter(|number| **number == code).count(), 1, "{numbers:?}");
    }
}

/// 732 says that CCP does not converge where it ends CCP, and what was offered tells more than 919
#[test]
fn the_advice_after_a_code_fits_the_failure() {
    let with = |failure: LinkFailure, code| {
        error(failure, Phase::Network).with_ras_code(Some(RasCode(code))).advice()
    };
    let encryption = LinkFailure::EncryptionUnavailable { offered: None };
    assert!(with(encryption, 732).contains("MPPE 128 bit"));
    let offered = Some(AuthenticationProtocol::EapMethod(13));
    let tls = LinkFailure::AuthProtocolRefused { offered };
    assert!(with(tls, 919).contains("no certificates"));
}

/// pppd's CCP goes down first at each orderly end, so that its words are about MPPE
#[test]
fn pppds_words_at_a_hang_up_are_not_about_encryption() {
    let message = "MPPE disabled".to_owned();
    let ended = LinkFailure::TerminatedByPeer { protocol: Protocol::Lcp, message };
    let up = error(ended.clone(), Phase::Up);
    for word in ["each orderly hang-up", "idle", "maxconnect", "dial again"] {
        assert!(up.advice().contains(word), "{word:?} is missing: {}", up.advice());
    }
    let negotiating = error(ended, Phase::Network);
    assert!(negotiating.advice().contains("CCP and IPCP"), "there it may well be");
}

/// A server that has only certificates gets no advice about an option that does not exist
#[test]
fn a_server_with_one_protocol_only_gets_an_advice_that_can_be_followed() {
    use AuthenticationProtocol::{ChapMd5, ChapOther, Eap, EapMethod, MsChapV1, Other, Pap};
    for (offered, word, is_optional) in [
        (Pap, "insecure", true),
        (ChapMd5, "insecure", true),
        (MsChapV1, "insecure", true),
        (Eap, "alone or in EAP", false),
        (EapMethod(4), "no other method of EAP", false),
        (EapMethod(13), "no certificates", false),
        (EapMethod(25), "no certificates", false),
        (ChapOther(6), "does not have what it offers", false),
        (Other(0xC025), "does not have what it offers", false),
    ] {
        let failure = Failure::from(LinkFailure::AuthProtocolRefused { offered: Some(offered) });
        assert!(failure.advice().contains(word), "{offered}: {}", failure.advice());
        assert_eq!(failure.advice().contains("option"), is_optional, "{offered}");
    }
}

#[test]
fn gre_from_elsewhere_and_gre_with_a_checksum_are_told_as_what_they_are() {
    let (from, server) = ([192, 0, 2, 7].into(), [192, 0, 2, 1].into());
    let elsewhere = Failure::GreFromElsewhere { from, server }.to_string();
    assert_eq!(elsewhere, "GRE of this call arrives from 192.0.2.7, not from 192.0.2.1");
    let text = |flags, protocol| Failure::GreUnsupported { flags, protocol }.to_string();
    let begin = "GRE of this call arrives with a header that PPTP does not have: flags and version";
    let checksum = format!("{begin} b001, which carry a checksum, protocol type 880b");
    assert_eq!(text(0xB001, 0x880B), checksum);
    assert_eq!(text(0x3001, 0x0800), format!("{begin} 3001, protocol type 0800"));
}
