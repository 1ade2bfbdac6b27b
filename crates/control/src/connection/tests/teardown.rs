//! Teardowns, each bounded in time

use super::*;
use crate::{
    CallClearRequest, CallDisconnectNotify, DisconnectResult, ReplyResult,
    StopControlConnectionReply, StopControlConnectionRequest, Timeouts,
};

const STOP: StopControlConnectionRequest =
    StopControlConnectionRequest { reason: StopReason::StopLocalShutdown };

const STOPPED: StopControlConnectionReply =
    StopControlConnectionReply { result: ReplyResult::Ok, error: GeneralError::None };

fn disconnected() -> CallDisconnectNotify {
    CallDisconnectNotify {
        call_id: PEER_CALL_ID,
        result: DisconnectResult::Request,
        error: GeneralError::None,
        cause: 0,
        call_statistics: Text::default(),
    }
}

#[test]
fn rfc2637_section_3_2_3_an_answered_teardown_takes_no_time() {
    let mut lab = Lab::client_in(State::CallEstablished);
    lab.close();
    assert_eq!(lab.sent(), [CallClearRequest { call_id: OUR_CALL_ID }.into()]);
    lab.give(disconnected());
    assert_eq!(lab.sent(), [STOP.into()]);
    assert_eq!(lab.events(), []);
    lab.give(STOPPED);
    assert_eq!(lab.sent(), []);
    lab.assert_closed(Ok(()));
}

#[test]
fn an_unanswered_teardown_takes_two_steps_of_2_s() {
    let mut lab = Lab::client_in(State::CallEstablished);
    lab.close();
    lab.sent();
    assert_eq!(lab.expire(), (Timer::CallDisconnect, secs(2)));
    assert_eq!(lab.sent(), [STOP.into()]);
    assert_eq!(lab.expire(), (Timer::StopReply, secs(2)));
    assert_eq!(lab.sent(), []);
    lab.assert_closed(Ok(()));
}

#[test]
fn no_configuration_makes_a_teardown_longer_than_5_s() {
    let timeouts = Timeouts { teardown_step: Duration::MAX, ..Timeouts::default() };
    let mut lab = Lab::connect(Config { timeouts, ..Config::default() });
    lab.give(start_reply());
    lab.give(call_reply());
    lab.close();
    assert_eq!(lab.run_out(), secs(5));
    lab.assert_closed(Ok(()));
}

#[test]
fn a_call_still_asked_for_is_cleared_too() {
    let mut lab = Lab::client_in(State::WaitCallReply);
    lab.close();
    assert_eq!(lab.sent(), [CallClearRequest { call_id: OUR_CALL_ID }.into()]);
    lab.give(call_reply());
    lab.give(disconnected());
    assert_eq!(lab.sent(), [STOP.into()]);
    assert_eq!(lab.events(), [], "the call is not wanted any more");
}

#[test]
fn before_the_reply_there_is_nothing_to_tear_down() {
    let mut lab = Lab::client_in(State::WaitControlReply);
    lab.close();
    assert_eq!(lab.sent(), []);
    lab.assert_closed(Ok(()));
}

#[test]
fn closing_again_changes_nothing() {
    for state in [State::WaitDisconnect, State::WaitStopReply, State::Closed] {
        let mut lab = Lab::client_in(state);
        lab.close();
        assert_eq!((lab.sent(), lab.events()), (vec![], vec![]));
        assert_eq!(lab.connection.state(), state);
    }
}

#[test]
fn a_stop_that_crosses_ours_is_answered() {
    for state in [State::WaitDisconnect, State::WaitStopReply] {
        let mut lab = Lab::client_in(state);
        lab.give(StopControlConnectionRequest { reason: StopReason::None });
        assert_eq!(lab.sent(), [STOPPED.into()]);
        lab.assert_closed(Ok(()));
    }
}

#[test]
fn the_end_of_tcp_is_as_good_as_an_answer() {
    for state in [State::WaitDisconnect, State::WaitStopReply] {
        let mut lab = Lab::client_in(state);
        lab.connection.handle_eof(lab.now);
        lab.assert_closed(Ok(()));
    }
}

#[test]
fn a_stop_by_the_peer_is_answered_and_told() {
    for state in [State::WaitCallReply, State::CallEstablished] {
        let mut lab = Lab::client_in(state);
        lab.give(STOP);
        assert_eq!(lab.sent(), [STOPPED.into()]);
        let reason = StopReason::StopLocalShutdown;
        lab.assert_closed(Err(Failure::StoppedByPeer { reason }));
    }
}
