//! The figures of sites over all their tunnels, with servers of the testkit, in virtual time

mod world;

use std::{net::Ipv4Addr, time::Duration};

use pptp::error::Phase;
use pptp_fleet::{Caller, DialCounts, EventKind, Events, Secret, Site, SiteConfig, SiteStatus};
use pptp_testkit::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use world::{World, name};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const PATIENCE: Duration = Duration::from_secs(10);

impl World {
    fn serve(&self) -> Server {
        Server::builder(1).serve_memory(&self.network, SERVER).unwrap()
    }

    async fn add(&self, name: &str) -> Site {
        self.fleet.set(self::name(name), config()).await;
        self.fleet.site(name).unwrap()
    }
}

fn config() -> SiteConfig {
    SiteConfig::new(SERVER.to_string(), "testuser", Secret::literal("test123"))
}

async fn until(site: &Site, state: &str) -> SiteStatus {
    let mut states = site.state();
    let reached = states.wait_for(|now| now.name() == state);
    timeout(Duration::from_hours(2), reached).await.expect("two hours are enough").unwrap();
    site.status().await.unwrap()
}

/// Fetches a page of the building through the site's tunnel
async fn fetch(site: &Site) {
    let lease = site.tunnel(PATIENCE).await.unwrap();
    let mut http = lease.tcp_connect(([192, 168, 1, 3], 80)).await.unwrap();
    http.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut page = String::new();
    http.read_to_string(&mut page).await.unwrap();
    assert!(page.ends_with("building 1\n"), "{page}");
}

fn dials(status: &SiteStatus) -> (u64, u64, u64, Vec<(&'static str, u64)>) {
    let DialCounts { begun, up, given_up, failed, .. } = &status.dials;
    (*begun, *up, *given_up, failed.iter().map(|(name, count)| (*name, *count)).collect())
}

/// Returns true if no counter of `before` is larger than in `after`
fn has_grown(before: &SiteStatus, after: &SiteStatus) -> bool {
    let counters = |status: &SiteStatus| {
        let traffic = &status.traffic;
        [
            traffic.packets_received,
            traffic.packets_sent,
            traffic.octets_received,
            traffic.octets_sent,
            status.dials.begun,
            status.dials.up,
            status.dials.given_up,
            status.dials.failed.values().sum(),
        ]
    };
    counters(before).iter().zip(counters(after)).all(|(before, after)| *before <= after)
}

#[tokio::test(start_paused = true)]
async fn the_counters_of_a_site_are_summed_over_its_tunnels() {
    let world = World::new();
    let mut server = world.serve();
    let site = world.add("b1").await;
    let up = until(&site, "up").await;
    assert_eq!(dials(&up), (1, 1, 0, vec![]));
    assert_eq!(up.reached, Some("10.99.0.1:1723".parse().unwrap()));
    assert_eq!(up.inner_address, Some(Ipv4Addr::new(192, 168, 1, 20)));
    assert!(up.up_since.is_some() && up.latest_failure.is_none());
    fetch(&site).await;
    let first = site.status().await.unwrap();
    assert!(first.traffic.octets_received > up.traffic.octets_received + 100, "{first:?}");
    assert_eq!(first.traffic.last_received, Some(Instant::now()));
    server.restart().await.unwrap();
    let lost = until(&site, "waiting").await;
    assert!((lost.inner_address, lost.up_since) == (None, None) && has_grown(&first, &lost));
    let failure = lost.latest_failure.clone().expect("it was lost");
    assert_eq!((failure.failure.name(), failure.at), ("ConnectionLost", Instant::now()));
    until(&site, "up").await;
    fetch(&site).await;
    let second = site.status().await.unwrap();
    assert_eq!(dials(&second), (2, 2, 0, vec![]));
    assert_eq!(second.latest_failure, Some(failure), "it is remembered");
    let [one, both] = [&first, &second].map(|status| status.traffic.octets_sent);
    assert!(both > one * 3 / 2, "{one} and {both}");
}

#[tokio::test(start_paused = true)]
async fn each_dial_is_counted_once_by_its_result() {
    let world = World::new();
    let site = world.add("b1").await;
    sleep(Duration::from_mins(10)).await;
    let (begun, _, _, failed) = dials(&site.status().await.unwrap());
    let tried: u64 = failed.iter().map(|(_, count)| count).sum();
    assert!(begun > 3 && (tried..=tried + 1).contains(&begun), "{begun} {failed:?}");
    let server = world.serve();
    server.set_secret("testuser", "another");
    world.fleet.up(&name("b1")).await;
    sleep(Duration::from_secs(1)).await;
    let status = site.status().await.unwrap();
    assert_eq!(status.dials.failed.get("AuthFailed"), Some(&1), "{status:?}");
    assert_eq!(status.latest_failure.unwrap().failure.name(), "AuthFailed");
    server.set_secret("testuser", "test123");
    world.fleet.up(&name("b1")).await;
    until(&site, "dialling").await;
    world.fleet.down(&name("b1"), Caller("anna".to_owned())).await;
    let down = until(&site, "down").await;
    assert_eq!((down.dials.given_up, down.dials.up), (1, 0), "{down:?}");
    let failed: u64 = down.dials.failed.values().sum();
    assert_eq!(down.dials.begun, failed + 1);
}

#[tokio::test(start_paused = true)]
async fn no_counter_ever_falls_whatever_ends_the_tunnel() {
    let world = World::new();
    let mut server = world.serve();
    let site = world.add("b1").await;
    let mut before = until(&site, "up").await;
    for round in 0..6 {
        fetch(&site).await;
        match round % 3 {
            0 => server.restart().await.unwrap(),
            1 => assert!(world.fleet.restart(&name("b1")).await),
            _ => server.hang_up_all(),
        }
        for _ in 0..3000 {
            let now = site.status().await.unwrap();
            assert!(has_grown(&before, &now), "round {round}: {before:?} {now:?}");
            before = now;
            sleep(Duration::from_millis(5)).await;
        }
        until(&site, "up").await;
    }
    assert_eq!(before.dials.up, 7);
}

#[tokio::test(start_paused = true)]
async fn all_sites_are_asked_for_at_once() {
    let world = World::new();
    let _server = world.serve();
    let up = world.add("up").await;
    until(&up, "up").await;
    for number in 0..10_000 {
        let server = format!("10.99.9.{}", number % 200);
        let elsewhere = SiteConfig::new(server, "u", Secret::literal("p"));
        world.fleet.set(name(&format!("b{number}")), elsewhere).await;
    }
    sleep(Duration::from_secs(1)).await;
    let statuses = world.fleet.statuses().await.unwrap();
    assert_eq!(statuses.len(), 10_001);
    assert!(statuses.is_sorted_by_key(|(name, _)| name.clone()));
    for (name, status) in statuses.iter().step_by(100).chain(statuses.last()) {
        let alone = world.fleet.site(name.as_str()).unwrap().status().await.unwrap();
        assert_eq!(alone, *status, "{name}");
    }
    assert!(statuses.iter().any(|(_, status)| status.ahead > Some(200)));
    world.fleet.shut_down(PATIENCE).await;
    assert_eq!(world.fleet.statuses().await, None);
}

/// Returns the kinds of events so far that are about flapping
async fn flapping(events: &mut Events) -> Vec<(&'static str, Duration)> {
    let begun = Instant::now();
    let mut found = Vec::new();
    while let Ok(Some(event)) = timeout(Duration::from_hours(2), events.next()).await {
        let kind = match event.kind {
            EventKind::FlappingBegan { name } if name == *"b1" => "began",
            EventKind::FlappingEnded { name } if name == *"b1" => "ended",
            _ => continue,
        };
        found.push((kind, begun.elapsed()));
    }
    found
}

#[tokio::test(start_paused = true)]
async fn a_site_that_comes_up_again_and_again_is_flapping_until_it_is_quiet_for_an_hour() {
    let world = World::new();
    let mut server = world.serve();
    let site = world.add("b1").await;
    let mut events = world.fleet.events();
    let mut is_flapping = Vec::new();
    for _ in 0..5 {
        is_flapping.push(until(&site, "up").await.is_flapping);
        sleep(Duration::from_mins(5)).await;
        server.restart().await.unwrap();
        until(&site, "waiting").await;
    }
    assert_eq!(is_flapping, [false, false, false, true, true]);
    // the sixth; of the third to the sixth the third is the oldest, and was 16 minutes ago
    until(&site, "up").await;
    let told = flapping(&mut events).await;
    let [("began", _), ("ended", at)] = told[..] else { panic!("{told:?}") };
    assert!((Duration::from_mins(43)..Duration::from_mins(46)).contains(&at), "{at:?}");
    assert!(!site.status().await.unwrap().is_flapping);
}

#[tokio::test(start_paused = true)]
async fn a_site_that_is_restarted_by_hand_is_not_flapping() {
    let world = World::new();
    let _server = world.serve();
    let site = world.add("b1").await;
    let mut events = world.fleet.events();
    for _ in 0..10 {
        until(&site, "up").await;
        world.fleet.restart(&name("b1")).await;
        sleep(Duration::from_secs(30)).await;
    }
    let status = until(&site, "up").await;
    assert_eq!((status.dials.up, status.is_flapping), (11, false));
    assert_eq!(flapping(&mut events).await, []);
}

#[tokio::test(start_paused = true)]
async fn the_figures_of_all_sites_are_those_of_one_moment_and_sums_outlive_removed_sites() {
    let world = World::new();
    let server = world.serve();
    let site = world.add("b1").await;
    world.fleet.set(name("b2"), SiteConfig::new("10.99.0.9", "u", Secret::literal("p"))).await;
    until(&site, "up").await;
    fetch(&site).await;
    let other = world.fleet.site("b2").unwrap();
    until(&other, "waiting").await;
    let figures = world.fleet.figures().await.unwrap();
    let [b1, b2] = figures.sites.as_slice() else { panic!("{figures:?}") };
    assert_eq!((b1.name.as_str(), b1.state, b1.is_wanted, b1.is_up), ("b1", "up", true, true));
    assert_eq!(
        (b2.name.as_str(), b2.state, b2.is_wanted, b2.is_up),
        ("b2", "waiting", true, false)
    );
    let failure = b2.failure.expect("it waits after a failure");
    assert_eq!((failure.layer.name(), failure.class.name()), ("tcp", "network"));
    assert_eq!(b2.latest_failure, Some(failure));
    assert_eq!((b1.failure, b2.up_since), (None, None));
    let stats = b1.stats().expect("it has a tunnel");
    assert_eq!(b1.traffic(Some(&stats)), site.status().await.unwrap().traffic);
    assert_eq!(figures.dials().up, 1);
    assert_eq!(figures.dials().failed[failure.name], b2.dials.failed[failure.name]);
    // each phase of the dial that led up was completed once
    let phases: Vec<_> = figures.phases.iter().map(|(phase, it)| (*phase, it.total())).collect();
    assert!(phases.contains(&(Phase::Network, 1)) && phases.contains(&(Phase::Authentication, 1)));
    assert!(!phases.iter().any(|(phase, _)| *phase == Phase::Up), "{phases:?}");
    let octets = b1.traffic(Some(&stats)).octets_sent;
    // what a removed site has counted stays in the sums
    assert!(world.fleet.remove(&name("b1")).await);
    let mut removed = site.state();
    removed.wait_for(|state| state.name() == "removed").await.unwrap();
    let after = world.fleet.figures().await.unwrap();
    assert_eq!(after.sites.len(), 1);
    assert_eq!((after.dials().up, after.removed.dials.up), (1, 1));
    assert!(after.removed.traffic.octets_sent >= octets && octets > 0);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_site_that_is_tried_again_keeps_its_failure_and_one_that_is_down_by_hand_has_none() {
    let world = World::new();
    let site = world.add("b1").await;
    until(&site, "waiting").await;
    until(&site, "dialling").await;
    let figures = world.fleet.figures().await.unwrap();
    assert!(figures.sites[0].failure.is_some() && figures.sites[0].is_wanted, "{figures:?}");
    world.fleet.down(&name("b1"), Caller("anna".into())).await;
    until(&site, "down").await;
    let figures = world.fleet.figures().await.unwrap();
    assert!(figures.sites[0].failure.is_none() && !figures.sites[0].is_wanted, "{figures:?}");
    assert!(figures.sites[0].latest_failure.is_some());
    assert_eq!(
        figures.fleet.queue.map(|(name, _)| name),
        ["waited", "asked", "lost", "start", "again"]
    );
}
