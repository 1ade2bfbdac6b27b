//! Debian's Prometheus as a program of the test

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use super::pause;

/// A Prometheus that scrapes one daemon each second; ended when it is dropped
pub(super) struct Prometheus {
    child: Child,
    folder: PathBuf,
}

impl Prometheus {
    pub(super) async fn start(target: SocketAddr, alerts: &Path) -> Self {
        let folder = env::temp_dir().join(format!("pptp-prometheus-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let configuration = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
             rule_files: [{}]\n\
             scrape_configs: [{{job_name: pptp-connector, static_configs: [{{targets: ['{target}']}}]}}]\n",
            alerts.display()
        );
        let file = folder.join("prometheus.yml");
        fs::write(&file, configuration).expect("it can be written");
        let log = fs::File::create(folder.join("log")).expect("it can be written");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={API}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Debian's package prometheus is installed");
        let prometheus = Self { child, folder };
        let deadline = Instant::now() + PATIENCE;
        while get("/-/ready").await.is_none_or(|answer| !answer.contains("200 OK")) {
            assert!(Instant::now() < deadline, "{}", prometheus.log());
            pause().await;
        }
        prometheus
    }

    /// Returns the alerts, each with those that are active: their expression is true, whatever their time
    pub(super) async fn rules(&self) -> BTreeMap<String, Vec<Value>> {
        let data = self.api("/api/v1/rules?type=alert").await;
        let rules = data["groups"].as_array().expect("groups").iter();
        let rules = rules.flat_map(|group| group["rules"].as_array().expect("rules"));
        let rule = |rule: &Value| {
            let name = rule["name"].as_str().expect("a name").to_owned();
            let error = &rule["lastError"];
            assert!(error.as_str().is_none_or(str::is_empty), "{name}: {error}");
            (name, rule["alerts"].as_array().expect("alerts").clone())
        };
        rules.map(rule).collect()
    }

    /// Waits until just these alerts are active
    pub(super) async fn until_active(&self, what: &str, wanted: &BTreeSet<String>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rules = self.rules().await.into_iter();
            let active: BTreeSet<_> =
                rules.filter(|(_, alerts)| !alerts.is_empty()).map(|(name, _)| name).collect();
            if active == *wanted {
                return println!("{what}: {active:?}");
            }
            let missing: Vec<_> = wanted.difference(&active).collect();
            let others: Vec<_> = active.difference(wanted).collect();
            assert!(Instant::now() < deadline, "{what}: missing {missing:?}, others {others:?}");
            pause().await;
        }
    }

    /// Returns the values of a label of an alert that is active
    pub(super) async fn labels(&self, alert: &str, label: &str) -> Vec<String> {
        let alerts = self.rules().await.remove(alert).expect("the alert");
        let value = |alert: &Value| alert["labels"][label].as_str().unwrap_or_default().to_owned();
        let mut values: Vec<_> = alerts.iter().map(value).collect();
        values.sort_unstable();
        values
    }

    /// Returns true if a query has an answer with a sample that is a number, now or within `patience`
    pub(super) async fn is_answered(&self, query: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            let data = self.api(&format!("/api/v1/query?query={}", encode(query))).await;
            let samples = data["result"].as_array().expect("a vector").iter();
            let mut values = samples.filter_map(|sample| sample["value"][1].as_str());
            if values.any(|value| value.parse::<f64>().is_ok_and(|value| !value.is_nan())) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            pause().await;
        }
    }

    /// Returns the data of an answer, which has to be a success
    async fn api(&self, path: &str) -> Value {
        let answer = get(path).await.unwrap_or_else(|| panic!("{path}: {}", self.log()));
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        let mut answer: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].take()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Asks Prometheus; `None` if it is not there
async fn get(path: &str) -> Option<String> {
    ask(API, path, "*/*").await
}

/// Asks over HTTP, and returns the whole answer; `None` if nobody listens
pub(super) async fn ask(to: SocketAddr, path: &str, accept: &str) -> Option<String> {
    let mut stream = TcpStream::connect(to).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {to}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

fn encode(text: &str) -> String {
    text.bytes().map(|octet| format!("%{octet:02X}")).collect::<Vec<_>>().concat()
}

const API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

/// A deadline for what takes a minute and some seconds
const PATIENCE: Duration = Duration::from_mins(3);
