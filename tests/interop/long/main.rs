//! The long run: faults of two minutes, and half an hour of random faults.

mod outages;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use pptp_interop::{Lab, Outcome, Soak, run, trial_within};

fn main() -> ExitCode {
    let mut trials = outages::trials();
    let limit = Duration::from_mins(minutes() + 15);
    trials.push(trial_within(limit, "no_living_tunnel_is_taken_for_dead", soak));
    run(limit + Duration::from_mins(30), trials)
}

async fn soak(lab: &Lab) -> Outcome {
    Soak::of_minutes(minutes()).run(lab).await
}

/// The length of the soak run: half an hour, or as `PPTP_SOAK_MINUTES` says
fn minutes() -> u64 {
    env::var("PPTP_SOAK_MINUTES").ok().and_then(|minutes| minutes.parse().ok()).unwrap_or(30)
}
