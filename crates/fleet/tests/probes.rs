//! The application probes of sites, with the devices of the testkit, in virtual time

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use pptp::Client;
use pptp_fleet::{
    Caller, Change, Connect, EventKind, Events, Fleet, FleetOptions, ProbeStatus, Secret, Site,
    SiteConfig, SiteName,
};
use pptp_testkit::{LanHost, Server, memory};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const PLC: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 50);
const SECOND: Duration = Duration::from_secs(1);

struct World {
    server: Server,
    fleet: Fleet,
}

impl World {
    fn new() -> Self {
        let network = memory::Network::new(0);
        network.set_latency(Duration::from_millis(10));
        let server = Server::builder(1).serve_memory(&network, SERVER).unwrap();
        let client = Client::builder().memory(network.host(Ipv4Addr::new(10, 99, 1, 1)));
        let mut options = FleetOptions::default();
        options.seed = Some(7);
        Self { server, fleet: Fleet::new(client.build().unwrap(), &options) }
    }

    /// Adds a site with a probe, and waits until it is up
    async fn add(&self, site: &str, probe: &str) -> Site {
        assert_eq!(self.fleet.set(name(site), config(probe)).await, Some(Change::Added));
        let site = self.fleet.site(site).unwrap();
        until(&site, "up").await;
        site
    }

    /// A device at which TCP 80 is answered like this, again and again
    fn device(&self, answer: &'static [u8], then: Then) -> (LanHost, Arc<AtomicUsize>) {
        let host = self.server.add_host(PLC).unwrap();
        let listener = host.tcp_listen(80, 8).unwrap();
        let open = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    counter.fetch_add(1, Ordering::Relaxed);
                    let mut question = [0; 512];
                    let _ = stream.read(&mut question).await;
                    let _ = stream.write_all(answer).await;
                    match then {
                        Then::Close => {}
                        Then::Wait => _ = stream.read_to_end(&mut Vec::new()).await,
                        Then::Drip => while stream.write_all(b"x").await.is_ok() {},
                    }
                    counter.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        (host, open)
    }
}

/// The end of a device's answer
#[derive(Debug, Clone, Copy)]
enum Then {
    Close,
    Wait,
    /// It never ends
    Drip,
}

fn name(name: &str) -> SiteName {
    name.parse().unwrap()
}

fn plain() -> SiteConfig {
    SiteConfig::new(SERVER.to_string(), "testuser", Secret::literal("test123")).share_login(true)
}

fn config(probe: &str) -> SiteConfig {
    plain().probe(probe.parse().unwrap())
}

async fn until(site: &Site, state: &str) {
    let mut states = site.state();
    let reached = states.wait_for(|now| now.name() == state);
    timeout(Duration::from_hours(2), reached).await.expect("two hours are enough").unwrap();
}

async fn status(site: &Site) -> ProbeStatus {
    site.status().await.unwrap().probe.expect("there was a probe")
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_probe_is_answered_by_a_device_that_is_well() {
    let world = World::new();
    for probe in [
        "tcp:192.168.1.3:80",
        "udp:192.168.1.3:7=are you there",
        "http:192.168.1.3/",
        "http:knx.lan:80/nothing-of-the-kind",
        "knx:192.168.1.3",
        "ping:192.168.1.3",
    ] {
        let site = world.add("b1", probe).await;
        sleep(SECOND * 5).await;
        let first = status(&site).await;
        assert!(first.ok && first.last_error.is_none(), "{probe}: {first:?}");
        sleep(Duration::from_mins(10)).await;
        assert_eq!(status(&site).await, first, "{probe}");
        world.fleet.remove(&name("b1")).await;
        until(&site, "removed").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_knx_device_may_answer_with_route_back_only() {
    let world = World::new();
    let socket = world.server.add_host(PLC).unwrap().udp_bind(3671).unwrap();
    let device = tokio::spawn(async move {
        let mut description = vec![6, 0x10, 0x02, 0x04, 0, 68, 54, 1];
        description.resize(68, 0);
        let mut question = [0; 64];
        loop {
            let (length, from) = socket.recv_from(&mut question).await.unwrap();
            if question[..length].ends_with(&[8, 1, 0, 0, 0, 0, 0, 0]) {
                socket.send_to(&description, from).await.unwrap();
            }
        }
    });
    let site = world.add("b1", "knx:192.168.1.50").await;
    sleep(Duration::from_mins(10)).await;
    let status = status(&site).await;
    assert!(status.ok && status.last_error.is_none(), "{status:?}");
    assert!(!device.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_not_well_is_told_with_the_reason_and_the_tunnel_stays() {
    let world = World::new();
    for (probe, error) in [
        ("tcp:192.168.1.3:81", "refused"),
        ("udp:192.168.1.3:81=x", "refused"),
        ("tcp:192.168.1.77:80", "no route to host"),
        ("http:192.168.1.3:7/", "something else than HTTP answers"),
        ("knx:192.168.1.3:7", "no KNXnet/IP"),
        ("ping:192.168.1.254", "no answer"),
        ("http:192.168.1.254/", "no answer"),
        ("knx:192.168.1.254", "no answer"),
        ("tcp:nowhere.lan:80", "nowhere.lan"),
    ] {
        let site = world.add("b1", probe).await;
        let before = site.state().borrow().clone();
        sleep(SECOND * 30).await;
        let failed = status(&site).await;
        assert!(!failed.ok && failed.failures == 3, "{probe}: {failed:?}");
        let told = failed.last_error.unwrap_or_default();
        assert!(told.contains(error), "{probe}: {told}");
        sleep(Duration::from_mins(30)).await;
        assert_eq!(*site.state().borrow(), before, "{probe}: it is the device's fault");
        assert_eq!(site.status().await.unwrap().dials.begun, 1);
        world.fleet.remove(&name("b1")).await;
        until(&site, "removed").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_web_server_is_well_if_it_says_so_within_a_line_and_five_seconds() {
    let cases: [(&[u8], Then, Option<&str>); 8] = [
        (b"HTTP/1.1 204 No Content\r\n\r\n", Then::Close, None),
        (b"HTTP/1.0 401 Unauthorized\r\n", Then::Wait, None),
        (b"HTTP/1.1 200 OK\r\n", Then::Drip, None),
        (b"HTTP/1.1 503 Starting\r\n\r\n", Then::Close, Some("HTTP status 503")),
        (b"", Then::Close, Some("it closes without an answer")),
        (b"HTTP/1.1 200", Then::Wait, Some("no answer")),
        (b"HTTP/1.1 200 O", Then::Drip, Some("something else than HTTP answers")),
        (b"SSH-2.0-dropbear\r\n", Then::Wait, Some("something else than HTTP answers")),
    ];
    for (answer, then, expected) in cases {
        let world = World::new();
        let _device = world.device(answer, then);
        let site = world.add("b1", "http:192.168.1.50/").await;
        sleep(SECOND * 6).await;
        let status = status(&site).await;
        assert_eq!(status.last_error.as_deref(), expected, "{}", answer.escape_ascii());
        assert_eq!(status.failures, u32::from(expected.is_some()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_gone_and_comes_back_is_told_once_each() {
    let world = World::new();
    let mut events = world.fleet.events();
    world.server.add_host(PLC).unwrap();
    let site = world.add("b1", "ping:192.168.1.50").await;
    sleep(Duration::from_mins(5)).await;
    assert!(status(&site).await.ok);
    assert!(world.server.remove_host(PLC));
    let gone = Instant::now();
    sleep(Duration::from_mins(20)).await;
    let failed = status(&site).await;
    assert!(!failed.ok && failed.failures > 60, "{failed:?}");
    world.server.add_host(PLC).unwrap();
    let back = Instant::now();
    sleep(Duration::from_mins(20)).await;
    let answered = status(&site).await;
    assert!(answered.ok && answered.last_error == failed.last_error, "{answered:?}");
    let mut told = Vec::new();
    while let Ok(Some(event)) = timeout(SECOND, events.next()).await {
        match event.kind {
            EventKind::ProbeFailed { name, error } if name == *"b1" => {
                assert_eq!((Some(error), event.at), (failed.last_error.clone(), failed.since));
                told.push(("failed", event.at - gone));
            }
            EventKind::ProbeAnswered { name } if name == *"b1" => {
                assert_eq!(event.at, answered.since);
                told.push(("answered", event.at - back));
            }
            _ => {}
        }
    }
    let [("failed", first), ("answered", second)] = told[..] else { panic!("{told:?}") };
    assert!((SECOND * 20..SECOND * 85).contains(&first), "{first:?}");
    assert!(second <= SECOND * 12, "{second:?}");
    assert_eq!(world.server.stats().connections_ever, 1);
}

#[tokio::test(start_paused = true)]
async fn another_probe_is_a_change_in_place() {
    let world = World::new();
    let (_device, open) = world.device(b"", Then::Wait);
    let site = world.add("b1", "tcp:192.168.1.3:81").await;
    sleep(SECOND * 40).await;
    assert!(!status(&site).await.ok);
    let set = |config| world.fleet.set(name("b1"), config);
    assert_eq!(set(config("tcp:192.168.1.3:81")).await, Some(Change::Nothing));
    let wanted = [(name("b1"), config("http:192.168.1.50/"))];
    let plan = world.fleet.plan(wanted.iter().map(|(name, config)| (name, config)));
    assert_eq!(plan.changes().in_place, [(name("b1"), vec!["probe".to_owned()])]);
    let applied = world.fleet.apply(plan).await.unwrap();
    assert_eq!(applied.changes.in_place.len(), 1);
    sleep(SECOND * 2).await;
    assert_eq!(site.status().await.unwrap().probe, None, "it begins anew");
    assert_eq!(open.load(Ordering::Relaxed), 1);
    // the question that is under way ends
    assert_eq!(set(config("http:192.168.1.50/b")).await, Some(Change::InPlace));
    sleep(SECOND).await;
    assert_eq!(open.load(Ordering::Relaxed), 1, "one at a time");
    assert_eq!(set(plain()).await, Some(Change::InPlace));
    sleep(SECOND).await;
    assert_eq!(open.load(Ordering::Relaxed), 0, "and none");
    sleep(Duration::from_mins(5)).await;
    let after = site.status().await.unwrap();
    assert_eq!((after.probe, after.dials.begun, open.load(Ordering::Relaxed)), (None, 1, 0));
    assert_eq!(world.server.stats().connections_ever, 1);
}

#[tokio::test(start_paused = true)]
async fn one_question_at_a_time_is_under_way_whatever_the_device_does() {
    let world = World::new();
    let (_device, open) = world.device(b"", Then::Wait);
    let site = world.add("b1", "http:192.168.1.50/").await;
    let mut most = 0;
    for _ in 0..6000 {
        sleep(Duration::from_millis(20)).await;
        most = most.max(open.load(Ordering::Relaxed));
    }
    assert_eq!(most, 1);
    let status = status(&site).await;
    assert!((11..=13).contains(&status.failures), "each ten seconds: {status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_no_use_of_a_site_on_demand() {
    let world = World::new();
    let on_demand = config("http:192.168.1.3/").connect(Connect::OnDemand { idle: SECOND * 90 });
    world.fleet.set(name("b1"), on_demand).await;
    let site = world.fleet.site("b1").unwrap();
    sleep(Duration::from_hours(1)).await;
    assert_eq!(world.server.stats().connections_ever, 0, "nothing is asked, and nothing dialled");
    assert_eq!(site.status().await.unwrap().probe, None);
    drop(site.tunnel(SECOND * 10).await.unwrap());
    sleep(SECOND * 80).await;
    assert!(site.state().borrow().is_up() && status(&site).await.ok);
    until(&site, "idle").await;
    sleep(Duration::from_hours(1)).await;
    assert!(status(&site).await.ok, "as it was last seen");
    assert_eq!(world.server.stats().connections_ever, 1);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_holds_up_no_hang_up() {
    let world = World::new();
    let (_device, open) = world.device(b"", Then::Wait);
    let site = world.add("b1", "http:192.168.1.50/").await;
    sleep(SECOND).await;
    assert_eq!(open.load(Ordering::Relaxed), 1);
    let asked = Instant::now();
    world.fleet.down(&name("b1"), Caller("anna".to_owned())).await;
    until(&site, "down").await;
    assert!(asked.elapsed() < SECOND * 2, "{:?}", asked.elapsed());
    world.server.idle().await;
    assert!(world.server.stats().ended[0].is_clean());
    sleep(Duration::from_mins(1)).await;
    assert_eq!(site.status().await.unwrap().probe, None, "it said nothing of the device");
}

/// What the events tell of probes and of states
async fn told(events: &mut Events) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(Some(event)) = timeout(SECOND, events.next()).await {
        match event.kind {
            EventKind::ProbeFailed { .. } => told.push("failed".to_owned()),
            EventKind::ProbeAnswered { .. } => told.push("answered".to_owned()),
            EventKind::Site { state, .. } => told.push(state.name().to_owned()),
            other => panic!("{other:?}"),
        }
    }
    told
}

#[tokio::test(start_paused = true)]
async fn a_line_that_stands_still_ends_by_itself_and_the_device_answers_again_on_the_next_tunnel() {
    let world = World::new();
    let site = world.add("b1", "ping:192.168.1.3").await;
    sleep(Duration::from_mins(3)).await;
    let mut events = world.fleet.events();
    // less than three questions long
    world.server.mute_gre(true);
    sleep(SECOND * 20).await;
    world.server.mute_gre(false);
    sleep(Duration::from_mins(2)).await;
    assert_eq!(told(&mut events).await, Vec::<String>::new());
    world.server.mute_gre(true);
    until(&site, "waiting").await;
    world.server.mute_gre(false);
    until(&site, "up").await;
    sleep(SECOND * 15).await;
    assert!(status(&site).await.ok);
    let told = told(&mut events).await;
    assert_eq!(told, ["failed", "waiting", "queued", "dialling", "up", "answered"]);
    assert_eq!(world.server.stats().connections_ever, 2);
}
