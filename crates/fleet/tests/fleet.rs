//! A fleet over servers of the testkit, in virtual time

mod world;

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use pptp::{Client, Password};
use pptp_fleet::{
    Accepted, Caller, Change, Connect, EventKind, Events, Fetching, Fleet, FleetOptions, NotUp,
    Secret, SecretSource, Site, SiteConfig, SiteState,
};
use pptp_testkit::{Server, ServerBuilder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use world::{World, name};

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);

impl World {
    fn serve(&self, building: u8) -> Server {
        self.serve_with(building, Server::builder(building.into()))
    }

    fn serve_with(&self, building: u8, builder: ServerBuilder) -> Server {
        builder.serve_memory(&self.network, address(building)).unwrap()
    }

    async fn add(&self, site: &str, config: SiteConfig) -> Site {
        assert_eq!(self.fleet.set(name(site), config).await, Some(Change::Added));
        self.fleet.site(site).unwrap()
    }
}

const fn address(building: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, 0, building)
}

fn config(building: u8) -> SiteConfig {
    SiteConfig::new(address(building).to_string(), "testuser", Secret::literal("test123"))
}

async fn until(site: &Site, state: &str) {
    let mut states = site.state();
    let reached = states.wait_for(|now| now.name() == state);
    timeout(Duration::from_hours(2), reached).await.expect("two hours are enough").unwrap();
}

async fn building(site: &Site) -> String {
    let lease = site.tunnel(PATIENCE).await.unwrap();
    let mut http = lease.tcp_connect(([192, 168, 1, 3], 80)).await.unwrap();
    http.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut page = String::new();
    http.read_to_string(&mut page).await.unwrap();
    page.lines().last().unwrap_or_default().to_owned()
}

#[tokio::test(start_paused = true)]
async fn each_site_leads_to_its_own_building_and_all_are_hung_up_in_the_end() {
    let world = World::new();
    let servers = [1, 2, 3].map(|number| world.serve(number));
    let mut sites = Vec::new();
    for number in 1..=3 {
        sites.push(world.add(&format!("b{number}"), config(number)).await);
    }
    for (site, number) in sites.iter().zip(1..) {
        assert_eq!(building(site).await, format!("building {number}"));
    }
    assert_eq!(world.fleet.sites().len(), 3);
    assert!(world.fleet.shut_down(Duration::from_secs(12)).await);
    for server in &servers {
        server.idle().await;
        assert!(server.stats().ended.iter().all(pptp_testkit::Ended::is_clean));
    }
    assert!(world.fleet.sites().is_empty());
    assert!(matches!(sites[0].tunnel(PATIENCE).await, Err(NotUp::ShutDown)));
}

#[tokio::test(start_paused = true)]
async fn a_site_that_is_lost_comes_back_and_a_client_waits_for_it() {
    let world = World::new();
    let mut server = world.serve(1);
    let site = world.add("b1", config(1)).await;
    assert_eq!(building(&site).await, "building 1");
    sleep(Duration::from_mins(2)).await;
    server.restart().await.unwrap();
    until(&site, "waiting").await;
    let asked = Instant::now();
    assert_eq!(building(&site).await, "building 1");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_record_of_what_went_wrong_outlives_the_tunnel() {
    let world = World::new();
    let server = world.serve(11);
    let site = world.add("b11", config(11)).await;
    until(&site, "up").await;
    let live = site.flight_record().expect("of the tunnel that is up");
    drop(server);
    until(&site, "waiting").await;
    let kept = site.flight_record().expect("of the tunnel that has ended");
    assert_eq!(kept.began(), live.began());
    assert!(kept.records().len() >= live.records().len());
}

#[tokio::test(start_paused = true)]
async fn a_site_on_demand_is_dialled_for_a_client_and_hung_up_when_it_is_idle() {
    let world = World::new();
    let server = world.serve(1);
    let on_demand = config(1).connect(Connect::OnDemand { idle: Duration::from_mins(10) });
    let site = world.add("b1", on_demand).await;
    sleep(Duration::from_hours(1)).await;
    assert_eq!((site.state().borrow().name(), server.stats().connections_ever), ("idle", 0));
    let lease = site.tunnel(PATIENCE).await.unwrap();
    sleep(Duration::from_hours(1)).await;
    assert!(site.state().borrow().is_up(), "it is in use");
    drop(lease);
    sleep(Duration::from_mins(9)).await;
    assert!(site.state().borrow().is_up());
    sleep(Duration::from_mins(2)).await;
    assert_eq!(site.state().borrow().name(), "idle");
    server.idle().await;
    assert!(server.stats().ended[0].is_clean());
    assert_eq!(building(&site).await, "building 1", "and again");
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_told_at_once_and_tried_ten_times_a_day_at_most() {
    let world = World::new();
    let server = world.serve(1);
    server.set_secret("testuser", "another");
    let site = world.add("b1", config(1)).await;
    until(&site, "waiting").await;
    let error = site.tunnel(PATIENCE).await.unwrap_err();
    assert_eq!(error.failure().map(|it| it.name().to_owned()).as_deref(), Some("AuthFailed"));
    for _ in 0..100 {
        world.fleet.up(&name("b1")).await;
        sleep(Duration::from_secs(20)).await;
    }
    let tried = server.stats().connections_ever;
    assert!((4..=10).contains(&tried), "{tried} dials, whoever asks");
    sleep(Duration::from_hours(24)).await;
    server.set_secret("testuser", "test123");
    world.fleet.up(&name("b1")).await;
    assert_eq!(building(&site).await, "building 1");
}

/// What a power cut leaves on a server that allows one session: the login works an hour later
#[tokio::test(start_paused = true)]
async fn a_refused_login_is_tried_again_an_hour_later() {
    let world = World::new();
    let server = world.serve(1);
    server.set_secret("testuser", "not yet");
    let site = world.add("b1", config(1)).await;
    let begun = Instant::now();
    sleep(Duration::from_mins(59)).await;
    assert_eq!(server.stats().connections_ever, 1, "one attempt, and it waits");
    server.set_secret("testuser", "test123");
    until(&site, "up").await;
    let waited = begun.elapsed();
    assert!((Duration::from_hours(1)..Duration::from_mins(91)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_counts_for_each_site_that_has_it_and_for_one_that_is_added_again() {
    let world = World::new();
    let server = world.serve(1);
    server.set_secret("testuser", "another");
    for number in 0..10 {
        world.add(&format!("b{number}"), config(1)).await;
    }
    sleep(Duration::from_mins(10)).await;
    assert_eq!(server.stats().connections_ever, 4, "of ten sites");
    for _ in 0..10 {
        world.fleet.remove(&name("b1")).await;
        world.fleet.set(name("b1"), config(1)).await;
        sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(server.stats().connections_ever, 4, "however often it is added");
}

#[tokio::test(start_paused = true)]
async fn down_by_a_person_lasts_until_up_and_a_client_is_told_so() {
    let world = World::new();
    let server = world.serve(1);
    let site = world.add("b1", config(1)).await;
    assert_eq!(building(&site).await, "building 1");
    assert!(world.fleet.down(&name("b1"), Caller("anna".to_owned())).await);
    until(&site, "down").await;
    server.idle().await;
    let refused = site.tunnel(PATIENCE).await.unwrap_err();
    assert!(refused.to_string().contains("down by anna"), "{refused}");
    sleep(Duration::from_hours(5)).await;
    assert_eq!(server.stats().connections_ever, 1);
    world.fleet.up(&name("b1")).await;
    assert_eq!(building(&site).await, "building 1");
}

#[tokio::test(start_paused = true)]
async fn a_change_touches_what_it_concerns() {
    let world = World::new();
    let servers = [1, 2].map(|number| world.serve(number));
    let site = world.add("b1", config(1)).await;
    assert_eq!(building(&site).await, "building 1");
    let set = |config| world.fleet.set(name("b1"), config);
    assert_eq!(set(config(1)).await, Some(Change::Nothing));
    let other = SiteConfig::new(address(1).to_string(), "testuser", Secret::literal("new"));
    assert_eq!(set(other).await, Some(Change::InPlace), "the next login has it");
    assert_eq!(set(config(1)).await, Some(Change::Nothing), "the tunnel was dialled with that");
    sleep(SECOND).await;
    assert_eq!(servers[0].stats().connections_ever, 1);
    assert_eq!(set(config(2)).await, Some(Change::Redial));
    sleep(SECOND * 2).await;
    assert_eq!(building(&site).await, "building 2");
    servers[0].idle().await;
    let mtu = config(2).tunnel(|tunnel| tunnel.mru(1300));
    assert_eq!(set(mtu).await, Some(Change::Redial));
    sleep(SECOND * 2).await;
    assert_eq!(site.tunnel(PATIENCE).await.unwrap().info().mtu, 1296);
    assert_eq!(servers[1].stats().connections_ever, 2);
}

#[tokio::test(start_paused = true)]
async fn a_site_that_is_removed_and_added_again_waits_for_its_own_hang_up() {
    let world = World::new();
    let server = world.serve_with(1, Server::builder(1).one_session());
    let site = world.add("b1", config(1)).await;
    assert_eq!(building(&site).await, "building 1");
    assert!(world.fleet.remove(&name("b1")).await);
    // the tombstone is a site still, until nothing is left of it on the wire
    world.fleet.set(name("b1"), config(1)).await;
    let again = world.fleet.site("b1").unwrap();
    assert_eq!(building(&again).await, "building 1");
    let stats = server.stats();
    assert_eq!((stats.connections_ever, stats.ended.len()), (2, 1), "one after the other");
    assert!(stats.ended[0].is_clean());
    assert!(world.fleet.remove(&name("b1")).await);
    until(&again, "removed").await;
    assert!(world.fleet.site("b1").is_none() && !world.fleet.remove(&name("b1")).await);
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_died_while_the_machine_slept_is_dialled_again_within_twenty_seconds() {
    for jumps in [true, false] {
        let world = World::new();
        let mut server = world.serve(1);
        let _other = world.serve(2);
        let site = world.add("b1", config(1)).await;
        let well = world.add("b2", config(2)).await;
        until(&site, "up").await;
        until(&well, "up").await;
        sleep(Duration::from_mins(5)).await;
        let since = well.state().borrow().clone();
        // not a word comes from it any more
        server.power_off().unwrap();
        let slept = Instant::now();
        if jumps {
            world.fleet.clock_jumped().await;
        }
        until(&site, "dialling").await;
        let took = slept.elapsed();
        assert_eq!(took <= SECOND * 20, jumps, "{took:?}");
        assert_eq!(*well.state().borrow(), since, "one that lives is left alone");
        server.restart().await.unwrap();
        until(&site, "up").await;
    }
}

/// Runs two sites with one login for so long, and returns the times at which one of them was lost
async fn twins(builder: ServerBuilder, shares: bool, time: Duration) -> Vec<(Duration, SiteState)> {
    let world = World::new();
    let _server = world.serve_with(1, builder);
    let mut events = world.fleet.events();
    world.add("b1", config(1).share_login(shares)).await;
    world.add("b2", config(1).share_login(shares)).await;
    let begun = Instant::now();
    let mut lost = Vec::new();
    while let Ok(Some(event)) = timeout(time, events.next()).await {
        if event.at.saturating_duration_since(begun) > time {
            break;
        }
        if let EventKind::Site { state: state @ SiteState::Waiting { .. }, .. } = event.kind {
            lost.push((event.at - begun, state));
        }
    }
    lost
}

#[tokio::test(start_paused = true)]
async fn two_sites_with_one_login_that_end_each_other_say_so_and_slow_down() {
    let hour = Duration::from_hours(1);
    let lost = twins(Server::builder(1).newest_session(), false, hour).await;
    for (_, state) in &lost {
        let failure = state.failure().expect("it was lost");
        assert_eq!(failure.name(), "LoginInUse", "{state}");
        assert_eq!(failure.class(), pptp::Class::Busy);
        let advice = failure.advice().unwrap_or_default();
        assert!(advice.contains("b1") || advice.contains("b2"), "{advice}");
    }
    // 30 s, 60, 120, 240, and then 5 minutes and more between two dials of each
    assert!((12..=26).contains(&lost.len()), "{} times: {lost:#?}", lost.len());
    let last_quarter = lost.iter().filter(|(at, _)| *at > hour * 3 / 4).count();
    assert!(last_quarter <= 6, "{last_quarter} in the last quarter of an hour");
    let shared = twins(Server::builder(1).newest_session(), true, Duration::from_mins(5)).await;
    assert!(shared.len() >= 10, "as a lost connection: {}", shared.len());
    assert!(shared.iter().all(|(_, state)| state.failure().unwrap().name() != "LoginInUse"));
    let several = twins(Server::builder(1), false, Duration::from_mins(5)).await;
    assert_eq!(several, [], "a server that allows both");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_refused_while_its_twin_is_up_is_in_use() {
    let lost = twins(Server::builder(1).one_session(), false, Duration::from_hours(1)).await;
    let names: Vec<_> =
        lost.iter().map(|(_, it)| it.failure().unwrap().name().to_owned()).collect();
    assert!(names.iter().all(|name| name == "LoginInUse" || name == "LoginHeld"), "{names:?}");
    assert!(!names.is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_sites_with_one_login_are_not_dialled_at_the_same_time() {
    let world = World::new();
    let server = world.serve(1);
    let mut events = world.fleet.events();
    for number in 0..20 {
        world.add(&format!("b{number}"), config(1)).await;
    }
    let mut dialling = std::collections::BTreeSet::new();
    let mut up = 0;
    while up < 20 {
        let EventKind::Site { name, state } = events.next().await.unwrap().kind else { continue };
        match state {
            SiteState::Dialling { .. } => _ = dialling.insert(name),
            _ => _ = dialling.remove(&name),
        }
        assert!(dialling.len() <= 1, "{dialling:?}");
        up = server.stats().up;
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_an_earlier_fleet_saw_accepted_waits_a_minute_after_its_refusal() {
    let world = World::new();
    let server = world.serve(1);
    let site = world.add("b1", config(1)).await;
    until(&site, "up").await;
    let accepted = world.fleet.accepted().await.unwrap();
    assert_eq!(accepted.len(), 1);
    world.fleet.shut_down(PATIENCE).await;
    assert_eq!(world.fleet.accepted().await, None);
    server.set_secret("testuser", "not now");
    for (is_known, least) in [(true, Duration::from_mins(1)), (false, Duration::from_hours(1))] {
        let mut options = FleetOptions::default();
        if is_known {
            options = options.accepted(Accepted::parse(&accepted.to_text()).unwrap());
        }
        let host = world.network.host(Ipv4Addr::new(10, 99, 1, 2 + u8::from(is_known)));
        let client = Client::builder().memory(host).build().unwrap();
        let fleet = Fleet::new(client, &options);
        fleet.set(name("b1"), config(1)).await;
        let site = fleet.site("b1").unwrap();
        until(&site, "waiting").await;
        let SiteState::Waiting { until, .. } = site.state().borrow().clone() else { panic!() };
        let pause = until - Instant::now();
        assert!((least..=least * 3 / 2).contains(&pause), "{pause:?}");
        // it is remembered on, although it was refused
        assert_eq!(fleet.accepted().await.unwrap().len(), usize::from(is_known));
    }
}

/// A source of passwords that a test scripts: the n-th fetch gets the n-th answer
struct Scripted {
    answers: Mutex<Vec<Option<Result<&'static str, &'static str>>>>,
    asked: AtomicUsize,
}

impl SecretSource for Scripted {
    fn name(&self) -> String {
        "the test's vault".to_owned()
    }

    fn fetch(&self) -> Fetching {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
        Box::pin(async move {
            match answer {
                Some(Ok(password)) => Ok(Password::new(password)),
                Some(Err(error)) => Err(error.to_owned()),
                None => std::future::pending().await,
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_that_hangs_or_fails_holds_up_its_own_site_alone() {
    let world = World::new();
    let _servers = [1, 2].map(|number| world.serve(number));
    let answers = vec![None, Some(Err("sealed")), Some(Ok("test123"))];
    let vault = Arc::new(Scripted { answers: Mutex::new(answers), asked: AtomicUsize::new(0) });
    let secret = Secret::Source(Arc::clone(&vault) as Arc<dyn SecretSource>);
    let slow = SiteConfig::new(address(1).to_string(), "testuser", secret);
    let slow = world.add("slow", slow).await;
    until(&slow, "fetching-secret").await;
    let other = world.add("other", config(2)).await;
    let asked = Instant::now();
    assert_eq!(building(&other).await, "building 2");
    assert!(asked.elapsed() < SECOND);
    until(&slow, "waiting").await;
    let state = slow.state().borrow().to_string();
    assert_eq!(
        state,
        "waiting: the password could not be had from the test's vault: no answer within 5 s"
    );
    until(&slow, "up").await;
    assert_eq!(vault.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn sites_of_a_server_that_is_down_wait_behind_one_scout() {
    let world = World::new();
    let mut sites = Vec::new();
    for number in 0..50 {
        let config =
            SiteConfig::new(address(9).to_string(), "testuser", Secret::literal("test123"));
        sites.push(world.add(&format!("b{number}"), config).await);
    }
    sleep(Duration::from_mins(30)).await;
    for site in &sites {
        let state = site.state().borrow().clone();
        let failure = state.failure().map(|it| it.name().to_owned());
        assert!(matches!(state, SiteState::Waiting { .. } | SiteState::Dialling { .. }), "{state}");
        assert!(failure.is_none_or(|it| it == "TcpFailed" || it == "ConnectTimeout"), "{state}");
    }
    let refused = sites[7].tunnel(SECOND).await.unwrap_err();
    assert!(refused.failure().is_some(), "{refused}");
    let server = world.serve(9);
    let begun = Instant::now();
    while !sites.iter().any(|site| site.state().borrow().is_up()) {
        sleep(SECOND / 10).await;
    }
    for site in &sites {
        let state = site.state().borrow().clone();
        assert!(
            state.failure().is_none(),
            "its server is there, and it waits for its turn: {state}"
        );
    }
    for site in &sites {
        until(site, "up").await;
    }
    assert!(begun.elapsed() < Duration::from_mins(8), "{:?}", begun.elapsed());
    assert_eq!(server.stats().connections_ever, 50, "one dial each");
}

#[tokio::test(start_paused = true)]
async fn events_are_numbered_and_a_reader_that_is_too_slow_is_told() {
    let world = World::new();
    let _server = world.serve(1);
    let mut events = world.fleet.events();
    let site = world.add("b1", config(1)).await;
    until(&site, "up").await;
    let mut names = Vec::new();
    for expected in 0_u64.. {
        let event = events.next().await.unwrap();
        assert_eq!(event.number, expected);
        let EventKind::Site { name, state } = event.kind else { panic!("{event:?}") };
        assert_eq!(name, *"b1");
        names.push(state.name());
        if state.is_up() {
            break;
        }
    }
    assert_eq!(names, ["queued", "dialling", "up"]);
    for number in 0..5000 {
        world.add(&format!("disabled-{number}"), config(1).enabled(false)).await;
    }
    assert!(missed(&mut events).await > 0);
}

/// Reads events until there is a gap, and returns how many were missed
async fn missed(events: &mut Events) -> u64 {
    loop {
        let event = events.next().await.expect("the fleet is there");
        if let EventKind::Gap { missed } = event.kind {
            return missed;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_name_can_never_work_stops_the_site_until_it_is_changed() {
    let world = World::new();
    let _server = world.serve(1);
    let site = world.add("b1", SiteConfig::new("a b", "u", Secret::literal("p"))).await;
    until(&site, "stopped").await;
    sleep(Duration::from_hours(100)).await;
    assert!(matches!(&*site.state().borrow(), SiteState::Stopped { .. }));
    world.fleet.set(name("b1"), config(1)).await;
    assert_eq!(building(&site).await, "building 1");
}

#[tokio::test(start_paused = true)]
async fn the_supervisor_answers_while_there_is_one_and_also_while_it_hangs_up() {
    let world = World::new();
    let _server = world.serve(1);
    let site = world.add("b1", config(1)).await;
    until(&site, "up").await;
    let began = Instant::now();
    for _ in 0..100 {
        assert!(world.fleet.beat().await);
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "at once");
    let (is_done, is_alive) =
        tokio::join!(world.fleet.shut_down(PATIENCE), async { world.fleet.beat().await });
    assert!(is_done && is_alive);
    assert!(!world.fleet.beat().await, "gone for good");
}
