//! The metrics' own listener: its clients, and its change by a reload
//!
//! In real time, over sockets of the loopback.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::sleep,
};

use super::*;

const SITE: &str = "[site.b1]\nconnect = \"manual\"\n";

impl World {
    /// Writes a site, and keys of `[metrics]`
    fn write_metrics(&self, keys: &str) {
        self.write(&format!("{SITE}[metrics]\n{keys}\n"));
    }
}

/// Asks the listener, and returns the whole answer; empty: it was closed without a word
async fn get(to: SocketAddr, path: &str, host: &str) -> String {
    let stream = TcpStream::connect(to).await.expect("it listens");
    ask(stream, path, host).await
}

async fn ask(mut stream: TcpStream, path: &str, host: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    // one that is closed at once may reset it
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// A port that is free
async fn free() -> SocketAddr {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.local_addr().unwrap()
}

#[tokio::test]
async fn the_listener_tells_metrics_and_readiness_and_nothing_else() {
    let world = World::new("metrics");
    world.write_metrics("listen = \"127.0.0.1:0\"\nhosts = [\"Hub.Example\"]");
    let daemon = world.start().await;
    let to = daemon.metrics_address().await.expect("it listens");
    for host in [&*to.to_string(), "localhost", "hub.example:9464", "192.0.2.1"] {
        let answer = get(to, "/metrics", host).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{host}: {answer}");
        assert!(answer.contains("\npptp_site_up{site=\"b1\"} 0\n"), "{answer}");
        assert!(answer.contains("\npptp_config_last_reload_successful 1\n"), "{answer}");
    }
    for path in ["/livez", "/readyz"] {
        assert!(get(to, path, "localhost").await.ends_with("\r\n\r\nok\n"));
    }
    let rebound = get(to, "/metrics", "evil.example").await;
    assert!(rebound.starts_with("HTTP/1.1 421"), "{rebound}");
    for path in ["/v1/status", "/v1/sites", "/v1/sites/b1/tcp?to=127.0.0.1:80", "/"] {
        assert!(get(to, path, "localhost").await.starts_with("HTTP/1.1 404"), "{path}");
    }
    assert!(daemon.shut_down().await);
    assert!(TcpStream::connect(to).await.is_err(), "it is closed");
}

#[tokio::test]
async fn only_clients_that_are_allowed_are_served() {
    let world = World::new("metrics-clients");
    world.write_metrics("listen = \"127.0.0.1:0\"\nclients = [\"127.0.0.2\"]");
    let daemon = world.start().await;
    let to = daemon.metrics_address().await.unwrap();
    assert_eq!(get(to, "/livez", "localhost").await, "", "closed without a word");
    let allowed = TcpSocket::new_v4().unwrap();
    allowed.bind((Ipv4Addr::new(127, 0, 0, 2), 0).into()).unwrap();
    let allowed = allowed.connect(to).await.unwrap();
    assert!(ask(allowed, "/livez", "localhost").await.ends_with("ok\n"));
    // a reload changes that for the same socket
    world.write_metrics("listen = \"127.0.0.1:0\"\nclients = [\"127.0.0.1\"]\nsites = \"none\"");
    let report = reload(&daemon).await.unwrap();
    assert_eq!(report.listeners, ["changed: metrics"]);
    assert_eq!(daemon.metrics_address().await, Some(to));
    let answer = get(to, "/metrics", "localhost").await;
    assert!(
        answer.contains("\npptp_sites_wanted 0\n") && !answer.contains("site=\"b1\""),
        "{answer}"
    );
    assert!(daemon.shut_down().await);
}

#[tokio::test]
async fn a_reload_opens_moves_and_closes_it_and_a_bad_one_changes_nothing() {
    let world = World::new("metrics-reload");
    let (first, second, taken) = (free().await, free().await, free().await);
    world.write(SITE);
    let daemon = world.start().await;
    assert_eq!(daemon.metrics_address().await, None);
    world.write_metrics(&format!("listen = \"{first}\""));
    let report = reload(&daemon).await.unwrap();
    assert_eq!(report.listeners, [format!("opened: metrics {first}")]);
    assert!(get(first, "/livez", "localhost").await.ends_with("ok\n"));
    assert_eq!(reload(&daemon).await.unwrap(), ReloadReport::default());

    let other = TcpListener::bind(taken).await.unwrap();
    world.write_metrics(&format!("listen = \"{taken}\""));
    let error = reload(&daemon).await.unwrap_err();
    let ReloadError::Impossible(reason) = error else { panic!("{error:?}") };
    assert!(
        reason.contains(&format!("metrics {taken}")) && reason.contains("ss -lntp"),
        "{reason}"
    );
    assert!(
        get(first, "/metrics", "localhost")
            .await
            .contains("\npptp_config_last_reload_successful 0\n")
    );
    drop(other);

    world.write_metrics(&format!("listen = \"{second}\""));
    let report = reload(&daemon).await.unwrap();
    let lines = [format!("closed: metrics {first}"), format!("opened: metrics {second}")];
    assert_eq!(report.listeners, lines);
    assert!(TcpStream::connect(first).await.is_err());
    assert!(
        get(second, "/metrics", "localhost")
            .await
            .contains("\npptp_config_last_reload_successful 1\n")
    );
    // the wildcard of the same port is bound once the old socket is closed
    let wildcard = SocketAddr::from((Ipv4Addr::UNSPECIFIED, second.port()));
    world.write_metrics(&format!("listen = \"{wildcard}\"\nclients = [\"127.0.0.0/8\"]"));
    assert!(reload(&daemon).await.unwrap().failures.is_empty());
    assert!(get(second, "/livez", "localhost").await.ends_with("ok\n"));

    world.write(SITE);
    assert_eq!(reload(&daemon).await.unwrap().listeners, [format!("closed: metrics {wildcard}")]);
    assert!(TcpStream::connect(second).await.is_err());
    assert!(daemon.shut_down().await);
}

#[tokio::test]
async fn clients_that_say_nothing_take_eight_places_and_give_them_back() {
    let world = World::new("metrics-silent");
    world.write_metrics("listen = \"127.0.0.1:0\"");
    let daemon = world.start().await;
    let to = daemon.metrics_address().await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(to).await.unwrap());
    }
    assert_eq!(get(to, "/livez", "localhost").await, "", "no place is left");
    drop(silent);
    let mut answer = String::new();
    for _ in 0..500 {
        answer = get(to, "/livez", "localhost").await;
        if !answer.is_empty() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert!(answer.ends_with("ok\n"), "the places come back");
    assert!(daemon.shut_down().await);
}

#[tokio::test]
async fn a_listener_of_metrics_does_not_hold_a_daemon_that_is_dropped() {
    let world = World::new("metrics-dropped");
    world.write_metrics("listen = \"127.0.0.1:0\"");
    let daemon = world.start().await;
    let to = daemon.metrics_address().await.unwrap();
    let (weak, _) = (Arc::downgrade(&daemon), get(to, "/livez", "localhost").await);
    drop(daemon);
    for _ in 0..500 {
        if weak.upgrade().is_none() && TcpStream::connect(to).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("something holds it");
}

#[tokio::test]
async fn a_site_that_a_reload_removes_and_adds_again_begins_at_0_and_the_sums_go_on() {
    let world = World::new("metrics-again");
    let keys = "[metrics]\nlisten = \"127.0.0.1:0\"\n";
    let with = format!("{keys}[site.b1]\n[site.b2]\nuser = \"other\"\nconnect = \"manual\"\n");
    world.write(&with);
    let daemon = world.start().await;
    let to = daemon.metrics_address().await.unwrap();
    let value = async |series: &str| {
        let text = get(to, "/metrics", "localhost").await;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(series));
        lines.next().map(|value| value.trim().parse::<f64>().unwrap())
    };
    let (dials, ups) = ("pptp_dials_total{result=\"ok\"} ", "pptp_site_ups_total{site=\"b1\"} ");
    reach(&daemon, "b1", SiteState::is_up).await;
    assert_eq!((value(dials).await, value(ups).await), (Some(1.0), Some(1.0)));
    let sent = value("pptp_sent_bytes_total ").await;
    let site = daemon.fleet().site("b1").unwrap();
    world.write(&with.replace("[site.b1]\n", ""));
    reload(&daemon).await.unwrap();
    let mut state = site.state();
    let gone = timeout(PATIENCE, state.wait_for(|state| *state == SiteState::Removed)).await;
    gone.expect("in time").expect("the fleet lives");
    assert_eq!((value(dials).await, value(ups).await), (Some(1.0), None));
    assert!(value("pptp_sent_bytes_total ").await >= sent);
    world.write(&with);
    reload(&daemon).await.unwrap();
    reach(&daemon, "b1", SiteState::is_up).await;
    assert_eq!((value(dials).await, value(ups).await), (Some(2.0), Some(1.0)));
    assert!(value("pptp_sent_bytes_total ").await >= sent);
    assert!(daemon.shut_down().await);
}

const PATIENCE: Duration = Duration::from_mins(1);
