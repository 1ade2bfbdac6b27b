//! A server, alone and with a client

use super::*;
use crate::{
    AfterCallClear, CallClearRequest, EchoRequest, OutgoingCallRequest, PeerMisbehaved,
    ServerConfig, StartControlConnectionRequest, StopControlConnectionRequest,
    message::tests::one_of_each,
};

fn start_request() -> StartControlConnectionRequest {
    let Message::StartControlConnectionRequest(request) = one_of_each().swap_remove(0) else {
        unreachable!("the first of them")
    };
    request
}

fn call_request() -> OutgoingCallRequest {
    let Message::OutgoingCallRequest(request) = one_of_each().swap_remove(6) else {
        unreachable!("the seventh of them")
    };
    request
}

fn accept(config: ServerConfig) -> Lab {
    let now = start();
    let connection = ControlConnection::accept(config, PEER_CALL_ID, now);
    Lab { connection, now, decoder: Decoder::new() }
}

/// A server that has come so many steps of a call's life
pub(super) fn server_after(steps: usize) -> Lab {
    let mut lab = accept(ServerConfig::default());
    let life: [Message; 3] = [
        start_request().into(),
        call_request().into(),
        CallClearRequest { call_id: OUR_CALL_ID }.into(),
    ];
    for message in life.into_iter().take(steps) {
        lab.give(message);
    }
    lab.sent();
    lab.events();
    lab
}

/// Carries octets both ways until neither has any; returns the number of rounds
fn drive(client: &mut Lab, server: &mut Lab) -> usize {
    for round in 0..20 {
        let mut out = Vec::new();
        let mut any = client.connection.poll_transmit(&mut out);
        server.connection.handle_octets(server.now, &out);
        out.clear();
        any |= server.connection.poll_transmit(&mut out);
        client.connection.handle_octets(client.now, &out);
        if server.connection.is_closed() {
            client.connection.handle_eof(client.now);
        }
        if client.connection.is_closed() {
            server.connection.handle_eof(server.now);
        }
        if !any {
            return round;
        }
    }
    panic!("they never stop");
}

fn pair(config: ServerConfig) -> (Lab, Lab) {
    let (mut client, mut server) = (Lab::connect(Config::default()), accept(config));
    drive(&mut client, &mut server);
    (client, server)
}

#[test]
fn client_and_server_connect_in_two_round_trips() {
    let (mut client, mut server) =
        (Lab::connect(Config::default()), accept(ServerConfig::default()));
    assert_eq!(drive(&mut client, &mut server), 2);
    for (lab, expected) in [(&mut client, PEER_CALL_ID), (&mut server, OUR_CALL_ID)] {
        match &lab.events()[..] {
            [Event::Established(peer), Event::CallConnected { peer_call_id, window, .. }] => {
                assert_eq!((&peer.vendor[..], *peer_call_id, *window), ("pptp-rs", expected, 64));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(lab.connection.state(), State::CallEstablished);
    }
}

#[test]
fn a_client_hangs_up_on_every_kind_of_server() {
    for after_call_clear in [
        AfterCallClear::Notify,
        AfterCallClear::NotifyWithPeerCallId,
        AfterCallClear::CloseConnection,
        AfterCallClear::Silence,
    ] {
        let config = ServerConfig { after_call_clear, ..ServerConfig::default() };
        let (mut client, mut server) = pair(config);
        client.events();
        server.events();
        client.close();
        drive(&mut client, &mut server);
        if after_call_clear == AfterCallClear::Silence {
            client.expire();
            drive(&mut client, &mut server);
        }
        let ended = Event::CallEnded(Failure::CallCleared);
        assert_eq!(server.events(), [ended, Event::Closed(Ok(()))], "{after_call_clear:?}");
        client.assert_closed(Ok(()));
        assert_eq!(client.connection.stats().foreign_call_ids, 0);
    }
}

#[test]
fn a_call_disconnect_notify_names_the_servers_call_or_as_accel_ppp_the_clients() {
    for (after_call_clear, named) in [
        (AfterCallClear::Notify, PEER_CALL_ID),
        (AfterCallClear::NotifyWithPeerCallId, call_request().call_id),
    ] {
        let mut lab = accept(ServerConfig { after_call_clear, ..ServerConfig::default() });
        lab.give(start_request());
        lab.give(call_request());
        lab.sent();
        lab.give(CallClearRequest { call_id: OUR_CALL_ID });
        match &lab.sent()[..] {
            [Message::CallDisconnectNotify(notify)] => assert_eq!(notify.call_id, named),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_server_that_hangs_up_names_its_call_or_as_accel_ppp_the_clients() {
    for (after_call_clear, named) in [
        (AfterCallClear::Notify, PEER_CALL_ID),
        (AfterCallClear::NotifyWithPeerCallId, call_request().call_id),
    ] {
        let mut lab = accept(ServerConfig { after_call_clear, ..ServerConfig::default() });
        lab.give(start_request());
        lab.give(call_request());
        lab.sent();
        lab.close();
        match &lab.sent()[..] {
            [Message::CallDisconnectNotify(notify), Message::StopControlConnectionRequest(_)] => {
                assert_eq!(notify.call_id, named);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_server_that_tells_of_the_link_does_so_once_the_call_is_there() {
    let config = ServerConfig { sends_link_info: true, ..ServerConfig::default() };
    let mut lab = accept(config.clone());
    lab.give(start_request());
    lab.give(call_request());
    let peer_call_id = call_request().call_id;
    match &lab.sent()[..] {
        [.., Message::OutgoingCallReply(_), Message::SetLinkInfo(info)] => {
            assert_eq!((info.peer_call_id, info.send_accm), (peer_call_id, u32::MAX));
        }
        other => panic!("{other:?}"),
    }
    let (client, _) = pair(config);
    assert_eq!(client.connection.state(), State::CallEstablished);
}

#[test]
fn a_server_hangs_up_on_a_client() {
    let (mut client, mut server) = pair(ServerConfig::default());
    client.events();
    server.close();
    drive(&mut client, &mut server);
    let failure = Failure::CallDisconnected {
        result: crate::DisconnectResult::AdminShutdown,
        error: GeneralError::None,
        cause: 0,
    };
    assert_eq!(client.events(), [Event::CallEnded(failure.clone()), Event::Closed(Err(failure))]);
    server.assert_closed(Ok(()));
}

#[test]
fn a_server_that_ignores_a_stop_is_left_after_2_s() {
    let config = ServerConfig { answers_stop: false, ..ServerConfig::default() };
    let (mut client, mut server) = pair(config);
    client.close();
    drive(&mut client, &mut server);
    assert_eq!(client.connection.state(), State::WaitStopReply);
    assert_eq!(client.expire(), (Timer::StopReply, secs(2)));
    client.assert_closed(Ok(()));
}

#[test]
fn a_server_may_refuse_either_request() {
    let result = StartResult::NotAuthorized;
    let (mut client, mut server) =
        pair(ServerConfig { start_result: result, ..ServerConfig::default() });
    client.assert_closed(Err(Failure::ControlRefused { result, error: GeneralError::None }));
    server.assert_closed(Ok(()));

    let result = OutgoingCallResult::Busy;
    let (mut client, _) = pair(ServerConfig { call_result: result, ..ServerConfig::default() });
    let failure = Failure::CallRefused { result, error: GeneralError::None, cause: 0 };
    client.assert_closed(Err(failure));
}

#[test]
fn a_result_of_0_connects() {
    let config = ServerConfig { start_result: StartResult::from(0), ..ServerConfig::default() };
    assert_eq!(pair(config).0.connection.state(), State::CallEstablished);
}

#[test]
fn a_second_start_gets_result_3() {
    for steps in 1..4 {
        let mut lab = server_after(steps);
        lab.give(start_request());
        assert!(matches!(
            lab.sent()[..],
            [Message::StartControlConnectionReply(StartControlConnectionReply {
                result: StartResult::ChannelExists,
                ..
            })]
        ));
        assert!(!lab.connection.is_closed());
    }
}

#[test]
fn a_second_call_gets_no_resource() {
    let mut lab = server_after(2);
    lab.give(call_request());
    assert!(matches!(
        lab.sent()[..],
        [Message::OutgoingCallReply(OutgoingCallReply {
            result: OutgoingCallResult::GeneralError,
            error: GeneralError::NoResource,
            ..
        })]
    ));
    assert_eq!(lab.events(), []);
}

#[test]
fn a_server_waits_10_s_for_the_first_message_and_takes_no_other() {
    let mut lab = server_after(0);
    assert_eq!(lab.expire(), (Timer::ControlRequest, secs(10)));
    lab.assert_closed(Err(Failure::NoControlRequest));
    let mut lab = server_after(0);
    lab.give(call_request());
    let misbehaved = PeerMisbehaved::OutOfPhase(crate::ControlType::OutgoingCallRequest);
    lab.assert_closed(Err(misbehaved.into()));
}

#[test]
fn a_server_refuses_another_version() {
    let mut lab = server_after(0);
    lab.give(StartControlConnectionRequest { version: 0x0200, ..start_request() });
    assert!(matches!(
        lab.sent()[..],
        [Message::StartControlConnectionReply(StartControlConnectionReply {
            result: StartResult::VersionUnsupported,
            ..
        })]
    ));
    lab.assert_closed(Err(Failure::VersionUnsupported { version: 0x0200 }));
}

#[test]
fn a_server_asks_silent_clients_for_a_sign_of_life() {
    for steps in 1..4 {
        let mut lab = server_after(steps);
        lab.pass(secs(30));
        lab.give(EchoRequest { identifier: 1 });
        lab.sent();
        assert_eq!(lab.expire(), (Timer::EchoIdle, secs(60)));
        assert!(matches!(lab.sent()[..], [Message::EchoRequest(_)]));
        assert_eq!(lab.expire(), (Timer::EchoReply, secs(60)));
        lab.assert_closed(Err(Failure::EchoTimeout));
    }
}

#[test]
fn a_stop_without_clearing_the_call_is_told() {
    let mut lab = server_after(2);
    lab.give(StopControlConnectionRequest { reason: StopReason::None });
    lab.assert_closed(Err(Failure::StoppedByPeer { reason: StopReason::None }));
}
