//! A tunnel as its driver knows it

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
};

use pptp_driver::{CallEnds, DriverShared, Session, TurnFlags, now};
use pptp_packet::panics;
use pptp_tunnel::GreError;

use super::{Inner, TunnelShared, end::stopped, guarded::News};
use crate::State;

impl Session for TunnelShared {
    type Guarded = Inner;

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> Option<CallEnds> {
        self.dialled().map(|dialled| CallEnds {
            peer: *dialled.server.ip(),
            local: dialled.local.map(|local| *local.ip()),
            call_id: dialled.call_id,
        })
    }

    fn turns(&self) -> &TurnFlags {
        &self.turns
    }

    fn span(&self) -> &tracing::Span {
        &self.span
    }

    fn driver(&self) -> &DriverShared<Self> {
        self.driver.shared()
    }

    fn follow(self: &Arc<Self>, news: News, wakes_control: bool) {
        let News { state, path_known, ended, question, password_changed } = news;
        if password_changed {
            self.password_changed();
        }
        if let Some(question) = question {
            self.ask(question);
        }
        if let Some(state) = state {
            self.tell(state);
        }
        if wakes_control {
            self.control.notify_one();
        }
        if path_known {
            self.tell_path();
        }
        if let Some(reason) = ended {
            self.end(reason);
        }
    }

    fn finish(&self) {
        self.finish();
    }

    fn panicked(&self, message: String) {
        self.end_after_panic(message);
    }

    fn driver_gone(&self) {
        self.abandon(stopped("the driver"));
    }

    fn not_sent(&self, error: &io::Error) {
        self.unsendable.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(parent: &self.span, %error, "a GRE datagram was not sent");
        if let Some(machine) = self.lock().protocol.machine_mut() {
            machine.handle_gre_error(now(), GreError::NotSent(error.to_string()));
        }
    }

    fn protocol_unreachable(self: &Arc<Self>) {
        if let Some(machine) = self.lock().protocol.machine_mut() {
            machine.handle_gre_error(now(), GreError::ProtocolUnreachable);
        }
        self.mark_timers_due();
    }

    fn examines_strangers(&self) -> bool {
        self.strangers.take()
    }

    /// Takes a datagram that has the Call ID of this tunnel and is not its server's GRE
    ///
    /// If it comes from the server itself, its header is one of another kind of GRE.
    fn stranger(&self, from: Ipv4Addr, gre: &mut [u8]) {
        let Some(dialled) = self.dialled() else { return };
        let server = *dialled.server.ip();
        let mut inner = self.lock();
        let Some(machine) = inner.protocol.machine_mut() else { return };
        if from == server {
            // the state machine counts it, and remembers what its header is
            let _ = machine.handle_gre(now(), gre);
        } else {
            machine.handle_gre_error(now(), GreError::FromElsewhere { from, server });
        }
    }
}

impl TunnelShared {
    /// Tells the tunnel's state to the tasks that watch it; call it with no lock held
    pub(crate) fn tell(&self, state: State) {
        self.driver().count_wakes(usize::from(self.state.tell(state)));
    }

    /// Wakes the tasks that wait to know whether packets pass; call it with no lock held
    #[expect(clippy::disallowed_methods, reason = "the one place")]
    pub(crate) fn tell_path(&self) {
        let Some(path) = self.path.get() else { return };
        self.driver().count_wakes(usize::from(panics(|| path.notify_waiters())));
    }
}
