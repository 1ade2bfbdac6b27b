//! The commands of owners, persons and clients

use std::{
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use tokio::sync::oneshot;

use super::{Supervisor, counters::Counters, entry::Entry, now};
use crate::{
    Accepted, Difference, FleetStatus, SiteConfig, SiteName, SiteState, SiteStatus,
    commands::{Change, Command},
    decide::{
        dial::SiteId,
        health::Health,
        phase::{Answer, HangUp, Phase, Reach},
        site::SiteMachine,
    },
    site::SiteShared,
};

impl Supervisor {
    pub(super) fn handle_command(&mut self, command: Command) {
        let now = now();
        match command {
            Command::Set { name, config, answer } => {
                let change = self.set(now, &name, config);
                let _ = answer.send(change);
            }
            Command::Remove { name, answer } => {
                self.answer(&name, answer, |entry| entry.machine.handle_remove());
            }
            Command::Apply { wishes, answer } => self.begin_apply(wishes, answer),
            Command::ContinueRollout { answer } => {
                let _ = answer.send(self.rollout.handle_continue().unwrap_or_default());
            }
            Command::Up { name, answer } => {
                self.forgive(&name);
                self.answer(&name, answer, |entry| entry.machine.handle_up(now));
            }
            Command::Down { name, by, answer } => {
                self.answer(&name, answer, |entry| entry.machine.handle_down(by));
            }
            Command::Restart { name, answer } => {
                self.answer(&name, answer, |entry| entry.machine.handle_restart(now));
            }
            Command::Client { name, patience, answer } => {
                let mut may_wait = false;
                let site = self.by_name.get(&name).copied();
                if let Some(site) = site.filter(|site| !self.is_closed_for(*site, now, patience)) {
                    self.with(site, |entry, _| {
                        may_wait = entry.machine.handle_client(now, patience) == Answer::Wait;
                    });
                }
                let _ = answer.send(may_wait);
            }
            Command::SecretChanged { name, answer } => {
                self.answer(&name, answer, |entry| entry.machine.handle_secret_changed(now));
            }
            Command::Accepted { answer } => {
                let logins = self.ledger.accepted_logins().collect();
                let _ = answer.send(Accepted::new(self.secret, logins));
            }
            Command::ClockJumped { answer } => {
                for site in self.all_sites() {
                    self.with(site, |entry, _| entry.machine.handle_clock_jump(now));
                }
                let _ = answer.send(());
            }
            Command::Beat { answer } => {
                // whoever asked may have given up
                let _ = answer.send(());
            }
            Command::SiteStatus { name, answer } => {
                let _ = answer.send(self.site_status(&name));
            }
            Command::SiteStatuses { answer } => {
                let _ = answer.send(self.statuses());
            }
            Command::Figures { answer } => {
                let _ = answer.send(Box::new(self.figures()));
            }
            Command::FleetStatus { answer } => {
                let _ = answer.send(self.status());
            }
            Command::ShutDown { answer } => self.begin_shut_down(Some(answer)),
        }
    }

    /// Returns true if a site waits behind its server, and for longer than this patience
    fn is_closed_for(&self, site: SiteId, now: StdInstant, patience: Duration) -> bool {
        let Some(entry) = self.sites.get(&site) else { return true };
        let closed_until = self.scheduler.closed_until(&entry.server);
        matches!(entry.machine.phase(), Phase::Queued { .. })
            && closed_until.is_some_and(|at| at.saturating_duration_since(now) > patience)
    }

    /// Lets a site dial that somebody asks for, also if its server has to wait
    fn forgive(&mut self, name: &SiteName) {
        let entry = self.by_name.get(name).and_then(|site| self.sites.get(site));
        if let Some(server) = entry.map(|entry| Arc::clone(&entry.server)) {
            self.scheduler.forgive(&server);
            self.publish_waiting(&server);
        }
    }

    fn site_status(&self, name: &SiteName) -> Option<SiteStatus> {
        let site = *self.by_name.get(name)?;
        let entry = self.sites.get(&site)?;
        Some(self.status_of(entry, self.scheduler.ahead(site)))
    }

    pub(super) fn status(&self) -> FleetStatus {
        FleetStatus {
            sites: self.sites.len(),
            up: self.sites.values().filter(|entry| self.state_of(entry).is_up()).count(),
            waiting: self.scheduler.waiting(),
            queue: self.scheduler.waiting_by_urgency().map(|(it, count)| (it.name(), count)),
            under_way: self.scheduler.under_way(),
            is_outage: self.scheduler.is_outage(),
            rollout: self.rollout_status(),
        }
    }

    fn answer(
        &mut self,
        name: &SiteName,
        answer: oneshot::Sender<bool>,
        input: impl FnOnce(&mut Entry),
    ) {
        let site = self.by_name.get(name).copied();
        if let Some(site) = site {
            self.with(site, |entry, _| input(entry));
        }
        // whoever asked may have given up
        let _ = answer.send(site.is_some());
    }

    pub(super) fn set(
        &mut self,
        now: StdInstant,
        name: &SiteName,
        config: Arc<SiteConfig>,
    ) -> Change {
        match self.by_name.get(name).copied() {
            None => self.add(name, config),
            Some(site) => self.change(now, site, config),
        }
    }

    fn add(&mut self, name: &SiteName, config: Arc<SiteConfig>) -> Change {
        let site = SiteId(self.next_site);
        self.next_site = self.next_site.wrapping_add(1);
        let machine =
            SiteMachine::new(config.connect, config.is_enabled, config.secret.is_fetched());
        let shared = Arc::new(SiteShared::new(name.clone(), SiteState::Idle));
        let has_probe = config.probe.is_some();
        let entry = Box::new(Entry {
            server: config.server_key(),
            shared: Arc::clone(&shared),
            config,
            machine,
            keeper: None,
            password: None,
            fetch: 0,
            login: None,
            up_at: None,
            phase: pptp::error::Phase::Resolve,
            phase_since: now(),
            counters: Counters::default(),
            health: Health::new(has_probe),
            probing: None,
            timer: None,
            resume: None,
        });
        self.servers.join(&entry.server);
        self.registry.add(&shared);
        self.by_name.insert(name.clone(), site);
        self.sites.insert(site, entry);
        self.with(site, |_, _| {});
        Change::Added
    }

    fn change(&mut self, now: StdInstant, site: SiteId, config: Arc<SiteConfig>) -> Change {
        let mut change = Change::Nothing;
        let is_elsewhere =
            |entry: &Entry| !entry.config.server.eq_ignore_ascii_case(&config.server);
        if self.sites.get(&site).is_some_and(|entry| is_elsewhere(entry)) {
            self.move_site(site, &config.server_key());
        }
        self.with(site, |entry, _| {
            let dialled = entry.shared.dialled();
            let (it, Difference { reach, .. }) =
                Change::between(&entry.config, dialled.as_deref(), &config);
            let was_removed =
                |phase: &Phase| matches!(phase, Phase::HangingUp { why: HangUp::Removed, .. });
            change = if was_removed(entry.machine.phase()) { Change::Added } else { it };
            if !entry.config.server.eq_ignore_ascii_case(&config.server) {
                entry.resume = None;
            }
            let how = (config.connect, config.is_enabled, config.secret.is_fetched());
            if reach != Reach::Nothing {
                entry.password = None;
            }
            if entry.config.probe != config.probe {
                entry.probing = None;
                entry.health.handle_probe(now, config.probe.is_some());
            }
            entry.config = config;
            entry.machine.handle_config(now, how, reach);
        });
        change
    }

    /// Returns all sites, those that were added first at the front: what is done to all has the same order each time
    fn all_sites(&self) -> Vec<SiteId> {
        let mut sites: Vec<_> = self.sites.keys().copied().collect();
        sites.sort_unstable();
        sites
    }

    pub(super) fn begin_shut_down(&mut self, answer: Option<oneshot::Sender<()>>) {
        let (ignored, _) = oneshot::channel();
        self.shut_down = Some(answer.unwrap_or(ignored));
        for site in self.all_sites() {
            self.with(site, |entry, _| entry.machine.handle_shut_down());
        }
    }
}
