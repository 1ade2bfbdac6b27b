//! `up`, `down`, `restart`

use std::{path::Path, sync::Arc};

use clap::Args;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    Terminal,
    choice::{self, Choice},
    daemon::{Daemon, Failure},
};
use crate::{api::view::SiteView, cli::exit::Exit};

/// The arguments of `up`, `down` and `restart`
#[derive(Debug, Clone, Args)]
pub struct ActArguments {
    /// The site, or the sites with a label: b17, @city=Berlin
    #[arg(value_name = "SITE|@LABEL=VALUE", required_unless_present = "all")]
    pub sites: Option<Choice>,
    /// All sites
    #[arg(long, conflicts_with = "sites")]
    pub all: bool,
    /// Wait until it is done, so long at most; the exit code names the layer that failed
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub wait: Option<u64>,
}

/// Wants sites up, and dials them now
pub async fn up(socket: &Path, arguments: &ActArguments, terminal: &mut Terminal) -> Exit {
    act(socket, "up", arguments, terminal).await
}

/// Wants sites down, until somebody wants them up
pub async fn down(socket: &Path, arguments: &ActArguments, terminal: &mut Terminal) -> Exit {
    act(socket, "down", arguments, terminal).await
}

/// Hangs sites up and dials them again
pub async fn restart(socket: &Path, arguments: &ActArguments, terminal: &mut Terminal) -> Exit {
    act(socket, "restart", arguments, terminal).await
}

async fn act(
    socket: &Path,
    deed: &'static str,
    arguments: &ActArguments,
    terminal: &mut Terminal,
) -> Exit {
    let outcome = act_on_all(socket, deed, arguments, terminal).await;
    terminal.finish(outcome)
}

async fn act_on_all(
    socket: &Path,
    deed: &'static str,
    arguments: &ActArguments,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let daemon = Daemon::new(socket);
    let sites = match &arguments.sites {
        Some(choice) => choice.sites(&daemon).await?,
        None => choice::all(&daemon, "").await?,
    };
    let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
    let wait = arguments.wait;
    let mut acts = JoinSet::new();
    for (place, site) in sites.into_iter().enumerate() {
        let (daemon, places) = (daemon.clone(), Arc::clone(&places));
        acts.spawn(async move {
            // it is never closed
            let _place = places.acquire_owned().await;
            (place, act_on_one(&daemon, &site.name, deed, wait).await, site.name)
        });
    }
    let mut failures = Vec::new();
    while let Some(joined) = acts.join_next().await {
        let Ok((place, outcome, name)) = joined else {
            return Err(Failure::new(Exit::Program, "a task of this program has panicked"));
        };
        match outcome {
            Ok(site) => terminal.line(format_args!("{name}: {}", site.detail))?,
            Err(failure) => {
                terminal.complain(format_args!("{name}: {}", failure.message));
                failures.push((place, failure.exit));
            }
        }
    }
    let first = failures.into_iter().min_by_key(|(place, _)| *place);
    Ok(first.map_or(Exit::Success, |(_, exit)| exit))
}

async fn act_on_one(
    daemon: &Daemon,
    site: &str,
    deed: &str,
    wait: Option<u64>,
) -> Result<SiteView, Failure> {
    let wait = wait.map(|seconds| format!("?wait={seconds}")).unwrap_or_default();
    daemon.post(&format!("/v1/sites/{site}/{deed}{wait}")).await
}

/// Reads a time: `30s`, `2min`, `30`
fn seconds(text: &str) -> Result<u64, String> {
    let (number, factor) = match (text.strip_suffix("min"), text.strip_suffix('m')) {
        (Some(number), _) | (None, Some(number)) => (number, 60),
        _ => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    let seconds = seconds.filter(|seconds| (1..=MAX_WAIT).contains(seconds));
    seconds.ok_or_else(|| format!("a time is written 30s or 2min, and is {MAX_WAIT} s at most"))
}

/// Sites that are acted on at the same time: a third of the daemon's places
const MAX_AT_ONCE: usize = 8;

/// The longest wait that the daemon takes
const MAX_WAIT: u64 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        for (text, time) in [("30s", 30), ("30", 30), ("2min", 120), ("2m", 120), ("600", 600)] {
            assert_eq!(seconds(text), Ok(time), "{text}");
        }
        for text in ["", "s", "0", "-1", "601", "11min", "1h", "99999999999999999999min"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
