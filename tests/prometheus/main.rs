//! In real time: Debian's Prometheus scrapes a daemon, and each alert and each query of the dashboard is asked there
//!
//! Needs root, `unshare` and `PPTP_INTEROP=1`, and Debian's `prometheus` and `python3-prometheus-client`. The daemon runs
//! in the test, with servers in memory. Prometheus and the daemon's listeners are on the loopback of a namespace.

#![cfg(target_os = "linux")]

mod prometheus;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use pptp_tests::namespace::in_namespace;
use serde_json::Value;
use tokio::time::sleep;

use self::{prometheus::Prometheus, world::World};

#[test]
fn promtool_accepts_the_alerts_and_each_comes_when_it_should() {
    in_namespace("promtool_accepts_the_alerts_and_each_comes_when_it_should", "true", async {
        let folder = contrib().join("prometheus");
        run(
            Command::new("promtool").args(["check", "rules", "alerts.yml"]).current_dir(&folder),
            "",
        );
        run(
            Command::new("promtool")
                .args(["test", "rules", "alerts.test.yml"])
                .current_dir(&folder),
            "",
        );
    });
}

#[test]
fn readers_of_others_read_both_forms() {
    in_namespace("readers_of_others_read_both_forms", "true", async {
        let world = World::start().await;
        world.make_trouble().await;
        let open = world.scrape("application/openmetrics-text; version=1.0.0").await;
        let read = run(Command::new("/usr/bin/python3").args(["-c", PARSE]), &open);
        let (families, city) = read.trim_end().split_once(' ').expect("two words");
        assert!(families.parse::<usize>().expect("a number") > 55, "{families} families");
        assert_eq!(city, "'\"Köln\"\\n\\\\'", "the label of a site as it was configured");
        let classic = world.scrape("text/plain").await;
        // it also asks for names and units as they are usual
        assert_eq!(run(Command::new("promtool").args(["check", "metrics"]), &classic), "");
        world.end().await;
    });
}

#[test]
fn each_alert_and_each_query_of_the_dashboard_is_true_when_it_should_be() {
    in_namespace(
        "each_alert_and_each_query_of_the_dashboard_is_true_when_it_should_be",
        "true",
        async {
            let world = World::start().await;
            let prometheus =
                Prometheus::start(world::METRICS, &contrib().join("prometheus/alerts.yml")).await;
            let mut seen = BTreeSet::new();
            let mut expect = async |what: &str, wanted: &[&str]| {
                let wanted: BTreeSet<_> = wanted.iter().map(ToString::to_string).collect();
                seen.extend(wanted.iter().cloned());
                prometheus.until_active(what, &wanted).await;
            };

            world.make_trouble().await;
            let trouble = [
                "PptpConfigurationNotInForce",
                "PptpDevicesSilent",
                "PptpListenerFull",
                "PptpLoginRefused",
                "PptpServerDown",
                "PptpSiteDown",
                "PptpSitesFlapping",
                "PptpSitesStopped",
            ];
            expect("sites in trouble", &trouble).await;
            let down = prometheus.labels("PptpSiteDown", "site").await;
            assert_eq!(
                down,
                ["alone"],
                "not those behind a server that is down, and not what is told elsewhere"
            );
            assert_eq!(
                prometheus.labels("PptpServerDown", "server").await,
                [world::DEAD_FARM.to_string()]
            );
            ask_dashboard(&prometheus).await;

            // 25 sites more are down, and a wrong user is tried on ten tunnels
            world.change_for_worse().await;
            let worse = [
                "PptpDevicesSilent",
                "PptpLoginRefused",
                "PptpManySitesDown",
                "PptpRolloutPaused",
                "PptpServerDown",
                "PptpSitesDown",
                "PptpSitesFlapping",
            ];
            expect("many sites down, and a change that is paused", &worse).await;

            world.cut_off().await;
            // a reload ends the pause, and no server is to blame for an outage of this machine
            let is_left = |alert: &&str| !["PptpServerDown", "PptpRolloutPaused"].contains(alert);
            let wanted: Vec<_> = worse.into_iter().filter(is_left).collect();
            expect("this machine cut off", &[&wanted[..], &["PptpOutageOfThisMachine"]].concat())
                .await;

            world.stop_supervisor().await;
            expect("a supervisor that is gone", &["PptpConnectorNotReady"]).await;
            world.end().await;
            expect("a daemon that is gone", &["PptpConnectorUnreachable"]).await;

            // memory has no kernel that drops, nobody floods, and the program has no fault: promtool has tested these
            let others =
                ["PptpFilesRunOut", "PptpFlood", "PptpProgramFault", "PptpReceiveBufferFull"];
            seen.extend(others.map(str::to_owned));
            assert_eq!(
                seen,
                prometheus.rules().await.into_keys().collect(),
                "an alert that nobody tests"
            );
        },
    );
}

/// Asks each query of the dashboard; all but those named have an answer
async fn ask_dashboard(prometheus: &Prometheus) {
    let text =
        fs::read_to_string(contrib().join("grafana/pptp-connector.json")).expect("it is there");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let mut titles = BTreeSet::new();
    let mut queries = BTreeMap::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let title = panel["title"].as_str().expect("a title").to_owned();
        assert!(titles.insert(title.clone()), "{title} is there twice");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().expect("a query").to_owned();
            queries.insert(query, title.clone());
        }
    }
    assert!(queries.len() > 35, "{} queries", queries.len());
    for list in dashboard["annotations"]["list"].as_array().expect("annotations") {
        queries.insert(list["expr"].as_str().expect("a query").to_owned(), "annotation".to_owned());
    }
    let mut without = Vec::new();
    for (query, title) in &queries {
        let query = query.replace("$instance", ".*").replace("$__rate_interval", "20s");
        // some rates have to see two scrapes of a change first
        if !prometheus.is_answered(&query, Duration::from_secs(5)).await {
            without.push(title.as_str());
        }
    }
    without.sort_unstable();
    // nothing is lost in memory, and nobody has read the files anew
    assert_eq!(without, ["annotation", "frames lost a second"]);
}

/// Runs a program with this input; returns what it printed
fn run(command: &mut Command, input: &str) -> String {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}{err}");
    // what it has to complain of stands in either
    if err.is_empty() { out } else { format!("{out}{err}") }
}

fn contrib() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib")
}

/// Waits a moment between two looks
async fn pause() {
    sleep(Duration::from_millis(250)).await;
}

/// Reads `OpenMetrics` with the parser of another, which refuses what the specification forbids
const PARSE: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
families = list(parse(sys.stdin.read()))
site = next(family for family in families if family.name == 'pptp_site')
city = next(it.labels['city'] for it in site.samples if it.labels['site'] == 'flapping')
print(sum(1 for family in families if family.documentation), repr(city))
";
