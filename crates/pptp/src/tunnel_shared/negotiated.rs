//! The result of the negotiation, and the proof of the path that follows it

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pptp_tunnel::Reachability;

use crate::Info;

/// The latest negotiation's result; empty until the tunnel has been up
#[derive(Default)]
pub(crate) struct Negotiated {
    info: Option<Arc<Info>>,
    /// The time until which UDP datagrams wait for the path to open; boxed, since that is a second
    hold_until: Option<Box<Instant>>,
    /// True if the configuration has the path proven at all
    proves_path: bool,
}

impl Negotiated {
    pub(crate) const fn info(&self) -> Option<&Arc<Info>> {
        self.info.as_ref()
    }

    pub(crate) fn hold_until(&self) -> Option<Instant> {
        self.hold_until.as_deref().copied()
    }

    /// Notes whether the tunnel's configuration has the path proven
    pub(crate) const fn set_proves_path(&mut self, proves_path: bool) {
        self.proves_path = proves_path;
    }

    /// Takes the result of a negotiation: the path is to be proven anew
    ///
    /// UDP datagrams wait for that, a second at most. Returns the end of that second.
    pub(crate) fn up(&mut self, info: Arc<Info>, now: Instant) -> Option<Instant> {
        self.info = Some(info);
        let until = now.checked_add(MAX_HOLD).filter(|_| self.proves_path);
        self.hold_until = until.map(Box::new);
        until
    }

    /// Takes the result of a proof: UDP datagrams need not wait any more
    pub(crate) fn proven(&mut self, reachability: Reachability) {
        if let Some(info) = &self.info {
            info.path.is(reachability);
        }
        self.hold_until = None;
    }

    /// Returns whether packets pass; `None` while the first proof is under way
    pub(crate) fn reachability(&self) -> Option<Reachability> {
        let info = self.info.as_deref()?;
        let reachability = info.reachability();
        let is_open = reachability != Reachability::Unknown || !self.proves_path;
        is_open.then_some(reachability)
    }
}

/// The longest time that UDP datagrams wait for a path to open
///
/// pppd's interface was open 300 to 500 ms late in a busy guest.
const MAX_HOLD: Duration = Duration::from_secs(1);
