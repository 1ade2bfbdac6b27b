//! Rows of all failures: their names, texts, layers, classes, pauses and advice

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use pptp_tunnel::{
    Class, ConnectTimeline, ControlFailure, Failure as TunnelFailure,
    Layer::{self, Configuration, Host, Name, Program, Tcp},
    LinkFailure, Phase, RasCode,
    Retry::{self, Later, Never, OnRequest, Soon},
};

use super::{Failure, TunnelError};

/// A failure, and what it tells: layer, class, retry, a word of the advice
type Row = (Failure, Layer, Class, Retry, &'static str);

/// At least one failure of each name that is this crate's own
fn table() -> Vec<Row> {
    let address: SocketAddrV4 = "192.0.2.1:1723".parse().unwrap();
    let (name, text) = (String::from("vpn.example"), String::new);
    let refused = Failure::TcpRefused { address };
    let kind = io::ErrorKind::TimedOut;
    let failed = Failure::TcpFailed { address, kind, reason: "timed out".into() };
    let option = Failure::InvalidOption { option: "mru", wanted: "less" };
    let server = Failure::InvalidServer { server: text() };
    let unresolved = Failure::NameNotResolved { name, reason: text() };
    let ipv6 = Failure::OuterIpv6 { server: "::1".into() };
    let internal = Failure::Internal { message: text() };
    vec![
        (server, Configuration, Class::Configuration, Never, "host:port"),
        (option, Configuration, Class::Configuration, Never, "option"),
        (unresolved, Name, Class::Network, Soon, "spelling"),
        (ipv6, Name, Class::Configuration, Never, "IPv4"),
        (Failure::CallIdsExhausted, Host, Class::Host, Later, "hang up"),
        (Failure::TooManyFiles { limit: 1024 }, Host, Class::Host, Later, "ulimit"),
        (refused, Tcp, Class::Network, Soon, "switched on"),
        (failed, Tcp, Class::Network, Soon, "firewalls"),
        (Failure::RuntimeShutDown, Program, Class::OwnDeed, OnRequest, "runtime"),
        (internal, Program, Class::Host, Soon, "report"),
    ]
}

/// Failures of the tunnel's protocols, of each of the three crates that have some
fn of_protocols() -> Vec<TunnelFailure> {
    let limit = Duration::from_secs(30);
    let lost = ControlFailure::ConnectionLost;
    let login = LinkFailure::AuthFailed { code: 691, retry: false, message: "no".into() };
    let blocked =
        TunnelFailure::GreBlocked { after: Duration::ZERO, heard: false, send_error: None };
    vec![
        lost.into(),
        ControlFailure::NoCallReply.into(),
        login.into(),
        LinkFailure::AuthProtocolRefused { offered: None }.into(),
        blocked,
        TunnelFailure::ConnectTimeout { limit },
        TunnelFailure::Closed,
    ]
}

fn in_phase(failure: impl Into<Failure>, phase: Phase) -> TunnelError {
    TunnelError::new(failure, timeline(phase))
}

fn timeline(phase: Phase) -> ConnectTimeline {
    let mut timeline = ConnectTimeline::new(Instant::now());
    timeline.enter(timeline.started(), phase);
    timeline
}

#[test]
fn every_failure_tells_its_layer_its_class_when_to_try_again_and_what_to_do() {
    for (failure, layer, class, retry, word) in table() {
        let name = failure.name();
        assert_eq!(failure.layer(), Some(layer), "{name}");
        assert_eq!(failure.class(), class, "{name}");
        assert_eq!(failure.code().map(|code| code.number), None, "{name}: {:?}", failure.codes());
        assert_eq!(failure.retry(), retry, "{name}");
        let is_off = matches!(retry, Never | OnRequest);
        assert_eq!(failure.retry_after().is_none(), is_off, "{name}");
        assert!(failure.advice().contains(word), "{name}: {:?} lacks {word:?}", failure.advice());
        assert!(
            !failure.to_string().is_empty() && !failure.to_string().ends_with('.'),
            "{failure}"
        );
        assert!(!failure.advice().ends_with('.'), "{name}");
    }
}

/// Checks that each failure has a row here or in pptp-tunnel; the compiler checks that it has a name
#[test]
fn no_failure_is_forgotten() {
    let there: BTreeSet<_> = Failure::names().collect();
    let tested = table().into_iter().map(|(failure, ..)| failure.name());
    let tested: BTreeSet<_> = tested.chain(TunnelFailure::names()).collect();
    assert_eq!(there, tested);
    assert_eq!(there.len(), Failure::names().count(), "no two have the same name");
}

#[test]
fn what_is_not_to_be_dialled_again_is_of_a_class_that_says_so() {
    for (failure, ..) in table() {
        let (class, retry, name) = (failure.class(), failure.retry(), failure.name());
        assert_eq!(class == Class::OwnDeed, retry == OnRequest, "{name}");
        assert!(class != Class::Configuration || retry == Never, "{name}");
        assert!(retry != Never || class == Class::Configuration, "{name}");
    }
}

#[test]
fn pauses_fit_what_has_to_happen_first() {
    let seconds = |failure: &Failure| failure.retry_after().map(|pause| pause.as_secs());
    let pauses: Vec<_> =
        table().iter().map(|(failure, ..)| (failure.name(), seconds(failure))).collect();
    let expected = [
        ("InvalidServer", None),
        ("InvalidOption", None),
        ("NameNotResolved", Some(10)),
        ("OuterIpv6", None),
        ("CallIdsExhausted", Some(60)),
        ("TooManyFiles", Some(60)),
        ("TcpRefused", Some(10)),
        ("TcpFailed", Some(10)),
        ("RuntimeShutDown", None),
        ("Internal", Some(1)),
    ];
    assert_eq!(pauses, expected);
}

#[test]
fn an_error_of_a_tunnel_is_that_of_its_failure() {
    for (failure, layer, ..) in table() {
        for phase in [Phase::Resolve, Phase::TcpConnect, Phase::Network, Phase::Up] {
            let error = in_phase(failure.clone(), phase);
            assert_eq!((error.name(), error.layer()), (failure.name(), layer));
            assert_eq!((error.class(), error.codes()), (failure.class(), failure.codes()));
            let pauses = (failure.retry(), failure.retry_after());
            assert_eq!((error.retry(), error.retry_after()), pauses);
            assert_eq!(error.advice(), failure.advice());
            assert_eq!(error.io_kind(), io::ErrorKind::ConnectionAborted);
            let text =
                format!("{}: {failure} (phase: {phase}); {}", failure.name(), failure.advice());
            assert_eq!(error.to_string(), text);
        }
    }
}

/// With the moment, the code of Windows and the phase, to the octet
#[test]
fn an_error_of_the_protocols_tells_what_pptp_tunnel_tells() {
    for failure in of_protocols() {
        for phase in [Phase::ControlConnection, Phase::Call, Phase::Authentication, Phase::Up] {
            for code in [None, Some(RasCode(691)), Some(RasCode(721))] {
                let theirs = pptp_tunnel::TunnelError::new(failure.clone(), timeline(phase))
                    .with_ras_code(code);
                let ours = TunnelError::from(theirs.clone());
                assert_eq!(ours.to_string(), theirs.to_string());
                assert_eq!((ours.name(), ours.told()), (theirs.name(), theirs.told()));
                assert_eq!((ours.layer(), ours.class()), (theirs.layer(), theirs.class()));
                assert_eq!((ours.codes(), ours.advice()), (theirs.codes(), theirs.advice()));
                let pauses = (theirs.retry(), theirs.retry_after());
                assert_eq!((ours.retry(), ours.retry_after()), pauses);
                assert_eq!((ours.phase, ours.ras_code), (phase, code));
                assert_eq!(ours.failure.tunnel(), Some(&failure));
            }
        }
        let flat = Failure::from(failure.clone());
        assert_eq!((flat.layer(), flat.code()), (failure.layer(), failure.code()));
        assert_eq!((flat.retry(), flat.advice()), (failure.retry(), failure.advice()));
        assert_eq!(flat.to_string(), failure.to_string());
    }
}

#[test]
fn each_protocols_failure_is_found_in_one_step() {
    let (lost, address) = (ControlFailure::ConnectionLost, LinkFailure::NoAddress);
    let control = Failure::from(lost.clone());
    assert_eq!((control.control(), control.link()), (Some(&lost), None));
    assert_eq!(control.tunnel(), Some(&TunnelFailure::Control(lost)));
    let link = Failure::from(address.clone());
    assert_eq!((link.control(), link.link()), (None, Some(&address)));
    let own = Failure::CallIdsExhausted;
    assert_eq!((own.tunnel(), own.control(), own.link()), (None, None, None));
}

#[test]
fn calls_on_a_tunnel_that_is_down_fail_with_its_error() {
    let limit = Duration::from_secs(30);
    let gre = TunnelFailure::GreBlocked { after: limit, heard: false, send_error: None };
    let server = "192.0.2.1".parse().unwrap();
    let elsewhere = TunnelFailure::GreFromElsewhere { from: "192.0.2.7".parse().unwrap(), server };
    let unsupported = TunnelFailure::GreUnsupported { flags: 0xB001, protocol: 0x880B };
    for (failure, kind) in [
        (TunnelFailure::Closed.into(), io::ErrorKind::NotConnected),
        (TunnelFailure::ConnectTimeout { limit }.into(), io::ErrorKind::TimedOut),
        (gre.into(), io::ErrorKind::TimedOut),
        (elsewhere.into(), io::ErrorKind::TimedOut),
        (unsupported.into(), io::ErrorKind::TimedOut),
        (ControlFailure::ConnectionLost.into(), io::ErrorKind::ConnectionAborted),
        (Failure::RuntimeShutDown, io::ErrorKind::ConnectionAborted),
    ] {
        let error = in_phase(failure, Phase::Resolve);
        let io = error.to_io();
        assert_eq!(io.kind(), kind);
        let inner = io.get_ref().and_then(|inner| inner.downcast_ref::<TunnelError>());
        assert_eq!(inner, Some(&error), "with all that it tells");
    }
    let closed = in_phase(TunnelFailure::Closed, Phase::Resolve).to_string();
    assert!(closed.ends_with("(phase: name resolution)"), "nothing to be done: {closed}");
}

/// A host without power answers nothing: 30 s of ours end before the kernel's 127 s
#[test]
fn a_host_that_does_not_answer_tcp_has_one_advice_and_one_pause_whichever_limit_ends_it() {
    let limit = Duration::from_secs(30);
    let timeout = |phase| in_phase(TunnelFailure::ConnectTimeout { limit }, phase);
    let tcp = timeout(Phase::TcpConnect);
    assert!(tcp.advice().contains("TCP port 1723"), "{}", tcp.advice());
    assert!(tcp.to_string().ends_with(tcp.advice()), "{tcp}");
    assert_eq!((tcp.layer(), tcp.retry_after()), (Tcp, Some(Duration::from_secs(10))));
    let later = timeout(Phase::LinkControl);
    assert!(later.advice().contains("where the time went"), "{}", later.advice());
    assert_eq!(later.retry_after(), Some(Duration::from_secs(1)));
}

#[test]
fn a_timeout_tells_where_the_time_went() {
    let start = Instant::now();
    let mut timeline = ConnectTimeline::new(start);
    timeline.enter(start + Duration::from_millis(7), Phase::TcpConnect);
    timeline.end(start + Duration::from_secs(3));
    let limit = Duration::from_secs(3);
    let error = TunnelError::new(TunnelFailure::ConnectTimeout { limit }, timeline);
    let text = error.to_string();
    assert!(text.contains("name resolution 7 ms, TCP connect 2993 ms"), "{text}");
    assert_eq!(error.layer(), Tcp);
}

#[test]
fn a_hang_up_in_the_middle_of_something_is_that_layers() {
    for (phase, layer, word) in [
        (Phase::Resolve, "name", "dial again"),
        (Phase::TcpConnect, "tcp", "dial again"),
        (Phase::LinkControl, "link", "during LCP"),
    ] {
        let error = in_phase(ControlFailure::ConnectionLost, phase);
        assert_eq!(error.layer().to_string(), layer, "{phase}");
        assert!(error.advice().contains(word), "{phase}: {}", error.advice());
    }
}

#[test]
fn a_connection_that_is_reset_at_once_is_no_matter_of_routes() {
    let (address, kind) = ("192.0.2.1:1723".parse().unwrap(), io::ErrorKind::ConnectionReset);
    let failure = Failure::TcpFailed { address, kind, reason: "reset".into() };
    assert!(failure.advice().contains("limit of connections"), "{}", failure.advice());
}
