//! Whether packets pass inside a tunnel, as its users see it

use std::time::{Duration, Instant};

use pptp_tunnel::Reachability;

use crate::driver::tunnel_shared::Inner;

impl Inner {
    /// Whether packets pass; `None` while the first proof is under way
    pub(crate) fn reachability(&self) -> Option<Reachability> {
        let info = self.info.as_deref()?;
        let reachability = info.reachability();
        let is_open = reachability != Reachability::Unknown || !self.proves_path;
        is_open.then_some(reachability)
    }

    /// The tunnel came up, or is up again: its path is proven once more
    ///
    /// UDP datagrams wait for that, a second at most.
    pub(crate) fn path_begins(&mut self, now: Instant) {
        self.hold_until = now.checked_add(MAX_HOLD).filter(|_| self.proves_path);
        if let (Some(stack), Some(until)) = (&mut self.stack, self.hold_until) {
            stack.hold_datagrams(now, until);
        }
    }

    /// Something is known of the path
    pub(crate) fn path_is(&mut self, reachability: Reachability) {
        if let Some(info) = &self.info {
            info.path.is(reachability);
        }
        self.hold_until = None;
        if let Some(stack) = &mut self.stack {
            stack.release_datagrams();
        }
    }
}

/// How long UDP datagrams wait for a path to open
///
/// pppd's interface was open 300 to 500 ms late in a busy guest.
const MAX_HOLD: Duration = Duration::from_secs(1);
