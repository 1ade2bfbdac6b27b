//! The handle to a stack under its owner's lock

use std::{fmt, sync::Arc};

use crate::Stack;

/// The owner of a stack: it keeps the stack under a lock and drives it
pub trait Owner: Send + Sync + 'static {
    /// Locks, calls `f` exactly once, and unlocks; then does the work that the call has made due
    ///
    /// With the lock held and after `f`, [`Stack::take_ready`] and [`Stack::drain_wakers`] are
    /// called. After unlocking [`Wakers::wake_all`](crate::Wakers::wake_all) is called and, if the
    /// stack was ready, a turn is scheduled. The lock is never held across an await, so a
    /// `std::sync::Mutex` is right.
    fn with_stack(&self, f: &mut dyn FnMut(&mut Stack));
}

/// A handle to a stack that makes sockets, cheap to clone
///
/// The sockets behave as those of `tokio::net` unless they say otherwise; they work in any task of
/// any tokio runtime with a timer. Of a [`SocketAddr`](std::net::SocketAddr) the IPv4 half alone is supported.
#[derive(Clone)]
pub struct Net(Arc<dyn Owner>);

impl Net {
    /// Sockets over this owner's stack
    pub fn new(owner: Arc<dyn Owner>) -> Self {
        Self(owner)
    }

    /// Calls `f` under the owner's lock
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Stack) -> R) -> R {
        let (mut f, mut result) = (Some(f), None);
        self.0.with_stack(&mut |stack| {
            if let Some(f) = f.take() {
                result = Some(f(stack));
            }
        });
        #[expect(clippy::expect_used, reason = "the owner's contract, not a peer's doing")]
        result.expect("an owner calls its argument")
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").finish_non_exhaustive()
    }
}
