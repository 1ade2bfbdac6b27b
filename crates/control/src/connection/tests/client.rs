//! The connect of a client, and the failures during it

use super::*;
use crate::{
    EchoReply, EchoRequest, IncomingCallReply, IncomingCallResult, OutgoingCallRequest, ParseError,
    Peer, PeerMisbehaved, ReplyResult, SetLinkInfo, StartControlConnectionRequest,
    StopControlConnectionRequest, message::tests::one_of_each,
};

#[test]
fn rfc2637_section_3_1_1_and_3_2_3_the_way_up() {
    let config = Config { host_name: "building".into(), ..Config::default() };
    let mut lab = Lab::connect(config);
    assert_eq!(
        lab.sent(),
        [StartControlConnectionRequest {
            version: 0x0100,
            framing_capabilities: 3,
            bearer_capabilities: 3,
            max_channels: 0,
            firmware: 0,
            host_name: Text::new("building"),
            vendor: Text::new("pptp-rs"),
        }
        .into()]
    );
    lab.give(start_reply());
    assert_eq!(
        lab.sent(),
        [OutgoingCallRequest {
            call_id: OUR_CALL_ID,
            call_serial_number: 1,
            minimum_speed: 2400,
            maximum_speed: 10_000_000,
            bearer_type: 3,
            framing_type: 3,
            receive_window: 64,
            processing_delay: 0,
            phone_number_length: 0,
            phone_number: Text::default(),
            subaddress: Text::default(),
        }
        .into()]
    );
    let peer = Peer {
        host_name: "local".into(),
        vendor: "linux".into(),
        firmware: 1,
        max_channels: 1,
        framing_capabilities: 3,
        bearer_capabilities: 3,
        recognized: None,
    };
    assert_eq!(lab.connection.peer(), Some(&peer));
    assert_eq!(lab.events(), [Event::Established(peer)]);
    lab.give(call_reply());
    assert_eq!(
        lab.events(),
        [Event::CallConnected {
            peer_call_id: PEER_CALL_ID,
            connect_speed: 10_000_000,
            window: 16,
            processing_delay: Duration::from_millis(500),
        }]
    );
    assert_eq!(lab.sent(), []);
    assert_eq!(lab.connection.state(), State::CallEstablished);
}

#[test]
fn octet_by_octet_comes_to_the_same() {
    let mut lab = Lab::connect(Config::default());
    let octets = [emitted(&start_reply().into()), emitted(&call_reply().into())].concat();
    for octet in octets {
        lab.connection.handle_octets(lab.now, &[octet]);
    }
    assert_eq!(lab.connection.state(), State::CallEstablished);
    assert_eq!(lab.events().len(), 2);
}

#[test]
fn another_protocol_is_told_at_once_and_silence_after_10_s() {
    for banner in ["HTTP/1.1 400 Bad Request\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "220 mail ready\r\n"]
    {
        let mut lab = Lab::connect(Config::default());
        lab.connection.handle_octets(lab.now, banner.as_bytes());
        lab.assert_closed(Err(Failure::NotPptp { first: banner.as_bytes()[..16].to_vec() }));
    }
    let mut lab = Lab::connect(Config::default());
    assert_eq!(lab.expire(), (Timer::ControlReply, secs(10)));
    lab.assert_closed(Err(Failure::NoControlReply));
}

#[test]
fn what_was_not_pptp_can_be_read_by_people() {
    let failure = Failure::NotPptp { first: b"HTTP/1.1\r\n\xFF".to_vec() };
    let text = r#"the server does not speak PPTP: it sent "HTTP/1.1\r\n\xff""#;
    assert_eq!(failure.to_string(), text);
}

#[test]
fn pptp_that_cannot_be_followed_is_no_other_protocol() {
    for state in [State::WaitControlReply, State::CallEstablished] {
        let mut lab = Lab::client_in(state);
        let mut octets = emitted(&start_reply().into());
        octets[9] = 3;
        lab.connection.handle_octets(lab.now, &octets);
        let control_type = crate::ControlType::StopControlConnectionRequest;
        let error = ParseError::TypeLength { control_type, length: 156 };
        lab.assert_closed(Err(PeerMisbehaved::LostSync(error).into()));
    }
    let mut lab = Lab::client_in(State::CallEstablished);
    lab.connection.handle_octets(lab.now, b"HTTP/1.1 400");
    let error = ParseError::Length(u16::from_be_bytes(*b"HT"));
    lab.assert_closed(Err(PeerMisbehaved::LostSync(error).into()));
    assert_eq!(lab.sent(), []);
}

#[test]
fn a_refused_control_connection_says_why() {
    let mut lab = Lab::connect(Config::default());
    lab.sent();
    let result = StartResult::NotAuthorized;
    lab.give(StartControlConnectionReply { result, ..start_reply() });
    lab.assert_closed(Err(Failure::ControlRefused { result, error: GeneralError::None }));
    assert_eq!(lab.sent(), []);
}

#[test]
fn another_version_is_refused_in_either_direction() {
    let failure = Failure::VersionUnsupported { version: 0x0200 };
    let mut lab = Lab::client_in(State::WaitControlReply);
    lab.give(StartControlConnectionReply { version: 0x0200, ..start_reply() });
    let stop = StopControlConnectionRequest { reason: StopReason::StopProtocol };
    assert_eq!(lab.sent(), [stop.into()]);
    lab.expire();
    lab.assert_closed(Err(failure.clone()));

    let mut lab = Lab::client_in(State::WaitControlReply);
    let result = StartResult::VersionUnsupported;
    lab.give(StartControlConnectionReply { version: 0x0200, result, ..start_reply() });
    lab.assert_closed(Err(failure));
}

#[test]
fn a_refused_call_says_why_at_once_and_stops() {
    let mut lab = Lab::client_in(State::WaitCallReply);
    let (result, error) = (OutgoingCallResult::GeneralError, GeneralError::NoResource);
    lab.give(OutgoingCallReply { result, error, cause: 42, ..call_reply() });
    let failure = Failure::CallRefused { result, error, cause: 42 };
    assert_eq!(lab.events(), [Event::CallEnded(failure.clone())]);
    assert_eq!(lab.sent(), [StopControlConnectionRequest { reason: StopReason::None }.into()]);
    assert_eq!(lab.expire(), (Timer::StopReply, secs(2)));
    lab.assert_closed(Err(failure));
}

#[test]
fn a_call_without_a_reply_is_cleared_after_20_s() {
    let mut lab = Lab::client_in(State::WaitCallReply);
    assert_eq!(lab.expire(), (Timer::CallReply, secs(20)));
    assert_eq!(lab.events(), [Event::CallEnded(Failure::NoCallReply)]);
    assert_eq!(lab.sent(), [crate::CallClearRequest { call_id: OUR_CALL_ID }.into()]);
    lab.give(call_reply());
    assert_eq!(lab.events(), [], "too late");
    assert_eq!(lab.run_out(), secs(4));
    lab.assert_closed(Err(Failure::NoCallReply));
}

#[test]
fn link_info_is_sent_where_asked_for() {
    let mut lab = Lab::connect(Config { send_link_info: true, ..Config::default() });
    lab.give(start_reply());
    lab.sent();
    lab.give(call_reply());
    let info =
        SetLinkInfo { peer_call_id: PEER_CALL_ID, send_accm: u32::MAX, receive_accm: u32::MAX };
    assert_eq!(lab.sent(), [info.into()]);
}

#[test]
fn rfc2637_section_3_1_4_echo() {
    let mut lab = Lab::client_in(State::CallEstablished);
    let reply =
        |identifier| EchoReply { identifier, result: ReplyResult::Ok, error: GeneralError::None };
    for identifier in 1..4 {
        assert_eq!(lab.expire(), (Timer::EchoIdle, secs(60)));
        assert_eq!(lab.sent(), [EchoRequest { identifier }.into()]);
        lab.pass(secs(1));
        lab.give(reply(identifier));
    }
    lab.pass(secs(59));
    lab.give(SetLinkInfo { peer_call_id: OUR_CALL_ID, send_accm: 0, receive_accm: 0 });
    assert_eq!(lab.expire(), (Timer::EchoIdle, secs(60)), "any message is a sign of life");
    lab.pass(secs(10));
    lab.give(reply(3));
    assert_eq!(lab.expire(), (Timer::EchoReply, secs(50)), "the reply to another does not count");
    lab.assert_closed(Err(Failure::EchoTimeout));
}

#[test]
fn a_sign_of_life_can_be_asked_for_at_any_time() {
    let mut lab = Lab::client_in(State::CallEstablished);
    lab.pass(secs(10));
    for _ in 0..2 {
        lab.connection.send_echo_request(lab.now);
    }
    assert_eq!(lab.sent(), [EchoRequest { identifier: 1 }.into()], "one at a time");
    lab.pass(secs(1));
    let reply = EchoReply { identifier: 1, result: ReplyResult::Ok, error: GeneralError::None };
    lab.give(reply);
    assert_eq!(lab.expire(), (Timer::EchoIdle, secs(60)));
    for state in [State::WaitControlReply, State::WaitCallReply, State::WaitDisconnect] {
        let mut lab = Lab::client_in(state);
        lab.connection.send_echo_request(lab.now);
        assert_eq!(lab.sent(), [], "{state:?}");
    }
}

#[test]
fn an_echo_request_is_answered_in_every_state() {
    for state in [
        State::WaitControlReply,
        State::WaitCallReply,
        State::CallEstablished,
        State::WaitDisconnect,
        State::WaitStopReply,
    ] {
        let mut lab = Lab::client_in(state);
        lab.give(EchoRequest { identifier: 0xABCD });
        let reply =
            EchoReply { identifier: 0xABCD, result: ReplyResult::Ok, error: GeneralError::None };
        assert_eq!(lab.sent(), [reply.into()], "{state:?}");
        assert_eq!(lab.connection.state(), state);
    }
}

#[test]
fn an_incoming_call_is_refused() {
    let mut lab = Lab::client_in(State::CallEstablished);
    lab.give(one_of_each().swap_remove(8));
    let refusal = IncomingCallReply {
        call_id: 0,
        peer_call_id: 0x5678,
        result: IncomingCallResult::DoNotAccept,
        error: GeneralError::None,
        receive_window: 0,
        transmit_delay: 0,
    };
    assert_eq!(lab.sent(), [refusal.into()]);
    assert_eq!(lab.connection.state(), State::CallEstablished);
}

#[test]
fn line_events_are_told_and_bounded() {
    let mut lab = Lab::client_in(State::CallEstablished);
    lab.give(one_of_each().swap_remove(13));
    lab.give(one_of_each().swap_remove(14));
    assert!(matches!(lab.events()[..], [Event::WanError(_), Event::SetLinkInfo(_)]));
    for _ in 0..100 {
        lab.give(one_of_each().swap_remove(14));
    }
    assert_eq!((lab.events().len(), lab.connection.stats().events_dropped), (16, 84));
}

#[test]
fn a_peer_that_asks_and_does_not_read_is_ended() {
    let mut lab = Lab::client_in(State::CallEstablished);
    let request = emitted(&EchoRequest { identifier: 7 }.into());
    lab.connection.handle_octets(lab.now, &request.repeat(204));
    assert_eq!(lab.connection.state(), State::CallEstablished, "204 replies are 4080 octets");
    lab.connection.handle_octets(lab.now, &request);
    assert_eq!(lab.sent(), []);
    lab.assert_closed(Err(PeerMisbehaved::AnswersUnread.into()));
}

#[test]
fn the_end_of_tcp_ends_the_call() {
    for state in [State::WaitControlReply, State::WaitCallReply, State::CallEstablished] {
        let mut lab = Lab::client_in(state);
        lab.connection.handle_eof(lab.now);
        lab.assert_closed(Err(Failure::ConnectionLost));
    }
}

#[test]
fn an_idle_connection_holds_little() {
    let lab = Lab::client_in(State::CallEstablished);
    assert!(size_of_val(&lab.connection) <= 264, "{} octets", size_of_val(&lab.connection));
}
