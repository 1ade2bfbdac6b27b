//! A day of a daemon with thousands of sites, in virtual time: all that goes wrong, and the promises that hold meanwhile
//!
//! | module | content |
//! |---|---|
//! | this one | the tests |
//! | `plan` | the sites, their servers, and what each of them is there for |
//! | `outside` | the network as the daemon sees it: names, and a host for each daemon |
//! | `building` | a server with its building, where a service tells who asks |
//! | `world` | all of it, with the daemon, and the commands of its owner and of persons |
//! | `weather` | what happens, by chance and by plan |
//! | `faults` | what befalls servers |
//! | `owner` | what the owner and persons do |
//! | `visits` | clients that come through the ways in |
//! | `watch` | looks at each event, and at all sites each minute |
//! | `promises` | the promises about what the watch has seen |
//! | `seen` | a site and a server as the watch has seen them |

mod building;
mod faults;
mod outside;
mod owner;
mod plan;
mod promises;
mod seen;
mod visits;
mod watch;
mod weather;
mod world;

use std::{env, time::Duration};

use self::{plan::Plan, world::World};

/// Lets the hours pass; all is well again at the end, and then all sites are as they are wanted
async fn hours(seed: u64, sites: usize, hours: u64) {
    println!("a day by the seed {seed}: {sites} sites, {hours} hours");
    let world = World::start(Plan::new(seed, sites, Duration::from_hours(hours))).await;
    world.run().await;
    world.recover().await;
    println!("{}", world.watch.figures());
    world.shut_down().await;
}

/// The seed of the run; another one by `PPTP_SEED`
fn seed() -> u64 {
    number("PPTP_SEED").unwrap_or(12)
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_in_two_hours_each_promise_is_kept() {
    hours(seed(), 100, 2).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "minutes in a release build: a step of .ci/long"]
async fn whatever_happens_in_a_day_with_3000_sites_each_promise_is_kept() {
    let size = |name, usual| number(name).unwrap_or(usual);
    let sites = usize::try_from(size("PPTP_SITES", 3000)).expect("not too many");
    hours(seed(), sites, size("PPTP_HOURS", 24)).await;
    println!("{}", cost());
}

/// The time of the processor and the memory that the process has taken
fn cost() -> String {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let stat = read("/proc/self/stat");
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind_name.split(' ').skip(12).take(2);
    let ticks: u64 = ticks.filter_map(|it| it.parse::<u64>().ok()).sum();
    let status = read("/proc/self/status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    format!("{} s of CPU, {} of memory at most", ticks / 100, peak.trim())
}
