//! The daemon, as the service manager sees it

use std::{fmt::Write, sync::Arc, time::Duration};

use pptp::Client;
use pptp_fleet::{Fleet, FleetStatus};
use tokio::time::sleep;

use super::lifecycle::Daemon;
use crate::{
    api::DaemonFacts,
    host::{Watchdog, feed},
};

impl Daemon {
    /// Tells the service manager that the daemon is up, or that a reload is over
    pub async fn tell_ready(&self) {
        let status = self.status_line().await.unwrap_or_default();
        self.notifier.ready(&status).await;
    }

    /// Tells the service manager that all sites are hung up now
    pub(super) async fn tell_stopping(&self, within: Duration) {
        self.notifier.stopping("hanging up all sites", within).await;
    }

    /// Keeps the service manager's line up to date, and feeds its watchdog
    pub(super) fn spawn_service_tasks(self: &Arc<Self>) {
        if !self.notifier.is_heard() {
            return;
        }
        let daemon = Arc::downgrade(self);
        self.spawn(async move {
            let mut told: Option<String> = None;
            loop {
                sleep(STATUS_INTERVAL).await;
                let Some(daemon) = daemon.upgrade() else { return };
                let status = daemon.status_line().await;
                if let Some(line) = status.as_ref().filter(|line| told.as_ref() != Some(*line)) {
                    daemon.notifier.status(line).await;
                }
                told = status;
            }
        });
        if let Some(watchdog) = Watchdog::of_process() {
            let (client, fleet) = (self.client.clone(), self.fleet().clone());
            let notifier = self.notifier.clone();
            let ask = move || beat(client.clone(), fleet.clone());
            self.spawn(async move { feed(watchdog, ask, || notifier.feed()).await });
        }
    }

    /// Returns the sentence for the service manager; `None` once the fleet is shut down
    async fn status_line(&self) -> Option<String> {
        let status = self.fleet().status().await?;
        Some(sentence(&status, &self.lock_facts()))
    }
}

/// Asks the driver and the supervisor for a turn each; false if one of them is gone for good
///
/// The control interface has no part in it: a client of it that stalls must not end good tunnels.
pub(super) async fn beat(client: Client, fleet: Fleet) -> bool {
    client.beat().await.is_ok() && fleet.beat().await
}

fn sentence(status: &FleetStatus, facts: &DaemonFacts) -> String {
    let FleetStatus { sites, up, under_way, .. } = status;
    let plural = if *sites == 1 { "" } else { "s" };
    let mut line = format!("{up} of {sites} site{plural} up");
    if *under_way > 0 {
        // a text takes everything
        let _ = write!(line, ", {under_way} being dialled");
    }
    if status.is_outage {
        line.push_str("; the network of this machine seems to be down");
    }
    if facts.is_running_last_good {
        line.push_str("; the files have problems: the last good configuration is in force");
    } else if !facts.problems.is_empty() {
        line.push_str("; the configuration has problems: see pptp-connector show");
    }
    line
}

/// The time between two looks at the counts
const STATUS_INTERVAL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::mpsc};

    use pptp_fleet::FleetOptions;
    use pptp_testkit::memory;
    use tokio::{
        runtime::{Builder, Runtime},
        time::timeout,
    };

    use super::*;

    #[test]
    fn the_sentence_counts_and_says_what_is_wrong() {
        let mut status = FleetStatus::default();
        let mut facts = DaemonFacts::default();
        assert_eq!(sentence(&status, &facts), "0 of 0 sites up");
        (status.sites, status.up) = (1, 1);
        assert_eq!(sentence(&status, &facts), "1 of 1 site up");
        (status.sites, status.under_way) = (14, 2);
        assert_eq!(sentence(&status, &facts), "1 of 14 sites up, 2 being dialled");
        status.under_way = 0;
        facts.problems = vec!["one".to_owned()];
        let problems = "1 of 14 sites up; the configuration has problems: see pptp-connector show";
        assert_eq!(sentence(&status, &facts), problems);
        (facts.is_running_last_good, status.is_outage) = (true, true);
        let sentence = sentence(&status, &facts);
        assert!(sentence.contains("down; the files have problems: the last good"), "{sentence}");
    }

    /// A runtime with one thread beside this one
    fn runtime() -> Runtime {
        Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    }

    /// Blocks the only thread of a runtime until what is returned is dropped
    fn block(runtime: &Runtime) -> mpsc::Sender<()> {
        let (block, blocked) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        runtime.spawn(async move {
            begin.send(()).unwrap();
            blocked.recv().unwrap_err();
        });
        begun.recv().unwrap();
        block
    }

    /// Each has a runtime of its own: the driver, the supervisor, and the watchdog
    #[test]
    fn a_driver_or_a_supervisor_that_stands_still_starves_the_watchdog() {
        let (drivers, supervisors) = (runtime(), runtime());
        let ours = Builder::new_current_thread().enable_all().build().unwrap();
        let client = drivers.block_on(async {
            let host = memory::Network::new(0).host(Ipv4Addr::new(10, 99, 0, 1));
            tokio::spawn(async { Client::builder().memory(host).build().unwrap() }).await.unwrap()
        });
        let fleet = supervisors.block_on(async {
            let client = client.clone();
            let fleet = tokio::spawn(async { Fleet::new(client, &FleetOptions::default()) });
            fleet.await.unwrap()
        });
        let watchdog = Watchdog::of(Duration::from_millis(30));
        let fed = std::cell::Cell::new(0_u32);
        let feeding = || {
            let ask = || beat(client.clone(), fleet.clone());
            feed(watchdog, ask, || fed.set(fed.get() + 1))
        };
        let until_fed = async |times: u32| {
            let feeding = feeding();
            tokio::pin!(feeding);
            fed.set(0);
            while fed.get() < times {
                let _ = timeout(Duration::from_millis(5), &mut feeding).await;
            }
        };
        ours.block_on(async {
            let patience = Duration::from_mins(1);
            timeout(patience, until_fed(3)).await.expect("both turn");
            for stands_still in [&drivers, &supervisors] {
                let blocked = block(stands_still);
                let starves = timeout(Duration::from_millis(300), until_fed(1)).await;
                assert!(starves.is_err(), "it was fed");
                drop(blocked);
                timeout(patience, until_fed(3)).await.expect("both turn again");
            }
            fleet.shut_down(patience).await;
            fed.set(0);
            timeout(patience, feeding()).await.expect("the supervisor is gone for good");
            assert_eq!(fed.get(), 0);
        });
    }
}
