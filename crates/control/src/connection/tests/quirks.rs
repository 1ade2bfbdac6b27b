//! What real servers do otherwise than the RFC says

use super::*;
use crate::{
    CallDisconnectNotify, DisconnectResult, StopControlConnectionReply,
    StopControlConnectionRequest, message::tests::blank,
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

const DISCONNECTED: Failed = Failed::CallDisconnected {
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
