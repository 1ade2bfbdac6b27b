//! The texts and names of failures, word for word

use super::*;
use crate::Quirks;

/// All failures in the enum's order, each with its name and its text
fn table() -> Vec<(Failure, &'static str, &'static str)> {
    let recognized = Recognized { name: "Orckit".into(), quirks: Quirks::ORCKIT };
    let (error, none) = (GeneralError::NoResource, GeneralError::None);
    vec![
        (
            Failure::NotPptp { first: b"HTTP/1.1\r\n\x1b".to_vec() },
            "NotPptp",
            r#"the server does not speak PPTP: it sent "HTTP/1.1\r\n\x1b""#,
        ),
        (
            Failure::NoControlReply,
            "NoControlReply",
            "no reply to the Start-Control-Connection-Request",
        ),
        #[cfg(feature = "server")]
        (Failure::NoControlRequest, "NoControlRequest", "no Start-Control-Connection-Request"),
        (
            Failure::VersionUnsupported { version: 0x0200 },
            "VersionUnsupported",
            "the peer speaks PPTP version 0x0200",
        ),
        (
            Failure::ControlRefused { result: StartResult::GeneralError, error },
            "ControlRefused",
            "control connection refused: general error (no resource)",
        ),
        (Failure::NoCallReply, "NoCallReply", "no reply to the Outgoing-Call-Request"),
        (
            Failure::CallRefused { result: OutgoingCallResult::Unknown(9), error: none, cause: 34 },
            "CallRefused",
            "call refused: unknown code 9 (no error, cause 34)",
        ),
        (
            Failure::CallDisconnected {
                result: DisconnectResult::LostCarrier,
                error: none,
                cause: 16,
            },
            "CallDisconnected",
            "call disconnected by the peer: lost carrier (no error, cause 16)",
        ),
        #[cfg(feature = "server")]
        (Failure::CallCleared, "CallCleared", "call cleared by the peer"),
        (
            Failure::StoppedByPeer { reason: StopReason::StopLocalShutdown },
            "StoppedByPeer",
            "control connection stopped by the peer: shutting down",
        ),
        (Failure::EchoTimeout, "ControlEchoTimeout", "no reply to an Echo-Request"),
        (
            Failure::Recognized(Box::new(recognized)),
            "Recognized",
            "the server is of the kind Orckit, which has to be dialled otherwise",
        ),
        (Failure::ConnectionLost, "ConnectionLost", "the TCP connection was closed by the peer"),
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
    for (failure, name, words) in table() {
        assert_eq!(failure.name(), name);
        assert_eq!(failure.to_string(), words);
    }
    let names: Vec<_> = table().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, Failure::NAMES, "all of them, in order");
}
