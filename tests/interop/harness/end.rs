//! How a tunnel ended, held against what is documented.

use std::ops::Range;
use std::time::Duration;

use libtest_mimic::Failed;
use pptp::{
    Tunnel, TunnelError,
    config::EchoPolicy,
    error::{Layer, Phase},
};
use tokio::time::{Instant, timeout};

use crate::trial::Outcome;

/// Why a tunnel ended, and how long after something had happened to it
#[derive(Debug, Clone)]
pub struct End {
    /// What the tunnel itself gives as its reason
    pub reason: TunnelError,
    /// How long after it happened
    pub after: Duration,
}

impl End {
    /// Wait for the end of `tunnel`, to which something happened at `since`; an error `limit` after that.
    pub async fn of(tunnel: &Tunnel, since: Instant, limit: Duration) -> Result<Self, Failed> {
        let wait = (since + limit).saturating_duration_since(Instant::now());
        let Ok(reason) = timeout(wait, tunnel.closed()).await else {
            let (name, state) = (tunnel.name(), tunnel.state().borrow().clone());
            return Err(format!("{name}: {state:?} still after {limit:?}").into());
        };
        let after = since.elapsed();
        println!("  {}: {after:.1?} later: {reason}", tunnel.name());
        Ok(Self { reason, after })
    }

    /// An error unless this is the reason, its layer and the time in which it was found, and unless the
    /// advice names what to do.
    pub fn is(&self, name: &str, layer: Layer, advice: &str, after: Range<Duration>) -> Outcome {
        let Self { reason, after: took } = self;
        let right = reason.name() == name
            && reason.layer() == layer
            && reason.phase == Phase::Up
            && reason.advice().contains(advice)
            && after.contains(took);
        if right {
            return Ok(());
        }
        let wanted = format!("{name} in layer {layer} with the advice {advice:?} within {after:?}");
        Err(format!("{reason} in layer {} after {took:?}, and not {wanted}", reason.layer()).into())
    }
}

/// How long a server can be unreachable, at the least and at the most, before a tunnel with this `policy`
/// is declared dead; the most twice, for a busy machine
///
/// The least: the first Echo-Request that gets no answer may leave with the outage, and each of those
/// that it takes has its interval. A second is left for one that was on its way. The most: the last
/// frame may have come with the outage, so that its whole silence has to pass first.
pub fn detection(policy: EchoPolicy) -> Range<Duration> {
    let asking = policy.interval * u32::from(policy.unanswered);
    asking.saturating_sub(Duration::from_secs(1))..(policy.silence + asking) * 2
}
