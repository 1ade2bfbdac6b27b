//! Three buildings in the process itself, to try the ways in: `demo`

use std::{
    io::{self, IsTerminal},
    net::Ipv4Addr,
    process::Stdio,
    time::Duration,
};

use pptp::Client;
use pptp_fleet::{Secret, SiteConfig, SiteName};
use pptp_testkit::{Server, memory};
use tokio::{
    io::AsyncReadExt,
    process::Command,
    time::{Instant, timeout},
};

use super::{
    client::{Failure, Terminal},
    control::{Folder, Serving},
    exit::Exit,
    ports::next_free,
    signals::Signals,
};
use crate::{
    daemon::Daemon,
    settings::{
        Clients, ForwardSettings, Listen, Protocol, ProxyKind, ProxySettings, Settings,
        SiteSettings,
    },
};

/// Runs three buildings in this process, with all ways in, until a signal ends it
///
/// If standard input is no terminal, the lines are run by itself once it has ended, and then the demo ends: the exit
/// says if each did what was promised.
pub async fn demo(terminal: &mut Terminal) -> Exit {
    let outcome = run(terminal).await;
    terminal.finish(outcome)
}

/// A line to try, and what its output has to hold
struct Trial {
    line: String,
    expected: &'static str,
}

async fn run(terminal: &mut Terminal) -> Result<Exit, Failure> {
    let mut signals = Signals::new()?;
    let buildings = Buildings::build()?;
    let folder = Folder::make("demo")?;
    let places = Places::choose();
    let daemon = Daemon::start(buildings.client.clone(), places.settings()).await;
    let daemon = daemon.map_err(|error| Failure::new(Exit::Program, error.to_string()))?;
    let serving = Serving::begin(&daemon, folder.bind()?);
    terminal.line(
        "three buildings in this process, all with a device at 192.168.1.3; no root, nothing leaves the machine",
    )?;
    let trials = places.trials(&folder);
    let outcome = tokio::select! {
        biased;
        outcome = show_and_try(&daemon, &trials, terminal) => outcome,
        () = signals.end() => Ok(Exit::Success),
    };
    daemon.shut_down().await;
    serving.end().await;
    buildings.shut_down().await;
    outcome
}

async fn show_and_try(
    daemon: &Daemon,
    trials: &[Trial],
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    for name in NAMES {
        let began = Instant::now();
        let site = daemon.fleet().site(name).ok_or_else(|| gone(name))?;
        let lease = site.tunnel(UP).await;
        let lease = lease.map_err(|error| Failure::new(Exit::NotInTime, error.to_string()))?;
        let took = began.elapsed().as_millis();
        terminal.line(format_args!(
            "  {name} is up as {} after {took} ms",
            lease.info().inner_address
        ))?;
    }
    terminal.line("try in another terminal:")?;
    for trial in trials {
        terminal.line(format_args!("  {}", trial.line))?;
    }
    if io::stdin().is_terminal() {
        terminal.line("Ctrl-C ends it")?;
        return std::future::pending().await;
    }
    terminal.line("it runs them itself when its standard input ends, and then ends too")?;
    let mut input = tokio::io::stdin();
    while input.read(&mut [0; 256]).await.is_ok_and(|count| count > 0) {}
    let mut exit = Exit::Success;
    for trial in trials {
        match attempt(trial).await {
            Ok(()) => terminal.line(format_args!("ok  {}", trial.line))?,
            Err(reason) => {
                terminal.line(format_args!("FAILED  {}: {reason}", trial.line))?;
                exit = Exit::Program;
            }
        }
    }
    Ok(exit)
}

/// Runs a line as a shell does, and looks for what its output has to hold
async fn attempt(trial: &Trial) -> Result<(), String> {
    let mut command = Command::new("sh");
    command.args(["-c", &trial.line]).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(ATTEMPT, command.output()).await;
    let output = output.map_err(|_| format!("no end within {} s", ATTEMPT.as_secs()))?;
    let output = output.map_err(|error| error.to_string())?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && printed.contains(trial.expected) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}, it printed {:?} and {:?}", output.status, printed.trim(), said.trim()))
}

fn gone(name: &str) -> Failure {
    Failure::new(Exit::Program, format!("the site {name} is gone"))
}

/// The servers in memory, and a client on their network
struct Buildings {
    client: Client,
    servers: Vec<Server>,
}

impl Buildings {
    fn build() -> Result<Self, Failure> {
        let broken = |error: String| Failure::new(Exit::Program, error);
        let network = memory::Network::new(0);
        network.set_latency(Duration::from_millis(1));
        let mut servers = Vec::new();
        for (number, address) in (1..).zip(ADDRESSES) {
            let server = Server::builder(number).serve_memory(&network, address);
            servers.push(server.map_err(|error| broken(error.to_string()))?);
        }
        let host = network.host(Ipv4Addr::new(10, 99, 0, 1));
        let client = Client::builder().memory(host).build();
        Ok(Self { client: client.map_err(|error| broken(error.to_string()))?, servers })
    }

    async fn shut_down(self) {
        for server in self.servers {
            server.shut_down().await;
        }
    }
}

/// The places at which the demo listens
struct Places {
    socks: Listen,
    http: Listen,
    forward: Listen,
}

impl Places {
    fn choose() -> Self {
        let free = |port| Listen::Ip(next_free(port));
        Self { socks: free(1080), http: free(8080), forward: free(8003) }
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        for (name, address) in NAMES.into_iter().zip(ADDRESSES) {
            let dial = SiteConfig::new(address.to_string(), USER, Secret::literal(PASSWORD));
            let Ok(name) = SiteName::new(name) else { continue };
            settings.sites.insert(name, SiteSettings::new(dial));
        }
        if let Some(last) = settings.sites.values_mut().next_back() {
            last.forwards.push(ForwardSettings {
                listen: self.forward.clone(),
                clients: Clients::All,
                target: DEVICE.into(),
                protocol: Protocol::TCP,
                max_clients: ProxySettings::DEFAULT_MAX_CLIENTS,
            });
        }
        settings.proxies = vec![
            ProxySettings::new(ProxyKind::Socks, self.socks.clone()),
            ProxySettings::new(ProxyKind::Http, self.http.clone()),
        ];
        settings
    }

    fn trials(&self, folder: &Folder) -> Vec<Trial> {
        let Self { socks, http, forward } = self;
        let ask = folder.ask();
        let trial = |line: String, expected| Trial { line, expected };
        vec![
            trial(format!("curl -sS -x socks5h://b1@{socks} http://192.168.1.3/"), "building 1"),
            trial(
                format!("curl -sS -x http://{http} http://192.168.1.3.b2.pptp.internal/"),
                "building 2",
            ),
            trial(format!("curl -sS http://{forward}/"), "building 3"),
            trial(
                format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | {ask} nc b2 192.168.1.3:80"),
                "building 2",
            ),
            trial(format!("{ask} show"), "3 up"),
        ]
    }
}

const NAMES: [&str; 3] = ["b1", "b2", "b3"];
const ADDRESSES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(10, 99, 0, 11), Ipv4Addr::new(10, 99, 0, 12), Ipv4Addr::new(10, 99, 0, 13)];
const DEVICE: std::net::SocketAddrV4 =
    std::net::SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 3), 80);
const USER: &str = "testuser";
const PASSWORD: &str = "test123";

/// The time for a building to come up: milliseconds are usual
const UP: Duration = Duration::from_secs(10);

/// The time for a line
const ATTEMPT: Duration = Duration::from_secs(20);
