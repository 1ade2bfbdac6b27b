//! The two steps of a teardown, each bounded

use std::time::{Duration, Instant};

use super::{Machine, Shared, shared::after};
use crate::{CallClearRequest, Failure, Message, StopControlConnectionRequest, StopReason};

/// Call-Clear-Request is sent
#[derive(Debug)]
pub(super) struct WaitDisconnect {
    pub(super) until: Instant,
    pub(super) outcome: Result<(), Failure>,
    reason: StopReason,
}

/// Stop-Control-Connection-Request is sent
#[derive(Debug)]
pub(super) struct WaitStopReply {
    pub(super) until: Instant,
    pub(super) outcome: Result<(), Failure>,
}

/// Ends the call, then the control connection
pub(super) fn clear_call(
    shared: &mut Shared,
    now: Instant,
    reason: StopReason,
    outcome: Result<(), Failure>,
) -> Machine {
    shared.send(CallClearRequest { call_id: shared.call_id });
    Machine::WaitDisconnect(WaitDisconnect { until: step(shared, now), outcome, reason })
}

/// Ends the control connection
pub(super) fn stop(
    shared: &mut Shared,
    now: Instant,
    reason: StopReason,
    outcome: Result<(), Failure>,
) -> Machine {
    shared.send(StopControlConnectionRequest { reason });
    Machine::WaitStopReply(WaitStopReply { until: step(shared, now), outcome })
}

impl WaitDisconnect {
    pub(super) fn handle(self, shared: &mut Shared, now: Instant, message: &Message) -> Machine {
        match message {
            Message::CallDisconnectNotify(notify) => {
                shared.note_call_id(notify.call_id);
                self.stop(shared, now)
            }
            Message::StopControlConnectionRequest(_) => shared.agree_to_stop(self.outcome),
            message => {
                shared.answer(message);
                Machine::WaitDisconnect(self)
            }
        }
    }

    /// Begins the second step: the call has ended, or its end was not confirmed in time
    pub(super) fn stop(self, shared: &mut Shared, now: Instant) -> Machine {
        stop(shared, now, self.reason, self.outcome)
    }
}

impl WaitStopReply {
    pub(super) fn handle(self, shared: &mut Shared, message: &Message) -> Machine {
        match message {
            Message::StopControlConnectionReply(_) => shared.close(self.outcome),
            Message::StopControlConnectionRequest(_) => shared.agree_to_stop(self.outcome),
            // it crossed our request, as accel-ppp sends it
            Message::CallDisconnectNotify(_) => Machine::WaitStopReply(self),
            message => {
                shared.answer(message);
                Machine::WaitStopReply(self)
            }
        }
    }
}

fn step(shared: &Shared, now: Instant) -> Instant {
    after(now, shared.timeouts.teardown_step.min(MAX_STEP))
}

/// Two steps of this are the 5 s that a teardown may take
const MAX_STEP: Duration = Duration::from_millis(2500);
