//! The checks behind a tunnel: the path through it, and the targets that the caller has named

use std::{net::Ipv4Addr, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    finding::{Finding, Step},
    path,
    report::Report,
    target::Target,
};
use crate::{State, Tunnel, TunnelError};

/// Looks at the path and the target, and leaves the tunnel as it is
///
/// A tunnel that ends meanwhile is told with its failure, at the layer of that.
pub(super) async fn examine(tunnel: &Tunnel, target: Option<&Target>, report: &Report) {
    let (began, received) = (Instant::now(), received(tunnel));
    let candidates = candidates(tunnel, target);
    let finding = path::examine(tunnel, &candidates).await;
    if let Some(reason) = ended(tunnel) {
        report.tell(lost(&reason, finding.took)).await;
        return report.skip([Step::LargestPacket, Step::Target]).await;
    }
    report.tell(finding).await;
    let target_began = Instant::now();
    let finding = match target {
        Some(target) => target.examine(tunnel).await,
        None => Finding::skipped(Step::Target, "none was named"),
    };
    let silence = Silence { tunnel, received, until: began + VERDICT_TIME };
    silence.wait(candidates.first().copied()).await;
    match ended(tunnel) {
        Some(reason) => {
            report.tell(lost(&reason, target_began.elapsed())).await;
            report.skip([Step::Target]).await;
        }
        None => report.tell(finding).await,
    }
}

/// Addresses that may answer a ping, the likeliest first
fn candidates(tunnel: &Tunnel, target: Option<&Target>) -> Vec<Ipv4Addr> {
    let info = tunnel.info();
    let target = target.and_then(Target::address);
    let mut candidates = Vec::new();
    for address in target.into_iter().chain(info.peer_address).chain(info.dns.iter().copied()) {
        if !candidates.contains(&address) {
            candidates.push(address);
        }
    }
    candidates
}

/// A tunnel through which nothing has come since the examination began
///
/// It may be one that carries nothing, which ends with a failure that says so. A target that is silent
/// must not be blamed for it.
struct Silence<'a> {
    tunnel: &'a Tunnel,
    /// IP packets at the beginning
    received: u64,
    until: Instant,
}

impl Silence<'_> {
    /// Waits until something comes, the tunnel ends, or it would have ended; pings go on meanwhile
    async fn wait(&self, address: Option<Ipv4Addr>) {
        while received(self.tunnel) == self.received && Instant::now() < self.until {
            let next = self.until.min(Instant::now() + BETWEEN_PINGS);
            if let Some(address) = address {
                // its answer shows in what was received
                let _ = self.tunnel.ping(address, BETWEEN_PINGS).await;
            }
            if timeout_at(next, self.tunnel.closed()).await.is_ok() {
                return;
            }
        }
    }
}

fn received(tunnel: &Tunnel) -> u64 {
    tunnel.stats().tunnel.ip_received
}

fn ended(tunnel: &Tunnel) -> Option<TunnelError> {
    match &*tunnel.state().borrow() {
        State::Down { reason } => Some(reason.clone()),
        _ => None,
    }
}

/// The finding that the tunnel was lost during the checks behind it
fn lost(reason: &TunnelError, took: Duration) -> Finding {
    Finding::failure(Step::of_error(reason), took, reason)
}

/// A tunnel that carries nothing has ended within 15 s of the first packet that was lost to it, and within 23 s if only
/// routers' errors have proven its path
const VERDICT_TIME: Duration = Duration::from_secs(24);
/// Each one of them may draw what proves that nothing opens
const BETWEEN_PINGS: Duration = Duration::from_secs(1);
