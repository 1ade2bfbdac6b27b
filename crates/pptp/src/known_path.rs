//! The knowledge whether packets pass inside a tunnel

use std::sync::{Mutex, MutexGuard, PoisonError};

use pptp_tunnel::{Proof, Reachability};

/// The knowledge of a tunnel's path; an [`Info`](crate::Info) that was taken before shares it
#[derive(Debug)]
pub(crate) struct KnownPath(Mutex<Known>);

#[derive(Debug, Clone, Copy)]
struct Known {
    reachability: Reachability,
    /// The number of tunnels from here on that may answer no proof and still count as ones that could
    proof_memory: u8,
}

impl KnownPath {
    /// A path of which only the memory of an earlier tunnel is known
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

    pub(crate) fn is(&self, reachability: Reachability) {
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

/// The number of tunnels in a row that may answer no proof and still count as ones that could
///
/// A tunnel that is dumb from its start answers none. A server whose firewall has changed must not be
/// dialled again for ever.
pub(crate) const PROOF_MEMORY: u8 = 4;
