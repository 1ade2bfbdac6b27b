//! A tunnel that is up, with its owner's knowledge of it

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pptp::{Info, Reachability, Tunnel, info::Proof};
use tokio::time::Instant;

use crate::silence::Silence;

/// A tunnel that is up
#[derive(Debug)]
pub(crate) struct LiveTunnel {
    pub(crate) tunnel: Tunnel,
    pub(crate) since: Instant,
    silence: Mutex<Silence>,
    inside: Mutex<Inside>,
}

/// The owner's knowledge of a tunnel's inside
#[derive(Debug, Clone, Copy, Default)]
struct Inside {
    is_proven: bool,
    /// The number of tunnels, from this one on, that count as provable
    memory: u8,
}

/// The owner's memory of the tunnel before
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) info: Option<Arc<Info>>,
    pub(crate) memory: u8,
}

impl LiveTunnel {
    pub(crate) fn new(tunnel: Tunnel, memory: u8) -> Self {
        let inside = Inside { memory, ..Inside::default() };
        Self {
            tunnel,
            since: Instant::now(),
            silence: Mutex::default(),
            inside: Mutex::new(inside),
        }
    }

    pub(crate) fn note_proof(&self) {
        let proven = [Proof::Ping, Proof::RouterError].map(Reachability::Proven);
        let reachability = self.tunnel.info().reachability();
        self.inside().is_proven |= proven.contains(&reachability);
    }

    /// Returns true if the server has answered a proof on this tunnel
    pub(crate) fn is_proven(&self) -> bool {
        self.note_proof();
        self.inside().is_proven
    }

    /// Returns true if the server has answered a proof, on this tunnel or on a remembered earlier
    /// one
    pub(crate) fn is_provable(&self) -> bool {
        self.is_proven() || self.inside().memory > 0
    }

    /// The knowledge that the next tunnel gets
    pub(crate) fn remembered(&self) -> Memory {
        let left = self.inside().memory.saturating_sub(1);
        let memory = if self.is_proven() { PROOF_MEMORY } else { left };
        Memory { info: Some(self.tunnel.info()), memory }
    }

    pub(crate) fn silence(&self) -> MutexGuard<'_, Silence> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tunnels without a proof after which the memory ends, as documented for `TunnelConfig::resuming`
const PROOF_MEMORY: u8 = 4;
