//! A fleet through a day of faults, commands and changes, by seed: nothing is forgotten, nothing is dialled twice

use std::{net::Ipv4Addr, time::Duration};

use pptp::Client;
use pptp_fleet::{Caller, Connect, Fleet, FleetOptions, Secret, SiteConfig, SiteName};
use pptp_testkit::{Server, memory};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::{Instant, sleep};

const SERVERS: u8 = 6;
const SITES: u8 = 30;
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 1);

struct World {
    seed: u64,
    rng: StdRng,
    network: memory::Network,
    servers: Vec<Server>,
    fleet: Fleet,
    /// True if somebody took the site down
    is_down: Vec<bool>,
    is_unplugged: bool,
}

const fn address(server: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, 0, server)
}

fn name(site: u8) -> SiteName {
    format!("b{site}").parse().unwrap()
}

fn user(site: u8) -> String {
    format!("user{site}")
}

fn config(site: u8) -> SiteConfig {
    let server = address(1 + site % SERVERS).to_string();
    let config = SiteConfig::new(server, user(site), Secret::literal("secret"));
    match site {
        _ if site.is_multiple_of(5) => {
            config.connect(Connect::OnDemand { idle: Duration::from_mins(5) })
        }
        1 => config.probe("ping:192.168.1.3".parse().unwrap()),
        2 => config.probe("tcp:192.168.1.3:81".parse().unwrap()),
        _ => config,
    }
}

impl World {
    async fn new(seed: u64) -> Self {
        let network = memory::Network::new(seed);
        network.set_latency(Duration::from_millis(10));
        let mut servers = Vec::new();
        for server in 1..=SERVERS {
            let sites = (0..SITES).filter(|site| 1 + site % SERVERS == server);
            let builder = sites
                .fold(Server::builder(server.into()), |it, site| it.secret(user(site), "secret"));
            // a second session of an account is refused: a dial beside a tunnel would be seen
            servers.push(builder.one_session().serve_memory(&network, address(server)).unwrap());
        }
        let client = Client::builder().memory(network.host(CLIENT)).build().unwrap();
        let mut options = FleetOptions::default();
        options.seed = Some(seed);
        let fleet = Fleet::new(client, &options);
        for site in 0..SITES {
            fleet.set(name(site), config(site)).await;
        }
        let rng = StdRng::seed_from_u64(seed);
        let is_down = vec![false; SITES.into()];
        Self { seed, rng, network, servers, fleet, is_down, is_unplugged: false }
    }

    async fn step(&mut self) {
        let server = self.rng.random_range(0..usize::from(SERVERS));
        let site = self.rng.random_range(0..SITES);
        let name = name(site);
        match self.rng.random_range(0..14) {
            0 => self.servers[server].restart().await.unwrap(),
            1 => self.servers[server].power_off().unwrap(),
            2 => self.servers[server].hang_up_all(),
            3 => self.servers[server].terminate_all(718),
            4 => self.unplug(true),
            5 => self.unplug(false),
            6 => {
                self.fleet.down(&name, Caller("test".to_owned())).await;
                self.is_down[usize::from(site)] = true;
            }
            7 => {
                self.fleet.up(&name).await;
                self.is_down[usize::from(site)] = false;
            }
            8 => _ = self.fleet.restart(&name).await,
            9 => {
                let mru = self.rng.random_range(1000..1400);
                self.fleet.set(name, config(site).tunnel(|tunnel| tunnel.mru(mru))).await;
            }
            10 => {
                self.fleet.remove(&name).await;
                self.is_down[usize::from(site)] = false;
                self.fleet.set(name, config(site)).await;
            }
            11 => self.fleet.clock_jumped().await,
            _ => {
                if let Some(site) = self.fleet.site(name.as_str()) {
                    // most of them are refused or too late: that is the weather
                    let _ = site.tunnel(Duration::from_secs(5)).await;
                }
            }
        }
        // `restart` of a site that is down takes it up
        for site in 0..SITES {
            let shown =
                self.fleet.site(self::name(site).as_str()).map(|it| it.state().borrow().name());
            if shown.is_some_and(|shown| shown != "down" && shown != "hanging-up") {
                self.is_down[usize::from(site)] = false;
            }
        }
        let minutes = self.rng.random_range(0..12);
        sleep(Duration::from_secs(60 * minutes + 7)).await;
        self.check();
    }

    fn unplug(&mut self, unplugs: bool) {
        let host = self.network.host(CLIENT);
        if unplugs {
            host.unplug();
        } else {
            host.plug_in();
        }
        self.is_unplugged = unplugs;
    }

    /// No server has more sessions than sites: none of them was dialled beside its own tunnel
    fn check(&self) {
        for server in &self.servers {
            let most = usize::from(SITES / SERVERS);
            let up = server.stats().up;
            assert!(up <= most, "seed {}: {up} sessions of {most} sites", self.seed);
        }
    }

    /// Everything is well again: soon all sites are as they are wanted
    async fn recover(&mut self) {
        self.unplug(false);
        for server in &mut self.servers {
            server.restart().await.unwrap();
        }
        let begun = Instant::now();
        // a refused login of an earlier session waits an hour at most, and the ledger's day is for four of them
        while begun.elapsed() < Duration::from_hours(25) && !self.all_are_well() {
            sleep(Duration::from_mins(1)).await;
        }
        let states: Vec<_> = self.fleet.sites().iter().map(|site| format!("{site:?}")).collect();
        assert!(self.all_are_well(), "seed {}: {states:#?}", self.seed);
        assert_eq!(states.len(), usize::from(SITES));
    }

    /// Each dial has one result, and devices are as they are: one answers, and one refuses
    async fn check_figures(&self) {
        sleep(Duration::from_mins(1)).await;
        for (name, status) in self.fleet.statuses().await.unwrap() {
            let about = format!("seed {}: {name}: {status:?}", self.seed);
            let dials = &status.dials;
            let ended = dials.up + dials.given_up + dials.failed.values().sum::<u64>();
            assert!((ended..=ended + 1).contains(&dials.begun), "{about}");
            let number: u8 = name.as_str()[1..].parse().unwrap();
            if status.up_since.is_some() {
                let is_well = status.probe.map(|probe| probe.ok);
                let expected = [None, Some(true), Some(false)];
                assert_eq!(
                    is_well,
                    expected.get(usize::from(number)).copied().flatten(),
                    "{about}"
                );
            }
        }
    }

    fn all_are_well(&self) -> bool {
        self.fleet.sites().iter().all(|site| {
            let number: u8 = site.name().as_str()[1..].parse().unwrap();
            let state = site.state();
            let shown = state.borrow().name();
            match number % 5 {
                0 => matches!(shown, "idle" | "down" | "up"),
                _ if self.is_down[usize::from(number)] => shown == "down",
                _ => shown == "up",
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_day_of_faults_every_site_is_as_it_is_wanted() {
    for seed in 0..2 {
        let mut world = World::new(seed).await;
        for _ in 0..120 {
            world.step().await;
        }
        world.recover().await;
        world.check_figures().await;
        let dials: u64 = world.servers.iter().map(|server| server.stats().connections_ever).sum();
        assert!(
            dials >= u64::from(SITES) / 2,
            "seed {seed}: {dials} since the servers' last start"
        );
        assert!(world.fleet.shut_down(Duration::from_secs(12)).await, "seed {seed}");
        for server in &world.servers {
            server.idle().await;
        }
    }
}
