//! Plans of all sites, and rollouts, over servers of the testkit in virtual time

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use pptp::Client;
use pptp_fleet::{
    Changes, Connect, EventKind, Events, Fleet, FleetOptions, NotApplied, Secret, SiteConfig,
    SiteName,
};
use pptp_testkit::{Server, memory};
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

type Sites = BTreeMap<SiteName, SiteConfig>;

/// A fleet with so many sites, each with a server of its own
struct World {
    servers: Vec<Server>,
    fleet: Fleet,
    events: Events,
    wanted: Sites,
}

impl World {
    async fn new(sites: u8) -> Self {
        let network = memory::Network::new(0);
        network.set_latency(Duration::from_millis(10));
        let serve = |building: u8| {
            Server::builder(building.into()).serve_memory(&network, address(building)).unwrap()
        };
        let servers = (0..sites).map(serve).collect();
        let host = network.host(Ipv4Addr::new(10, 99, 1, 1));
        let client = Client::builder().memory(host).build().unwrap();
        let mut options = FleetOptions::default();
        options.seed = Some(7);
        let fleet = Fleet::new(client, &options);
        let events = fleet.events();
        let wanted: Sites = (0..sites).map(|number| (name(number), config(number))).collect();
        let applied = fleet.apply(fleet.plan(&wanted)).await.unwrap();
        assert_eq!(applied.changes.added.len(), usize::from(sites));
        let mut world = Self { servers, fleet, events, wanted };
        world.settle().await;
        assert_eq!(world.states(), BTreeMap::from([("up", usize::from(sites))]));
        world.events = world.fleet.events();
        world
    }

    /// Another configuration of all sites
    fn change(&mut self, change: impl Fn(&SiteConfig) -> SiteConfig) {
        self.wanted = (0..).map(name).zip((0..).map(config)).take(self.servers.len()).collect();
        for config in self.wanted.values_mut() {
            *config = change(config);
        }
    }

    async fn apply(&self) -> pptp_fleet::Applied {
        self.fleet.apply(self.fleet.plan(&self.wanted)).await.unwrap()
    }

    async fn settle(&self) {
        sleep(Duration::from_secs(30)).await;
    }

    /// The number of sites in each state
    fn states(&self) -> BTreeMap<&'static str, usize> {
        let mut states = BTreeMap::new();
        for site in self.fleet.sites() {
            *states.entry(site.state().borrow().name()).or_default() += 1;
        }
        states
    }

    /// The number of sites by how often they were dialled
    fn dials(&self) -> BTreeMap<u64, usize> {
        let mut dials = BTreeMap::new();
        for server in &self.servers {
            *dials.entry(server.stats().connections_ever).or_default() += 1;
        }
        dials
    }

    /// The next pause, with the time that it took
    async fn pause(&mut self) -> Option<(usize, usize, usize)> {
        let pause = async {
            while let Some(event) = self.events.next().await {
                if let EventKind::RolloutPaused { redialled, failed, left } = event.kind {
                    return Some((redialled, failed, left));
                }
            }
            None
        };
        timeout(Duration::from_mins(10), pause).await.ok().flatten()
    }
}

const fn address(building: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, 0, building)
}

fn name(number: u8) -> SiteName {
    format!("b{number:03}").parse().unwrap()
}

fn config(number: u8) -> SiteConfig {
    SiteConfig::new(address(number).to_string(), "testuser", Secret::literal("test123"))
}

fn smaller(config: &SiteConfig) -> SiteConfig {
    config.clone().option("mru", "1300", |tunnel| tunnel.mru(1300))
}

/// No server knows this user
fn wrong(config: &SiteConfig) -> SiteConfig {
    SiteConfig::new(config.server(), "nobody", Secret::literal("test123"))
}

fn names(sites: &[(SiteName, Vec<String>)]) -> Vec<String> {
    sites.iter().map(|(name, options)| format!("{name} {}", options.join(" "))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_what_is_then_done_and_equal_sites_are_not_touched() {
    let mut world = World::new(6).await;
    let untouched = world.fleet.site("b000").unwrap().state();
    let mut wanted = world.wanted.clone();
    wanted.remove("b001");
    wanted.insert(name(2), smaller(&config(2)));
    let on_demand = Connect::OnDemand { idle: Duration::from_hours(1) };
    wanted.insert(name(3), config(3).connect(on_demand));
    let password = SiteConfig::new(address(4).to_string(), "testuser", Secret::literal("new"));
    wanted.insert(name(4), password);
    wanted.insert(name(99), config(5));
    let plan = world.fleet.plan(&wanted);
    let changes = plan.changes().clone();
    assert_eq!(
        (changes.added.as_slice(), changes.removed.as_slice()),
        (&[name(99)][..], &[name(1)][..])
    );
    assert_eq!(names(&changes.in_place), ["b003 connect", "b004 password"]);
    assert_eq!(names(&changes.redialled), ["b002 mru"]);
    sleep(SECOND).await;
    assert_eq!(world.dials(), BTreeMap::from([(1, 6)]), "a plan changes nothing");
    let applied = world.fleet.apply(plan).await.unwrap();
    assert_eq!((applied.changes, applied.continued), (changes, None));
    world.settle().await;
    assert!(world.fleet.site("b001").is_none() && world.fleet.site("b099").is_some());
    assert!(!untouched.has_changed().unwrap(), "no state was published");
    let mut told = std::collections::BTreeSet::new();
    while let Ok(Some(event)) = timeout(SECOND, world.events.next()).await {
        let EventKind::Site { name, .. } = event.kind else { panic!("{event:?}") };
        told.insert(name);
    }
    assert_eq!(told.into_iter().collect::<Vec<_>>(), [name(1), name(2), name(99)]);
    assert!(world.fleet.plan(&wanted).changes().is_empty());
    let nothing = world.fleet.apply(world.fleet.plan(&wanted)).await.unwrap();
    assert_eq!(nothing.changes, Changes::default());
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_out_of_date_is_refused_and_changes_nothing() {
    let world = World::new(3).await;
    let empty = Sites::new();
    for what in ["set", "removed", "applied"] {
        let plan = world.fleet.plan(&empty);
        match what {
            "set" => _ = world.fleet.set(name(0), smaller(&config(0))).await,
            "removed" => _ = world.fleet.remove(&name(1)).await,
            _ => _ = world.apply().await,
        }
        assert_eq!(world.fleet.apply(plan).await, Err(NotApplied::OutOfDate), "{what}");
    }
    assert!(NotApplied::OutOfDate.to_string().contains("make another plan"));
    let other = World::new(3).await;
    let plan = other.fleet.plan(&empty);
    assert_eq!(world.fleet.apply(plan).await, Err(NotApplied::OutOfDate), "of another fleet");
    assert_eq!(world.fleet.sites().len(), 3);
    let (plan, late) = (world.fleet.plan(&empty), world.fleet.plan(&empty));
    assert_eq!(world.fleet.apply(plan).await.unwrap().changes.removed.len(), 3);
    assert_eq!(world.fleet.apply(late).await, Err(NotApplied::OutOfDate));
    world.fleet.shut_down(Duration::from_secs(12)).await;
    let plan = world.fleet.plan(&world.wanted);
    assert_eq!(world.fleet.apply(plan).await, Err(NotApplied::ShutDown));
    assert_eq!(world.fleet.continue_rollout().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_taken_back_before_its_turn_dials_nothing() {
    let mut world = World::new(40).await;
    world.change(smaller);
    let applied = world.apply().await;
    assert_eq!(applied.changes.redialled.len(), 40);
    world.change(SiteConfig::clone);
    let back = world.fleet.plan(&world.wanted);
    assert_eq!(back.changes().redialled, [], "no tunnel was dialled with it yet");
    assert_eq!(back.changes().in_place.len(), 40);
    let back = world.fleet.apply(back).await.unwrap();
    // the sample has been hung up meanwhile
    assert!(back.changes.redialled.len() <= 10, "{:?}", back.changes);
    world.settle().await;
    let dials = world.dials();
    assert!(dials[&1] >= 30, "{dials:?}");
    assert_eq!(world.states(), BTreeMap::from([("up", 40)]));
    assert_eq!(world.pause().await, None);
}

#[tokio::test(start_paused = true)]
async fn all_sites_are_dialled_anew_when_the_first_ten_are_up_again() {
    let mut world = World::new(200).await;
    world.change(smaller);
    let begun = Instant::now();
    world.apply().await;
    while world.dials() != BTreeMap::from([(2, 200)]) {
        sleep(SECOND / 10).await;
        let up = world.states().get("up").copied().unwrap_or_default();
        assert!(up >= 160, "{up}");
    }
    // two grants of the scheduler for each
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(12), "{took:?}");
    world.settle().await;
    assert_eq!(world.states(), BTreeMap::from([("up", 200)]));
    assert_eq!(world.pause().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_configuration_ends_ten_tunnels_and_the_others_go_on() {
    let mut world = World::new(40).await;
    world.change(wrong);
    let begun = Instant::now();
    world.apply().await;
    assert_eq!(world.pause().await, Some((10, 3, 30)));
    let took = begun.elapsed();
    assert!((Duration::from_mins(1)..Duration::from_secs(63)).contains(&took), "{took:?}");
    sleep(Duration::from_mins(30)).await;
    let rollout = world.fleet.status().await.unwrap().rollout.expect("it is paused");
    // all of the sample have failed by now
    assert_eq!((rollout.redialled, rollout.failed, rollout.left), (10, 10, 30));
    assert!(rollout.is_paused);
    let up = |world: &World| world.states().get("up").copied();
    assert_eq!(up(&world), Some(30), "{:?}", world.states());
    // what is set meanwhile waits, too, and a site that is removed leaves
    let held = |world: &World| {
        world.fleet.sites().into_iter().find(|site| site.state().borrow().is_up()).unwrap()
    };
    let gone = held(&world);
    assert!(world.fleet.remove(gone.name()).await);
    world.wanted.remove(gone.name());
    sleep(SECOND).await;
    // one whose tunnel ends by itself has the new configuration at once
    let lost = held(&world);
    let number: usize = lost.name().as_str()[1..].parse().unwrap();
    world.servers[number].hang_up_all();
    sleep(Duration::from_secs(10)).await;
    let state = lost.state().borrow().clone();
    assert_eq!(state.failure().map(|it| it.name().to_owned()).as_deref(), Some("AuthFailed"));
    assert_eq!(up(&world), Some(28), "and nobody else");
    // somebody insists: ten more
    assert_eq!(world.fleet.continue_rollout().await, Some(28));
    assert_eq!(world.pause().await, Some((10, 3, 18)));
    assert_eq!(world.fleet.continue_rollout().await, Some(18));
    assert_eq!(world.pause().await, Some((10, 3, 8)));
    assert_eq!(world.fleet.continue_rollout().await, Some(8));
    assert_eq!(world.fleet.continue_rollout().await, Some(0), "there is no pause");
    sleep(Duration::from_mins(2)).await;
    assert_eq!((up(&world), world.pause().await), (None, None), "nothing is left to be kept");
    assert_eq!(world.fleet.status().await.unwrap().rollout, None);
}

#[tokio::test(start_paused = true)]
async fn the_next_plan_ends_a_pause_and_what_was_right_before_is_not_touched() {
    let mut world = World::new(40).await;
    world.change(wrong);
    world.apply().await;
    assert_eq!(world.pause().await, Some((10, 3, 30)));
    world.change(SiteConfig::clone);
    let applied = world.apply().await;
    assert_eq!(applied.continued, None, "nothing is left of it");
    assert_eq!((applied.changes.redialled.len(), applied.changes.in_place.len()), (0, 40));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(world.states(), BTreeMap::from([("up", 40)]));
    let dials = world.dials();
    assert_eq!(dials[&1], 30, "{dials:?}");
    // an equal plan ends a pause, too
    world.change(wrong);
    world.apply().await;
    assert_eq!(world.pause().await, Some((10, 3, 30)));
    let applied = world.apply().await;
    assert_eq!((applied.changes, applied.continued), (Changes::default(), Some(30)));
    assert_eq!(world.pause().await, Some((10, 3, 20)));
}

#[tokio::test(start_paused = true)]
async fn sites_that_are_set_one_by_one_have_the_same_sample() {
    let mut world = World::new(40).await;
    world.change(wrong);
    for (name, config) in world.wanted.clone() {
        world.fleet.set(name, config).await;
    }
    assert_eq!(world.pause().await, Some((10, 3, 30)));
    assert_eq!(world.states()["up"], 30);
}

#[tokio::test(start_paused = true)]
async fn a_big_plan_leaves_no_gap_for_a_reader_of_events() {
    let world = World::new(1).await;
    let mut events = world.fleet.events();
    let reader = tokio::spawn(async move {
        for told in 0..20_000 {
            let event = events.next().await.unwrap();
            assert!(!matches!(event.kind, EventKind::Gap { .. }), "after {told}");
        }
    });
    let disabled = |number: usize| {
        let name: SiteName = format!("d{number}").parse().unwrap();
        let config = SiteConfig::new("10.99.0.0", name.as_str(), Secret::literal("test123"));
        (name, config.enabled(false))
    };
    let wanted: Sites = (0..20_000).map(disabled).collect();
    let applied = world.fleet.apply(world.fleet.plan(&wanted)).await.unwrap();
    assert_eq!(applied.changes.added.len(), 20_000);
    assert_eq!(world.states()["disabled"], 20_000);
    reader.await.unwrap();
}
