//! The end of a tunnel, step by step: hang-up, reason, finish, and nothing left on the wire

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use pptp_driver::{Session, now};
use pptp_packet::panics;
use pptp_tunnel::ConnectTimeline;

use super::TunnelShared;
use crate::{HungUp, State, TunnelError, error::Failure};

impl TunnelShared {
    /// Begins an orderly hang-up
    ///
    /// The sockets' octets leave first; the state machine bounds the time of the rest.
    pub(crate) fn hang_up(self: &Arc<Self>) {
        let mut inner = self.lock();
        inner.hang_up.request();
        if inner.protocol.machine().is_some() {
            inner.hang_up.begin(now());
            drop(inner);
            self.mark_timers_due();
        } else {
            drop(inner);
            self.control.notify_one();
        }
    }

    /// Fails all calls on the tunnel, and tells its users why it is over
    ///
    /// The state machine stays until it has hung up: see [`Self::finish`].
    pub(crate) fn end(&self, error: TunnelError) {
        let mut wakers = self.driver().wakers();
        {
            let mut inner = self.lock();
            if inner.ending.error().is_some() {
                return;
            }
            inner.end(&error, &mut wakers);
        }
        tracing::info!(parent: &self.span, reason = %error, "down");
        self.tell(State::Down { reason: error });
        self.tell_path();
    }

    /// Gives the Call ID back and ends the control task: nothing more will happen
    pub(crate) fn finish(&self) {
        let mut inner = self.lock();
        if inner.ending.finish() {
            return;
        }
        let machine = inner.protocol.finish();
        drop(inner);
        drop(machine);
        if let Some(dialled) = self.dialled() {
            self.driver().release(dialled.call_id, now());
        }
        self.control.notify_one();
    }

    /// Ends a tunnel whose driver or control task is gone
    pub(crate) fn abandon(&self, failure: Failure) {
        if !self.lock().ending.is_finished() {
            self.end(TunnelError::new(failure, self.timeline()));
            self.finish();
        }
    }

    /// Ends a tunnel whose turn panicked
    ///
    /// The state that the panic left is not trusted: if the stack cannot be shut down, it is dropped.
    pub(crate) fn end_after_panic(&self, message: String) {
        let error = TunnelError::new(Failure::Internal { message }, self.timeline());
        if catch_unwind(AssertUnwindSafe(|| self.end(error.clone()))).is_err() {
            let stack = self.lock().packet_users.take_stack();
            drop(stack);
            self.lock().ending.forget();
            self.end(error);
        }
        self.finish();
    }

    /// Waits for [`Self::leave`]
    pub(crate) fn hung_up(&self) -> HungUp {
        HungUp::new(self.lock().hang_up.signal())
    }

    /// Notes that nothing is left on the wire
    ///
    /// The call is cleared, its Call ID given back, and the control connection closed. The control task
    /// calls it once, after it has dropped the connection.
    pub(crate) fn leave(&self) {
        let signal = self.lock().hang_up.leave();
        // wakers are woken with no lock held, and one that panics is its owner's fault
        let panicked = signal.is_some_and(|signal| panics(|| signal.cancel()));
        self.driver().count_wakes(usize::from(panicked));
        self.driver().count_wakes(usize::from(self.registry.leave(self.number)));
    }

    fn timeline(&self) -> ConnectTimeline {
        let known = self.lock().protocol.timeline().cloned();
        known.unwrap_or_else(|| ConnectTimeline::new(now()))
    }
}

/// The reason for the end of a task that should have gone on
pub(crate) fn stopped(task: &str) -> Failure {
    if std::thread::panicking() {
        Failure::Internal { message: format!("{task} panicked") }
    } else {
        Failure::RuntimeShutDown
    }
}
