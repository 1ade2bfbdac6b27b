//! Rows of all failures of the state machine: their names, texts, layers and codes

use std::{collections::BTreeSet, time::Instant};

use pptp_control::{
    ControlType, DisconnectResult, GeneralError, OutgoingCallResult, ParseError, PeerMisbehaved,
    Quirks, Recognized, StartResult, StopReason,
};
use pptp_ppp::{
    Assigned, AuthenticationProtocol, MppeBits, NothingPasses, Protocol, Rule, WrongKey,
};

use super::{
    Layer::{Authentication, Call, ControlConnection, Encryption, Gre, Link, Network, Program},
    Retry::{Later, Never, OnRequest, Soon},
    *,
};

/// A failure, and what it tells: layer, number of the code, retry, a word of the advice
type Row = (Failure, Option<Layer>, Option<u32>, Retry, &'static str);

/// At least one failure of each name there is
fn table() -> Vec<Row> {
    let own = own().into_iter();
    let control = control().into_iter().map(|(failed, layer, code, retry, word)| {
        (Failure::from(failed), Some(layer), code, retry, word)
    });
    let link = link().into_iter().map(|(failure, layer, code, retry, word)| {
        (Failure::from(failure), Some(layer), code, retry, word)
    });
    own.chain(control).chain(link).collect()
}

fn own() -> Vec<Row> {
    let limit = Duration::from_secs(30);
    let gre = |after, heard| Failure::GreBlocked { after, heard, send_error: None };
    let from = "192.0.2.7".parse().unwrap();
    let elsewhere = Failure::GreFromElsewhere { from, server: "192.0.2.1".parse().unwrap() };
    let unsupported = Failure::GreUnsupported { flags: 0xB001, protocol: 0x880B };
    vec![
        (gre(Duration::ZERO, false), Some(Gre), Some(2), Later, "protocol 47"),
        (gre(limit, false), Some(Gre), None, Later, "both ways"),
        (gre(limit, true), Some(Gre), None, Later, "ours does not"),
        (Failure::ConnectTimeout { limit }, None, None, Soon, "where the time went"),
        (elsewhere, Some(Gre), None, Later, "address that was dialled"),
        (unsupported, Some(Gre), None, Later, "checksums"),
        (Failure::Closed, Some(Program), None, OnRequest, "this side"),
    ]
}

type ControlRow = (ControlFailure, Layer, Option<u32>, Retry, &'static str);

fn control() -> Vec<ControlRow> {
    let (error, none, cause) = (GeneralError::NoResource, GeneralError::None, 0);
    let refused = |result, error| ControlFailure::ControlRefused { result, error };
    let call = |result, error| ControlFailure::CallRefused { result, error, cause: 34 };
    let general = OutgoingCallResult::GeneralError;
    let disconnected = ControlFailure::CallDisconnected {
        result: DisconnectResult::AdminShutdown,
        error: none,
        cause,
    };
    let stopped = ControlFailure::StoppedByPeer { reason: StopReason::StopLocalShutdown };
    let broke = |rule| ControlFailure::PeerMisbehaved(rule);
    let lost = PeerMisbehaved::LostSync(ParseError::Truncated);
    let phase = PeerMisbehaved::OutOfPhase(ControlType::IncomingCallConnected);
    let control = ControlConnection;
    let recognized = Box::new(Recognized { name: "Orckit".into(), quirks: Quirks::ORCKIT });
    vec![
        (ControlFailure::NotPptp { first: b"HTTP".into() }, control, None, Later, "something else"),
        (ControlFailure::NoControlReply, control, None, Soon, "right host"),
        (ControlFailure::VersionUnsupported { version: 0x200 }, control, Some(0x200), Later, "1.0"),
        (refused(StartResult::GeneralError, error), control, Some(4), Soon, "full"),
        (refused(StartResult::ChannelExists, none), control, Some(3), Soon, "already"),
        (refused(StartResult::NotAuthorized, none), control, Some(4), Later, "host name"),
        (refused(StartResult::Unknown(9), none), control, Some(9), Soon, "log"),
        (ControlFailure::NoCallReply, Call, None, Soon, "restart"),
        (call(general, error), Call, Some(4), Soon, "full"),
        (call(general, GeneralError::PacError), Call, Some(6), Soon, "phone number"),
        (call(OutgoingCallResult::Busy, none), Call, Some(4), Soon, "taken"),
        (call(OutgoingCallResult::DoNotAccept, none), Call, Some(7), Later, "phone number"),
        (disconnected, Call, Some(3), Soon, "dial again"),
        (stopped, control, Some(3), Soon, "dial again"),
        (ControlFailure::EchoTimeout, control, None, Soon, "NAT"),
        (ControlFailure::Recognized(recognized), control, None, Soon, "quirks"),
        (ControlFailure::ConnectionLost, control, None, Soon, "dial again"),
        (broke(lost), control, None, Soon, "RFC 2637"),
        (broke(phase), control, None, Soon, "RFC 2637"),
        (broke(PeerMisbehaved::AnswersUnread), control, None, Soon, "RFC 2637"),
        #[cfg(feature = "server")]
        (ControlFailure::NoControlRequest, control, None, Soon, "log"),
        #[cfg(feature = "server")]
        (ControlFailure::CallCleared, control, None, Soon, "log"),
    ]
}

type LinkRow = (LinkFailure, Layer, Option<u32>, Retry, &'static str);

fn link() -> Vec<LinkRow> {
    let login = |code| LinkFailure::AuthFailed { code, retry: false, message: String::new() };
    let protocol = |offered| LinkFailure::AuthProtocolRefused { offered };
    let (pap, md5) = (AuthenticationProtocol::Pap, AuthenticationProtocol::ChapMd5);
    let encryption = |offered| LinkFailure::EncryptionUnavailable { offered };
    let demanded = LinkFailure::EncryptionDemanded { offered: Some(MppeBits::STATELESS_128) };
    let random = WrongKey::RandomProtocols([0x3B12, 0x91C4, 0x77A0]);
    let timeout = |protocol| LinkFailure::NegotiationTimeout { protocol };
    let terminated =
        LinkFailure::TerminatedByPeer { protocol: Protocol::Lcp, message: "bye".into() };
    let rejected = |protocol| LinkFailure::RejectedProtocol { protocol };
    let echo = LinkFailure::EchoTimeout { unanswered: 4 };
    vec![
        (login(646), Authentication, Some(646), Later, "hour"),
        (login(647), Authentication, Some(647), Never, "disabled"),
        (login(648), Authentication, Some(648), Never, "expired"),
        (login(649), Authentication, Some(649), Never, "permission to dial in"),
        (login(691), Authentication, Some(691), Later, "one of three"),
        (login(709), Authentication, Some(709), Never, "new password"),
        (login(0), Authentication, None, Later, "user and password"),
        (login(1), Authentication, Some(1), Later, "earlier session"),
        (LinkFailure::ServerNotAuthentic, Authentication, None, Never, "play the server"),
        (protocol(None), Authentication, None, Later, "everybody"),
        (protocol(Some(pap)), Authentication, Some(0xC023), Later, "insecure"),
        (protocol(Some(md5)), Authentication, Some(0xC2_2305), Later, "MS-CHAPv2"),
        (
            LinkFailure::AuthProtocolWithdrawn { offered: pap },
            Authentication,
            Some(0xC023),
            Later,
            "first asking",
        ),
        (
            LinkFailure::AuthProtocolWithoutKeys { offered: md5 },
            Authentication,
            Some(0xC2_2305),
            Later,
            "without encryption",
        ),
        (encryption(None), Encryption, None, Later, "MPPE"),
        (encryption(Some(MppeBits(0x20))), Encryption, Some(0x20), Later, "128 bits"),
        (demanded, Encryption, Some(0x0100_0040), Later, "do not refuse"),
        (LinkFailure::EncryptionLost, Encryption, None, Soon, "in the clear"),
        (
            LinkFailure::Undecryptable(pptp_mppe::Discard::OutOfReach),
            Encryption,
            None,
            Soon,
            "loses",
        ),
        (LinkFailure::WrongKey(random), Encryption, Some(0x3B12), Later, "RADIUS"),
        (
            LinkFailure::NothingPasses(NothingPasses::Silence { pings: 4, echoes: 4 }),
            Encryption,
            None,
            Soon,
            "dial again",
        ),
        (LinkFailure::NoAddress, Network, None, Later, "pool"),
        (
            LinkFailure::AddressChanged {
                assigned: Assigned::InnerAddress,
                old: None,
                new: Ipv4Addr::new(6, 6, 6, 6),
            },
            Network,
            None,
            Soon,
            "address_may_change",
        ),
        (LinkFailure::Loopback, Link, None, Soon, "modem"),
        (echo, Link, None, Soon, "NAT"),
        (timeout(Protocol::Lcp), Link, None, Soon, "fell silent"),
        (timeout(Protocol::Pap), Authentication, None, Soon, "RADIUS"),
        (timeout(Protocol::Chap), Authentication, None, Soon, "RADIUS"),
        (timeout(Protocol::Eap), Authentication, None, Soon, "RADIUS"),
        (timeout(Protocol::Ccp), Encryption, None, Soon, "fell silent"),
        (LinkFailure::NoAgreement { protocol: Protocol::Ipcp }, Network, None, Soon, "option"),
        (terminated, Link, Some(5), Soon, "words"),
        (rejected(Protocol::Ccp), Encryption, Some(0x80FD), Later, "cannot encrypt"),
        (rejected(Protocol::Ipcp), Network, Some(0x8021), Later, "firmware"),
        (
            LinkFailure::RejectedCode { protocol: Protocol::Lcp, code: 5 },
            Link,
            Some(5),
            Soon,
            "firmware",
        ),
        (LinkFailure::PeerMisbehaved(Rule::EndlessRenegotiation), Link, None, Soon, "RFC 1661"),
    ]
}

#[test]
fn every_failure_tells_its_layer_its_code_when_to_try_again_and_what_to_do() {
    for (failure, layer, code, retry, word) in table() {
        let name = failure.name();
        assert_eq!(failure.layer(), layer, "{name}");
        assert_eq!(failure.code().map(|code| code.number), code, "{name}: {:?}", failure.codes());
        assert_eq!(failure.retry(), retry, "{name}");
        let is_off = matches!(retry, Never | OnRequest);
        assert_eq!(failure.retry_after().is_none(), is_off, "{name}");
        assert!(failure.advice().contains(word), "{name}: {:?} lacks {word:?}", failure.advice());
        assert!(
            !failure.to_string().is_empty() && !failure.to_string().ends_with('.'),
            "{failure}"
        );
        assert!(!failure.advice().ends_with('.'), "{name}");
        for code in failure.codes() {
            assert!(code.defined_in.starts_with("RFC ") && !code.name.is_empty(), "{name}: {code}");
        }
    }
}

/// A failure without a name does not compile; one without a row here fails this
#[test]
fn no_failure_is_forgotten() {
    let there: BTreeSet<_> = Failure::names().collect();
    let tested: BTreeSet<_> = table().iter().map(|(failure, ..)| failure.name()).collect();
    assert_eq!(there, tested);
    assert_eq!(there.len(), Failure::names().count(), "no two have the same name");
}

#[test]
fn error_691_lists_its_three_causes_and_the_session_that_may_be_alive() {
    let advice = Failure::from(link().swap_remove(4).0).advice();
    for cause in [
        "user is unknown",
        r"DOMAIN\user",
        "password is wrong",
        "policy",
        "an earlier session of this user may still be alive",
    ] {
        assert!(advice.contains(cause), "{cause:?} is missing: {advice}");
    }
}

#[test]
fn codes_have_the_names_of_their_rfcs() {
    let named = |failure: Failure| failure.codes().iter().map(Code::to_string).collect::<Vec<_>>();
    let call = ControlFailure::CallRefused {
        result: OutgoingCallResult::GeneralError,
        error: GeneralError::NoResource,
        cause: 34,
    };
    let expected = [
        "Error Code of Outgoing-Call-Reply 4 (No-Resource, RFC 2637 §2.16)",
        "Result Code of Outgoing-Call-Reply 2 (General Error, RFC 2637 §2.8)",
        "Cause Code of Outgoing-Call-Reply 34 (a cause of Q.931, RFC 2637 §2.8)",
    ];
    assert_eq!(named(call.into()), expected);
    let login = LinkFailure::AuthFailed { code: 649, retry: false, message: String::new() };
    let expected = ["E= of CHAP Failure 649 (ERROR_NO_DIALIN_PERMISSION, RFC 2759 §6)"];
    assert_eq!(named(login.into()), expected);
    let login = LinkFailure::AuthFailed { code: 1, retry: false, message: String::new() };
    assert_eq!(named(login.into()), ["E= of CHAP Failure 1 (Unknown, RFC 2759 §6)"]);
}

#[test]
fn exit_codes_are_distinct_and_none_is_success() {
    let codes: BTreeSet<_> = Layer::ALL.into_iter().map(Layer::exit_code).collect();
    assert_eq!(codes.len(), Layer::ALL.len());
    assert!(!codes.contains(&0));
    let names: BTreeSet<_> = Layer::ALL.into_iter().map(Layer::name).collect();
    assert_eq!(names.len(), Layer::ALL.len());
}

#[test]
fn a_hang_up_in_the_middle_of_something_is_that_layers() {
    let at = |phase| {
        let mut timeline = ConnectTimeline::new(Instant::now());
        timeline.enter(timeline.started(), phase);
        TunnelError::new(ControlFailure::ConnectionLost.into(), timeline)
    };
    for (phase, layer, word) in [
        (Phase::Resolve, "name", "dial again"),
        (Phase::TcpConnect, "tcp", "dial again"),
        (Phase::ControlConnection, "control", "dial again"),
        (Phase::Call, "call", "dial again"),
        (Phase::LinkControl, "link", "during LCP"),
        (Phase::Network, "network", "during CCP and IPCP"),
    ] {
        let error = at(phase);
        assert_eq!(error.layer().to_string(), layer, "{phase}");
        assert!(error.advice().contains(word), "{phase}: {}", error.advice());
    }
    assert_eq!(at(Phase::Authentication).layer(), Authentication);
    assert!(at(Phase::Authentication).advice().contains("user and password"));
    assert_eq!(at(Phase::Network).layer(), Network);
    assert_eq!(at(Phase::Up).layer(), ControlConnection);
    assert_eq!(at(Phase::Up).advice(), Failure::from(ControlFailure::ConnectionLost).advice());
}

#[test]
fn an_error_tells_what_where_and_what_to_do() {
    let mut timeline = ConnectTimeline::new(Instant::now());
    timeline.enter(timeline.started(), Phase::Authentication);
    let failure =
        LinkFailure::AuthFailed { code: 691, retry: true, message: "Access denied".into() };
    let text = TunnelError::new(failure.into(), timeline).to_string();
    assert!(text.starts_with("AuthFailed: "), "{text}");
    for part in ["691", "Access denied", "phase: authentication", "one of three"] {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
}

#[test]
fn an_error_of_a_tunnel_is_that_of_its_failure() {
    for (failure, ..) in table() {
        let error = TunnelError::new(failure.clone(), ConnectTimeline::new(Instant::now()));
        assert_eq!(error.codes(), failure.codes());
        assert_eq!((error.retry(), error.retry_after()), (failure.retry(), failure.retry_after()));
        assert_eq!(error.advice(), failure.advice_in(Phase::Resolve, None));
    }
}

#[test]
fn a_timeout_tells_where_the_time_went() {
    let start = Instant::now();
    let mut timeline = ConnectTimeline::new(start);
    timeline.enter(start + Duration::from_millis(7), Phase::TcpConnect);
    timeline.end(start + Duration::from_secs(3));
    let error =
        TunnelError::new(Failure::ConnectTimeout { limit: Duration::from_secs(3) }, timeline);
    let text = error.to_string();
    assert!(text.contains("name resolution 7 ms, TCP connect 2993 ms"), "{text}");
    assert_eq!(error.layer(), Layer::Tcp);
}

mod class;
mod told;
