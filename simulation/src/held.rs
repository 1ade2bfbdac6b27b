//! A tunnel that is up, as its owner has it

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pptp::{Info, Reachability, Tunnel, info::Proof};
use tokio::time::Instant;

use crate::talk::Silence;

/// A tunnel that is up
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) tunnel: Tunnel,
    pub(crate) since: Instant,
    silence: Mutex<Silence>,
    inside: Mutex<Inside>,
}

/// What is known of a tunnel's inside
#[derive(Debug, Clone, Copy, Default)]
struct Inside {
    is_proven: bool,
    /// How many tunnels from this one on are taken for ones that could be proven
    memory: u8,
}

/// What the owner remembers of the tunnel before
#[derive(Debug, Default)]
pub(crate) struct Earlier {
    pub(crate) info: Option<Arc<Info>>,
    pub(crate) memory: u8,
}

impl Held {
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

    /// Whether the server has answered a proof on this tunnel
    pub(crate) fn is_proven(&self) -> bool {
        self.note_proof();
        self.inside().is_proven
    }

    /// Whether the server has answered a proof, on this tunnel or on an earlier one that it remembers
    pub(crate) fn is_provable(&self) -> bool {
        self.is_proven() || self.inside().memory > 0
    }

    /// What the next one is told
    pub(crate) fn remembered(&self) -> Earlier {
        let left = self.inside().memory.saturating_sub(1);
        let memory = if self.is_proven() { PROOF_MEMORY } else { left };
        Earlier { info: Some(self.tunnel.info()), memory }
    }

    pub(crate) fn silence(&self) -> MutexGuard<'_, Silence> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As many tunnels without a proof as the library documents for `TunnelConfig::resuming`
const PROOF_MEMORY: u8 = 4;
