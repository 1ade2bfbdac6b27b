//! What a program that depends on `pptp` alone can name: every type inside a failure or a figure
//!
//! Each is written out as a type here, so that one which is not exported does not compile.

use std::{
    error::Error,
    io,
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use pptp::{
    State, Stats, TunnelError,
    config::{AuthenticationProtocol, MppeBits},
    error::{
        Code, ControlFailure, ControlParseError, ControlType, DisconnectResult, Failure,
        GeneralError, LinkFailure, LinkProtocol, LinkRule, OutgoingCallResult, PeerMisbehaved,
        Phase, StartResult, StopReason, TunnelFailure, WrongKey,
    },
    info::{ConnectTimeline, Redial},
    net::{ShutDown, SocketError},
    quirks::Recognized,
    stats::{ClientStats, GreStats, LinkStats, MppeDiscard, MppeStats, TunnelStats},
};
use pptp_testkit::DEVICE;
use pptp_tests::World;
use tokio::io::AsyncReadExt;

/// The figures that a dashboard would show
fn figures(stats: &Stats) -> (GreStats, LinkStats, MppeStats) {
    let TunnelStats { gre, link, mppe, .. } = stats.tunnel;
    (gre, link, mppe)
}

/// What a dial loop that wants to know everything would match
fn of_control(failure: &ControlFailure) -> String {
    fn is<T: std::fmt::Display>(result: &T, error: GeneralError) -> String {
        format!("{result}, {error}")
    }
    match failure {
        ControlFailure::CallRefused { result: OutgoingCallResult::Busy, .. } => "busy".to_owned(),
        ControlFailure::CallRefused { result, error, cause: _ } => {
            is::<OutgoingCallResult>(result, *error)
        }
        ControlFailure::ControlRefused { result, error } => is::<StartResult>(result, *error),
        ControlFailure::CallDisconnected { result, error, .. } => {
            is::<DisconnectResult>(result, *error)
        }
        ControlFailure::StoppedByPeer { reason: StopReason::StopLocalShutdown } => {
            "ends".to_owned()
        }
        ControlFailure::StoppedByPeer { reason } => StopReason::to_string(reason),
        ControlFailure::Recognized(recognized) => Recognized::clone(recognized).name.into_owned(),
        ControlFailure::PeerMisbehaved(rule) => misbehaved(*rule),
        other => other.to_string(),
    }
}

fn misbehaved(rule: PeerMisbehaved) -> String {
    match rule {
        PeerMisbehaved::LostSync(error) => ControlParseError::to_string(&error),
        PeerMisbehaved::OutOfPhase(ControlType::EchoRequest) => "an echo".to_owned(),
        PeerMisbehaved::OutOfPhase(other) => ControlType::to_string(&other),
        other => other.to_string(),
    }
}

fn of_link(failure: &LinkFailure) -> String {
    match failure {
        LinkFailure::NoAgreement { protocol: LinkProtocol::Ccp } => "no MPPE".to_owned(),
        LinkFailure::NegotiationTimeout { protocol } => LinkProtocol::to_string(protocol),
        LinkFailure::Undecryptable(MppeDiscard::ScoreLimit) => "header bits".to_owned(),
        LinkFailure::Undecryptable(discard) => MppeDiscard::to_string(discard),
        LinkFailure::WrongKey(WrongKey::NothingOpens { packets }) => packets.to_string(),
        LinkFailure::EncryptionUnavailable { offered } => {
            format!("{:?}", Option::<MppeBits>::as_ref(offered))
        }
        LinkFailure::AuthProtocolWithdrawn { offered } => {
            AuthenticationProtocol::to_string(offered)
        }
        LinkFailure::PeerMisbehaved(LinkRule::EndlessRenegotiation) => "without end".to_owned(),
        other => other.to_string(),
    }
}

fn in_words(failure: &Failure) -> String {
    match failure {
        Failure::Tunnel(TunnelFailure::Control(control)) => of_control(control),
        Failure::Tunnel(TunnelFailure::Link(link)) => of_link(link),
        Failure::TcpRefused { address } => SocketAddrV4::to_string(address),
        other => other.to_string(),
    }
}

fn error(failure: impl Into<Failure>) -> TunnelError {
    TunnelError::new(failure, ConnectTimeline::new(Instant::now()))
}

#[test]
fn each_type_inside_a_failure_can_be_matched() {
    let busy = ControlFailure::CallRefused {
        result: OutgoingCallResult::Busy,
        error: GeneralError::None,
        cause: 0,
    };
    let lost = ControlFailure::PeerMisbehaved(ControlParseError::MagicCookie.into());
    let of_control: [(ControlFailure, &str); 3] = [
        (busy, "busy"),
        (ControlFailure::StoppedByPeer { reason: StopReason::StopLocalShutdown }, "ends"),
        (lost, "wrong magic cookie"),
    ];
    for (failure, words) in of_control {
        let error = error(failure);
        assert_eq!(in_words(&error.failure), words);
        assert!(error.codes().iter().all(|code: &Code| !code.to_string().is_empty()));
    }
    let of_link: [(LinkFailure, &str); 3] = [
        (LinkFailure::NoAgreement { protocol: LinkProtocol::Ccp }, "no MPPE"),
        (LinkFailure::Undecryptable(MppeDiscard::ScoreLimit), "header bits"),
        (LinkFailure::PeerMisbehaved(LinkRule::EndlessRenegotiation), "without end"),
    ];
    for (failure, words) in of_link {
        assert_eq!(in_words(&error(failure).failure), words);
    }
}

/// The phase or the reason that a state names
fn told(state: &State) -> String {
    match state {
        State::Connecting { phase } => Phase::to_string(phase),
        State::Redialling { why: Redial::Recognized { kind } } => kind.clone(),
        State::Down { reason } => TunnelError::to_string(reason),
        other => format!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_reason_is_found_in_the_error_of_a_socket_and_the_figures_can_be_named() {
    let world = World::new(5);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let mut stream = tunnel.tcp_connect((DEVICE, 7)).await.unwrap();
    let refused = tunnel.tcp_connect((DEVICE, 1)).await.unwrap_err();
    assert_eq!(TunnelError::from_io(&refused), None, "the tunnel had no part in it");
    let inner = refused.get_ref().and_then(|inner| inner.downcast_ref::<SocketError>());
    assert_eq!(inner, Some(&SocketError::Refused));

    let (gre, link, mppe) = figures(&tunnel.stats());
    assert!(gre.committed > 0 && mppe.opened > 0, "{gre:?} {mppe:?}");
    assert!(link.shortest_round_trip > Some(Duration::ZERO), "{link:?}");
    let ClientStats { turns, .. } = world.client.stats();
    assert!(turns > 0);

    building.hang_up_all();
    let reason = tunnel.closed().await;
    assert!(told(&tunnel.state().borrow()).contains(reason.name()));
    let failures: [io::Error; 4] = [
        stream.read(&mut [0; 8]).await.unwrap_err(),
        tunnel.tcp_connect((DEVICE, 7)).await.unwrap_err(),
        tunnel.udp_bind(0).unwrap_err(),
        tunnel.ip_packets().unwrap_err(),
    ];
    for error in failures {
        assert_eq!(TunnelError::from_io(&error), Some(&reason), "{error:?}");
        assert_eq!(error.kind(), reason.io_kind());
    }
    let of_socket = tunnel.udp_bind(0).unwrap_err();
    let shut_down = of_socket.get_ref().and_then(|inner| inner.downcast_ref::<ShutDown>());
    let source = shut_down.and_then(Error::source).and_then(|it| it.downcast_ref::<TunnelError>());
    assert_eq!(source, Some(&reason));
    let there_and_back = io::Error::from(reason.clone());
    assert_eq!(TunnelError::from_io(&there_and_back), Some(&reason));
}
