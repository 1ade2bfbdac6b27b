//! Every route and its errors, in virtual time

use std::{sync::atomic::Ordering, time::Duration};

use pptp_connector::api::{ReloadError, ReloadOptions, ReloadProblem, ReloadReport};
use pptp_fleet::Connect;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream},
    time::{Instant, sleep},
};

use crate::world::{Reply, World};

const LATENCY: Duration = Duration::from_millis(10);

/// A daemon with one building, which is up
async fn one_building() -> (World, pptp_testkit::Server) {
    let world = World::new(LATENCY);
    let server = world.serve(1);
    world.add("b1", 1, "Berlin").await;
    world.until("b1", "up").await;
    (world, server)
}

#[tokio::test(start_paused = true)]
async fn the_process_lives_and_is_ready_whatever_its_sites_do() {
    let world = World::new(LATENCY);
    world.add("b1", 1, "Berlin").await;
    let live = world.ask("GET", "/livez").await;
    assert_eq!((live.status, live.body.as_slice()), (200, &b"ok\n"[..]));
    assert_eq!(world.ask("GET", "/readyz").await.status, 200);
    world.daemon.is_ready.store(false, Ordering::Relaxed);
    assert_eq!(world.ask("GET", "/readyz").await.problem(), (503, "not-ready".into()));
    assert_eq!(world.ask("GET", "/livez").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_status_counts_the_sites_and_names_the_listeners() {
    let (world, _server) = one_building().await;
    world.add("b2", 2, "Bonn").await;
    world.until("b2", "waiting").await;
    let status = world.ask("GET", "/v1/status").await.json();
    assert_eq!(status["sites"], 2);
    assert_eq!(status["states"], json!({ "up": 1, "waiting": 1 }));
    assert_eq!(status["listeners"][1]["listen"], "0.0.0.0:1080");
    assert_eq!(status["listeners"][1]["off_host"], true);
    assert_eq!(status["listeners"][0]["off_host"], false);
    assert_eq!(world.ask("GET", "/v1/status?x=1").await.problem(), (400, "bad-request".into()));
}

#[tokio::test(start_paused = true)]
async fn sites_come_in_pages_and_are_chosen_by_label_and_state() {
    let (world, _server) = one_building().await;
    for number in 2..=5 {
        world.add(&format!("b{number}"), 9, "Bonn").await;
    }
    world.until("b5", "waiting").await;
    let names = |reply: &Reply| -> Vec<String> {
        let object = reply.json();
        let sites = object["sites"].as_array().unwrap().iter();
        sites.map(|site| site["name"].as_str().unwrap().to_owned()).collect()
    };
    let page = world.ask("GET", "/v1/sites?limit=3").await;
    assert_eq!(names(&page), ["b1", "b2", "b3"]);
    assert_eq!(page.json()["next"], "b3");
    assert!(page.json()["as_of"].as_str().unwrap().starts_with("3e8-"));
    let page = world.ask("GET", "/v1/sites?limit=3&after=b3").await;
    assert_eq!(
        (names(&page), &page.json()["next"]),
        (vec!["b4".into(), "b5".into()], &Value::Null)
    );
    let chosen = world.ask("GET", "/v1/sites?select=@city=Berlin&select=b4").await;
    assert_eq!(names(&chosen), ["b1", "b4"]);
    assert_eq!(names(&world.ask("GET", "/v1/sites?state=up").await), ["b1"]);
    assert_eq!(world.ask("GET", "/v1/sites?state=upp").await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn one_site_has_its_tunnel_its_hosts_and_its_forwards_and_no_secret() {
    let (world, _server) = one_building().await;
    let reply = world.ask("GET", "/v1/sites/b1").await;
    let site = reply.json();
    assert_eq!(site["state"], "up");
    assert_eq!(site["server"], "10.99.0.1");
    assert_eq!(site["tunnel"]["inner_address"], "192.168.1.20");
    assert_eq!(site["tunnel"]["dns"], json!(["192.168.1.1"]));
    assert_eq!(site["more"]["hosts"]["device"], "192.168.1.3");
    assert_eq!(site["more"]["forwards"][0]["listen"], "127.0.0.1:13671");
    assert_eq!(site["more"]["users"], 0);
    assert!(!String::from_utf8_lossy(&reply.body).contains("test123"));
    for name in ["b9", "B1", "..%2Fb1", "%00"] {
        let reply = world.ask("GET", &format!("/v1/sites/{name}")).await;
        assert_eq!(reply.problem(), (404, "no-such-site".into()), "{name}");
        assert_eq!(reply.json()["exit"], 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_at_a_site_on_demand_does_not_keep_it_up() {
    let world = World::new(LATENCY);
    let _server = world.serve(1);
    let idle = Duration::from_mins(10);
    world.add_with("b1", 1, "Berlin", Connect::OnDemand { idle }).await;
    drop(world.fleet().site("b1").unwrap().tunnel(Duration::from_secs(10)).await.unwrap());
    for _ in 0..12 {
        sleep(Duration::from_mins(1)).await;
        assert_eq!(world.ask("GET", "/v1/sites/b1").await.status, 200);
    }
    world.until("b1", "idle").await;
}

#[tokio::test(start_paused = true)]
async fn sites_that_fail_alike_are_one_group() {
    let world = World::new(LATENCY);
    for number in 1..=5 {
        world.add(&format!("b{number}"), 9, "Bonn").await;
    }
    world.add("c1", 8, "Bonn").await;
    for site in ["b1", "b2", "b3", "b4", "b5", "c1"] {
        world.until(site, "waiting").await;
    }
    let problems = world.ask("GET", "/v1/problems").await.json();
    assert_eq!(problems["sites"], 6);
    let groups: Vec<_> = problems["groups"].as_array().unwrap().iter().collect();
    let told: Vec<_> = groups.iter().map(|it| (&it["server"], &it["count"])).collect();
    assert_eq!(told, [(&json!("10.99.0.9"), &json!(5)), (&json!("10.99.0.8"), &json!(1))]);
    assert_eq!(groups[0]["failure"]["layer"], "tcp");
    assert_eq!(groups[0]["sites"], json!(["b1", "b2", "b3", "b4", "b5"]));
}

#[tokio::test(start_paused = true)]
async fn a_site_goes_down_by_a_person_and_up_again() {
    let (world, _server) = one_building().await;
    let down = world.ask("POST", "/v1/sites/b1/down?wait=20").await;
    assert_eq!((down.status, &down.json()["state"]), (200, &json!("down")));
    assert!(down.json()["detail"].as_str().unwrap().contains("by root"), "{:?}", down.json());
    let up = world.ask("POST", "/v1/sites/b1/up?wait=20s").await;
    assert_eq!((up.status, &up.json()["state"]), (200, &json!("up")));
    let restart = world.ask("POST", "/v1/sites/b1/restart").await;
    assert_eq!((restart.status, &restart.json()["state"]), (202, &json!("hanging-up")));
    let restart = world.ask("POST", "/v1/sites/b1/restart?wait=30").await;
    assert_eq!((restart.status, &restart.json()["state"]), (200, &json!("up")));
    for deed in ["up", "down", "restart"] {
        let wrong = world.ask("POST", &format!("/v1/sites/b1/{deed}?wait=1h")).await;
        assert_eq!(wrong.problem(), (400, "bad-request".into()));
        let none = world.ask("POST", &format!("/v1/sites/b9/{deed}")).await;
        assert_eq!(none.problem(), (404, "no-such-site".into()));
        let get = world.ask("GET", &format!("/v1/sites/b1/{deed}")).await;
        assert_eq!(get.problem(), (405, "no-such-method".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_as_soon_as_it_is_certain_that_it_is_in_vain() {
    let world = World::new(LATENCY);
    let server = world.serve(1);
    server.set_secret("testuser", "another");
    world.add("b1", 1, "Berlin").await;
    let asked = Instant::now();
    let reply = world.ask("POST", "/v1/sites/b1/up?wait=600").await;
    assert_eq!(reply.problem(), (409, "not-up".into()));
    assert_eq!(reply.json()["exit"], 17);
    assert_eq!(reply.json()["failure"]["name"], "AuthFailed");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_over_tells_the_last_failure_and_without_one_the_state() {
    let world = World::new(LATENCY);
    world.add("b1", 1, "Berlin").await;
    let asked = Instant::now();
    let reply = world.ask("POST", "/v1/sites/b1/up?wait=100").await;
    assert_eq!(reply.json()["exit"], 12, "{:?}", reply.json());
    let mut server = world.serve(2);
    server.power_off().unwrap();
    world.add("b2", 2, "Berlin").await;
    let reply = world.ask("POST", "/v1/sites/b2/up?wait=2").await;
    assert_eq!(reply.problem(), (504, "not-up".into()));
    assert_eq!((&reply.json()["exit"], &reply.json()["state"]), (&json!(5), &json!("dialling")));
    assert!(asked.elapsed() <= Duration::from_secs(103));
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_one_a_line() {
    let (world, _server) = one_building().await;
    let asked = Instant::now();
    let pings = world.ask("POST", "/v1/sites/b1/ping?to=device&count=3").await.lines();
    assert_eq!(pings.len(), 3);
    for (ping, number) in pings.iter().zip(1..) {
        assert_eq!((&ping["number"], &ping["address"]), (&json!(number), &json!("192.168.1.3")));
        assert!(ping["milliseconds"].as_f64().unwrap() >= 20.0, "{ping}");
    }
    assert!((2..3).contains(&asked.elapsed().as_secs()), "one each second");
    let lost = world.ask("POST", "/v1/sites/b1/ping?to=192.168.1.254&count=1").await.lines();
    assert_eq!(lost[0]["error"], "no answer within 2 s");
    let by_dns = world.ask("POST", "/v1/sites/b1/ping?to=knx.lan&count=1").await.lines();
    assert_eq!(by_dns[0]["address"], "192.168.1.3");
    let unknown = world.ask("POST", "/v1/sites/b1/ping?to=none.lan").await;
    assert_eq!((unknown.problem(), &unknown.json()["exit"]), ((502, "target".into()), &json!(21)));
    assert_eq!(world.ask("POST", "/v1/sites/b1/ping").await.problem().0, 400);
    world.ask("POST", "/v1/sites/b1/down?wait=20").await;
    let down = world.ask("POST", "/v1/sites/b1/ping?to=device").await;
    assert_eq!(down.problem(), (409, "not-up".into()));
}

/// Asks for a connection into a site
async fn tcp(world: &World, to: &str) -> (String, BufReader<DuplexStream>) {
    let request = format!(
        "GET /v1/sites/b1/tcp?to={to} HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n"
    );
    world.begin(&request).await
}

#[tokio::test(start_paused = true)]
async fn a_connection_into_a_site_is_octets_both_ways_after_101() {
    let (world, _server) = one_building().await;
    let (head, mut http) = tcp(&world, "device:80").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    http.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut page = String::new();
    http.read_to_string(&mut page).await.unwrap();
    assert!(page.ends_with("building 1\n"), "{page}");
    let (_, mut sink) = tcp(&world, "192.168.1.3:9").await;
    sink.write_all(&vec![7; 100_000]).await.unwrap();
    sink.shutdown().await.unwrap();
    let mut digest = String::new();
    sink.read_to_string(&mut digest).await.unwrap();
    assert_eq!(digest.trim().len(), 64, "the half that was closed first leaves the other open");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_pauses_for_an_hour_keeps_its_connection_into_a_site() {
    let (world, _server) = one_building().await;
    let (_, mut http) = tcp(&world, "device:80").await;
    http.write_all(b"GET /16M HTTP/1.0\r\n\r\n").await.unwrap();
    sleep(Duration::from_hours(1)).await;
    let mut octets = Vec::new();
    http.read_to_end(&mut octets).await.unwrap();
    assert!(octets.len() > 16 << 20, "{}", octets.len());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_made_is_a_problem() {
    let (world, _server) = one_building().await;
    let plain = world.ask("GET", "/v1/sites/b1/tcp?to=device:80").await;
    assert_eq!(plain.problem(), (426, "upgrade".into()));
    assert!(plain.head.contains("upgrade: tcp"));
    let wanted = |to: &str, site: &str| {
        format!(
            "GET /v1/sites/{site}/tcp?to={to} HTTP/1.1\r\nHost: localhost\r\n\
             Connection: close, Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )
    };
    for (to, site, status, kind) in [
        ("device:81", "b1", 502, "target"),
        ("none.lan:80", "b1", 502, "target"),
        ("device", "b1", 400, "bad-request"),
        ("device:80", "b9", 404, "no-such-site"),
    ] {
        let reply = world.send(&wanted(to, site)).await;
        assert_eq!(reply.problem(), (status, kind.into()), "{to}");
    }
    world.ask("POST", "/v1/sites/b1/down?wait=20").await;
    let down = world.send(&wanted("device:80", "b1")).await;
    assert_eq!(down.problem(), (409, "not-up".into()));
    assert!(down.json()["detail"].as_str().unwrap().contains("down by root"));
}

#[tokio::test(start_paused = true)]
async fn the_doctor_of_a_site_that_is_up_uses_its_tunnel() {
    let (world, server) = one_building().await;
    let findings = world.ask("POST", "/v1/sites/b1/doctor?target=tcp:device:80").await.lines();
    let steps: Vec<_> = findings.iter().map(|it| (&it["step"], &it["verdict"])).collect();
    let (path, target) = (json!("largest-packet"), json!("target"));
    let passed = json!("passed");
    assert_eq!(steps, [(&path, &passed), (&target, &passed)]);
    assert_eq!(server.stats().connections_ever, 1, "no second dial");
    assert!(world.fleet().site("b1").unwrap().state().borrow().is_up());
    let wrong = world.ask("POST", "/v1/sites/b1/doctor?target=nonsense").await;
    assert_eq!(wrong.problem(), (400, "bad-request".into()));
}

#[tokio::test(start_paused = true)]
async fn a_site_that_waits_is_examined_by_a_dial_of_its_own_and_dials_again_afterwards() {
    let world = World::new(LATENCY);
    let server = world.serve(1);
    server.set_secret("testuser", "another");
    world.add("b1", 1, "Berlin").await;
    world.until("b1", "waiting").await;
    let findings = world.ask("POST", "/v1/sites/b1/doctor").await.lines();
    let failed: Vec<_> = findings.iter().filter(|it| it["verdict"] == "failed").collect();
    assert_eq!((failed.len(), &failed[0]["layer"]), (1, &json!("authentication")), "{findings:?}");
    assert_eq!(failed[0]["failure"], "AuthFailed");
    server.set_secret("testuser", "test123");
    let findings = world.ask("POST", "/v1/sites/b1/doctor").await.lines();
    assert!(findings.iter().all(|it| it["verdict"] != "failed"), "{findings:?}");
    world.until("b1", "up").await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_its_doctor_leaves_no_site_down() {
    let world = World::new(LATENCY);
    let mut server = world.serve(1);
    server.power_off().unwrap();
    world.add("b1", 1, "Berlin").await;
    world.until("b1", "waiting").await;
    let request = "POST /v1/sites/b1/doctor HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (_, reader) = world.begin(request).await;
    let second = world.ask("POST", "/v1/sites/b1/doctor").await;
    assert_eq!(second.problem(), (409, "under-way".into()), "one at a time");
    drop(reader);
    server.restart().await.unwrap();
    world.until("b1", "up").await;
}

#[tokio::test(start_paused = true)]
async fn a_person_who_takes_a_site_down_while_it_is_examined_wins() {
    let world = World::new(LATENCY);
    let mut server = world.serve(1);
    server.power_off().unwrap();
    world.add("b1", 1, "Berlin").await;
    world.until("b1", "waiting").await;
    let request =
        "POST /v1/sites/b1/doctor HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let (_, mut reader) = world.begin(request).await;
    world.ask("POST", "/v1/sites/b1/down?wait=5").await;
    server.restart().await.unwrap();
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).await.unwrap();
    sleep(Duration::from_mins(30)).await;
    assert_eq!(world.fleet().site("b1").unwrap().state().borrow().to_string(), "down by root");
}

#[tokio::test(start_paused = true)]
async fn a_flight_record_is_of_the_tunnel_or_of_the_last_one() {
    let (world, _server) = one_building().await;
    let reply = world.ask("GET", "/v1/sites/b1/flight-record").await;
    assert!(reply.head.contains("content-type: application/x-pcapng"));
    assert_eq!(&reply.body[..4], [0x0A, 0x0D, 0x0D, 0x0A], "a section of pcapng");
    world.add("b2", 9, "Bonn").await;
    world.until("b2", "waiting").await;
    let failed = world.ask("GET", "/v1/sites/b2/flight-record").await;
    assert!(failed.body.windows(9).any(|it| it == b"TcpFailed"), "it says what went wrong");
    world.add_with("b3", 1, "Bonn", Connect::Manual).await;
    let none = world.ask("GET", "/v1/sites/b3/flight-record").await;
    assert_eq!(none.problem(), (404, "no-record".into()));
}

#[tokio::test(start_paused = true)]
async fn a_capture_has_the_packets_and_ends_with_the_tunnel() {
    let (world, _server) = one_building().await;
    let request =
        "GET /v1/sites/b1/capture?snap=40 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let (head, mut reader) = world.begin(request).await;
    assert!(head.to_lowercase().contains("application/x-pcapng"), "{head}");
    world.ask("POST", "/v1/sites/b1/ping?to=device&count=2").await;
    world.ask("POST", "/v1/sites/b1/down?wait=20").await;
    let mut octets = Vec::new();
    reader.read_to_end(&mut octets).await.unwrap();
    let comment = b"the tunnel ended";
    assert!(octets.windows(comment.len()).any(|it| it == comment), "its last block says why");
    let down = world.ask("GET", "/v1/sites/b1/capture").await;
    assert_eq!(down.problem(), (409, "not-up".into()));
}

/// Reads the next event of a stream: its id, its kind, its data
async fn event(reader: &mut BufReader<DuplexStream>) -> (String, String, Value) {
    let (mut id, mut kind) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).await.unwrap() > 0, "the stream ended");
        let line = line.trim_end();
        if let Some(text) = line.strip_prefix("id: ") {
            text.clone_into(&mut id);
        } else if let Some(text) = line.strip_prefix("event: ") {
            text.clone_into(&mut kind);
        } else if let Some(text) = line.strip_prefix("data: ") {
            return (id, kind, serde_json::from_str(text).unwrap());
        }
    }
}

fn events(since: &str, header: &str) -> String {
    format!("GET /v1/events{since} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n")
}

#[tokio::test(start_paused = true)]
async fn a_list_and_the_events_behind_it_miss_nothing() {
    let (world, _server) = one_building().await;
    let list = world.ask("GET", "/v1/sites").await.json();
    let as_of = list["as_of"].as_str().unwrap().to_owned();
    world.ask("POST", "/v1/sites/b1/down?wait=20").await;
    world.daemon.log().reloaded(&ReloadReport::default());
    let (head, mut reader) = world.begin(&events(&format!("?since={as_of}"), "")).await;
    assert!(head.to_lowercase().contains("content-type: text/event-stream"), "{head}");
    let (_, kind, data) = event(&mut reader).await;
    assert_eq!((kind.as_str(), &data["site"]), ("hanging-up", &json!("b1")));
    let (id, kind, data) = event(&mut reader).await;
    assert_eq!((kind.as_str(), &data["detail"]), ("down", &json!("down by root")));
    assert_eq!(event(&mut reader).await.1, "reloaded");
    let again = events(&format!("?since={as_of}"), &format!("Last-Event-ID: {id}\r\n"));
    let (_, mut reader) = world.begin(&again).await;
    assert_eq!(event(&mut reader).await.1, "reloaded", "it goes on where it was");
    let (_, mut reader) = world.begin(&events("?since=abc-7", "")).await;
    assert_eq!(event(&mut reader).await.1, "gap", "another daemon's event");
    let wrong = world.send(&events("?since=x", "Connection: close\r\n")).await;
    assert_eq!(wrong.problem(), (400, "bad-request".into()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_events_beats_each_15_seconds() {
    let world = World::new(LATENCY);
    let (_, mut reader) = world.begin(&events("", "")).await;
    let begin = Instant::now();
    let mut beats = 0;
    while beats < 3 {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).await.unwrap() > 0);
        beats += u32::from(line.starts_with(": beat"));
    }
    assert_eq!(begin.elapsed().as_secs(), 45);
}

#[tokio::test(start_paused = true)]
async fn a_reload_tells_its_effect_or_why_nothing_was_changed() {
    let world = World::new(LATENCY);
    let report = ReloadReport {
        added: vec!["b3".parse().unwrap()],
        redialled: vec![("b2".parse().unwrap(), vec!["mru".into()])],
        ..ReloadReport::default()
    };
    let answer = |answer| *world.daemon.reload.lock().unwrap() = Some(answer);
    answer(Ok(report));
    let reply = world.ask("POST", "/v1/reload?dry_run=true&removes=7").await;
    assert_eq!((reply.status, &reply.json()["added"]), (200, &json!(["b3"])));
    assert_eq!(reply.json()["redialled"], json!([{ "site": "b2", "options": ["mru"] }]));
    let asked = world.daemon.asked.lock().unwrap().clone();
    assert_eq!(asked, [ReloadOptions { removes: Some(7), dry_run: true }]);
    let problem = ReloadProblem {
        file: Some("a.toml".into()),
        line: Some(4),
        message: "`servr` is no key here".into(),
        ..ReloadProblem::default()
    };
    answer(Err(ReloadError::Problems { problems: vec![problem], count: 1 }));
    let reply = world.ask("POST", "/v1/reload").await;
    assert_eq!(reply.problem(), (422, "configuration".into()));
    assert_eq!((&reply.json()["errors"][0]["line"], &reply.json()["exit"]), (&json!(4), &json!(2)));
    answer(Err(ReloadError::TooManyRemoved { removes: 2950, of: 3000 }));
    let reply = world.ask("POST", "/v1/reload").await;
    assert_eq!(reply.problem(), (409, "mass-change".into()));
    assert!(reply.json()["detail"].as_str().unwrap().contains("--removes 2950"));
    answer(Err(ReloadError::NeedsRestart(vec!["[outer] has changed".into()])));
    let reply = world.ask("POST", "/v1/reload").await;
    assert_eq!(reply.problem(), (409, "needs-restart".into()));
    assert!(reply.json()["detail"].as_str().unwrap().ends_with("changed: [outer] has changed"));
    answer(Err(ReloadError::Impossible("there is no file".into())));
    assert_eq!(world.ask("POST", "/v1/reload").await.problem(), (409, "impossible".into()));
    assert_eq!(world.ask("POST", "/v1/reload?removes=x").await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn requests_for_other_hosts_other_routes_and_with_bodies_are_refused() {
    let world = World::new(LATENCY);
    let get = |host: &str| format!("GET /livez HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
    for host in ["Host: evil.example\r\n", "", "Host: localhost.evil.example:80\r\n"] {
        assert_eq!(world.send(&get(host)).await.problem(), (421, "host".into()), "{host}");
    }
    assert_eq!(world.send(&get("Host: LOCALHOST:8463\r\n")).await.status, 200);
    assert_eq!(world.ask("GET", "/v1/nothing").await.problem(), (404, "no-such-route".into()));
    assert_eq!(world.ask("DELETE", "/v1/sites").await.problem(), (405, "no-such-method".into()));
    let body = "POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(world.send(body).await.problem(), (400, "bad-request".into()));
    assert!(world.daemon.asked.lock().unwrap().is_empty());
}
