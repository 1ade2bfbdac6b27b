//! The health of sites: the tasks that ask the devices behind them, and the events

use std::sync::Arc;

use pptp::Tunnel;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{Supervisor, entry::Entry, now};
use crate::{
    EventKind, Probe,
    decide::{dial::SiteId, health::Fact},
    keeper::{News, Report},
};

impl Supervisor {
    /// Begins the probe of a site, if one is to be begun, in a task that ends with the tunnel
    pub(super) fn probe(&self, site: SiteId, entry: &mut Entry) {
        let Some(number) = entry.health.poll_probe() else { return };
        let (Some(tunnel), Some(keeper)) = (entry.shared.tunnel(), &entry.keeper) else { return };
        let Some(probe) = entry.config.probe.clone() else { return };
        let place = Arc::clone(&self.probes).try_acquire_owned().ok();
        if place.is_some() {
            entry.health.handle_begun(now(), number);
        }
        let (places, reports) = (Arc::clone(&self.probes), self.to_reports.clone());
        let asking = Asking { site, dial: keeper.dial, number, probe, tunnel, places, reports };
        let over = keeper.hang_up.child_token();
        entry.probing = Some(over.clone().drop_guard());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = over.cancelled() => {}
                _ = asking.tunnel.closed() => {}
                () = asking.run(place) => {}
            }
        });
    }

    /// Tells what is new of a site's health
    pub(super) fn tell_health(&mut self, entry: &mut Entry) {
        while let Some(fact) = entry.health.poll_fact() {
            let name = entry.shared.name.clone();
            self.tell(match fact {
                Fact::FlappingBegan => EventKind::FlappingBegan { name },
                Fact::FlappingEnded => EventKind::FlappingEnded { name },
                Fact::ProbeFailed(error) => EventKind::ProbeFailed { name, error },
                Fact::ProbeAnswered => EventKind::ProbeAnswered { name },
            });
        }
    }
}

/// A probe, from the wait for a place to the report
struct Asking {
    site: SiteId,
    dial: u64,
    number: u64,
    probe: Probe,
    tunnel: Tunnel,
    places: Arc<Semaphore>,
    reports: mpsc::Sender<Report>,
}

impl Asking {
    async fn run(&self, place: Option<OwnedSemaphorePermit>) {
        let place = if place.is_some() { place } else { self.wait().await };
        let result = self.probe.ask(&self.tunnel).await;
        drop(place);
        self.tell(News::Probed { number: self.number, result }).await;
    }

    /// Waits for a place, in the order of coming
    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        self.tell(News::ProbeBegun { number: self.number }).await;
        place
    }

    async fn tell(&self, news: News) {
        // without a supervisor nobody wants it
        let _ = self.reports.send(Report { site: self.site, dial: self.dial, news }).await;
    }
}

/// Probes of all sites that are under way at the same time; others wait in a row
///
/// When this machine's network is cut, each of them hangs for five seconds, and may have the buffers of a connection.
pub(super) const MAX_PROBES: usize = 256;
