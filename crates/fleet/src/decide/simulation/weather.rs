//! What happens: faults, commands and clients, by chance

use std::{sync::Arc, time::Duration};

use rand::RngExt;

use super::{
    failures::{connection_lost, echo_timeout},
    fleet::{Event, Fleet, text},
    world::{Condition, RIGHT, Rule, World},
};
use crate::{
    Caller, Connect, Fetching, Secret, SecretSource, SiteConfig,
    decide::{
        dial::SiteId,
        phase::{Phase, Then},
    },
};

/// A change of the weather
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    /// Something fails
    Fault,
    /// A server is in this condition
    Server(usize, Condition),
    /// A server's RADIUS server is up again
    Accounts(usize),
    /// The network is there, or not
    Uplink(bool),
    /// Passwords are to be had, or not
    Secrets(bool),
    /// One of the sites that flap is lost, so many more times
    Flap(u32),
    /// Somebody does something
    Command,
    /// All sites get another configuration: a good one, or one that cannot work
    Plan(bool),
    /// A client wants something, so many more times
    Client(SiteId, u32),
    /// A site that was removed is added again
    Add(SiteId),
}

impl Fleet {
    pub(super) fn begin_weather(&mut self) {
        for change in [Change::Fault, Change::Command, Change::Client(SiteId(0), 0)] {
            self.push(Duration::from_mins(10), Event::Weather(change));
        }
    }

    pub(super) fn handle_weather(&mut self, change: Change) {
        match change {
            Change::Fault => {
                self.fault();
                self.after_minutes(20..200, Change::Fault);
            }
            Change::Server(server, condition) => self.world.servers[server].condition = condition,
            Change::Accounts(server) => self.world.servers[server].refuses_all = false,
            Change::Uplink(is_there) => self.world.is_uplink_cut = !is_there,
            Change::Secrets(hang) => self.secrets_hang = hang,
            Change::Flap(more) => self.flap(more),
            Change::Command => {
                self.command();
                self.after_minutes(3..40, Change::Command);
            }
            Change::Plan(is_good) => self.plan(is_good),
            Change::Client(site, more) => self.client(site, more),
            Change::Add(site) => {
                let config = config(site.0);
                self.set(site, config, RIGHT);
            }
        }
    }

    fn after_minutes(&mut self, minutes: std::ops::Range<u64>, change: Change) {
        let seconds = self.rng.random_range(minutes.start * 60..minutes.end * 60);
        self.push(Duration::from_secs(seconds), Event::Weather(change));
    }

    fn fault(&mut self) {
        let server = self.rng.random_range(0..SERVERS);
        match self.rng.random_range(0..11) {
            0..3 => {
                let conditions =
                    [Condition::Refuses, Condition::Silent, Condition::Mute, Condition::Full];
                let condition = conditions[self.rng.random_range(0..4)];
                self.break_server(server, condition);
            }
            // the farm
            3 => self.break_server(0, Condition::Silent),
            4 => {
                self.world.is_uplink_cut = true;
                for site in self.all() {
                    self.lose(site, Duration::from_secs(70), echo_timeout());
                }
                self.after_minutes(2..20, Change::Uplink(true));
            }
            5 => {
                self.world.servers[server].refuses_all = true;
                self.lose_all_at(server);
                self.push(Duration::from_mins(10), Event::Weather(Change::Accounts(server)));
            }
            6 => self.kill(),
            7 => {
                let name = format!("vpn{}.example", self.rng.random_range(1..SERVERS));
                self.world.names.insert(name, server);
            }
            8 => {
                self.secrets_hang = true;
                self.after_minutes(2..20, Change::Secrets(false));
            }
            9 => {
                for site in self.all() {
                    let now = self.now;
                    self.with(site, |site, _| {
                        let is_network = |it: &(_, bool)| it.1;
                        site.promises.pause.take_if(|it| is_network(it));
                        site.machine.handle_clock_jump(now);
                    });
                }
            }
            _ => self.flap(120),
        }
    }

    fn break_server(&mut self, server: usize, condition: Condition) {
        self.world.servers[server].condition = condition;
        self.lose_all_at(server);
        self.after_minutes(1..90, Change::Server(server, Condition::Well));
    }

    fn lose_all_at(&mut self, server: usize) {
        for session in self.world.servers[server].forget_sessions() {
            self.lose(session.site, Duration::from_millis(10), connection_lost());
        }
    }

    /// One of forty sites is lost, and soon the next one
    fn flap(&mut self, more: u32) {
        // some of them much more often than the others
        let among = if more.is_multiple_of(2) { 40 } else { 3 };
        let site = SiteId(self.rng.random_range(0..among));
        self.lose(site, Duration::ZERO, connection_lost());
        if more > 0 {
            let millis = self.rng.random_range(100..6000);
            self.push(Duration::from_millis(millis), Event::Weather(Change::Flap(more - 1)));
        }
    }

    fn all(&self) -> Vec<SiteId> {
        self.sites.keys().copied().collect()
    }

    /// An owner or a person does something
    fn command(&mut self) {
        let (now, id) = (self.now, SiteId(self.rng.random_range(0..OWN)));
        match self.rng.random_range(0..10) {
            8 => {
                let is_good = self.rng.random_bool(0.5);
                self.plan(is_good);
            }
            9 => _ = self.rollout.handle_continue(),
            0 => self.with(id, |site, _| {
                site.promises.is_down = true;
                site.machine.handle_down(Caller("a person".to_owned()));
            }),
            1 | 2 => {
                self.forgive(id);
                self.with(id, |site, _| {
                    site.promises.is_down = false;
                    site.promises.asked();
                    site.machine.handle_up(now);
                });
            }
            3 => self.with(id, |site, _| {
                site.promises.is_down = false;
                site.promises.restarts = true;
                site.promises.asked();
                site.machine.handle_restart(now);
                site.promises.restarts &= !matches!(site.machine.phase(), Phase::Queued { .. });
            }),
            4 => self.change(id),
            5 => {
                self.with(id, |site, _| {
                    site.promises = super::checks::Promises::default();
                    site.promises.is_removed = true;
                    site.machine.handle_remove();
                });
                let millis = self.rng.random_range(0..20_000);
                self.push(Duration::from_millis(millis), Event::Weather(Change::Add(id)));
            }
            6 => self.with(id, |site, _| {
                site.promises.asked();
                site.machine.handle_secret_changed(now);
            }),
            _ => {
                // somebody gives an account another password, and the fleet learns it later
                let Some(site) = self.sites.get(&id) else { return };
                let (user, server) = (site.config.user.clone(), site.config.server.clone());
                let server = self.world.resolve(&server);
                let password = self.rng.random_range(RIGHT..RIGHT + 2);
                self.world.servers[server].changed.insert(user, password);
            }
        }
    }

    /// Another configuration of all sites; one that cannot work is taken back
    fn plan(&mut self, is_good: bool) {
        let mru = self.rng.random_range(1000..1004);
        for number in 0..self.size {
            let id = SiteId(number);
            if self.sites.get(&id).is_none_or(|site| site.promises.is_removed) {
                continue;
            }
            let mut config = config(number).tunnel(|tunnel| tunnel.mru(mru));
            if !is_good {
                config.user = format!("nobody{number}");
            }
            self.set(id, config, RIGHT);
        }
        self.rollout.handle_plan();
        if !is_good {
            self.after_minutes(1..20, Change::Plan(true));
        }
    }

    /// Another configuration
    fn change(&mut self, id: SiteId) {
        let mut config = config(id.0);
        let mut password = RIGHT;
        match self.rng.random_range(0..6) {
            0 => config = config.enabled(false),
            1 => {
                let mru = self.rng.random_range(1000..1004);
                config = config.tunnel(|tunnel| tunnel.mru(mru));
            }
            2 => {
                password = RIGHT + 1;
                if let Secret::Literal(literal) = &mut config.secret {
                    *literal = text(password);
                }
            }
            3 => config = config.connect(Connect::OnDemand { idle: IDLE }),
            4 => config = config.share_login(true),
            _ => {}
        }
        self.set(id, config, password);
    }

    /// A client that asks again and again, as scrapers do, or one that asks once
    fn client(&mut self, id: SiteId, more: u32) {
        let (now, seed) = (self.now, self.seed);
        let patience = Duration::from_secs(self.rng.random_range(1..130));
        let uses = self.rng.random_bool(0.3);
        self.with(id, |site, _| {
            let waited = pauses(site.machine.phase());
            site.machine.handle_client(now, patience);
            if waited && !pauses(site.machine.phase()) {
                site.promises.hurry(now, seed);
            }
            if uses && matches!(site.machine.phase(), Phase::Up { .. }) {
                site.last_use = now;
            }
        });
        if more > 0 {
            self.push(Duration::from_secs(1), Event::Weather(Change::Client(id, more - 1)));
        } else {
            let among = if self.rng.random_bool(0.5) { 3 } else { self.size };
            let id = SiteId(self.rng.random_range(0..among));
            let more = self.rng.random_range(0..60);
            self.after_minutes(5..90, Change::Client(id, more));
        }
    }

    /// The owner gives all sites their own configuration again, and takes all of them up
    pub(super) fn restore(&mut self) {
        for number in 0..self.size {
            self.set(SiteId(number), config(number), RIGHT);
        }
        for server in 0..SERVERS {
            self.world.servers[server].rule = Rule::Any;
        }
        self.rollout.handle_plan();
    }
}

/// Returns true if a site waits after a failure, or is about to
const fn pauses(phase: &Phase) -> bool {
    matches!(phase, Phase::Waiting { .. } | Phase::HangingUp { then: Then::Wait { .. }, .. })
}

pub(super) fn world() -> World {
    let rule = |number: usize| match number % 4 {
        1 => Rule::First,
        2 => Rule::Newest,
        _ => Rule::Any,
    };
    let rules: Vec<_> = (0..SERVERS).map(rule).collect();
    World::new(&rules)
}

/// The usual configuration of a site: those from [`OWN`] on are the farm, behind one server
pub(super) fn config(number: u32) -> SiteConfig {
    if number >= OWN {
        return SiteConfig::new(
            "vpn0.example",
            format!("user{number}"),
            Secret::Literal(text(RIGHT)),
        );
    }
    let own = number;
    let server = 1 + (own as usize / 2) % (SERVERS - 1);
    let secret = if own.is_multiple_of(5) {
        Secret::Source(Arc::new(Vault))
    } else {
        Secret::Literal(text(RIGHT))
    };
    // each tenth has the login of its neighbour
    let user = if own % 10 == 1 { own - 1 } else { own };
    let config = SiteConfig::new(format!("vpn{server}.example"), format!("user{user}"), secret);
    match own % 7 {
        3 => config.connect(Connect::OnDemand { idle: IDLE }),
        _ => config,
    }
}

/// A source of passwords that the fleet of the simulation fetches itself
struct Vault;

impl SecretSource for Vault {
    fn name(&self) -> String {
        "a vault".to_owned()
    }

    fn fetch(&self) -> Fetching {
        Box::pin(std::future::pending())
    }
}

const IDLE: Duration = Duration::from_mins(10);

const SERVERS: usize = 12;

/// The sites that are not of the farm
const OWN: u32 = 60;

/// Returns the number of sites of a seed's fleet: the farm has 500 in some, and 5 in the others
pub(super) const fn size(seed: u64) -> u32 {
    if seed.is_multiple_of(12) { OWN + 500 } else { OWN + 5 }
}
