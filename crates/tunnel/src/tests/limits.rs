//! Every number that is told to people, at the ends of its range: nothing is cut off, nothing wraps

use pptp_control::{
    ControlType, DisconnectResult, Failure as ControlFailure, GeneralError, OutgoingCallResult,
    ParseError, PeerMisbehaved, StartResult, StopReason,
};
use pptp_gre::ParseError as GreParseError;
use pptp_ppp::{AuthenticationProtocol, Failure as LinkFailure, MppeBits, Protocol, WrongKey};

use crate::Failure;

fn control(result: u8, wide: u16) -> [(Failure, String); 8] {
    let error = GeneralError::from(result);
    let wrong = |error| Failure::from(ControlFailure::from(PeerMisbehaved::from(error)));
    [
        (
            ControlFailure::ControlRefused { result: StartResult::from(result), error }.into(),
            result.to_string(),
        ),
        (
            ControlFailure::CallRefused {
                result: OutgoingCallResult::from(result),
                error,
                cause: wide,
            }
            .into(),
            wide.to_string(),
        ),
        (
            ControlFailure::CallDisconnected {
                result: DisconnectResult::from(result),
                error,
                cause: wide,
            }
            .into(),
            wide.to_string(),
        ),
        (
            ControlFailure::StoppedByPeer { reason: StopReason::from(result) }.into(),
            result.to_string(),
        ),
        (ControlFailure::VersionUnsupported { version: wide }.into(), format!("{wide:#06x}")),
        (wrong(ParseError::Length(wide)), wide.to_string()),
        (wrong(ParseError::UnknownType(wide)), wide.to_string()),
        (
            ControlFailure::from(PeerMisbehaved::OutOfPhase(ControlType::from(wide))).into(),
            wide.to_string(),
        ),
    ]
}

fn link(small: u8, wide: u16, widest: u32) -> [(Failure, String); 7] {
    let refused =
        |offered| Failure::from(LinkFailure::AuthProtocolRefused { offered: Some(offered) });
    let failed = LinkFailure::AuthFailed { code: widest, retry: false, message: String::from("M") };
    let rejected = LinkFailure::RejectedCode { protocol: Protocol::Ccp, code: small };
    let nothing = WrongKey::NothingOpens { packets: u64::from(widest) << 32 };
    [
        (failed.into(), widest.to_string()),
        (rejected.into(), small.to_string()),
        (LinkFailure::EchoTimeout { unanswered: small }.into(), small.to_string()),
        (refused(AuthenticationProtocol::Other(wide)), format!("{wide:04x}")),
        (refused(AuthenticationProtocol::ChapOther(small)), format!("{small:02x}")),
        (refused(AuthenticationProtocol::EapMethod(small)), small.to_string()),
        (LinkFailure::WrongKey(nothing).into(), (u64::from(widest) << 32).to_string()),
    ]
}

#[test]
fn numbers_in_failures_are_told_whole_from_their_smallest_to_their_largest() {
    let least = control(0x7F, 16).into_iter().chain(link(0x63, 16, 1));
    let most = control(u8::MAX, u16::MAX).into_iter().chain(link(u8::MAX, u16::MAX, u32::MAX));
    for (failure, number) in least.chain(most) {
        let told = failure.to_string();
        assert!(told.contains(&number), "{number} in {told:?}");
    }
}

#[test]
fn numbers_of_the_wire_are_told_whole() {
    for (told, number) in [
        (GreParseError::Flags(u16::MAX).to_string(), "0xffff"),
        (GreParseError::Flags(0).to_string(), "0x0000"),
        (GreParseError::Protocol(u16::MAX).to_string(), "0xffff"),
        (MppeBits(u32::MAX).to_string(), "+H+M+S+L+D+C"),
        (MppeBits(0).to_string(), "no encryption"),
    ] {
        assert!(told.contains(number), "{number} in {told:?}");
    }
}
