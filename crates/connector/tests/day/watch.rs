//! Looks at each event, and at all sites each minute

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    net::Ipv4Addr,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use pptp::Class;
use pptp_fleet::{EventKind, Events, FleetEvent, SiteFailure, SiteState};
use pptp_testkit::LoggedIn;
use tokio::time::Instant;

use crate::{
    building::GHOST,
    plan::{Plan, is_disabled, number},
    promises::State,
    seen::{Pause, Seen, Server},
};

/// The watch over a daemon
pub(crate) struct Watch {
    plan: Plan,
    dial_rate: u32,
    began: Instant,
    state: Mutex<State>,
}

impl Watch {
    pub(crate) fn new(plan: Plan, dial_rate: u32) -> Self {
        let now = Instant::now();
        let server = |number| Server {
            has_name: Plan::has_name(number),
            failures: 0,
            failed: now,
            dialled: now,
            opened: now,
            disturbed_until: now,
        };
        let state = State {
            plan,
            ended_for_twin: BTreeMap::new(),
            sites: BTreeMap::new(),
            servers: (0..plan.servers()).map(server).collect(),
            dials: VecDeque::new(),
            disturbed_until: now,
            ghosts_until: now,
            is_outage: false,
            outage_ended: now,
            broken: Vec::new(),
            counts: BTreeMap::new(),
        };
        Self { plan, dial_rate, began: now, state: Mutex::new(state) }
    }

    /// Begins with a daemon, whose sites are in these states
    pub(crate) fn begin(&self, sites: impl Iterator<Item = (usize, SiteState)>) {
        let now = Instant::now();
        let mut state = self.lock();
        let before = std::mem::take(&mut state.sites);
        for (number, site) in sites {
            let server =
                before.get(&number).map_or_else(|| self.plan.server_of(number), |it| it.server);
            let is_disabled = before.get(&number).map(|seen| seen.is_disabled);
            let mut seen = Seen::new(site, now, server, number);
            seen.is_disabled = is_disabled.unwrap_or(seen.is_disabled);
            state.sites.insert(number, seen);
        }
        for (number, seen) in before {
            let gone = || Seen::new(SiteState::Removed, now, seen.server, number);
            state.sites.entry(number).or_insert_with(gone);
        }
        state.dials.clear();
        state.is_outage = false;
        for server in &mut state.servers {
            (server.failures, server.dialled) = (0, now);
        }
    }

    /// Checks each event of a daemon, to its end
    pub(crate) async fn follow(self: Arc<Self>, mut events: Events) {
        while let Some(event) = events.next().await {
            self.check(&event);
        }
    }

    /// Notes that something is done to a site: before it is done, and after it with `after`
    pub(crate) fn with_site(&self, site: usize, act: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.lock().sites.get_mut(&site) {
            act(seen);
        }
    }

    /// Notes that somebody has asked for a site, by which its pause and that of its server end
    pub(crate) fn forgive(&self, site: usize) {
        let now = Instant::now();
        let state = &mut *self.lock();
        if let Some(seen) = state.sites.get_mut(&site) {
            seen.asked = Some(now);
            state.servers[seen.server].opened = now;
            state.servers[seen.server].failures = 0;
        }
    }

    /// Notes that the tunnels of a server may be lost until this time
    pub(crate) fn disturb(&self, server: usize, until: Instant) {
        self.lock().servers[server].disturbed_until = until;
    }

    /// Notes that any tunnel may be lost for so long, and that servers do not notice it
    pub(crate) fn disturb_all(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.lock();
        state.disturbed_until = until.max(state.disturbed_until);
        state.ghosts_until = (until + GHOST).max(state.ghosts_until);
    }

    /// Returns the time since which a site has a tunnel, if nothing may have happened to it lately
    pub(crate) fn healthy_since(&self, site: usize) -> Option<Instant> {
        let state = self.lock();
        let seen = state.sites.get(&site)?;
        let SiteState::Up { since } = seen.state else { return None };
        let is_left_alone = !state.is_disturbed(seen, Instant::now()) && !seen.may.be_hung_up();
        is_left_alone.then_some(since)
    }

    /// Notes that the names of these sites lead to another server
    pub(crate) fn move_sites(&self, sites: Range<usize>, server: usize) {
        let state = &mut *self.lock();
        let until = Instant::now() + Duration::from_mins(5);
        state.servers[server].has_name = true;
        for (_, seen) in state.sites.range_mut(sites) {
            (seen.server, seen.disturbed_until) = (server, until);
        }
    }

    /// Notes that a site is added, or added again
    pub(crate) fn add(&self, site: usize) {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(seen) = state.sites.get_mut(&site) {
            seen.asked = Some(now);
            if matches!(seen.state, SiteState::Removed) {
                *seen = Seen::new(SiteState::Idle, now, seen.server, site);
            }
            // as it is configured then
            seen.is_disabled = is_disabled(site);
        }
    }

    /// Notes that the fleet is told of a sleep: pauses for the network are over
    pub(crate) fn jump(&self) {
        let now = Instant::now();
        for seen in self.lock().sites.values_mut() {
            let is_network = |pause: &Pause| pause.failure.class() == Class::Network;
            if seen.pause.as_ref().is_some_and(is_network) {
                seen.asked = Some(now);
            }
        }
    }

    /// Returns true if a site in this state, which is not up, has to be up sooner or later
    ///
    /// Of two sites with one login one is enough, if the server allows one session: the other waits.
    pub(crate) fn is_to_be_up(&self, site: usize, state: &SiteState) -> bool {
        let all = self.lock();
        let Some(seen) = all.sites.get(&site) else { return false };
        let class = state.failure().map(SiteFailure::class);
        let waits_for_twin = self.plan.twin_of(site).is_some()
            && Plan::is_exclusive(seen.server)
            && matches!(class, Some(Class::Busy | Class::Credentials));
        seen.is_wanted() && !self.plan.is_silent(seen.server) && !waits_for_twin
    }

    /// Returns the sites that a person wants down
    pub(crate) fn down(&self) -> Vec<usize> {
        let state = self.lock();
        state.sites.iter().filter(|(_, seen)| seen.is_down).map(|(site, _)| *site).collect()
    }

    pub(crate) fn count(&self, what: &str) {
        self.lock().count(what);
    }

    /// Notes that a promise was broken
    pub(crate) fn broken(&self, what: impl AsRef<str>) {
        let at = self.began.elapsed();
        self.lock().broken.push(format!(
            "seed {}, after {at:?}: {}",
            self.plan.seed,
            what.as_ref()
        ));
    }

    /// Panics if a promise was broken
    pub(crate) fn assert(&self) {
        let state = self.lock();
        let broken = state.broken.iter().take(10).cloned().collect::<Vec<_>>();
        drop(state);
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }

    pub(crate) fn figures(&self) -> String {
        let mut text = String::new();
        for (what, count) in &self.lock().counts {
            writeln!(text, "{count:8}  {what}").expect("a text takes all");
        }
        text
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn check(&self, event: &FleetEvent) {
        let state = &mut *self.lock();
        state.count("events");
        let faults = match &event.kind {
            EventKind::Site { name, state: site } => {
                let number = number(name);
                let faults = state.site(number, event.at, site, self.dial_rate);
                let told = |fault| format!("b{number}: {fault}");
                faults.into_iter().map(told).collect()
            }
            EventKind::OutageBegan => {
                state.is_outage = true;
                Vec::new()
            }
            EventKind::OutageEnded => {
                state.is_outage = false;
                state.outage_ended = event.at;
                Vec::new()
            }
            EventKind::Gap { missed } => vec![format!("{missed} events were not told")],
            _ => Vec::new(),
        };
        let at = event.at - self.began;
        let seed = self.plan.seed;
        state
            .broken
            .extend(faults.iter().map(|fault| format!("seed {seed}, after {at:?}: {fault}")));
    }

    /// Looks at all sites that are to be there
    pub(crate) fn look(&self, sites: impl Iterator<Item = (usize, SiteState)>) {
        let now = Instant::now();
        let state = self.lock();
        let mut faults = Vec::new();
        for (number, site) in sites {
            let Some(seen) = state.sites.get(&number) else { continue };
            if let Err(fault) = state.look(seen, &site, now) {
                let until = match &site {
                    SiteState::Waiting { until, .. } => until.saturating_duration_since(now),
                    _ => Duration::ZERO,
                };
                let server = now - state.servers[seen.server].dialled;
                let latest = state.dials.back().map(|at| now - *at);
                faults.push(format!(
                    "b{number}: {fault}: {site}, {until:?} left; {seen}; its server was dialled {server:?} ago, the \
                     latest dial was {latest:?} ago, outage: {}",
                    state.is_outage
                ));
            }
        }
        drop(state);
        for fault in faults {
            self.broken(fault);
        }
    }

    /// Looks at the sessions that a server has with the daemon on this host
    pub(crate) fn look_at_server(&self, server: usize, hub: Ipv4Addr, sessions: &[LoggedIn]) {
        let now = Instant::now();
        let state = self.lock();
        let mut of_user = BTreeMap::<&str, usize>::new();
        for session in sessions.iter().filter(|session| session.client == hub) {
            *of_user.entry(&session.user).or_default() += 1;
        }
        let is_calm = now > state.ghosts_until && now > state.servers[server].disturbed_until;
        let mut faults = Vec::new();
        for (user, count) in of_user.iter().filter(|_| is_calm) {
            let number = user[1..].parse().expect("a number");
            let twin = self.plan.twin_of(number);
            let most = if twin.is_some() && !Plan::has_one_session(server) { 2 } else { 1 };
            if *count > most {
                faults.push(format!("server {server} has {count} sessions of {user}"));
            }
            // the session of one of two sites says nothing of the other
            let site = state.sites.get(&number).filter(|_| twin.is_none());
            let is_down = |seen: &&Seen| seen.is_down && now - seen.at > Duration::from_secs(30);
            if let Some(seen) = site.filter(is_down) {
                faults.push(format!(
                    "server {server} has a session of {user}, which is down: {seen}"
                ));
            }
        }
        for site in self.plan.sites_of(server).filter(|_| is_calm) {
            let Some(seen) = state.sites.get(&site).filter(|seen| seen.server == server) else {
                continue;
            };
            let is_settled = now - seen.at > Duration::from_secs(5);
            let has_session = of_user.contains_key(&*self.plan.user(site));
            if matches!(seen.state, SiteState::Up { .. }) && is_settled && !has_session {
                faults.push(format!("b{site} is up, and server {server} has no session of it"));
            }
        }
        drop(state);
        for fault in faults {
            self.broken(fault);
        }
    }
}
