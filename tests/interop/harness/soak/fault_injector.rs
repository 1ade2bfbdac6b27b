use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep};

use super::random::Random;
use super::register::{CALM, Register};
use crate::lab::{Building, Delay, Lab};
use crate::network::Nft;
use crate::trial::Outcome;

/// What happens to the buildings, none of it for longer than a detector bears
#[derive(Debug)]
pub(super) struct FaultInjector {
    lab: Lab,
    register: Arc<Register>,
    random: Random,
}

/// What happens to one building
#[derive(Debug, Clone, Copy)]
enum Fault {
    GreLost,
    GreLostIn,
    GreLostOut,
    GreForbidden,
    LineDown,
    /// So many percent are lost each way
    Loss(u8),
}

/// The longest fault of one building
const LONGEST_FAULT: u64 = 20_000;
/// The longest pause of all
const LONGEST_PAUSE: u64 = 25_000;

impl FaultInjector {
    pub(super) fn new(lab: &Lab, register: &Arc<Register>, random: Random) -> Self {
        Self { lab: lab.clone(), register: Arc::clone(register), random }
    }

    /// Faults of some buildings at once, a calm, a pause of all, a calm, and so on
    pub(super) async fn until(&mut self, until: Instant) -> Outcome {
        while Instant::now() < until {
            let (buildings, slow) = self.slow_lines()?;
            self.faults(&buildings).await?;
            sleep(CALM).await;
            self.pause().await?;
            sleep(CALM).await;
            tokio::task::spawn_blocking(|| drop(slow)).await?;
        }
        Ok(())
    }

    /// Some lines are long, for all of what follows
    fn slow_lines(&mut self) -> io::Result<(Vec<Building>, Vec<Delay>)> {
        let (buildings, mut slow) = (self.chosen(30), Vec::new());
        for &building in &buildings {
            let round_trip = self.random.millis(10..=500);
            self.register.fault("delays");
            slow.push(block_in_place(|| self.lab.delay(building, round_trip))?);
        }
        Ok((buildings, slow))
    }

    async fn faults(&mut self, slow: &[Building]) -> Outcome {
        let mut faults = JoinSet::new();
        if self.random.percent(50) {
            faults.spawn(self.saturate());
        }
        for building in self.chosen(50) {
            let (fault, lasts) = (self.fault(), self.random.millis(500..=LONGEST_FAULT));
            // a line has one netem, for delay or for loss
            let has_netem = matches!(fault, Fault::Loss(_)) && slow.contains(&building);
            if has_netem || !self.register.claim(building) {
                continue;
            }
            let (lab, register) = (self.lab.clone(), Arc::clone(&self.register));
            faults.spawn(async move {
                register.fault(fault.name());
                register.cut_off(&[building], false);
                let outcome = fault.happen(&lab, building, lasts).await;
                register.reachable(&[building]);
                register.give_back(building);
                outcome
            });
        }
        while let Some(happened) = faults.join_next().await {
            happened??;
        }
        Ok(())
    }

    /// Some of the buildings, each with a chance of so many percent
    fn chosen(&mut self, percent: u64) -> Vec<Building> {
        Building::ALL.into_iter().filter(|_| self.random.percent(percent)).collect()
    }

    fn fault(&mut self) -> Fault {
        match self.random.number(0..=6) {
            0 => Fault::GreLost,
            1 => Fault::GreLostIn,
            2 => Fault::GreLostOut,
            3 => Fault::GreForbidden,
            4 => Fault::LineDown,
            _ => Fault::Loss(u8::try_from(self.random.number(5..=60)).unwrap_or(5)),
        }
    }

    /// The guest's processor has much else to do for a while.
    fn saturate(&mut self) -> impl Future<Output = Outcome> + use<> {
        let seconds = self.random.number(1..=LONGEST_FAULT / 1000);
        self.register.fault("busy processors");
        let spin = format!("timeout {seconds} bash -c 'while :; do :; done' & ");
        let (lab, command) = (self.lab.clone(), format!("{} wait", spin.repeat(4)));
        async move {
            lab.shell(&command).await?;
            Ok(())
        }
    }

    /// The whole guest stands still.
    async fn pause(&mut self) -> Outcome {
        let lasts = self.random.millis(0..=LONGEST_PAUSE);
        self.register.fault("pauses");
        // those that are cut off for good stay so
        let reachable = self.register.in_reach();
        self.register.cut_off(&reachable, false);
        let paused = self.lab.pause()?;
        sleep(lasts).await;
        drop(paused);
        self.register.reachable(&reachable);
        Ok(())
    }
}

impl Fault {
    const fn name(self) -> &'static str {
        match self {
            Self::GreLost => "GRE lost",
            Self::GreLostIn => "GRE lost inwards",
            Self::GreLostOut => "GRE lost outwards",
            Self::GreForbidden => "GRE refused",
            Self::LineDown => "lines down",
            Self::Loss(_) => "loss bursts",
        }
    }

    async fn happen(self, lab: &Lab, building: Building, lasts: Duration) -> Outcome {
        let server = building.server();
        match self {
            Self::GreLost => lasting(lasts, Nft::lose_gre_both_ways(server)?).await,
            Self::GreLostIn => lasting(lasts, Nft::lose_gre_from(server)?).await,
            Self::GreLostOut => lasting(lasts, Nft::lose_gre_on_the_way_to(server)?).await,
            Self::GreForbidden => lasting(lasts, Nft::forbid_gre_to(server)?).await,
            Self::LineDown => lasting(lasts, lab.unplug(building).await?).await,
            Self::Loss(percent) => {
                lasting(lasts, block_in_place(|| lab.lose(building, percent))?).await;
            }
        }
        Ok(())
    }
}

/// What was changed lasts for so long
async fn lasting<T>(lasts: Duration, changed: T) {
    sleep(lasts).await;
    block_in_place(|| drop(changed));
}
