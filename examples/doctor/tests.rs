//! What the doctor prints, case by case: `docs/doctor.md` is made of it, and has to stay true
//!
//! After a change: `PPTP_WRITE_DOCS=1 cargo test --package pptp-examples --example doctor`.

use std::{
    env, fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process,
};

use pptp_testkit::{
    DEVICE, Deafness, Faults, Server, ServerBuilder, ServerEncryption, UdpOptions,
    memory::{Blocked, Network},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 11);

/// A network in memory, 10 ms from end to end, and a machine of which everything is known
struct World {
    network: Network,
    client: Client,
    server: Option<Server>,
    machine: PathBuf,
}

impl World {
    fn new() -> Self {
        let network = Network::new(0);
        network.set_latency(Duration::from_millis(10));
        let client = Client::builder().memory(network.host(CLIENT)).build().unwrap();
        let name =
            format!("pptp-doctor-example-{}-{:?}", process::id(), std::thread::current().id());
        let machine = env::temp_dir().join(name);
        for (path, content) in MACHINE {
            let path = machine.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self { network, client, server: None, machine }
    }

    fn serving(builder: ServerBuilder) -> Self {
        let mut world = Self::new();
        world.server = Some(builder.serve_memory(&world.network, SERVER).unwrap());
        world
    }

    fn doctor(&self, password: &str) -> Doctor {
        let config = TunnelConfig::new(SERVER.to_string(), "testuser", password);
        pptp::doctor(config).client(self.client.clone()).host_root(&self.machine)
    }

    async fn prints(&self, doctor: Doctor, json: bool) -> (String, u8) {
        let mut out = Vec::new();
        let code = examine(doctor, json, &mut out).await.unwrap();
        (String::from_utf8(out).unwrap(), code)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.machine);
    }
}

/// An ordinary machine whose packet filter tracks connections
const MACHINE: [(&str, &str); 5] = [
    ("proc/modules", "nf_conntrack 180224 1 nf_nat, Live 0x0\n"),
    ("proc/self/net/raw", "  sl  local_address\n"),
    ("proc/sys/net/netfilter/nf_conntrack_count", "17\n"),
    ("proc/sys/net/ipv4/conf/all/rp_filter", "0\n"),
    ("proc/sys/net/ipv4/conf/eth0/rp_filter", "2\n"),
];

/// One section of the page: its title, what the doctor printed, and its exit code
type Section = (&'static str, (String, u8));

async fn live() -> Section {
    let world = World::serving(Server::builder(1));
    let doctor = world.doctor("test123").target("knx:192.168.1.3".parse().unwrap());
    ("A live server, and a KNX device behind it", world.prints(doctor, false).await)
}

async fn route_back() -> Section {
    let world = World::serving(Server::builder(1));
    let net = world.server.as_ref().unwrap().net();
    let socket = net.udp_bind((DEVICE, 3672).into(), UdpOptions::default()).unwrap();
    tokio::spawn(async move {
        let mut description = vec![6, 0x10, 0x02, 0x04, 0, 68, 54, 1];
        description.resize(30, 0);
        description.extend(b"behind a router");
        description.resize(68, 0);
        let mut question = [0; 64];
        while let Ok((_, from)) = socket.recv_from(&mut question).await {
            if question[8..14] == [0; 6] {
                socket.send_to(&description, from).await.unwrap();
            }
        }
    });
    let doctor = world.doctor("test123").target("knx:192.168.1.3:3672".parse().unwrap());
    ("A KNX device that answers only with route back", world.prints(doctor, false).await)
}

async fn no_capability() -> Section {
    let world = World::serving(Server::builder(1));
    let host = world.network.host(CLIENT);
    host.forbid_gre();
    let config = TunnelConfig::new(SERVER.to_string(), "testuser", "test123");
    let doctor = pptp::doctor(config).client_options(Client::builder().memory(host));
    let printed = world.prints(doctor.host_root(&world.machine), false).await;
    ("A program that may not open a raw socket", printed)
}

async fn nothing_passes() -> Section {
    let faults = Faults { deaf: Some(Deafness::ResetRequests), ..Faults::default() };
    let world = World::serving(Server::builder(1).faults(faults));
    let doctor = world.doctor("test123").target("knx:192.168.1.3".parse().unwrap());
    let title = "A server that opens nothing of what is encrypted";
    (title, world.prints(doctor, false).await)
}

async fn closed_port() -> Section {
    let world = World::new();
    drop(world.network.host(SERVER));
    ("A closed port", world.prints(world.doctor("test123"), false).await)
}

async fn web_server() -> Section {
    let world = World::new();
    let listener = world.network.host(SERVER).listen_tcp(1723).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 156]).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await.unwrap();
    });
    ("A web server on the port", world.prints(world.doctor("test123"), false).await)
}

async fn gre_dropped() -> Section {
    let world = World::serving(Server::builder(1));
    world.network.host(CLIENT).block_gre(Blocked::Inbound);
    ("GRE dropped on its way in", world.prints(world.doctor("test123"), false).await)
}

async fn wrong_password() -> Section {
    let world = World::serving(Server::builder(1));
    ("A wrong password", world.prints(world.doctor("Mellon42"), false).await)
}

async fn no_encryption() -> Section {
    let world = World::serving(Server::builder(1).encryption(ServerEncryption::None));
    ("A server without encryption", world.prints(world.doctor("test123"), false).await)
}

async fn forty_bits() -> Section {
    let encryption = ServerEncryption::Mppe40;
    let world = World::serving(Server::builder(1).encryption(encryption));
    ("A server that encrypts with 40 bits", world.prints(world.doctor("test123"), false).await)
}

async fn black_hole() -> Section {
    let world = World::serving(Server::builder(1));
    world.network.host(CLIENT).drop_large_gre(Some(1000));
    let title = "A path that swallows packets of more than 1000 octets";
    (title, world.prints(world.doctor("test123"), false).await)
}

#[tokio::test(start_paused = true)]
async fn the_page_shows_what_is_printed() {
    let sections = [
        (live().await, 0),
        (route_back().await, 0),
        (no_capability().await, 10),
        (closed_port().await, 12),
        (web_server().await, 13),
        (gre_dropped().await, 15),
        (wrong_password().await, 17),
        (no_encryption().await, 18),
        (forty_bits().await, 18),
        (nothing_passes().await, 18),
        (black_hole().await, 20),
    ];
    let mut page = HEAD.to_owned();
    for layer in Layer::ALL {
        let row = format!("| {} | {} |\n", layer.exit_code(), layer.name());
        page.push_str(&row);
    }
    let [((_, (whole, _)), _), ..] = &sections;
    let whole = whole.clone();
    for (index, ((title, (printed, code)), expected)) in sections.into_iter().enumerate() {
        assert_eq!(code, expected, "{title}:\n{printed}");
        let is_whole = index == 0 || code == Layer::Host.exit_code();
        let printed = if is_whole { printed } else { abridged(&printed, &whole) };
        let section = format!("\n## {title}\n\n```\n{printed}```\n\nExit code: {code}\n");
        page.push_str(&section);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/doctor.md");
    if env::var_os("PPTP_WRITE_DOCS").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    assert!(there == page, "docs/doctor.md is not what is printed now:\n{page}");
}

/// Without the lines that are in the first section too, and those of steps that were not reached
fn abridged(printed: &str, whole: &str) -> String {
    let (mut lines, mut is_left_out) = (String::new(), false);
    for line in printed.lines() {
        let is_known = whole.lines().any(|other| other == line);
        if is_known || line.ends_with(" not reached") {
            is_left_out = true;
            continue;
        }
        if std::mem::take(&mut is_left_out) {
            lines.push_str("…\n");
        }
        lines.push_str(line);
        lines.push('\n');
    }
    if is_left_out {
        lines.push_str("…\n");
    }
    lines
}

const HEAD: &str = "# What the doctor says

    cargo run --release --example doctor -- --server SERVER --user USER --password PASSWORD [--target TARGET] [--json]

`TARGET` is something behind the tunnel: `tcp:HOST:PORT`, `udp:HOST:PORT[=TEXT]`, `ping:HOST` or
`knx:HOST[:PORT]`. Each line is a step: how it went, its name, the time that it took, what was seen, and
below it what to do. `warned` is what does no harm by itself and may be the cause if something else
fails. A KNX device is asked with our inner address first, and then with route back (0.0.0.0:0).

The times add up. Of steps that run beside each other, the later one has the time that it took longer:
IPCP runs beside CCP, and `addresses` has what it took after that.

Without `CAP_NET_RAW` the doctor goes as far as the call, and skips what needs the raw socket.

With `--json` each line is an object: `version` (1), `step`, `layer`, `verdict`, `milliseconds`, `seen`,
`advice` and `failure`, the typed failure or null. New fields may come; `version` changes if one goes or
means something else.

This page is made by a test, with servers in memory 10 ms away. Lines that are the same as in the first
section, and steps that were not reached, are left out (…) of most others.

In a program: `pptp::doctor(config)`, and `tunnel.doctor(target)` for a tunnel that is up.

The exit code is 0 if nothing failed, and else that of the layer that failed first:

| exit code | layer |
|---|---|
";

#[tokio::test(start_paused = true)]
async fn each_line_of_json_is_a_finding_with_its_typed_failure() {
    let world = World::serving(Server::builder(1).sessions(0));
    let (printed, code) = world.prints(world.doctor("test123"), true).await;
    assert_eq!(code, 14);
    let lines: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), pptp::doctor::Step::ALL.len());
    assert!(lines.iter().all(|line| line["version"] == 1), "{printed}");
    let call = lines.iter().find(|line| line["verdict"] == "failed").unwrap();
    assert_eq!((&call["step"], &call["layer"]), (&json!("call"), &json!("call")));
    let failure = &call["failure"];
    assert_eq!(failure["name"], "CallRefused");
    assert_eq!(failure["codes"][0]["name"], "Busy");
    assert_eq!(failure["codes"][0]["number"], 4);
    assert_eq!((&failure["retry"], &failure["retry_after_seconds"]), (&json!("soon"), &json!(30)));
}

#[tokio::test(start_paused = true)]
async fn the_password_is_printed_nowhere() {
    for json in [false, true] {
        let world = World::serving(Server::builder(1));
        let (printed, _) = world.prints(world.doctor("Mellon42"), json).await;
        assert!(!printed.contains("Mellon42"), "{printed}");
    }
}

#[test]
fn wrong_arguments_are_told_before_anything_is_dialled() {
    let read = |rest: &[&str]| {
        let first = ["doctor", "--server", "10.99.0.11", "--user", "u", "--password", "p"];
        Arguments::try_parse_from(first.iter().chain(rest))
    };
    assert!(read(&["--target", "tcp:192.168.1.3:80"]).unwrap().config().is_ok());
    for target in ["192.168.1.3", "tcp:192.168.1.3", "http:192.168.1.3:80"] {
        assert_eq!(read(&["--target", target]).err().unwrap().exit_code(), 2, "{target}");
    }
    assert!(read(&["--mru", "100"]).unwrap().config().is_err());
    assert_eq!(Arguments::try_parse_from(["doctor"]).err().unwrap().exit_code(), 2);
}
