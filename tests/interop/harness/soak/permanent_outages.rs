use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::random::Random;
use super::register::{CALM, Register};
use crate::lab::{Building, Lab};
use crate::trial::Outcome;

/// Cuts one building after the other off for good, until all of its tunnels have found that out
#[derive(Debug)]
pub(super) struct PermanentOutages {
    lab: Lab,
    register: Arc<Register>,
    random: Random,
}

impl PermanentOutages {
    pub(super) fn new(lab: &Lab, register: &Arc<Register>, random: Random) -> Self {
        Self { lab: lab.clone(), register: Arc::clone(register), random }
    }

    /// The first building is one whose tunnels are all quick to find out, for short runs.
    pub(super) async fn until(mut self, until: Instant) -> Outcome {
        let mut number = self.random.number(0..=5) * 2;
        loop {
            self.cut_off(Building::ALL[usize::try_from(number)?]).await?;
            if Instant::now() > until {
                return Ok(());
            }
            number = self.random.number(0..=11);
        }
    }

    async fn cut_off(&self, building: Building) -> Outcome {
        while !self.register.claim(building) {
            sleep(Duration::from_millis(100)).await;
        }
        self.register.fault("dead for good");
        self.register.cut_off(&[building], true);
        let line = self.lab.unplug(building).await?;
        let deadline = Instant::now() + MOST;
        while self.register.up(building) > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(50)).await;
        }
        let left = self.register.up(building);
        // on another thread: in a pause the guest takes no command, and whoever ends the pause must not wait
        tokio::task::spawn_blocking(|| drop(line)).await?;
        self.register.reachable(&[building]);
        if left > 0 {
            return Err(format!("{left} tunnels to building {} live on", building.number()).into());
        }
        self.register.are_up(&[building], Duration::from_mins(3)).await?;
        sleep(CALM).await;
        self.register.give_back(building);
        Ok(())
    }
}

/// Twice what the default policy takes
const MOST: Duration = Duration::from_secs(140);
