//! Buildings that all use 192.168.1.0/24, reached at once from one process, without an interface or a route
//!
//!     cargo run --release --example two_buildings
//!
//! plays both sides: two PPTP servers of the testkit in the same process, no root, no network. With
//! `--server` (any number of them) it dials real ones, which needs `CAP_NET_RAW`.

mod login;

use std::{
    error::Error,
    net::Ipv4Addr,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{CommandFactory, Parser, error::ErrorKind};
use pptp::{Client, Connecting, State, Tunnel, TunnelConfig, error::Phase};
use pptp_testkit::Server;
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// Dials PPTP servers at once and talks to 192.168.1.3 behind each of them
#[derive(Parser)]
#[command(name = "two_buildings")]
struct Arguments {
    /// A PPTP server, host or host:port; without any, two of the testkit in this process
    #[arg(long = "server", value_name = "SERVER", value_parser = server)]
    servers: Vec<String>,
    /// The user on all servers
    #[arg(long, default_value = "testuser", value_parser = login::user)]
    user: String,
    #[command(flatten)]
    password: login::Password,
    /// Seconds that a connect may take
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Print one JSON object a line for each building
    #[arg(long)]
    json: bool,
}

fn server(text: &str) -> std::result::Result<String, String> {
    let config = TunnelConfig::new(text, "user", "");
    config.check().map_err(|failure| failure.to_string())?;
    Ok(text.into())
}

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let password = arguments.password.find(std::env::var_os(login::VARIABLE));
    let password = password.unwrap_or_else(|wrong| {
        Arguments::command().error(ErrorKind::ValueValidation, wrong).exit()
    });
    match run(arguments, &password.unwrap_or_else(|| "test123".to_owned())).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// True if every building answered
async fn run(arguments: Arguments, password: &str) -> Result<bool> {
    let is_rehearsal = arguments.servers.is_empty();
    let (client, servers, _testkit) =
        if is_rehearsal { testkit()? } else { (Client::new()?, arguments.servers, Vec::new()) };
    let configs = servers.into_iter().map(|server| {
        let config = TunnelConfig::new(&server, &arguments.user, password);
        (server, config.connect_timeout(Duration::from_secs(arguments.timeout)))
    });
    let visits = visit_all(&client, configs, arguments.json).await?;
    for visit in &visits {
        visit.print(arguments.json);
    }
    if !arguments.json {
        println!("\n{}", conclusion(&visits, is_rehearsal));
    }
    Ok(visits.iter().all(|visit| visit.error.is_none()))
}

/// The last words: what was shown, and what to try next
fn conclusion(visits: &[Visit], is_rehearsal: bool) -> String {
    let failed = visits.iter().filter(|visit| visit.error.is_some()).count();
    let count = visits.len();
    if failed > 0 {
        return format!(
            "{failed} of {count} failed. Next: let the doctor look at each layer of one of them:\n  \
             {RUN} doctor -- {SERVER} --target knx:{DEVICE}"
        );
    }
    let shown = if count == 1 {
        format!("Shown: {DEVICE} behind the server was reached without an interface or a route.")
    } else {
        format!(
            "Shown: one address, {DEVICE}, was {count} devices at once, each behind its own\n\
             tunnel, in one process, without an interface or a route."
        )
    };
    let next = if is_rehearsal {
        format!("a server of yours (it needs CAP_NET_RAW):\n  {RUN} two_buildings -- {SERVER}")
    } else {
        format!("forward local ports into the buildings:\n  {RUN} connector -- --help")
    };
    format!("{shown}\nNext: {next}")
}

/// Visits all buildings at once
async fn visit_all(
    client: &Client,
    configs: impl Iterator<Item = (String, TunnelConfig)>,
    json: bool,
) -> Result<Vec<Visit>> {
    let begun = configs
        .map(|(server, config)| tokio::spawn(visit(server, client.connect(config), json)))
        .collect::<Vec<_>>();
    let mut visits = Vec::new();
    for visit in begun {
        visits.push(visit.await?);
    }
    // also those that failed half-way are hung up
    let _ = timeout(Duration::from_secs(10), client.wait_idle()).await;
    compare(&mut visits);
    Ok(visits)
}

/// Two servers that lead to the same building have mixed something up, unless they are one
fn compare(visits: &mut [Visit]) {
    let mixed_up = visits.iter().enumerate().filter_map(|(i, visit)| {
        let other = visits.iter().find(|other| visit.is_mixed_up_with(other))?;
        Some((i, format!("{} leads to the same building", other.server)))
    });
    for (i, error) in mixed_up.collect::<Vec<_>>() {
        visits[i].fail(error);
    }
}

/// Two buildings in memory, and a client on the same network
fn testkit() -> Result<(Client, Vec<String>, Vec<Server>)> {
    let network = pptp_testkit::memory::Network::new(0);
    network.set_latency(Duration::from_millis(5));
    let addresses = [Ipv4Addr::new(10, 99, 0, 11), Ipv4Addr::new(10, 99, 0, 12)];
    let servers = (1..)
        .zip(addresses)
        .map(|(building, address)| Server::builder(building).serve_memory(&network, address));
    let servers = servers.collect::<std::io::Result<Vec<_>>>()?;
    let client = Client::builder().memory(network.host(Ipv4Addr::new(10, 99, 0, 1))).build()?;
    Ok((client, addresses.map(|address| address.to_string()).to_vec(), servers))
}

/// What one building answered
#[derive(Default)]
struct Visit {
    server: String,
    info: Option<std::sync::Arc<pptp::Info>>,
    http_body: Option<String>,
    knx_name: Option<String>,
    dns_txt: Option<String>,
    pings: Vec<Duration>,
    error: Option<String>,
}

/// A visit as a line of JSON
#[derive(Serialize)]
struct Report<'a> {
    server: &'a str,
    inner_address: Option<String>,
    dns: Option<Vec<String>>,
    mtu: Option<u16>,
    connect_ms: Option<f64>,
    round_trips: Option<u16>,
    http_body: Option<&'a str>,
    knx_name: Option<&'a str>,
    dns_txt: Option<&'a str>,
    ping_ms: Vec<f64>,
    error: Option<&'a str>,
}

async fn visit(server: String, connecting: Connecting, json: bool) -> Visit {
    let mut visit = Visit { server, ..Visit::default() };
    if !json {
        tokio::spawn(print_phases(visit.server.clone(), connecting.state()));
    }
    let tunnel = match connecting.await {
        Ok(tunnel) => tunnel,
        Err(error) => {
            visit.fail(error.to_string());
            return visit;
        }
    };
    visit.info = Some(tunnel.info());
    if let Err(error) = visit.ask(&tunnel).await {
        visit.fail(error.to_string());
    }
    tunnel.close().await;
    visit
}

impl Visit {
    async fn ask(&mut self, tunnel: &Tunnel) -> Result<()> {
        let http = self.http_body.insert(within("HTTP", http(tunnel)).await?);
        let knx = self.knx_name.insert(within("KNX", knx(tunnel)).await?);
        let txt = self.dns_txt.insert(within("DNS", whoami(tunnel)).await?);
        self.pings = within("ping", three_pings(tunnel)).await?;
        if number(http) != number(knx) || number(http) != number(txt) {
            return Err("the answers are of different buildings: packets were mixed up".into());
        }
        Ok(())
    }

    fn is_mixed_up_with(&self, other: &Self) -> bool {
        let server = |visit: &Self| visit.info.as_ref().map(|info| info.server);
        self.http_body.is_some()
            && self.http_body == other.http_body
            && server(self) != server(other)
    }

    /// Keeps the first reason
    fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
    }

    fn print(&self, json: bool) {
        let info = self.info.as_ref();
        if json {
            let report = Report {
                server: &self.server,
                inner_address: info.map(|i| i.inner_address.to_string()),
                dns: info.map(|i| i.dns.iter().map(ToString::to_string).collect()),
                mtu: info.map(|i| i.mtu),
                connect_ms: info.map(|i| milliseconds(i.connect_time)),
                round_trips: info.map(|i| i.round_trips),
                http_body: self.http_body.as_deref(),
                knx_name: self.knx_name.as_deref(),
                dns_txt: self.dns_txt.as_deref(),
                ping_ms: self.pings.iter().copied().map(milliseconds).collect(),
                error: self.error.as_deref(),
            };
            println!("{}", serde_json::to_string(&report).expect("names are strings"));
            return;
        }
        println!("\n{}", self.server);
        if let Some(info) = info {
            let dns = info.dns.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            println!("  inner address  {}", info.inner_address);
            println!("  DNS servers    {dns}");
            println!("  MTU            {}", info.mtu);
            let (time, trips) = (milliseconds(info.connect_time), info.round_trips);
            println!("  connected in   {time} ms, {trips} round trips");
        }
        let answer = |name, text: &Option<String>| {
            if let Some(text) = text {
                println!("  {name}  {}", text.trim_end());
            }
        };
        answer("HTTP body    ", &self.http_body);
        answer("KNX device   ", &self.knx_name);
        answer("DNS whoami   ", &self.dns_txt);
        for ping in &self.pings {
            println!("  ping           {} ms", milliseconds(*ping));
        }
        if let Some(error) = &self.error {
            println!("  FAILED         {error}");
        }
    }
}

/// One line for each phase; a phase passed in the same moment as the next one is told with it
async fn print_phases(server: String, mut state: tokio::sync::watch::Receiver<State>) {
    let start = Instant::now();
    let mut phases = Phase::ALL.into_iter().peekable();
    loop {
        let reached = match &*state.borrow_and_update() {
            State::Connecting { phase } => *phase,
            State::Down { .. } => return,
            _ => Phase::Up,
        };
        while let Some(phase) = phases.next_if(|phase| *phase <= reached) {
            println!("{server:<16} {:>7} ms  {phase}", milliseconds(start.elapsed()));
        }
        if reached == Phase::Up || state.changed().await.is_err() {
            return;
        }
    }
}

async fn http(tunnel: &Tunnel) -> Result<String> {
    let mut stream = tunnel.tcp_connect((DEVICE, 80)).await?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: 192.168.1.3\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(1 << 20).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(body.to_owned()),
        _ => Err(format!("HTTP: unexpected answer {answer:?}").into()),
    }
}

/// Asks a KNXnet/IP device for its description and returns its friendly name
///
/// The HPAI 0.0.0.0:0 says "route back": answer to where this came from, as behind any NAT.
async fn knx(tunnel: &Tunnel) -> Result<String> {
    const DESCRIPTION_REQUEST: [u8; 14] = [6, 0x10, 2, 3, 0, 14, 8, 1, 0, 0, 0, 0, 0, 0];
    const DESCRIPTION_RESPONSE: &[u8] = &[6, 0x10, 2, 4];
    const NAME: std::ops::Range<usize> = 30..60;
    let socket = tunnel.udp_bind(0)?;
    socket.connect((DEVICE, 3671)).await?;
    let mut answer = [0; 512];
    for _ in 0..3 {
        socket.send(&DESCRIPTION_REQUEST).await?;
        let Ok(received) = timeout(Duration::from_secs(2), socket.recv(&mut answer)).await else {
            continue;
        };
        let answer = &answer[..received?];
        let name = answer.strip_prefix(DESCRIPTION_RESPONSE).and_then(|_| answer.get(NAME));
        let name = name.ok_or("KNX: not a DESCRIPTION_RESPONSE")?;
        return Ok(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned());
    }
    Err("KNX: no answer".into())
}

async fn whoami(tunnel: &Tunnel) -> Result<String> {
    let records = tunnel.lookup_txt("whoami.lan").await?;
    records.into_iter().next().ok_or_else(|| "DNS: no TXT record".into())
}

/// A ping that is lost on the way is sent again, as `ping` would
async fn three_pings(tunnel: &Tunnel) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    while times.len() < 3 {
        match tunnel.ping(DEVICE, Duration::from_secs(1)).await {
            Ok(time) => times.push(time),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(times)
}

/// The building's number, with which each of its answers ends
fn number(answer: &str) -> Option<&str> {
    answer.split(|c: char| !c.is_ascii_digit()).rfind(|digits| !digits.is_empty())
}

async fn within<T>(what: &str, answer: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(|error| format!("{what}: {error}").into()),
        Err(_) => Err(format!("{what}: no answer within {} s", PATIENCE.as_secs()).into()),
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 1e2
}

const RUN: &str = "cargo run --release --example";
const SERVER: &str = "--server SERVER --user USER --password PASSWORD";
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 3);
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// The errors of visits to the servers of that many buildings, by these names
    async fn errors(buildings: [u32; 2], names: [&str; 2]) -> [Option<String>; 2] {
        let network = pptp_testkit::memory::Network::new(0);
        let addresses = (11..).map(|host| Ipv4Addr::new(10, 99, 0, host));
        let servers = buildings.into_iter().zip(addresses).map(|(building, address)| {
            Server::builder(building).serve_memory(&network, address).unwrap()
        });
        let _servers = servers.collect::<Vec<_>>();
        let host = network.host(Ipv4Addr::new(10, 99, 0, 1));
        let client = Client::builder().memory(host).build().unwrap();
        let configs = names
            .into_iter()
            .map(|name| (name.to_owned(), TunnelConfig::new(name, "testuser", "test123")));
        let visits = visit_all(&client, configs, true).await.unwrap();
        let [first, second] = <[Visit; 2]>::try_from(visits).unwrap_or_else(|_| panic!("not two"));
        assert!(first.http_body.is_some() && second.http_body.is_some());
        [first.error, second.error]
    }

    #[tokio::test]
    async fn two_servers_that_lead_to_one_building_both_fail() {
        let [first, second] = errors([1, 1], ["10.99.0.11", "10.99.0.12"]).await;
        assert_eq!(first.unwrap(), "10.99.0.12 leads to the same building");
        assert_eq!(second.unwrap(), "10.99.0.11 leads to the same building");
    }

    #[test]
    fn the_last_words_say_what_was_shown_and_what_to_try_next() {
        let visits = |count| (0..count).map(|_| Visit::default()).collect::<Vec<_>>();
        let rehearsed = conclusion(&visits(2), true);
        assert!(
            rehearsed.starts_with("Shown: one address, 192.168.1.3, was 2 devices"),
            "{rehearsed}"
        );
        assert!(rehearsed.ends_with("-- --server SERVER --user USER --password PASSWORD"));
        let real = conclusion(&visits(1), false);
        assert!(
            real.starts_with("Shown: 192.168.1.3 behind the server") && real.contains("connector")
        );
        let mut failed = visits(2);
        failed[1].fail("busy".into());
        let failed = conclusion(&failed, true);
        assert!(failed.starts_with("1 of 2 failed.") && !failed.contains("Shown"), "{failed}");
        assert!(failed.contains("--example doctor -- --server SERVER"), "{failed}");
    }

    #[tokio::test]
    async fn one_server_may_be_dialled_twice() {
        let errors = errors([1, 2], ["10.99.0.11", "10.99.0.11:1723"]).await;
        assert_eq!(errors, [None, None]);
    }
}
