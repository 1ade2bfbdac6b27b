//! The metrics: their forms, their values, and what makes them begin anew

#![expect(clippy::float_cmp, reason = "counts are whole numbers")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use pptp_connector::{
    api::metrics::names,
    cli::{
        client::{self, MetricsArguments, Terminal},
        exit::Exit,
    },
    settings::{MetricsSettings, MetricsSites},
};
use pptp_fleet::{Connect, SiteName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::world::{Reply, World};

const LATENCY: Duration = Duration::from_millis(10);

const OPEN: &str = "application/openmetrics-text; version=1.0.0";

async fn scrape(world: &World, accept: &str) -> Reply {
    let request = format!(
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    );
    world.send(&request).await
}

/// The series of a scrape, each with its labels, and its value
async fn series(world: &World) -> BTreeMap<String, f64> {
    let reply = scrape(world, "*/*").await;
    assert_eq!(reply.status, 200, "{}", reply.head);
    read(std::str::from_utf8(&reply.body).unwrap())
}

fn read(text: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let before = all.insert(series.to_owned(), value.parse().expect("a number"));
        assert!(before.is_none(), "{series} is there twice");
    }
    all
}

/// The names of the metrics that have a series of this site
fn of_site(all: &BTreeMap<String, f64>, site: &str) -> BTreeSet<String> {
    let label = format!("site=\"{site}\"");
    let own = all.keys().filter(|series| series.contains(&label));
    own.map(|series| series.split('{').next().unwrap().to_owned()).collect()
}

/// Fetches a page of the building through the site's tunnel
async fn fetch(world: &World, site: &str) {
    let lease = world.fleet().site(site).unwrap().lease().expect("it is up");
    let mut http = lease.tcp_connect(([192, 168, 1, 3], 80)).await.unwrap();
    http.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut page = String::new();
    http.read_to_string(&mut page).await.unwrap();
    assert!(page.contains("building"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn the_form_is_the_one_that_the_scraper_asks_for() {
    let world = World::new(LATENCY);
    let open = scrape(&world, OPEN).await;
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(open.head.contains(kind), "{}", open.head);
    assert!(open.body.ends_with(b"\n# EOF\n"));
    let classic = scrape(&world, "text/plain").await;
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8\r\n";
    assert!(classic.head.contains(kind), "{}", classic.head);
    assert!(!classic.body.ends_with(b"# EOF\n"));
    assert_eq!(world.ask("GET", "/metrics?x=1").await.problem(), (400, "bad-request".into()));
    assert_eq!(world.ask("POST", "/metrics").await.problem(), (405, "no-such-method".into()));
}

/// Each metric has its head once, in each form, and a sample of a site that has all
#[tokio::test(start_paused = true)]
async fn a_scrape_has_each_metric_once_and_no_other() {
    let world = World::new(LATENCY);
    let mut server = world.serve(1);
    world.add("b1", 1, "Berlin").await;
    world.until("b1", "up").await;
    fetch(&world, "b1").await;
    server.restart().await.unwrap();
    world.until("b1", "waiting").await;
    world.until("b1", "up").await;
    // until echoes were answered
    sleep(Duration::from_mins(3)).await;
    for accept in [OPEN, "*/*"] {
        let body = scrape(&world, accept).await.body;
        let text = String::from_utf8(body).unwrap();
        let mut kinds: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("# ")) {
            if let Some((kind, rest)) = line.split_once(' ') {
                kinds.entry(kind).or_default().push(rest.split(' ').next().unwrap().to_owned());
            }
        }
        for (kind, heads) in &kinds {
            let once: BTreeSet<_> = heads.iter().collect();
            assert_eq!(once.len(), heads.len(), "{kind}");
        }
        assert_eq!(kinds["HELP"], kinds["TYPE"]);
        let all = read(&text);
        let seen: BTreeSet<_> = all.keys().map(|series| base(series)).collect();
        let known: BTreeSet<_> = names().into_iter().collect();
        let missing: Vec<_> = known.difference(&seen).collect();
        // what this site has not: a probe, a twin behind its server, a failure that keeps it down
        let without = [
            "pptp_config_last_reload_successful",
            "pptp_config_last_reload_timestamp_seconds",
            "pptp_server_sites",
            "pptp_server_sites_down",
            "pptp_site_degraded",
            "pptp_sites_failing",
        ];
        assert_eq!(missing, without);
        assert!(seen.is_subset(&known), "{:?}", seen.difference(&known));
    }
}

/// The name of a series without the parts of a histogram
fn base(series: &str) -> String {
    let name = series.split('{').next().unwrap();
    let histogram = ["_bucket", "_count", "_sum"].iter().find_map(|part| name.strip_suffix(part));
    histogram.unwrap_or(name).to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_values_are_those_of_the_sites() {
    let world = World::new(LATENCY);
    let server = world.serve(1);
    world.add("b1", 1, "Berlin").await;
    world.add("b2", 2, "Bonn").await;
    world.add_with("b3", 3, "Köln", Connect::Manual).await;
    world.until("b1", "up").await;
    let up_at = SystemTime::now();
    world.until("b2", "waiting").await;
    let before = series(&world).await;
    fetch(&world, "b1").await;
    let after = series(&world).await;
    let stats = world.fleet().site("b1").unwrap().lease().unwrap().stats().tunnel;
    for (name, value) in [
        ("received_bytes", stats.ip_octets_received),
        ("sent_bytes", stats.ip_octets_sent),
        ("received_packets", stats.ip_received),
        ("sent_packets", stats.ip_sent),
    ] {
        #[expect(clippy::cast_precision_loss, reason = "some hundred octets")]
        let value = value as f64;
        assert_eq!(after[&format!("pptp_site_{name}_total{{site=\"b1\"}}")], value, "{name}");
        assert_eq!(after[&format!("pptp_{name}_total")], value, "{name}");
    }
    let received = "pptp_site_received_bytes_total{site=\"b1\"}";
    assert!(after[received] > before[received] + 100.0);
    assert_eq!(after["pptp_site_up{site=\"b1\"}"], 1.0);
    assert_eq!(after["pptp_site_up{site=\"b2\"}"], 0.0);
    assert_eq!(after["pptp_site_wanted{site=\"b2\"}"], 1.0);
    assert_eq!(after["pptp_site_wanted{site=\"b3\"}"], 0.0);
    assert_eq!(after["pptp_site_dials_total{site=\"b1\",result=\"ok\"}"], 1.0);
    assert_eq!(after["pptp_site_ups_total{site=\"b1\"}"], 1.0);
    assert_eq!(after["pptp_dials_total{result=\"ok\"}"], 1.0);
    let states = ["up", "waiting", "idle", "stopped"]
        .map(|it| after[&format!("pptp_sites{{state=\"{it}\"}}")]);
    assert_eq!(states, [1.0, 1.0, 1.0, 0.0]);
    assert_eq!((after["pptp_sites_wanted"], after["pptp_sites_down"]), (2.0, 1.0));
    let failing: Vec<_> = after.keys().filter(|it| it.starts_with("pptp_sites_failing")).collect();
    let [failing] = failing.as_slice() else { panic!("{failing:?}") };
    assert!(failing.contains("layer=\"tcp\",class=\"network\""), "{failing}");
    let since = after["pptp_site_up_since_timestamp_seconds{site=\"b1\"}"];
    let expected = up_at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((since - expected).abs() < 10.0, "{since} and {expected}");
    // control connection, call, LCP, login, network: each once
    assert_eq!(after["pptp_dial_phase_seconds_count{phase=\"network\"}"], 1.0);
    assert_eq!(after["pptp_dial_phase_seconds_count{phase=\"authentication\"}"], 1.0);
    assert!(after["pptp_dial_phase_seconds_sum{phase=\"control\"}"] >= 0.02);
    // what the fake daemon says of its listeners
    let listener = "listener=\"127.0.0.1:13671\",kind=\"udp\",site=\"b1\"";
    assert_eq!(after[&format!("pptp_listener_connections{{{listener}}}")], 2.0);
    assert_eq!(after[&format!("pptp_listener_refused_total{{{listener},reason=\"not-up\"}}")], 3.0);
    assert_eq!(
        after[&format!("pptp_listener_bytes_total{{{listener},direction=\"received\"}}")],
        200.0
    );
    assert_eq!(after["pptp_ready"], 1.0);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_counter_never_goes_back_over_redials_and_sums_outlive_sites() {
    let world = World::new(LATENCY);
    let mut server = world.serve(1);
    world.add("b1", 1, "Berlin").await;
    let mut before = series(&world).await;
    let is_sum = |series: &str| series.contains("_total") && !series.contains("site=");
    let mut check = |after: BTreeMap<String, f64>, only_sums: bool| {
        for (name, value) in &before {
            let is_counter = name.contains("_total") && (!only_sums || is_sum(name));
            let later = after.get(name).copied();
            assert!(
                !is_counter || later.is_some_and(|it| it >= *value),
                "{name}: {value}, {later:?}"
            );
        }
        before = after;
    };
    for _ in 0..3 {
        world.until("b1", "up").await;
        fetch(&world, "b1").await;
        check(series(&world).await, false);
        server.restart().await.unwrap();
        world.until("b1", "waiting").await;
        check(series(&world).await, false);
    }
    world.until("b1", "up").await;
    fetch(&world, "b1").await;
    check(series(&world).await, false);
    let name: SiteName = "b1".parse().unwrap();
    let site = world.fleet().site("b1").unwrap();
    assert!(world.fleet().remove(&name).await);
    site.state().wait_for(|state| state.name() == "removed").await.unwrap();
    let gone = series(&world).await;
    assert_eq!(of_site(&gone, "b1"), BTreeSet::from(LISTENER.map(str::to_owned)), "the fake's own");
    check(gone, true);
    world.add("b1", 1, "Berlin").await;
    world.until("b1", "up").await;
    let anew = series(&world).await;
    assert_eq!(anew["pptp_site_ups_total{site=\"b1\"}"], 1.0, "a new site");
    assert_eq!(anew["pptp_dials_total{result=\"ok\"}"], 5.0, "the sum goes on");
    check(anew, true);
}

/// The metrics of the fake daemon's one forward, whatever its site does
const LISTENER: [&str; 6] = [
    "pptp_listener_accepted_total",
    "pptp_listener_bytes_total",
    "pptp_listener_connections",
    "pptp_listener_connections_limit",
    "pptp_listener_datagrams_dropped_total",
    "pptp_listener_refused_total",
];

#[tokio::test(start_paused = true)]
async fn the_configuration_chooses_sites_and_labels() {
    let world = World::new(LATENCY);
    let _server = world.serve(1);
    world.add("b1", 1, "\"Berlin\"\\\nMitte").await;
    world.add("b2", 2, "Bonn").await;
    world.add("b3", 2, "Bonn").await;
    world.until("b1", "up").await;
    world.until("b3", "waiting").await;
    let choose = |sites, labels: &[&str]| {
        let labels = labels.iter().map(ToString::to_string).collect();
        *world.daemon.metrics.lock().unwrap() =
            MetricsSettings { sites, labels, ..MetricsSettings::default() };
    };
    choose(MetricsSites::All, &["city", "floor"]);
    let all = series(&world).await;
    let info = "pptp_site_info{site=\"b1\",server=\"10.99.0.1\",city=\"\\\"Berlin\\\"\\\\\\nMitte\",floor=\"\"}";
    assert_eq!(all.get(info), Some(&1.0), "{:?}", all.keys().filter(|it| it.contains("site_info")));
    assert!(of_site(&all, "b1").len() > 12 && of_site(&all, "b2").len() > 10);
    assert_eq!(all["pptp_server_sites{server=\"10.99.0.2\"}"], 2.0);
    assert_eq!(all["pptp_server_sites_down{server=\"10.99.0.2\"}"], 2.0);
    assert!(!all.contains_key("pptp_server_sites{server=\"10.99.0.1\"}"), "it has one site");
    choose(MetricsSites::Problems, &[]);
    let problems = series(&world).await;
    assert_eq!(of_site(&problems, "b1"), BTreeSet::new());
    assert_eq!(of_site(&problems, "b2"), of_site(&all, "b2"));
    choose(MetricsSites::None, &["city"]);
    let none = series(&world).await;
    assert!(!none.keys().any(|it| it.contains("site=\"b") || it.contains("server=")));
    assert!(
        none.keys().any(|it| it.contains("kind=\"socks\"")),
        "proxies have series of their own"
    );
    assert_eq!((none["pptp_sites_wanted"], none["pptp_sites_down"]), (3.0, 2.0));
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_gone_leaves_the_other_metrics() {
    let world = World::new(LATENCY);
    world.add("b1", 9, "Bonn").await;
    assert!(world.fleet().shut_down(Duration::from_secs(30)).await);
    let all = series(&world).await;
    assert!(!all.keys().any(|it| it.starts_with("pptp_site")), "{:?}", all.keys());
    assert!(
        all.contains_key("process_cpu_seconds_total")
            && all.contains_key("pptp_client_turns_total")
    );
}

#[tokio::test(start_paused = true)]
async fn flapping_and_last_failure_are_told() {
    let world = World::new(LATENCY);
    let mut server = world.serve(1);
    world.add("b1", 1, "Berlin").await;
    for _ in 0..3 {
        world.until("b1", "up").await;
        server.restart().await.unwrap();
        world.until("b1", "waiting").await;
    }
    world.until("b1", "up").await;
    let all = series(&world).await;
    assert_eq!((all["pptp_site_flapping{site=\"b1\"}"], all["pptp_sites_flapping"]), (1.0, 1.0));
    assert_eq!(all["pptp_site_ups_total{site=\"b1\"}"], 4.0);
    let failure = "pptp_site_last_failure_info{site=\"b1\",failure=\"ConnectionLost\"";
    assert!(all.keys().any(|it| it.starts_with(failure)));
    assert_eq!(all["pptp_sites_down"], 0.0);
    sleep(Duration::from_hours(2)).await;
    assert_eq!(series(&world).await["pptp_sites_flapping"], 0.0);
}

#[tokio::test]
async fn the_command_prints_what_a_scraper_gets() {
    let world = World::quick();
    let socket = world.listen();
    for (openmetrics, end) in [(false, "\n"), (true, "\n# EOF\n")] {
        let (mut terminal, captured) = Terminal::captured();
        let arguments = MetricsArguments { openmetrics };
        let exit = client::metrics(&socket.path, &arguments, &mut terminal).await;
        assert_eq!(exit, Exit::Success);
        let text = captured.out();
        assert!(text.ends_with(end) && text.contains("pptp_build_info{version="), "{text}");
        assert_eq!(text.contains("# EOF"), openmetrics);
    }
}
