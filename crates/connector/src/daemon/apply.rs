//! Other settings for a daemon that runs

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use pptp_fleet::{Changes, NotApplied, Plan};

use super::{
    lifecycle::{Daemon, events_for},
    metrics_listener::MetricsPlan,
};
use crate::{
    api::ReloadReport,
    settings::{MetricsSettings, Settings, SiteSettings},
    way_in::{self, Failed, Way},
};

impl Daemon {
    /// Applies other settings; a site, a tunnel and a connection that they do not concern is not touched
    ///
    /// # Errors
    /// Listeners could not be bound; then nothing is changed.
    pub async fn apply(&self, settings: Settings) -> Result<ReloadReport, Vec<Failed>> {
        // locked to the end: one change at a time
        let mut running = self.settings.lock().await;
        let plan = self.ways.prepare(&settings).await?;
        let metrics = self.metrics.prepare(&settings.metrics).await.map_err(|it| vec![it])?;
        Ok(self.commit(&mut running, (plan, Some(metrics)), settings).await)
    }

    /// Makes other settings those in force, with listeners that are bound already
    ///
    /// Without a plan for it, the listener of the metrics stays as it is.
    pub(super) async fn commit(
        &self,
        running: &mut Settings,
        (plan, metrics): (way_in::Plan, Option<MetricsPlan>),
        settings: Settings,
    ) -> ReloadReport {
        // before anybody can learn an address that the next process would not know
        let kept = self.keep_addresses(settings.deals.as_ref()).await;
        let listeners = listener_changes(running, &settings);
        // before the listeners: access is looked at anew when they change
        self.directory.replace(&settings.sites);
        let changes = self.change_sites(&settings).await;
        let mut report = ReloadReport { listeners, ..report_of(changes, running, &settings) };
        if let Err(error) = kept {
            tracing::error!("{error}");
            report.failures.push(error.to_string());
        }
        for failed in self.commit_listeners(plan, metrics).await {
            if failed.is_tried_again {
                // it was missing before, and was told then
                report.warnings.push(format!("not open, and tried again: {failed}"));
                continue;
            }
            tracing::error!("{failed}");
            report.failures.push(failed.to_string());
        }
        self.events.set_capacity(events_for(settings.sites.len()));
        self.api.send_replace(Arc::from(settings.api.as_slice()));
        *running = settings;
        report
    }

    /// Returns what other settings would change; nothing is changed yet
    pub(super) fn plan(&self, running: &Settings, wanted: &Settings) -> ReloadReport {
        let changes = self.plan_of_sites(wanted).changes().clone();
        let listeners = listener_changes(running, wanted);
        ReloadReport { listeners, ..report_of(changes, running, wanted) }
    }

    fn plan_of_sites(&self, wanted: &Settings) -> Plan {
        self.fleet().plan(wanted.sites.iter().map(|(name, site)| (name, &site.dial)))
    }

    /// Has the fleet take these sites in place of all others
    pub(super) async fn change_sites(&self, wanted: &Settings) -> Changes {
        loop {
            match self.fleet().apply(self.plan_of_sites(wanted)).await {
                Ok(applied) => return applied.changes,
                // somebody else who has the fleet has set a site meanwhile
                Err(NotApplied::OutOfDate) => {}
                // the fleet is shut down
                Err(_) => return Changes::default(),
            }
        }
    }
}

/// The report of a reload that changes the fleet like this, without listeners
fn report_of(changes: Changes, running: &Settings, wanted: &Settings) -> ReloadReport {
    let Changes { added, removed, in_place, redialled, .. } = changes;
    let mut changed: BTreeSet<_> = in_place.into_iter().map(|(name, _)| name).collect();
    for (name, site) in &wanted.sites {
        if running.sites.get(name).is_some_and(|old| is_changed_beside(old, site)) {
            changed.insert(name.clone());
        }
    }
    for (name, _) in &redialled {
        changed.remove(name);
    }
    let changed = changed.into_iter().collect();
    ReloadReport { added, changed, redialled, removed, ..ReloadReport::default() }
}

/// Returns true if two settings of a site differ in what the fleet does not know
fn is_changed_beside(old: &SiteSettings, new: &SiteSettings) -> bool {
    old.labels != new.labels
        || old.hosts != new.hosts
        || old.wait != new.wait
        || old.forwards != new.forwards
}

/// Returns a line for each listener that is opened, closed, or has other settings
fn listener_changes(running: &Settings, wanted: &Settings) -> Vec<String> {
    let (running_metrics, wanted_metrics) = (&running.metrics, &wanted.metrics);
    let by_key = |settings: &Settings| -> BTreeMap<_, _> {
        Way::all(settings).into_iter().map(|way| (way.key(), way)).collect()
    };
    let (running, wanted) = (by_key(running), by_key(wanted));
    let gone = running.iter().filter(|(key, _)| !wanted.contains_key(*key));
    let mut lines: Vec<_> = gone.map(|(_, way)| format!("closed: {way}")).collect();
    for (key, way) in &wanted {
        match running.get(key) {
            None => lines.push(format!("opened: {way}")),
            Some(old) if old != way => lines.push(format!("changed: {way}")),
            Some(_) => {}
        }
    }
    lines.extend(metrics_changes(running_metrics, wanted_metrics));
    lines
}

/// Returns the lines about the metrics' own listener, and about what they tell
fn metrics_changes(running: &MetricsSettings, wanted: &MetricsSettings) -> Vec<String> {
    let line = |word: &str, address| format!("{word}: metrics {address}");
    let mut lines = Vec::new();
    if running.listen != wanted.listen {
        lines.extend(running.listen.map(|address| line("closed", address)));
        lines.extend(wanted.listen.map(|address| line("opened", address)));
    } else if running != wanted {
        lines.push("changed: metrics".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use pptp::Client;
    use pptp_fleet::{Connect, Secret, SiteConfig, SiteName};
    use pptp_testkit::memory;

    use super::*;

    fn settings(sites: &[(&str, &str)]) -> Settings {
        let site = |(name, server): &(&str, &str)| {
            let dial = SiteConfig::new(*server, "svc", Secret::literal("test123"));
            let dial = dial.connect(Connect::Manual);
            (name.parse().expect("a name"), SiteSettings::new(dial))
        };
        Settings { sites: sites.iter().map(site).collect(), ..Settings::default() }
    }

    async fn daemon(settings: Settings) -> Arc<Daemon> {
        let host = memory::Network::new(0).host(Ipv4Addr::new(10, 99, 0, 1));
        let client = Client::builder().memory(host).build().unwrap();
        Daemon::start(client, settings).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_differs_is_reported_and_the_sites_are_those_that_are_wanted() {
        let daemon = daemon(settings(&[("b1", "10.0.0.1"), ("b2", "10.0.0.2"), ("b3", "c")])).await;
        let mut wanted = settings(&[("b2", "10.0.0.2"), ("b3", "d"), ("b4", "10.0.0.4")]);
        wanted.sites.get_mut("b2").unwrap().wait = Duration::from_secs(1);
        let report = daemon.apply(wanted.clone()).await.unwrap();
        let names = |names: &[SiteName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&report.added), ["b4"]);
        assert_eq!(names(&report.changed), ["b2", "b3"]);
        assert_eq!(names(&report.removed), ["b1"]);
        assert_eq!(daemon.directory().site("b2").unwrap().1.wait, Duration::from_secs(1));
        assert!(daemon.directory().site("b1").is_none());
        assert_eq!(daemon.apply(wanted).await.unwrap(), ReloadReport::default());
        assert!(daemon.shut_down().await);
    }
}
