//! Many tunnels through bad weather: whether the detectors tell the living from the dead.
//!
//! The truth is there by design. The weather never cuts a building off for longer than the most
//! impatient detector bears, and leaves a calm between two cuts in which every Echo-Request is
//! answered. Only the undertaker cuts one off for good, and says so. How long each cut really
//! lasted is measured too, for a machine that is too busy to end it in time.

mod random;
mod register;
mod resident;
mod undertaker;
mod weather;

use std::env;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pptp::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::fault::{Quiet, Quietness};
use crate::lab::{Building, Lab};
use crate::trial::Outcome;

use random::Random;
use register::Register;
use resident::Resident;
use undertaker::Undertaker;
use weather::Weather;

/// A run of many tunnels through bad weather
#[derive(Debug, Clone, Copy)]
pub struct Soak {
    length: Duration,
    seed: u64,
}

impl Soak {
    /// One of so many minutes, by the seed in `PPTP_SOAK_SEED`, or else by one of its own, which it prints.
    pub fn of_minutes(minutes: u64) -> Self {
        let given = env::var("PPTP_SOAK_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { length: Duration::from_mins(minutes), seed: given.unwrap_or(clock.as_secs()) }
    }

    /// Run it, and tell in one line how it went; an error if a detector was wrong or too late, or if a transfer broke.
    pub async fn run(self, lab: &Lab) -> Outcome {
        println!("  soak: seed {}, {:?}", self.seed, self.length);
        let quiet = tokio::task::block_in_place(|| quieten(lab))?;
        let register = Arc::new(Register::new());
        let (stop, stopping) = watch::channel(false);
        let residents = self.move_in(&register, &stopping)?;
        register.all_are_up(Duration::from_mins(3)).await?;
        let (began, until) = (Instant::now(), Instant::now() + self.length);
        let mut weather = Weather::new(lab, &register, Random::new(self.seed));
        let undertaker = Undertaker::new(lab, &register, Random::new(!self.seed));
        let (seen, buried) = tokio::join!(weather.until(until), undertaker.until(until));
        seen?;
        buried?;
        // what the last outage has ended must have time to show
        sleep(CALM).await;
        register.all_are_up(Duration::from_mins(3)).await?;
        stop.send_replace(true);
        let _ = timeout(Duration::from_mins(2), residents.join_all()).await;
        println!("  soak: seed {}, {}", self.seed, register.summary(began.elapsed()));
        tokio::task::spawn_blocking(|| drop(quiet)).await?;
        register.verdict()
    }

    /// A few tunnels into each building, each used in its own way
    fn move_in(
        self,
        register: &Arc<Register>,
        stopping: &watch::Receiver<bool>,
    ) -> Result<JoinSet<()>, libtest_mimic::Failed> {
        let client = Client::new()?;
        let mut residents = JoinSet::new();
        for building in Building::ALL {
            for resident in Resident::of(building) {
                let random = Random::new(self.seed ^ resident.number());
                let (client, register) = (client.clone(), Arc::clone(register));
                residents.spawn(resident.live(client, register, random, stopping.clone()));
            }
        }
        Ok(residents)
    }
}

/// Some routers answer no ping, some no proof at all, and each building has a host that is dead
fn quieten(lab: &Lab) -> io::Result<Vec<Quiet>> {
    let mut quiet = Vec::new();
    for building in Building::ALL {
        quiet.push(lab.quieten(building, Quietness::DeadHost)?);
    }
    for building in ANSWERS_NO_PING {
        quiet.push(lab.quieten(building, Quietness::Pings)?);
    }
    for building in ANSWERS_NO_PROOF {
        quiet.push(lab.quieten(building, Quietness::Proofs)?);
    }
    Ok(quiet)
}

/// Buildings whose servers are proven by the ICMP error of a packet whose time to live is over
const ANSWERS_NO_PING: [Building; 2] = [Building::TWO, Building::CHATTY];
/// Buildings whose servers are never proven
const ANSWERS_NO_PROOF: [Building; 2] = [Building::THREE, Building::MSCHAP1];

/// How long a building is left alone between two faults: longer than each interval between two
/// Echo-Requests, so that one of them is answered
const CALM: Duration = Duration::from_secs(10);
