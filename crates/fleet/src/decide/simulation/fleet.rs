//! The deciders put together as the supervisor has them, with dials that are entries of a queue

mod dials;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use pptp::{
    Password,
    error::{Failure, Phase as Moment},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    checks::{Checks, Promises},
    failures::echo_timeout,
    weather::{self, Change},
    world::{GHOST, World},
};
use crate::{
    Secret, SiteConfig, SiteName,
    decide::{
        dial::{DialEnd, DialLimits, ServerKey, SiteId, Urgency},
        ledger::Ledger,
        login::LoginKey,
        phase::{Action, HangUp, Phase},
        rollout::{Redial, Rollout, Step},
        scheduler::Scheduler,
        site::SiteMachine,
        twins::{Stage, Twins},
    },
};

/// A fleet in its world
pub(super) struct Fleet {
    pub(super) seed: u64,
    /// The number of its sites
    pub(super) size: u32,
    pub(super) rng: StdRng,
    pub(super) now: Instant,
    pub(super) world: World,
    pub(super) sites: BTreeMap<SiteId, Site>,
    scheduler: Scheduler,
    ledger: Ledger,
    twins: Twins,
    pub(super) rollout: Rollout,
    timers: BTreeSet<(Instant, SiteId)>,
    queue: BTreeMap<(Instant, u64), Event>,
    next: u64,
    /// Passwords are not to be had
    pub(super) secrets_hang: bool,
    pub(super) checks: Checks,
}

/// A site as the supervisor has it
pub(super) struct Site {
    pub(super) config: SiteConfig,
    /// The password, by its number
    pub(super) password: u8,
    pub(super) machine: SiteMachine,
    pub(super) keeper: Option<Keeper>,
    fetched: Option<u8>,
    fetch: u64,
    login: Option<LoginKey>,
    server: ServerKey,
    up_at: Option<ServerKey>,
    timer: Option<Instant>,
    pub(super) last_use: Instant,
    pub(super) promises: Promises,
}

/// One dial or one tunnel
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) dial: u64,
    pub(super) config: SiteConfig,
    password: u8,
    /// The server, by its number
    at: usize,
    is_logging_in: bool,
    pub(super) is_up: bool,
    /// It has ended, or is hung up
    pub(super) is_over: bool,
}

/// What is to happen
#[derive(Debug)]
pub(super) enum Event {
    Reached(SiteId, u64),
    LoggingIn(SiteId, u64),
    Outcome(SiteId, u64),
    Fails(SiteId, u64, Failure, Moment),
    Left(SiteId, u64),
    Fetched(SiteId, u64),
    /// The weather changes
    Weather(Change),
}

impl Fleet {
    pub(super) fn new(seed: u64) -> Self {
        let now = tokio::time::Instant::now().into_std();
        let mut fleet = Self {
            seed,
            size: weather::size(seed),
            rng: StdRng::seed_from_u64(seed),
            now,
            world: weather::world(),
            sites: BTreeMap::new(),
            scheduler: Scheduler::new(now, LIMITS),
            ledger: Ledger::default(),
            twins: Twins::default(),
            rollout: Rollout::default(),
            timers: BTreeSet::new(),
            queue: BTreeMap::new(),
            next: 0,
            secrets_hang: false,
            checks: Checks::new(seed, LIMITS),
        };
        for number in 0..fleet.size {
            fleet.set(SiteId(number), weather::config(number), super::world::RIGHT);
        }
        fleet.begin_weather();
        fleet
    }

    /// Returns true if it has the farm of 500 sites, of which an hour takes long
    pub(super) const fn has_farm(&self) -> bool {
        self.size > 500
    }

    /// The number of pauses of rollouts
    pub(super) const fn pauses(&self) -> u64 {
        self.checks.pauses
    }

    /// The number of tunnels that came up
    pub(super) const fn ups(&self) -> u64 {
        self.checks.ups
    }

    pub(super) fn push(&mut self, after: Duration, event: Event) {
        self.next += 1;
        self.queue.insert((self.now + after, self.next), event);
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut turns = 0_u64;
        loop {
            self.strike();
            self.roll();
            self.dial();
            turns += 1;
            if turns.is_multiple_of(CHECK_EACH) {
                self.check();
            }
            let event = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timer = self.timers.first().map(|(at, _)| *at);
            let roll = self.rollout.poll_timeout();
            let next = [event, timer, roll, self.scheduler.poll_timeout(self.now)];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next < end) else {
                break;
            };
            assert!(
                turns < MAX_TURNS || next > self.now,
                "seed {}: it spins at {:?}",
                self.seed,
                self.scheduler
            );
            self.now = next.max(self.now);
            if event.is_some_and(|at| at <= self.now)
                && let Some((_, event)) = self.queue.pop_first()
            {
                self.handle(event);
            }
        }
        self.now = end;
        self.check();
    }

    /// Everything is well again, and within a day and two hours every site is as it is wanted
    pub(super) fn recover(&mut self) {
        self.world.heal();
        self.secrets_hang = false;
        self.queue.retain(|_, event| !matches!(event, Event::Weather(_)));
        self.restore();
        for _ in 0..26 * 4 {
            self.run(Duration::from_mins(15));
            // somebody looks at it now and then
            self.rollout.handle_continue();
            if self.sites.values().all(is_well) {
                return;
            }
        }
        let ill = self.sites.iter().find(|(_, site)| !is_well(site));
        panic!("seed {}: {:?}", self.seed, ill.map(|(id, site)| (id, site.machine.phase())));
    }

    /// Gives a site's machine an input, and does what it wants
    pub(super) fn with(&mut self, id: SiteId, input: impl FnOnce(&mut Site, &mut StdRng)) {
        let Some(mut site) = self.sites.remove(&id) else { return };
        input(&mut site, &mut self.rng);
        let is_forgotten = self.act(id, &mut site);
        let timer = site.machine.poll_timeout().filter(|_| !is_forgotten);
        if timer != site.timer {
            if let Some(before) = std::mem::replace(&mut site.timer, timer) {
                self.timers.remove(&(before, id));
            }
            self.timers.extend(timer.map(|at| (at, id)));
        }
        let redial = Redial::of(site.machine.phase());
        let chance = if redial == Redial::Wanted { self.rng.random() } else { 0 };
        self.rollout.handle_site(self.now, id, redial, chance);
        let freed = if is_forgotten {
            self.twins.forget(id)
        } else {
            let name = site.config.server_key();
            let user = site.config.user.clone();
            let shares = site.config.shares_login;
            let mut freed = self.twins.set(id, [&name, &site.server], &user, shares);
            freed.extend(self.twins.set_stage(id, stage_of(&site)));
            self.sites.insert(id, site);
            freed
        };
        for id in freed {
            let Some(site) = self.sites.get(&id) else { continue };
            let urgency = match site.machine.phase() {
                Phase::Queued { urgency } => *urgency,
                Phase::Up { redials: true, .. } if self.rollout.is_released(id) => Urgency::Start,
                _ => continue,
            };
            self.scheduler.wish(self.now, id, &site.server, urgency);
        }
    }

    /// Adds a site, or changes it
    pub(super) fn set(&mut self, id: SiteId, config: SiteConfig, password: u8) {
        let now = self.now;
        let fetches = config.secret.is_fetched();
        let is_new = !self.sites.contains_key(&id);
        if is_new {
            let machine = SiteMachine::new(config.connect, config.is_enabled, fetches);
            let site = Site {
                server: config.server_key(),
                config,
                password,
                machine,
                keeper: None,
                fetched: None,
                fetch: 0,
                login: None,
                up_at: None,
                timer: None,
                last_use: now,
                promises: Promises::default(),
            };
            self.sites.insert(id, site);
            return self.with(id, |_, _| {});
        }
        self.with(id, |site, _| {
            let against = site.keeper.as_ref().map_or(&site.config, |keeper| &keeper.config);
            let reach = against.difference(&config).reach;
            if !site.config.server.eq_ignore_ascii_case(&config.server) {
                site.server = config.server_key();
            }
            site.promises.is_removed = false;
            site.promises.asked();
            (site.config, site.password) = (config, password);
            let how = (site.config.connect, site.config.is_enabled, fetches);
            site.machine.handle_config(now, how, reach);
        });
    }

    /// The process is killed, and started again: nothing is left but its configuration and the accepted logins
    pub(super) fn kill(&mut self) {
        let now = self.now;
        let accepted: Vec<_> = self.ledger.accepted_logins().collect();
        (self.scheduler, self.ledger) = (Scheduler::new(now, LIMITS), Ledger::default());
        (self.twins, self.timers) = (Twins::default(), BTreeSet::new());
        self.rollout = Rollout::default();
        if self.rng.random_bool(0.7) {
            for login in accepted {
                self.ledger.accepted(login);
            }
        }
        self.checks.forget();
        for (id, site) in std::mem::take(&mut self.sites) {
            if let Some(keeper) = &site.keeper {
                let server = &mut self.world.servers[keeper.at];
                server.end(&keeper.config.user, keeper.dial, Some(now + GHOST));
            }
            if !site.promises.is_removed {
                self.set(id, site.config, site.password);
            }
        }
    }

    pub(super) fn forgive(&mut self, id: SiteId) {
        if let Some(server) = self.sites.get(&id).map(|site| Arc::clone(&site.server)) {
            self.scheduler.forgive(&server);
        }
    }

    /// Ends a tunnel that is up, or a dial
    pub(super) fn lose(&mut self, id: SiteId, after: Duration, failure: Failure) {
        let dial = self.sites.get(&id).and_then(|site| site.keeper.as_ref()).map(|it| it.dial);
        if let Some(dial) = dial {
            self.push(after, Event::Fails(id, dial, failure, Moment::Up));
        }
    }

    fn check(&self) {
        let wishes = |id: &SiteId| {
            self.scheduler.has_wish(*id) || self.twins.is_waiting(*id) || self.rollout.is_held(*id)
        };
        let wishes: BTreeSet<_> = self.sites.keys().copied().filter(wishes).collect();
        for (id, site) in &self.sites {
            self.checks.site(self.now, *id, site, &wishes);
        }
        let stalls = self.scheduler.waiting() > 0 && self.scheduler.under_way() == 0;
        let next = self.scheduler.poll_timeout(self.now);
        assert!(!stalls || next.is_some(), "seed {}: sites wait for nothing", self.seed);
        assert!(self.scheduler.under_way() <= LIMITS.under_way, "seed {}", self.seed);
    }

    /// Goes on with the redials of sites that have another configuration
    fn roll(&mut self) {
        self.rollout.handle_timeout(self.now);
        if self.rollout.poll_pause().is_some() {
            self.checks.pauses += 1;
        }
        while let Some(step) = self.rollout.poll_step(self.now) {
            match step {
                Step::Release(id) => {
                    let site = &self.sites[&id];
                    self.scheduler.wish(self.now, id, &site.server, Urgency::Start);
                }
                Step::Hold(id) => _ = self.scheduler.withdraw(id),
            }
        }
    }

    fn strike(&mut self) {
        let now = self.now;
        while let Some((_, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.with(id, |site, _| {
                site.machine.handle_use(site.last_use);
                site.machine.handle_timeout(now);
            });
        }
    }

    fn dial(&mut self) {
        let now = self.now;
        while let Some(id) = self.scheduler.poll_dial(now) {
            let login = self.sites.get(&id).and_then(next_login);
            let may_try = login.map_or(Ok(()), |login| self.ledger.may_try(now, login));
            let is_free = may_try.is_err() || self.twins.may_dial(id);
            let mut is_taken = false;
            self.with(id, |site, _| {
                is_taken = match may_try {
                    Ok(()) => is_free && site.machine.handle_grant(now),
                    Err(until) => {
                        site.machine.handle_held(now, until);
                        false
                    }
                };
            });
            if !is_taken {
                self.scheduler.ended(now, id, DialEnd::GivenUp, 0.0);
            }
        }
    }

    fn act(&mut self, id: SiteId, site: &mut Site) -> bool {
        let mut is_forgotten = false;
        while let Some(action) = site.machine.poll_action() {
            match action {
                Action::Wish(urgency) => {
                    let is_redial = Redial::of(site.machine.phase()) == Redial::Wanted;
                    if !is_redial || self.rollout.is_released(id) {
                        self.scheduler.wish(self.now, id, &site.server, urgency);
                    }
                }
                Action::Withdraw => _ = self.scheduler.withdraw(id),
                Action::FetchSecret => {
                    site.fetch += 1;
                    let takes = if self.secrets_hang { HANGS } else { Duration::from_millis(100) };
                    self.push(takes, Event::Fetched(id, site.fetch));
                }
                Action::Dial => self.begin_dial(id, site),
                Action::HangUp => {
                    self.checks.hang_up(self.now, id, site);
                    if let Phase::HangingUp { why: HangUp::Config, .. } = site.machine.phase() {
                        let is_up = site.keeper.as_ref().is_some_and(|keeper| keeper.is_up);
                        let may = !self.rollout.is_paused() && self.rollout.is_released(id);
                        assert!(!is_up || may, "seed {}: {id:?} does not wait its turn", self.seed);
                    }
                    let takes = Duration::from_millis(self.rng.random_range(50..9000));
                    if let Some(keeper) = &mut site.keeper {
                        keeper.is_over = true;
                        let server = &mut self.world.servers[keeper.at];
                        let is_noticed = !self.world.is_uplink_cut;
                        let ghost = Some(self.now + GHOST).filter(|_| !is_noticed);
                        server.end(&keeper.config.user, keeper.dial, ghost);
                        let dial = keeper.dial;
                        self.push(takes, Event::Left(id, dial));
                    }
                }
                Action::Look => self.look(id, site),
                Action::Forget => is_forgotten = true,
            }
        }
        is_forgotten
    }

    /// A server that has forgotten a tunnel does not answer it
    fn look(&mut self, id: SiteId, site: &Site) {
        let Some(keeper) = &site.keeper else { return };
        if self.world.is_uplink_cut || !self.world.servers[keeper.at].knows(keeper.dial) {
            let event = Event::Fails(id, keeper.dial, echo_timeout(), Moment::Up);
            self.push(Duration::from_secs(12), event);
        }
    }
}

fn is_well(site: &Site) -> bool {
    match site.machine.phase() {
        Phase::Up { redials, .. } => !redials,
        Phase::Resting => {
            site.promises.is_down
                || !site.config.is_enabled
                || site.config.connect != crate::Connect::Always
        }
        _ => false,
    }
}

fn stage_of(site: &Site) -> Stage {
    match (site.machine.phase(), &site.keeper) {
        (Phase::Dialling, Some(keeper)) if keeper.is_logging_in => Stage::LoggingIn,
        (Phase::Dialling, _) => Stage::Dialling,
        (Phase::Up { since, .. }, _) => Stage::Up(*since),
        (Phase::HangingUp { .. }, _) => Stage::Leaving,
        _ => Stage::Down,
    }
}

fn next_login(site: &Site) -> Option<LoginKey> {
    let password = match &site.config.secret {
        Secret::Literal(_) => site.password,
        Secret::Source(_) | Secret::Invalid(_) => {
            site.fetched.filter(|_| site.machine.has_secret())?
        }
    };
    Some(site.config.login(&SECRET, &text(password)))
}

/// The password of a number
pub(super) fn text(password: u8) -> Password {
    Password::new(password.to_string())
}

fn name(id: SiteId) -> SiteName {
    format!("b{}", id.0).parse().expect("a name")
}

const LIMITS: DialLimits =
    DialLimits { interval: Duration::from_millis(20), burst: 20, under_way: 128 };

const SECRET: [u8; 16] = [3; 16];

/// A fetch that hangs answers after its time
const HANGS: Duration = Duration::from_secs(20);

/// Turns between two checks of all sites
const CHECK_EACH: u64 = 500;

/// Turns after which time has to pass with each
const MAX_TURNS: u64 = 500_000_000;
