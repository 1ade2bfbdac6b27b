//! Many tunnels through random faults: the detectors have to tell the living from the dead.
//!
//! The truth is there by design. The injector never cuts a building off for longer than the most
//! impatient detector bears, and leaves a calm between two cuts in which every Echo-Request is
//! answered. Only the permanent outages cut one off for good, and say so. How long each cut really
//! lasted is measured too, for a machine that is too busy to end it in time.

mod evidence;
mod fault_injector;
mod owner;
mod permanent_outages;
mod random;
mod register;
mod soak_tunnel;

use std::env;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pptp::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::fault::{Silenced, Unanswered};
use crate::lab::{Building, Lab};
use crate::trial::Outcome;

use evidence::Witness;
use fault_injector::FaultInjector;
use owner::Owner;
use permanent_outages::PermanentOutages;
use random::Random;
use register::{CALM, Register};
use soak_tunnel::SoakTunnel;

/// A run of many tunnels through random faults
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
        let silenced = tokio::task::block_in_place(|| silence(lab))?;
        let register = Arc::new(Register::new());
        let (stop, stopping) = watch::channel(false);
        let owners = self.start_owners(lab, &register, &stopping)?;
        register.all_are_up(Duration::from_mins(3)).await?;
        let (began, until) = (Instant::now(), Instant::now() + self.length);
        let mut faults = FaultInjector::new(lab, &register, Random::new(self.seed));
        let outages = PermanentOutages::new(lab, &register, Random::new(!self.seed));
        let (seen, cut_off) = tokio::join!(faults.until(until), outages.until(until));
        seen?;
        cut_off?;
        // what the last outage has ended must have time to show
        sleep(CALM).await;
        register.all_are_up(Duration::from_mins(3)).await?;
        stop.send_replace(true);
        let _ = timeout(Duration::from_mins(2), owners.join_all()).await;
        println!("  soak: seed {}, {}", self.seed, register.summary(began.elapsed()));
        tokio::task::spawn_blocking(|| drop(silenced)).await?;
        register.verdict()
    }

    /// A few tunnels into each building, each used in its own way
    fn start_owners(
        self,
        lab: &Lab,
        register: &Arc<Register>,
        stopping: &watch::Receiver<bool>,
    ) -> Result<JoinSet<()>, libtest_mimic::Failed> {
        let client = Client::new()?;
        let witness = Witness::new(lab);
        let mut owners = JoinSet::new();
        for building in Building::ALL {
            for tunnel in SoakTunnel::of(building) {
                let random = Random::new(self.seed ^ tunnel.number());
                let (client, register) = (client.clone(), Arc::clone(register));
                let owner = Owner::new(tunnel, client, register, witness.clone(), random);
                owners.spawn(owner.run(stopping.clone()));
            }
        }
        Ok(owners)
    }
}

/// Some routers answer no ping, some no proof at all, and each building has a host that is dead
fn silence(lab: &Lab) -> io::Result<Vec<Silenced>> {
    let mut silenced = Vec::new();
    for building in Building::ALL {
        silenced.push(lab.silence(building, Unanswered::DeadHost)?);
    }
    for building in ANSWERS_NO_PING {
        silenced.push(lab.silence(building, Unanswered::Pings)?);
    }
    for building in ANSWERS_NO_PROOF {
        silenced.push(lab.silence(building, Unanswered::Proofs)?);
    }
    Ok(silenced)
}

/// Buildings whose servers are proven by the ICMP error of a packet whose time to live is over
const ANSWERS_NO_PING: [Building; 2] = [Building::TWO, Building::CHATTY];
/// Buildings whose servers are never proven
const ANSWERS_NO_PROOF: [Building; 2] = [Building::THREE, Building::MSCHAP1];
