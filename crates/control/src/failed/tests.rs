//! The texts and names of failures, word for word

use super::*;
use crate::Quirks;

/// All failures in the enum's order, each with its name and its text
fn table() -> Vec<(Failed, &'static str, &'static str)> {
    let recognized = Recognized { name: "Orckit".into(), quirks: Quirks::ORCKIT };
    let (error, none) = (GeneralError::NoResource, GeneralError::None);
    vec![
        (
            Failed::NotPptp { first: b"HTTP/1.1\r\n\x1b".to_vec() },
            "NotPptp",
            r#"the server does not speak PPTP: it sent "HTTP/1.1\r\n\x1b""#,
        ),
        (
            Failed::NoControlReply,
            "NoControlReply",
            "no reply to the Start-Control-Connection-Request",
        ),
        #[cfg(feature = "server")]
        (Failed::NoControlRequest, "NoControlRequest", "no Start-Control-Connection-Request"),
        (
            Failed::VersionUnsupported { version: 0x0200 },
            "VersionUnsupported",
            "the peer speaks PPTP version 0x0200",
        ),
        (
            Failed::ControlRefused { result: StartResult::GeneralError, error },
            "ControlRefused",
            "control connection refused: general error (no resource)",
        ),
        (Failed::NoCallReply, "NoCallReply", "no reply to the Outgoing-Call-Request"),
        (
            Failed::CallRefused { result: OutgoingCallResult::Unknown(9), error: none, cause: 34 },
            "CallRefused",
            "call refused: unknown code 9 (no error, cause 34)",
        ),
        (
            Failed::CallDisconnected {
                result: DisconnectResult::LostCarrier,
                error: none,
                cause: 16,
            },
            "CallDisconnected",
            "call disconnected by the peer: lost carrier (no error, cause 16)",
        ),
        #[cfg(feature = "server")]
        (Failed::CallCleared, "CallCleared", "call cleared by the peer"),
        (
            Failed::StoppedByPeer { reason: StopReason::StopLocalShutdown },
            "StoppedByPeer",
            "control connection stopped by the peer: shutting down",
        ),
        (Failed::EchoTimeout, "ControlEchoTimeout", "no reply to an Echo-Request"),
        (
            Failed::Recognized(Box::new(recognized)),
            "Recognized",
            "the server is of the kind Orckit, which has to be dialled otherwise",
        ),
        (Failed::ConnectionLost, "ConnectionLost", "the TCP connection was closed by the peer"),
        (
            PeerMisbehaved::LostSync(ParseError::UnknownType(99)).into(),
            "LostSync",
            "lost synchronization: control type 99",
        ),
        (
            PeerMisbehaved::OutOfPhase(ControlType::WanErrorNotify).into(),
            "ControlOutOfPhase",
            "WAN-Error-Notify out of phase",
        ),
        (
            PeerMisbehaved::AnswersUnread.into(),
            "AnswersUnread",
            "more than 4 KiB of answers left unread",
        ),
    ]
}

#[test]
fn each_has_its_name_and_says_what_happened() {
    for (failed, name, words) in table() {
        assert_eq!(failed.name(), name);
        assert_eq!(failed.to_string(), words);
    }
    let names: Vec<_> = table().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, Failed::NAMES, "all of them, in order");
}
