//! The daemon, as the control interface sees it

use std::sync::{Arc, PoisonError};

use pptp::{
    doctor::{Doctor, doctor},
    stats::ClientStats,
};
use pptp_fleet::SiteName;

use super::lifecycle::Daemon;
use crate::{
    api::{
        BoxFuture, Control, DaemonFacts, EventLog, ListenerCounts, ListenerStatus, ReloadError,
        ReloadOptions, ReloadReport, SiteChange, SitesChanged, SitesRefused, metrics::Exporter,
    },
    directory::Directory,
    seal::{KeyPlace, NoKey, PublicKey},
    settings::{Listen, MetricsSettings},
    way_in::{self, Way},
};

impl Control for Daemon {
    fn directory(&self) -> &Directory {
        self.directory()
    }

    fn events(&self) -> &EventLog {
        self.events()
    }

    fn facts(&self) -> DaemonFacts {
        self.lock_facts().clone()
    }

    fn listeners(&self) -> BoxFuture<'_, Vec<ListenerStatus>> {
        Box::pin(async { self.ways.status().await.iter().map(listener).collect() })
    }

    fn reload(&self, options: ReloadOptions) -> BoxFuture<'_, Result<ReloadReport, ReloadError>> {
        Box::pin(self.reload(options))
    }

    fn change_sites(
        &self,
        change: SiteChange,
    ) -> BoxFuture<'_, Result<SitesChanged, SitesRefused>> {
        Box::pin(self.change_sites_of_api(change))
    }

    fn sites_version(&self) -> String {
        self.version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn sealing_key(&self) -> BoxFuture<'_, Result<PublicKey, NoKey>> {
        Box::pin(async {
            let place = KeyPlace::new(self.settings.lock().await.state.clone());
            let read = tokio::task::spawn_blocking(move || place.read()).await;
            let failed = |error: tokio::task::JoinError| NoKey::Unreadable(error.to_string());
            read.map_err(failed)?.map(|key| key.public())
        })
    }

    fn continue_rollout(&self) -> BoxFuture<'_, Option<usize>> {
        Box::pin(self.fleet().continue_rollout())
    }

    fn doctor<'a>(&'a self, site: &'a SiteName) -> BoxFuture<'a, Result<Doctor, String>> {
        Box::pin(async move {
            let dial = self.settings.lock().await.sites.get(site).map(|site| site.dial.clone());
            let dial = dial.ok_or_else(|| format!("there is no site {site}"))?;
            let options = dial.dial_options().await.map_err(|failure| failure.to_string())?;
            Ok(doctor(options).client(self.client.clone()))
        })
    }

    fn is_ready(&self) -> bool {
        self.is_ready()
    }

    fn metrics(&self) -> Arc<MetricsSettings> {
        self.metrics.settings()
    }

    fn exporter(&self) -> &Exporter {
        &self.exporter
    }

    fn client_stats(&self) -> ClientStats {
        self.client.stats()
    }
}

fn listener(status: &way_in::ListenerStatus) -> ListenerStatus {
    let (kind, site, target) = match &*status.way {
        Way::Forward { site, forward } => {
            (forward.protocol.name(), Some(site.clone()), Some(forward.target.clone()))
        }
        Way::Proxy(proxy) => (proxy.kind.name(), proxy.sites.only().cloned(), None),
    };
    let listen = status.bound.map_or_else(|| status.way.listen().clone(), Listen::Ip);
    let counters = &status.counters;
    let counts = ListenerCounts {
        max_clients: status.way.max_clients(),
        accepted: counters.accepted(),
        refused: counters.all_refused().map(|(reason, count)| (reason.name(), count)).collect(),
        octets: counters.octets(),
        datagrams_dropped: counters.dropped(),
    };
    let (clients, dropped_services) = (counters.now(), counters.dropped_services());
    let (kind, error) = (kind.to_owned(), status.error.clone());
    ListenerStatus { kind, listen, site, target, clients, counts, dropped_services, error }
}
