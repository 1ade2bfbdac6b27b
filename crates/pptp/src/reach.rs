//! Whether packets pass inside a tunnel, as its users see it

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pptp_tunnel::{Proof, Reachability, TunnelError};

use crate::{State, Tunnel, driver::tunnel_shared::Inner};

impl Tunnel {
    /// Waits until it is known whether packets pass, and tells how that was proven
    ///
    /// A tunnel proves its path as soon as it is up: a ping of the server's inner address, or of its
    /// first DNS server, and a packet with a TTL of 1 that a router must answer. The answer is there
    /// after a round trip in most cases, and after 3 s at the latest.
    ///
    /// [`Reachability::Unproven`] is no failure: some servers answer no ping. Such a tunnel is ended
    /// for nothing passing only if the server says so itself.
    ///
    /// ```no_run
    /// # async fn example(tunnel: pptp::Tunnel) -> Result<(), pptp::TunnelError> {
    /// match tunnel.reachable().await? {
    ///     pptp::Reachability::Proven(how) => println!("packets pass: {how:?}"),
    ///     other => println!("not proven: {other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The reason for which the tunnel ended. [`Reachability::Unknown`] at once if
    /// [`path_proof`](crate::TunnelConfig::path_proof) is switched off.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn reachable(&self) -> Result<Reachability, TunnelError> {
        let shared = self.shared();
        let path = shared.path.get_or_init(Box::default);
        loop {
            let changed = path.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if let Some(reason) = shared.state.with(State::reason).flatten() {
                return Err(reason);
            }
            if let Some(known) = shared.lock().reachability() {
                return Ok(known);
            }
            changed.await;
        }
    }
}

impl Inner {
    /// Whether packets pass; `None` while the first proof is under way
    fn reachability(&self) -> Option<Reachability> {
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

/// What is known of a tunnel's path, also by those who took its [`Info`](crate::Info) before
#[derive(Debug)]
pub(crate) struct KnownPath(Mutex<Known>);

#[derive(Debug, Clone, Copy)]
struct Known {
    reachability: Reachability,
    /// How many tunnels from here on may answer no proof and still count as ones that could
    proof_memory: u8,
}

impl KnownPath {
    /// Nothing is known but what an earlier tunnel left
    pub(crate) const fn new(proof_memory: u8) -> Self {
        Self(Mutex::new(Known { reachability: Reachability::Unknown, proof_memory }))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reachability(&self) -> Reachability {
        self.lock().reachability
    }

    pub(crate) fn proof_memory(&self) -> u8 {
        self.lock().proof_memory
    }

    fn is(&self, reachability: Reachability) {
        let mut known = self.lock();
        known.reachability = reachability;
        if let Reachability::Proven(Proof::Ping | Proof::RouterError) = reachability {
            known.proof_memory = PROOF_MEMORY;
        }
    }
}

impl Clone for KnownPath {
    fn clone(&self) -> Self {
        Self(Mutex::new(*self.lock()))
    }
}

/// How long UDP datagrams wait for a path to open
///
/// pppd's interface was open 300 to 500 ms late in a busy guest.
const MAX_HOLD: Duration = Duration::from_secs(1);

/// How many tunnels in a row may answer no proof and still count as ones that could
///
/// A tunnel that is dumb from its start answers none. A server whose firewall has changed must not be
/// dialled again for ever.
pub(crate) const PROOF_MEMORY: u8 = 4;
