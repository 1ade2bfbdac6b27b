//! A scenario's run, from the first connect to the last task

use std::{io, sync::Arc, time::Duration};

use pptp::Tunnel;
use pptp_testkit::Server;
use tokio::{
    runtime::{Builder, Handle},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Ending, Scenario,
    journal::{Journal, Tally},
    site::Site,
    world::World,
};

/// The result of a scenario
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// A digest of everything that was sent, and of the notes: equal for equal runs
    pub digest: u64,
    /// Violations of the promises; empty if all is well
    pub violations: Vec<String>,
    /// Notes with their times
    pub notes: Vec<(Duration, String)>,
    /// Virtual time that the run took
    pub took: Duration,
    /// Tunnels that came up
    pub up: u32,
    /// Jobs that were done
    pub done: u32,
    /// Counts of tunnels through which no packet passed
    pub tally: Tally,
}

impl Scenario {
    /// Runs the scenario, in virtual time, on this thread
    pub fn run(&self) -> Run {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        match runtime {
            Ok(runtime) => runtime.block_on(simulate(self)),
            Err(error) => Run {
                digest: 0,
                violations: vec![format!("no runtime: {error}")],
                notes: Vec::new(),
                took: Duration::ZERO,
                up: 0,
                done: 0,
                tally: Tally::default(),
            },
        }
    }
}

async fn simulate(scenario: &Scenario) -> Run {
    let (began, journal) = (Instant::now(), Journal::new());
    let digest = match run_scenario(scenario, &journal).await {
        Ok(digest) => digest,
        Err(error) => {
            journal.violation(format!("the simulation itself failed: {error}"));
            0
        }
    };
    let mut pages = journal.pages();
    Run {
        digest,
        violations: std::mem::take(&mut pages.violations),
        notes: std::mem::take(&mut pages.notes),
        took: began.elapsed(),
        up: pages.up,
        done: pages.done,
        tally: pages.tally,
    }
}

async fn run_scenario(scenario: &Scenario, journal: &Journal) -> io::Result<u64> {
    let (mut world, calm) = (World::new(scenario)?, CancellationToken::new());
    let sites = (0..scenario.tunnels.len()).map(|number| {
        let site = Arc::new(Site::new(number, &world, scenario, journal, &calm));
        (Arc::clone(&site), tokio::spawn(site.run()))
    });
    let sites = sites.collect::<Vec<_>>();
    apply_faults(scenario, &mut world, journal).await?;
    world.calm_down().await?;
    journal.note("all is well again");
    calm.cancel();
    let mut tunnels = Vec::new();
    for (site, living) in sites {
        match timeout(CALM_TIMEOUT, living).await {
            Ok(tunnel) => tunnels.extend(tunnel.map_err(io::Error::other)?),
            Err(_) => site.promises().violation("the tunnel's owner waits for ever"),
        }
    }
    end_tunnels(scenario, &world, journal, tunnels).await;
    let digest = world.digest();
    if world.client.stats().panics > 0 {
        journal.violation("a turn panicked");
    }
    drop(world);
    leaves_no_task(journal).await;
    Ok(digest)
}

/// Begins and ends all faults at their times
async fn apply_faults(scenario: &Scenario, world: &mut World, journal: &Journal) -> io::Result<()> {
    let began = Instant::now();
    let begins = scenario.faults.iter().map(|timed| (timed.at, true, timed));
    let ends = scenario.faults.iter().map(|timed| (timed.at + timed.lasts, false, timed));
    let mut all = begins.chain(ends).collect::<Vec<_>>();
    all.sort_by_key(|(at, ..)| *at);
    for (at, begins, timed) in all {
        sleep_until(began + at).await;
        journal.note(format!("{} {:?}", if begins { "begins" } else { "ends" }, timed.fault));
        if !begins {
            world.end(timed.fault).await?;
            continue;
        }
        world.begin(timed.fault, timed.lasts).await;
        if timed.fault.ends_calls() {
            journal.pages().losses.push(Instant::now());
        }
    }
    sleep_until(began + scenario.calms_down_at()).await;
    Ok(())
}

/// Ends all tunnels, and checks that they end in time on both sides
async fn end_tunnels(scenario: &Scenario, world: &World, journal: &Journal, tunnels: Vec<Tunnel>) {
    match scenario.ending {
        Ending::Close => {
            for tunnel in &tunnels {
                within(journal, HANG_UP_TIMEOUT, "a tunnel's close", tunnel.close()).await;
            }
        }
        Ending::Drop => {}
        Ending::ServerHangsUp => {
            world.server().into_iter().for_each(Server::hang_up_all);
            for tunnel in &tunnels {
                within(journal, HANG_UP_TIMEOUT, "the server's hang-up", tunnel.closed()).await;
            }
        }
    }
    drop(tunnels);
    within(journal, HANG_UP_TIMEOUT, "the client's last tunnel", world.client.wait_idle()).await;
    if let Some(server) = world.server() {
        // the server notices lost calls by its own echoes
        within(journal, SERVER_IDLE_TIMEOUT, "the server's last session", server.idle()).await;
    }
}

async fn within<T>(journal: &Journal, limit: Duration, what: &str, ends: impl Future<Output = T>) {
    if timeout(limit, ends).await.is_err() {
        journal.violation(format!("{what} takes more than {limit:?}"));
    }
}

async fn leaves_no_task(journal: &Journal) {
    sleep(Duration::from_secs(1)).await;
    let left = Handle::current().metrics().num_alive_tasks();
    if left > 0 {
        journal.violation(format!("{left} tasks are left"));
    }
}

/// The limit for a tunnel's owner in the calm
const CALM_TIMEOUT: Duration = Duration::from_mins(15);

/// A hang-up takes 9 s at most
const HANG_UP_TIMEOUT: Duration = Duration::from_secs(10);

/// The server's echoes end a dead client after 70 s, those of the control connection after two
/// minutes
const SERVER_IDLE_TIMEOUT: Duration = Duration::from_mins(5);
