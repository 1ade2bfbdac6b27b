//! The truth about the line and the server, which tunnels are not told

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use pptp_testkit::Server;
use tokio::time::Instant;

/// The truth of one scenario; clones share it
#[derive(Debug, Clone)]
pub(crate) struct Truth(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    facts: Facts,
    changed: Instant,
    calls_lost: Option<Instant>,
    server: Weak<Server>,
}

/// The state of the line and of the tunnels' inside
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Datagrams and TCP pass between both hosts; some may be lost or damaged
    pub(crate) line_is_whole: bool,
    /// The server opens its clients' packets, and they can open those of the server
    pub(crate) opens: bool,
    /// The server opens nothing, and reports that
    pub(crate) complains: bool,
}

impl Facts {
    pub(crate) const WELL: Self = Self { line_is_whole: true, opens: true, complains: false };

    /// Returns true if packets pass inside the tunnels, both ways
    pub(crate) const fn passes(self) -> bool {
        self.line_is_whole && self.opens
    }
}

impl Truth {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            facts: Facts::WELL,
            changed: Instant::now(),
            calls_lost: None,
            server: Weak::new(),
        })))
    }

    /// Sets the facts from now on
    pub(crate) fn is(&self, facts: Facts) {
        let mut state = self.state();
        if std::mem::replace(&mut state.facts, facts) != facts {
            state.changed = Instant::now();
        }
    }

    /// Notes a disturbance in this moment that leaves the facts as they were
    pub(crate) fn disturbed(&self) {
        self.state().changed = Instant::now();
    }

    /// Notes that the server has lost its calls, or is about to end them
    pub(crate) fn calls_are_lost(&self) {
        let mut state = self.state();
        state.calls_lost = Some(Instant::now());
        state.changed = Instant::now();
    }

    pub(crate) fn server_is(&self, server: &Arc<Server>) {
        self.state().server = Arc::downgrade(server);
    }

    /// The facts of now, and the time since when they hold
    pub(crate) fn now(&self) -> (Facts, Instant) {
        let state = self.state();
        (state.facts, state.changed)
    }

    /// Returns true if, for the server, the call with this address, which came up at `since`, is up
    pub(crate) fn is_up(&self, since: Instant, address: Ipv4Addr) -> bool {
        let server = self.state().server.upgrade();
        let is_up = |server: Arc<Server>| server.stats().up_addresses.contains(&address);
        self.has_call(since, address) && server.is_some_and(is_up)
    }

    /// Returns true if the server still has the call that came up at `since` and was given this
    /// address
    pub(crate) fn has_call(&self, since: Instant, address: Ipv4Addr) -> bool {
        let (lost, server) = {
            let state = self.state();
            (state.calls_lost, state.server.upgrade())
        };
        let has_ended = |server: Arc<Server>| {
            server.stats().ended.iter().any(|ended| ended.inner_address == Some(address))
        };
        lost.is_none_or(|lost| lost < since) && server.is_some_and(|server| !has_ended(server))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
