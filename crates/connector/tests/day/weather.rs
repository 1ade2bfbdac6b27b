//! What happens, by chance and by plan

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep_until};

use crate::{
    plan::outer,
    visits::{Visit, Way},
    world::World,
};

/// What happens, by chance and by plan
pub(crate) struct Weather {
    pub(crate) world: Arc<World>,
    pub(crate) rng: StdRng,
    queue: BTreeMap<(Instant, u64), Change>,
    next: u64,
    /// The servers that something has befallen and is not over
    pub(crate) busy: BTreeSet<usize>,
    /// The sites that were removed
    pub(crate) removed: BTreeSet<usize>,
    visits: u64,
}

/// Something that happens
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// All promises are looked at
    Look,
    /// A client comes
    Visit,
    /// A client that asks again and again, so many more times
    Scrape(usize, u32),
    /// One of the sites that flap is lost
    Flap,
    /// A person does something
    Command,
    /// The owner changes the configuration
    Reload,
    /// Sites that were removed are added again
    Add(BTreeSet<usize>),
    /// Sites that were disabled are enabled again
    Enable(BTreeSet<usize>),
    /// Something befalls a server
    Fault,
    /// A server is there again
    Restarted(usize),
    /// The farm is gone, or there again
    Farm(bool),
    /// The line of the daemon is cut, or mended
    Uplink(bool),
    /// The machine of the daemon is gone, and starts again
    Kill,
    /// All sites have to be up again
    AllUp,
    /// The RADIUS server of some servers is down, or up again
    Radius(bool),
    /// A name leads to another server
    Move,
    /// Passwords are not to be had, or are again
    Secrets(bool),
    /// The machine was asleep, as far as its clocks tell
    Jump,
}

impl World {
    /// Lets the time of the plan pass
    pub(crate) async fn run(self: &Arc<Self>) {
        let mut weather = Weather {
            world: Arc::clone(self),
            rng: StdRng::seed_from_u64(self.plan.seed),
            queue: BTreeMap::new(),
            next: 0,
            busy: BTreeSet::new(),
            removed: BTreeSet::new(),
            visits: 0,
        };
        weather.begin();
        let end = Instant::now() + self.plan.time;
        while let Some(((at, _), change)) = weather.queue.pop_first() {
            if at > end {
                break;
            }
            sleep_until(at).await;
            weather.handle(change).await;
        }
        self.watch.assert();
        weather.heal().await;
    }

    /// All is well again: within hours all sites are as they are wanted
    pub(crate) async fn recover(&self) {
        for site in self.watch.down() {
            self.up(site).await;
        }
        self.until_all_are_up().await;
    }
}

impl Weather {
    /// Plans the great events, and begins the small ones
    fn begin(&mut self) {
        for (share, change) in [
            (0.10, Change::Farm(false)),
            (0.30, Change::Farm(true)),
            (0.36, Change::Uplink(false)),
            (0.45, Change::Kill),
            (0.62, Change::Radius(false)),
            (0.75, Change::Secrets(true)),
            (0.85, Change::Uplink(false)),
        ] {
            self.push(self.world.plan.time.mul_f64(share), change);
        }
        for (number, change) in [Change::Move, Change::Jump].iter().enumerate() {
            for time in 1..6 {
                let share = f64::from(time) / 6.0 + if number == 0 { 0.01 } else { 0.05 };
                self.push(self.world.plan.time.mul_f64(share), change.clone());
            }
        }
        for change in [
            Change::Look,
            Change::Visit,
            Change::Flap,
            Change::Command,
            Change::Reload,
            Change::Fault,
        ] {
            self.push(Duration::from_secs(10), change);
        }
        self.push(Duration::from_secs(10), Change::Scrape(0, 0));
    }

    async fn handle(&mut self, change: Change) {
        let world = Arc::clone(&self.world);
        if !matches!(change, Change::Look | Change::Visit | Change::Flap | Change::Scrape(..)) {
            world.watch.count(&format!(
                "weather: {}",
                format!("{change:?}").split('(').next().unwrap_or_default()
            ));
        }
        match change {
            Change::Look => {
                world.look(true).await;
                self.push(Duration::from_mins(1), Change::Look);
            }
            Change::Visit => {
                self.visit();
                let millis = VISITS * 1000 / u64::try_from(world.plan.sites).expect("a few");
                self.push_within(millis..millis * 2, Change::Visit);
            }
            Change::Scrape(site, more) => self.scrape(site, more),
            Change::Flap => self.flap(),
            Change::Command => self.command().await,
            Change::Reload => self.reload().await,
            Change::Add(sites) => self.add(&sites).await,
            Change::Fault => self.fault(),
            Change::Restarted(server) => {
                world.outside.set_silent(outer(server), false);
                world.buildings[server].restart().await;
                self.calm_down(server);
            }
            Change::Enable(sites) => world.set_enabled(&sites, true).await,
            Change::Farm(is_there) => self.farm(is_there).await,
            Change::Uplink(is_there) => {
                world.cut_uplink(!is_there).await;
                if !is_there {
                    let time = Duration::from_mins(self.rng.random_range(1..12));
                    world.watch.disturb_all(time + AFTERMATH);
                    self.push(time, Change::Uplink(true));
                }
            }
            Change::Kill => {
                world.kill().await;
                self.push(Duration::from_mins(20), Change::AllUp);
            }
            Change::AllUp => {
                let is_meant = |site: usize| !self.is_touched(world.plan.server_of(site));
                let not_up = world
                    .not_up(|site| is_meant(site) && !world.plan.flapping().contains(&site))
                    .await;
                assert_eq!(
                    not_up,
                    Vec::<String>::new(),
                    "seed {}: up after a kill",
                    world.plan.seed
                );
            }
            Change::Radius(is_there) => self.radius(is_there),
            Change::Move => self.move_name().await,
            Change::Secrets(hang) => {
                world.outside.secrets_hang.store(hang, Ordering::Relaxed);
                if hang {
                    self.push(Duration::from_mins(10), Change::Secrets(false));
                }
            }
            Change::Jump => world.jump().await,
        }
    }

    /// All that fails is well again
    async fn heal(&mut self) {
        let world = Arc::clone(&self.world);
        world.cut_uplink(false).await;
        world.outside.secrets_hang.store(false, Ordering::Relaxed);
        for (_, change) in std::mem::take(&mut self.queue) {
            match change {
                Change::Restarted(_) | Change::Farm(true) | Change::Radius(true) => {
                    self.handle(change).await;
                }
                Change::Add(sites) => self.add(&sites).await,
                Change::Enable(sites) => world.set_enabled(&sites, true).await,
                _ => {}
            }
        }
    }

    pub(crate) fn push(&mut self, after: Duration, change: Change) {
        self.next += 1;
        self.queue.insert((Instant::now() + after, self.next), change);
    }

    pub(crate) fn push_within(&mut self, millis: std::ops::Range<u64>, change: Change) {
        let after = Duration::from_millis(self.rng.random_range(millis));
        self.push(after, change);
    }

    fn visit(&mut self) {
        let plan = self.world.plan;
        let (way, site) = match self.rng.random_range(0..10) {
            0..3 => (Way::Socks, self.rng.random_range(0..plan.sites)),
            3..5 => (Way::Connect, self.rng.random_range(0..plan.sites)),
            5..7 => (Way::Page, self.rng.random_range(0..plan.sites)),
            7 | 8 => (Way::Forward, self.rng.random_range(0..plan.sites / 25) * 25 + 1),
            _ => (Way::Datagram, self.rng.random_range(0..plan.sites / 50) * 50 + 2),
        };
        let stays = if self.rng.random_bool(0.05) { self.rng.random_range(1..30) } else { 0 };
        self.spawn_visit(way, site, Duration::from_mins(stays));
    }

    /// A client that asks each second, as scrapers do
    fn scrape(&mut self, site: usize, more: u32) {
        if more > 0 {
            self.spawn_visit(Way::Socks, site, Duration::ZERO);
            self.push(Duration::from_secs(1), Change::Scrape(site, more - 1));
            return;
        }
        let plan = self.world.plan;
        let farm = plan.sites_of(plan.farm().start);
        let among = [plan.flapping(), farm, 0..plan.sites];
        let among = among[self.rng.random_range(0..3)].clone();
        let next = Change::Scrape(self.rng.random_range(among), self.rng.random_range(20..200));
        self.push_within(10_000..120_000, next);
    }

    fn spawn_visit(&mut self, way: Way, site: usize, stays: Duration) {
        self.visits += 1;
        let visit = Visit { number: self.visits, way, site, stays };
        self.world.watch.count("clients");
        tokio::spawn(visit.go(Arc::clone(&self.world)));
    }

    /// The server ends the session of a site; of some much more often than of the others
    fn flap(&mut self) {
        let world = Arc::clone(&self.world);
        let flapping = world.plan.flapping();
        let among = if self.rng.random_bool(0.5) { flapping.end } else { 3 };
        let site = self.rng.random_range(0..among);
        let until = Instant::now() + Duration::from_mins(1);
        world.watch.with_site(site, |seen| seen.disturbed_until = until);
        let server = world.plan.server_of(site);
        world.buildings[server].hang_up(&world.plan.user(site));
        // as often for a site, however many there are
        let rare = 40 / u64::try_from(flapping.end.min(40)).expect("a few");
        self.push_within(1000 * rare..20_000 * rare, Change::Flap);
    }
}

/// The time that servers and sites have to notice that a fault is over
pub(crate) const AFTERMATH: Duration = Duration::from_mins(5);

/// Clients in an hour, for a site each
const VISITS: u64 = 3600;
