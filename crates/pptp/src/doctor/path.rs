//! The largest packet that gets through a tunnel, found with pings

use std::{net::Ipv4Addr, time::Duration};

use pptp_tunnel::{Proof, Reachability};
use tokio::time::Instant;

use super::finding::{Finding, Step, Verdict};
use crate::Tunnel;

/// Looks for it, with pings to the first of `candidates` that answers one, and tells how the tunnel's
/// own proof went
///
/// At most 11 sizes, each tried twice for a second at most.
pub(super) async fn examine(tunnel: &Tunnel, candidates: &[Ipv4Addr]) -> Finding {
    let began = Instant::now();
    let found = |verdict, seen| Finding::new(Step::LargestPacket, verdict, began.elapsed(), seen);
    let prober = Prober::find(tunnel, candidates).await;
    // known by now, or 3 s after the tunnel came up; what ended the tunnel is told by others
    let proof = tunnel.reachable().await.unwrap_or_default();
    let Some(prober) = prober else {
        let (verdict, advice) = unanswered(proof);
        let asked: Vec<_> = candidates.iter().map(ToString::to_string).collect();
        let asked = if asked.is_empty() { "anything".into() } else { asked.join(", ") };
        let seen = format!("no answer to a ping from {asked}; {}", words(proof));
        return found(verdict, seen).advise(advice);
    };
    let mtu = usize::from(tunnel.info().mtu);
    let (largest, target) = (prober.largest(mtu).await, prober.target);
    if largest == mtu {
        let words = words(proof);
        let seen = format!("{mtu} octets, the tunnel's MTU, pass to {target} and back; {words}");
        return found(Verdict::Passed, seen);
    }
    let seen = format!(
        "{largest} octets pass to {target} and back, and no more, although the tunnel takes {mtu}"
    );
    let overhead = tunnel.info().encryption.map_or(0, |_| MPPE_OVERHEAD);
    found(Verdict::Failed, seen).advise(advice(largest.saturating_add(overhead)))
}

/// Tells how the tunnel itself knows that packets pass
const fn words(proof: Reachability) -> &'static str {
    match proof {
        Reachability::Proven(Proof::Ping) => "the tunnel's own ping was answered",
        Reachability::Proven(Proof::RouterError) => {
            "a router answered the tunnel's own packet with a TTL of 1"
        }
        Reachability::Proven(_) => {
            "packets come in, though the tunnel's own proofs are not answered"
        }
        Reachability::Unproven => "the tunnel's own proofs were not answered either",
        _ => "the tunnel itself has proven nothing",
    }
}

/// The finding about a path that answers no ping
const fn unanswered(proof: Reachability) -> (Verdict, &'static str) {
    match proof {
        Reachability::Proven(_) => (Verdict::Skipped, "name a target that answers pings"),
        _ => (
            Verdict::Warned,
            "it may be a server that answers no ping: name a target; if that is silent too, nothing \
             passes inside the tunnel, and the server's log says why",
        ),
    }
}

/// `mru` is the largest PPP payload that gets through
fn advice(mru: usize) -> String {
    let cause = "fragments of GRE are lost on the way";
    if mru < MIN_MRU {
        format!("{cause}: let them pass")
    } else {
        format!("{cause}: let them pass, or set the MRU to {mru}")
    }
}

/// Somebody who answers pings
struct Prober<'a> {
    tunnel: &'a Tunnel,
    target: Ipv4Addr,
    patience: Duration,
}

impl<'a> Prober<'a> {
    async fn find(tunnel: &'a Tunnel, candidates: &[Ipv4Addr]) -> Option<Self> {
        for target in candidates.iter().copied() {
            for _ in 0..FIRST_TRIES {
                if let Ok(took) = tunnel.ping_sized(target, SMALL_PACKET, MAX_TIMEOUT).await {
                    let patience = took.saturating_mul(4).clamp(MIN_TIMEOUT, MAX_TIMEOUT);
                    return Some(Self { tunnel, target, patience });
                }
            }
        }
        None
    }

    /// Halves what lies between a size that passes and one that does not
    async fn largest(&self, mtu: usize) -> usize {
        if mtu <= SMALL_PACKET || self.passes(mtu).await {
            return mtu;
        }
        let (mut passes, mut fails) = (SMALL_PACKET, mtu);
        while fails - passes > 1 {
            let middle = usize::midpoint(passes, fails);
            if self.passes(middle).await {
                passes = middle;
            } else {
                fails = middle;
            }
        }
        passes
    }

    async fn passes(&self, size: usize) -> bool {
        for _ in 0..MAX_TRIES {
            if self.tunnel.ping_sized(self.target, size, self.patience).await.is_ok() {
                return true;
            }
        }
        false
    }
}

/// Octets of an IP packet that passes wherever anything does
const SMALL_PACKET: usize = 84;
/// One lost ping proves nothing
const MAX_TRIES: u8 = 2;
/// So many that random protocols rejected by a server with another key are noticed
const FIRST_TRIES: u8 = 3;
const MIN_TIMEOUT: Duration = Duration::from_millis(250);
const MAX_TIMEOUT: Duration = Duration::from_secs(1);
/// MPPE's header, and the protocol of what is encrypted
const MPPE_OVERHEAD: usize = 4;
/// The least that can be configured
const MIN_MRU: usize = 576;
