//! The supervisor: one task that owns the machines of all sites, and acts for them
//!
//! | module | content |
//! |---|---|
//! | this one | the loop, the timers, the actions of the machines, the events |
//! | `apply` | a plan that is applied, a slice at a time |
//! | `entry`, `counters` | a site as the supervisor has it, and what it counts |
//! | `figures` | the figures of sites, for whoever asks |
//! | `health` | the health of sites: tasks that ask devices, and the events |
//! | `orders` | the commands of owners, persons and clients |
//! | `reports` | the reports of keepers and of fetches |
//! | `rollout` | the redials that wait for their turn |
//! | `servers` | the servers that sites name, and their failures |

mod apply;
mod counters;
mod entry;
mod figures;
mod health;
mod orders;
mod reports;
mod rollout;
mod servers;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use pptp::{Client, Password};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::{Semaphore, broadcast, mpsc, oneshot},
    task::yield_now,
    time::{Instant, sleep_until},
};

use self::{
    apply::Applying,
    entry::{Entry, is_news, stage_of, state_of},
    health::MAX_PROBES,
    servers::Servers,
};
use crate::{
    Accepted, Connect, DurationCounts, EventKind, FleetEvent, FleetOptions, Secret, SiteFailure,
    SiteName, SiteState, Totals,
    commands::Command,
    decide::{
        dial::{DialEnd, SiteId, Urgency},
        ledger::Ledger,
        phase::{Action, Phase},
        rollout::Rollout,
        scheduler::Scheduler,
        twins::Twins,
    },
    keeper::{Keeper, Report},
    registry::Registry,
};

/// The supervisor
pub(crate) struct Supervisor {
    client: Client,
    /// Boxed: half of a large table is empty
    sites: HashMap<SiteId, Box<Entry>>,
    by_name: BTreeMap<SiteName, SiteId>,
    servers: Servers,
    timers: BTreeSet<(StdInstant, SiteId)>,
    scheduler: Scheduler,
    ledger: Ledger,
    twins: Twins,
    rollout: Rollout,
    applying: Option<Applying>,
    secret: [u8; 16],
    rng: StdRng,
    next_site: u32,
    next_dial: u64,
    commands: mpsc::Receiver<Command>,
    reports: mpsc::Receiver<Report>,
    to_reports: mpsc::Sender<Report>,
    fetched: mpsc::Receiver<Fetched>,
    to_fetched: mpsc::Sender<Fetched>,
    events: broadcast::Sender<FleetEvent>,
    next_event: u64,
    registry: Arc<Registry>,
    shut_down: Option<oneshot::Sender<()>>,
    /// The places of probes
    probes: Arc<Semaphore>,
    /// What the sites have counted that were removed
    removed: Totals,
    /// The times that completed phases of dials took
    phases: BTreeMap<pptp::error::Phase, DurationCounts>,
}

/// The outcome of a fetch
#[derive(Debug)]
struct Fetched {
    site: SiteId,
    number: u64,
    outcome: Result<Password, SiteFailure>,
}

impl Supervisor {
    pub(crate) fn new(
        client: Client,
        options: &FleetOptions,
        commands: mpsc::Receiver<Command>,
        events: broadcast::Sender<FleetEvent>,
        registry: Arc<Registry>,
    ) -> Self {
        let mut rng = match options.seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::from_rng(&mut rand::rng()),
        };
        let mut ledger = Ledger::default();
        for login in options.accepted.iter().flat_map(Accepted::logins) {
            ledger.accepted(login);
        }
        let secret = options.accepted.as_ref().map_or_else(|| rng.random(), Accepted::key);
        let (to_reports, reports) = mpsc::channel(MAX_WAITING);
        let (to_fetched, fetched) = mpsc::channel(MAX_WAITING);
        Self {
            client,
            sites: HashMap::new(),
            by_name: BTreeMap::new(),
            servers: Servers::default(),
            timers: BTreeSet::new(),
            scheduler: Scheduler::new(now(), options.limits()),
            ledger,
            twins: Twins::default(),
            rollout: Rollout::default(),
            applying: None,
            secret,
            rng,
            next_site: 0,
            next_dial: 0,
            commands,
            reports,
            to_reports,
            fetched,
            to_fetched,
            events,
            next_event: 0,
            registry,
            shut_down: None,
            probes: Arc::new(Semaphore::new(MAX_PROBES)),
            removed: Totals::default(),
            phases: BTreeMap::new(),
        }
    }

    /// Acts until the last handle is gone, or the fleet is shut down
    pub(crate) async fn run(mut self) {
        while self.turn().await {}
    }

    /// Does what is due, and then waits for one input; returns false if that was the last one
    async fn turn(&mut self) -> bool {
        let now = now();
        self.strike(now);
        self.apply_slice(now);
        self.roll(now);
        self.dial(now);
        if self.shut_down.is_some() && self.sites.is_empty() {
            let answer = self.shut_down.take();
            // whoever asked may have given up
            let _ = answer.map(|answer| answer.send(()));
            return false;
        }
        let deadline = self.deadline(now);
        let is_applying = self.applying.is_some();
        tokio::select! {
            biased;
            Some(report) = self.reports.recv() => self.handle_report(report),
            Some(fetched) = self.fetched.recv() => self.handle_fetched(fetched),
            // readers of events run between two slices
            () = yield_now(), if is_applying => {}
            command = self.commands.recv(), if !is_applying => match command {
                Some(command) => self.handle_command(command),
                // the last handle is gone: everything is hung up, and nobody waits for it
                None if self.shut_down.is_none() => self.begin_shut_down(None),
                None if self.sites.is_empty() => return false,
                None => self.wait_for_reports().await,
            },
            () = sleep_until(deadline), if !is_applying => {}
        }
        true
    }

    /// Waits for the next report when there are no more commands
    async fn wait_for_reports(&mut self) {
        if let Some(report) = self.reports.recv().await {
            self.handle_report(report);
        }
    }

    fn deadline(&self, now: StdInstant) -> Instant {
        let timer = self.timers.first().map(|(at, _)| *at);
        let next = [timer, self.scheduler.poll_timeout(now), self.rollout.poll_timeout()];
        let next = next.into_iter().flatten().min();
        next.map_or_else(|| Instant::now() + FAR, Instant::from_std)
    }

    /// Lets the machines do what is due
    fn strike(&mut self, now: StdInstant) {
        while let Some((_, site)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.with(site, |entry, _| {
                if let (true, Connect::OnDemand { idle }) =
                    (entry.machine.is_idle(now), entry.config.connect)
                {
                    // leases and the hang-up are decided together: no lease is given on a dying tunnel
                    match entry.shared.take_unused(Instant::from_std(now), idle) {
                        Ok(tunnel) => drop(tunnel),
                        Err(last_use) => entry.machine.handle_use(last_use.into_std()),
                    }
                }
                entry.machine.handle_timeout(now);
                entry.health.handle_timeout(now, || entry.shared.last_received());
            });
        }
    }

    /// Dials as many sites as may be dialled now
    fn dial(&mut self, now: StdInstant) {
        while let Some(site) = self.scheduler.poll_dial(now) {
            let login = self.sites.get(&site).and_then(|entry| entry.next_login(&self.secret));
            let may_try = login.map_or(Ok(()), |login| self.ledger.may_try(now, login));
            // one that has to wait for a twin wishes once more when that is through
            let is_free = may_try.is_err() || self.twins.may_dial(site);
            let mut is_taken = false;
            self.with(site, |entry, _| {
                is_taken = match may_try {
                    Ok(()) => is_free && entry.machine.handle_grant(now),
                    Err(until) => {
                        entry.machine.handle_held(now, until);
                        false
                    }
                };
            });
            if !is_taken {
                self.schedule(|it| it.ended(now, site, DialEnd::GivenUp, 0.0));
            }
        }
    }

    /// Wishes for the dials of sites that waited for a twin
    fn wish_again(&mut self, sites: &[SiteId]) {
        for site in sites {
            let Some(entry) = self.sites.get(site) else { continue };
            let urgency = match entry.machine.phase() {
                Phase::Queued { urgency } => *urgency,
                Phase::Up { redials: true, .. } if self.rollout.is_released(*site) => {
                    Urgency::Start
                }
                _ => continue,
            };
            self.scheduler.wish(now(), *site, &entry.server, urgency);
        }
    }

    /// Tells the scheduler of a server that was reached, or of a dial that ended, and the readers of an outage
    fn schedule(&mut self, input: impl FnOnce(&mut Scheduler)) {
        let was_outage = self.scheduler.is_outage();
        input(&mut self.scheduler);
        match (was_outage, self.scheduler.is_outage()) {
            (false, true) => self.tell(EventKind::OutageBegan),
            (true, false) => self.tell(EventKind::OutageEnded),
            _ => {}
        }
    }

    /// Gives a site's machine an input, and then does what it wants
    fn with(&mut self, site: SiteId, input: impl FnOnce(&mut Entry, &mut StdRng)) {
        let Some(mut entry) = self.sites.remove(&site) else { return };
        input(&mut entry, &mut self.rng);
        entry.health.handle_phase(now(), entry.machine.phase());
        let is_forgotten = self.act(site, &mut entry);
        self.probe(site, &mut entry);
        self.set_timer(site, &mut entry, is_forgotten);
        self.publish(&entry);
        self.tell_rollout(site, &entry);
        self.tell_health(&mut entry);
        let freed = if is_forgotten {
            self.forget(&entry);
            self.twins.forget(site)
        } else {
            let freed = self.tell_twins(site, &entry);
            self.sites.insert(site, entry);
            freed
        };
        self.wish_again(&freed);
    }

    /// Tells the twins of a site what it does; returns those that may be dialled now
    fn tell_twins(&mut self, site: SiteId, entry: &Entry) -> Vec<SiteId> {
        let (config, name) = (&entry.config, entry.config.server_key());
        let mut freed =
            self.twins.set(site, [&name, &entry.server], &config.user, config.shares_login);
        freed.extend(self.twins.set_stage(site, stage_of(entry)));
        freed
    }

    fn set_timer(&mut self, site: SiteId, entry: &mut Entry, is_forgotten: bool) {
        let timers = [entry.machine.poll_timeout(), entry.health.poll_timeout()];
        let timer = timers.into_iter().flatten().min().filter(|_| !is_forgotten);
        if timer == entry.timer {
            return;
        }
        if let Some(before) = std::mem::replace(&mut entry.timer, timer) {
            self.timers.remove(&(before, site));
        }
        if let Some(at) = timer {
            self.timers.insert((at, site));
        }
    }

    fn forget(&mut self, entry: &Entry) {
        self.removed.add(entry.counters.dials(), &entry.counters.traffic());
        self.by_name.remove(&entry.shared.name);
        self.leave_server(&entry.server);
        self.registry.remove(&entry.shared.name);
    }

    /// Does what a machine wants; returns true if the site is to be forgotten
    fn act(&mut self, site: SiteId, entry: &mut Entry) -> bool {
        let mut is_forgotten = false;
        while let Some(action) = entry.machine.poll_action() {
            match action {
                Action::Wish(urgency) if self.may_wish(site, entry) => {
                    self.scheduler.wish(now(), site, &entry.server, urgency);
                }
                // it waits for its turn
                Action::Wish(_) => {}
                Action::Withdraw => _ = self.scheduler.withdraw(site),
                Action::FetchSecret => self.fetch(site, entry),
                Action::Dial => self.begin_dial(site, entry),
                Action::HangUp => {
                    drop(entry.shared.take_tunnel());
                    if let Some(keeper) = &entry.keeper {
                        keeper.hang_up.cancel();
                    }
                }
                Action::Look => entry.shared.check_peer(),
                Action::Forget => is_forgotten = true,
            }
        }
        is_forgotten
    }

    fn fetch(&mut self, site: SiteId, entry: &mut Entry) {
        let secret = entry.config.secret.clone();
        let fetched = self.to_fetched.clone();
        entry.fetch = entry.fetch.wrapping_add(1);
        let number = entry.fetch;
        tokio::spawn(async move {
            let outcome = secret.password().await;
            // without a supervisor nobody wants it
            let _ = fetched.send(Fetched { site, number, outcome }).await;
        });
    }

    fn begin_dial(&mut self, site: SiteId, entry: &mut Entry) {
        let password = match &entry.config.secret {
            Secret::Literal(password) => password.clone(),
            // the machine dials with a password that was fetched only
            Secret::Source(_) | Secret::Invalid(_) => {
                entry.password.take().unwrap_or_else(|| Password::new(""))
            }
        };
        entry.login = Some(entry.config.login(&self.secret, &password));
        let mut config = entry.config.tunnel_config(&password).name(entry.shared.name.as_str());
        if let Some(info) = &entry.resume {
            config = config.resuming(info);
        }
        entry.shared.set_dialled(Some(Arc::clone(&entry.config)));
        entry.counters.dial_began();
        let dial = self.next_dial;
        self.next_dial = self.next_dial.wrapping_add(1);
        entry.phase = pptp::error::Phase::Resolve;
        entry.phase_since = now();
        let to = (site, dial);
        entry.keeper = Some(Keeper::start(&self.client, config, to, self.to_reports.clone()));
    }

    /// Publishes a site's state; one event for each change
    fn publish(&mut self, entry: &Entry) {
        let state = self.state_of(entry);
        let is_news = {
            let before = entry.shared.state.borrow();
            is_news(&before, &state)
        };
        entry.shared.state.send_if_modified(|before| {
            let is_changed = *before != state;
            *before = state.clone();
            is_changed
        });
        if is_news {
            self.tell(EventKind::Site { name: entry.shared.name.clone(), state });
        }
    }

    /// Publishes the states of the sites that wait behind a server, which has failed or is open again
    fn publish_waiting(&mut self, server: &str) {
        for site in self.scheduler.waiting_at(server) {
            self.with(site, |_, _| {});
        }
    }

    /// The state of a site for its owner
    ///
    /// A site that waits behind its server, which failed, is told with that failure, and waits no shorter than it.
    fn state_of(&self, entry: &Entry) -> SiteState {
        let closed_until = self.scheduler.closed_until(&entry.server).map(Instant::from_std);
        let failure = self.servers.failure(&entry.server);
        match (state_of(entry), closed_until, failure) {
            (SiteState::Queued, Some(until), Some(failure)) => {
                SiteState::Waiting { until, failure: failure.clone() }
            }
            (SiteState::Waiting { until, failure }, Some(closed), _) => {
                SiteState::Waiting { until: until.max(closed), failure }
            }
            (state, ..) => state,
        }
    }

    fn tell(&mut self, kind: EventKind) {
        let event = FleetEvent { number: self.next_event, at: Instant::now(), kind };
        self.next_event = self.next_event.wrapping_add(1);
        self.registry.set_next_event(self.next_event);
        // without a reader there is nobody to tell
        let _ = self.events.send(event);
    }
}

fn now() -> StdInstant {
    Instant::now().into_std()
}

/// Reports and passwords that wait for the supervisor
const MAX_WAITING: usize = 1024;

/// So late that it does not matter
const FAR: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests;
