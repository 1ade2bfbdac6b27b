//! Deviations of real servers from the RFC

use super::*;
use crate::{
    CallDisconnectNotify, DisconnectResult, Quirks, Recognized, Recognizer, SetLinkInfo,
    StopControlConnectionReply, StopControlConnectionRequest,
    message::tests::{blank, hex},
};

fn notify(call_id: u16) -> CallDisconnectNotify {
    CallDisconnectNotify {
        call_id,
        result: DisconnectResult::AdminShutdown,
        error: GeneralError::None,
        cause: 16,
        call_statistics: Text::default(),
    }
}

const DISCONNECTED: Failure = Failure::CallDisconnected {
    result: DisconnectResult::AdminShutdown,
    error: GeneralError::None,
    cause: 16,
};

#[test]
fn adsl_modems_report_success_as_0() {
    let mut lab = Lab::client_in(State::WaitControlReply);
    lab.give(StartControlConnectionReply { result: StartResult::from(0), ..start_reply() });
    assert_eq!(lab.connection.state(), State::WaitCallReply);
}

#[test]
fn pptpd_has_no_capabilities() {
    let mut lab = Lab::client_in(State::WaitControlReply);
    lab.give(StartControlConnectionReply {
        framing_capabilities: 0,
        bearer_capabilities: 0,
        ..start_reply()
    });
    assert_eq!(lab.connection.state(), State::WaitCallReply);
}

#[test]
fn pptpd_closes_after_call_clear_request() {
    let mut lab = Lab::client_in(State::WaitDisconnect);
    lab.connection.handle_eof(lab.now);
    lab.assert_closed(Ok(()));
    assert_eq!(lab.sent(), []);
}

#[test]
fn cisco_fills_reserved0_and_windows_95_the_rest_of_a_name() {
    let mut lab = Lab::client_in(State::WaitControlReply);
    let mut octets = emitted(&start_reply().into());
    octets[10..12].fill(0xFF);
    octets[40..92].fill(b'?');
    octets[92..156].fill(0xE9);
    lab.connection.handle_octets(lab.now, &octets);
    let peer = lab.connection.peer().unwrap();
    assert_eq!((&peer.host_name[..], peer.vendor.chars().count()), ("local", 64));
}

#[test]
fn a_disconnect_is_for_the_one_call_whichever_id_it_names() {
    let foreign = 0x9999;
    let ids = [
        OUR_CALL_ID,
        PEER_CALL_ID,
        OUR_CALL_ID.swap_bytes(),
        PEER_CALL_ID.swap_bytes(),
        foreign,
        0,
    ];
    for id in ids {
        let mut lab = Lab::client_in(State::CallEstablished);
        lab.give(notify(id));
        assert_eq!(lab.events(), [Event::CallEnded(DISCONNECTED)]);
        assert_eq!(lab.connection.state(), State::WaitStopReply);
        let counted = u32::from(id == foreign || id == 0);
        assert_eq!(lab.connection.stats().foreign_call_ids, counted);

        let mut lab = Lab::client_in(State::WaitDisconnect);
        lab.give(notify(id));
        assert_eq!(lab.connection.state(), State::WaitStopReply);
    }
}

#[test]
fn accel_ppp_disconnects_and_stops_with_reason_0_in_one_go() {
    let mut lab = Lab::client_in(State::CallEstablished);
    let stop = StopControlConnectionRequest { reason: StopReason::from(0) };
    let octets = [emitted(&notify(OUR_CALL_ID).into()), emitted(&stop.into())].concat();
    lab.connection.handle_octets(lab.now, &octets);
    assert!(matches!(
        lab.sent()[..],
        [
            Message::StopControlConnectionRequest(_),
            Message::StopControlConnectionReply(StopControlConnectionReply { .. })
        ]
    ));
    lab.assert_closed(Err(DISCONNECTED));
}

#[test]
fn a_call_id_that_a_nat_rewrote_is_taken() {
    let mut lab = Lab::client_in(State::WaitCallReply);
    lab.give(OutgoingCallReply { peer_call_id: 0x4242, ..call_reply() });
    assert_eq!(lab.connection.state(), State::CallEstablished);
    assert_eq!(lab.connection.stats().foreign_call_ids, 1);
}

#[test]
fn unknown_messages_are_skipped() {
    let mut lab = Lab::client_in(State::WaitControlReply);
    lab.connection.handle_octets(lab.now, &[blank(16, 12), blank(0x1000, 220)].concat());
    lab.give(start_reply());
    assert_eq!(lab.connection.state(), State::WaitCallReply);
    assert_eq!(lab.connection.stats().skipped, 2);
}

#[test]
fn what_sent_an_unknown_message_did_speak_pptp() {
    let mut lab = Lab::client_in(State::WaitControlReply);
    lab.connection.handle_octets(lab.now, &[&blank(16, 12)[..], b"HTTP/1.1"].concat());
    let error = crate::ParseError::Length(u16::from_be_bytes(*b"HT"));
    lab.assert_closed(Err(crate::PeerMisbehaved::LostSync(error).into()));
}

/// A text field of 64 octets
fn field(text: &str) -> Vec<u8> {
    let mut field = text.as_bytes().to_vec();
    field.resize(64, 0);
    field
}

fn octets_sent(lab: &mut Lab) -> Vec<u8> {
    let mut octets = Vec::new();
    lab.connection.poll_transmit(&mut octets);
    octets
}

fn with_quirks(quirks: Quirks) -> Config {
    Config { quirks, ..Config::default() }
}

#[test]
fn orckit_gets_its_relays_messages_to_the_octet() {
    let mut lab = Lab::connect(with_quirks(Quirks::ORCKIT));
    let start = [
        hex("009c 0001 1a2b3c4d 0001 0000 0100 0000 00000001 00000001 0000 6021"),
        field("RELAY_PPP1"),
        field("MS Win NT"),
    ];
    assert_eq!(octets_sent(&mut lab), start.concat());
    lab.give(start_reply());
    let call = [
        hex("00a8 0001 1a2b3c4d 0007 0000 0000 0000 00000960 00989680 00000002 00000003"),
        hex("0040 0000 000a 0000"),
        field("RELAY_PPP1"),
        field(""),
    ];
    assert_eq!(octets_sent(&mut lab), call.concat());
    assert_eq!(lab.connection.call_id(), 0, "what its GRE carries");
    lab.give(OutgoingCallReply { peer_call_id: 0, ..call_reply() });
    let link_info = hex("0018 0001 1a2b3c4d 000f 0000 5678 0000 ffffffff ffffffff");
    assert_eq!(octets_sent(&mut lab), link_info);
    assert_eq!(lab.connection.state(), State::CallEstablished);
}

#[test]
fn mxstream_gets_its_phone_number_and_cisco_the_client_host_name() {
    let both = Quirks::phone_number("1234").or(Quirks::client_host_name("group-7"));
    let mut lab = Lab::connect(with_quirks(both));
    let [Message::StartControlConnectionRequest(start)] = &lab.sent()[..] else { panic!() };
    assert_eq!((start.host_name, start.vendor), (Text::new("group-7"), Text::new("pptp-rs")));
    lab.give(start_reply());
    let [Message::OutgoingCallRequest(call)] = &lab.sent()[..] else { panic!() };
    assert_eq!((call.phone_number, call.phone_number_length), (Text::new("1234"), 4));
    assert_eq!((call.call_id, call.call_serial_number), (OUR_CALL_ID, 1));
}

/// A rule of the caller's own that recognizes a server by its vendor
fn of_acme(quirks: Quirks) -> Recognizer {
    Recognizer::new(move |peer| {
        let quirks = quirks.clone();
        (peer.vendor == "ACME").then(|| Recognized { name: "Acme".into(), quirks })
    })
}

fn acme_reply() -> StartControlConnectionReply {
    StartControlConnectionReply { vendor: Text::new("ACME"), ..start_reply() }
}

#[test]
fn what_matters_to_the_call_only_is_done_when_the_reply_tells_who_it_is() {
    let quirks = Quirks { send_link_info: Some(true), ..Quirks::phone_number("99") };
    let recognizer = of_acme(quirks);
    let mut lab = Lab::connect(Config { recognizer, ..Config::default() });
    lab.sent();
    lab.give(acme_reply());
    let [Message::OutgoingCallRequest(call)] = &lab.sent()[..] else { panic!() };
    assert_eq!(call.phone_number, Text::new("99"));
    let recognized = lab.connection.peer().unwrap().recognized.as_deref();
    assert_eq!(recognized, Some("Acme"));
    lab.give(call_reply());
    assert!(matches!(lab.sent()[..], [Message::SetLinkInfo(SetLinkInfo { .. })]));
}

#[test]
fn what_should_have_been_said_before_the_reply_ends_it_so_that_it_can_be_dialled_again() {
    let replies = [
        acme_reply(),
        StartControlConnectionReply { result: StartResult::NotAuthorized, ..acme_reply() },
    ];
    for reply in replies {
        let quirks = Quirks::client_host_name("relay");
        let recognizer = of_acme(quirks.clone());
        let mut lab = Lab::connect(Config { recognizer, ..Config::default() });
        lab.sent();
        lab.give(reply);
        assert!(matches!(lab.sent()[..], [Message::StopControlConnectionRequest(_)]));
        lab.connection.handle_eof(lab.now);
        let Some(Event::Closed(Err(Failure::Recognized(it)))) = lab.events().pop() else {
            panic!()
        };
        assert_eq!((it.name.as_ref(), &it.quirks), ("Acme", &quirks));

        // with the quirks in the first message, the server's unchanged reply is accepted
        let mut again = Lab::connect(Config {
            recognizer: of_acme(it.quirks.clone()),
            ..with_quirks(it.quirks)
        });
        again.sent();
        again.give(acme_reply());
        assert_eq!(again.connection.state(), State::WaitCallReply);
    }
}

#[test]
fn what_the_caller_named_is_not_overruled_by_what_is_recognized() {
    let recognizer = of_acme(Quirks::client_host_name("relay"));
    let quirks = Quirks::client_host_name("mine");
    let mut lab = Lab::connect(Config { quirks, recognizer, ..Config::default() });
    lab.sent();
    lab.give(acme_reply());
    assert_eq!(lab.connection.state(), State::WaitCallReply, "and there is nothing to redial for");
}

#[test]
fn a_zero_call_id_is_asked_for_from_the_start_on() {
    let quirks = Quirks { zero_call_id: Some(true), ..Quirks::NONE };
    let mut lab = Lab::connect(Config { recognizer: of_acme(quirks), ..Config::default() });
    lab.give(acme_reply());
    assert_eq!(lab.connection.state(), State::WaitStopReply);
}

/// A server that requires certain values refuses a client with other values
#[cfg(feature = "server")]
#[test]
fn a_server_that_insists_serves_who_says_it_and_nobody_else() {
    use crate::{OutgoingCallRequest, ServerConfig, StartControlConnectionRequest};
    let server = || {
        let config = ServerConfig { insists_on: Quirks::ORCKIT, ..ServerConfig::default() };
        let now = start();
        Lab { connection: ControlConnection::accept(config, 9, now), now, decoder: Decoder::new() }
    };
    let of_client = |config: Config| {
        let mut client = Lab::connect(config);
        let Message::StartControlConnectionRequest(start) = client.sent().remove(0) else {
            panic!()
        };
        client.give(start_reply());
        let Message::OutgoingCallRequest(call) = client.sent().remove(0) else { panic!() };
        (start, call)
    };
    let (start, call): (StartControlConnectionRequest, OutgoingCallRequest) =
        of_client(with_quirks(Quirks::ORCKIT));
    let (other_start, other_call) = of_client(Config::default());

    let mut lab = server();
    lab.give(other_start);
    let [Message::StartControlConnectionReply(reply)] = &lab.sent()[..] else { panic!() };
    assert_eq!(reply.result, StartResult::NotAuthorized);

    let mut lab = server();
    lab.give(start.clone());
    lab.give(other_call);
    let Some(Message::OutgoingCallReply(reply)) = lab.sent().pop() else { panic!() };
    assert_eq!(
        (reply.result, reply.error),
        (OutgoingCallResult::GeneralError, GeneralError::BadValue)
    );

    let mut lab = server();
    lab.give(start);
    lab.give(call);
    let connected = |events: Vec<Event>| {
        events.iter().any(|event| matches!(event, Event::CallConnected { .. }))
    };
    assert!(!connected(lab.events()), "it waits for the Set-Link-Info");
    lab.give(SetLinkInfo { peer_call_id: 9, send_accm: u32::MAX, receive_accm: u32::MAX });
    assert!(connected(lab.events()));
}
