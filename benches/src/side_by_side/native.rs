//! On this machine: the connector with the testkit's server, and onetun with boringtun-cli
//!
//! Both clients are on the near host of the bench's own wire and forward local ports; on the far one
//! are the servers and a device behind each. There is no PPTP server of the kernel's on an ordinary
//! machine, so that of the testkit is one thread with all of the building in it.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::mpsc::{self, Sender},
    thread::sleep,
    time::{Duration, Instant},
};

use pptp_testkit::{DEVICE, Server};
use tokio::sync::oneshot::{self, Receiver};

use super::{
    client::{Client, Told, Way, rounds},
    measure::Sample,
    need,
    scene::Scene,
    user::{Ports, wrong},
};
use crate::{
    servers::real_time,
    wire::{FAR, hosts},
};

/// Measures both clients in turns
pub(super) fn measure(connector: &Path, tools: &Path) -> io::Result<Vec<Sample>> {
    need::root()?;
    need::tun()?;
    need::programs(&["ip", "python3"])?;
    let (onetun, boringtun) = (tools.join("onetun"), tools.join("boringtun-cli"));
    need::file(&onetun)?;
    need::file(&boringtun)?;
    let (near, far) = hosts()?;
    let (stop, stopped) = oneshot::channel();
    let (ready, is_ready) = mpsc::channel();
    let served = far.start(move || serve(&boringtun, &ready, stopped));
    // the end of `ready` is an error that `served` tells
    let samples = is_ready.recv().ok().map(|()| {
        let mut clients = [Client::connector(connector, FAR), self::onetun(&onetun)];
        near.run(move || {
            ip("link set lo up")?;
            let mut samples = Vec::new();
            rounds(&mut clients, &mut |told| samples.extend(sample(told)))?;
            Ok(samples)
        })
    });
    drop(stop);
    served.recv().map_err(io::Error::other)??;
    samples.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
}

/// Natively other programs are at work, too, so that what the whole machine did is nobody's figure
fn sample(told: Told) -> Option<Sample> {
    let Told::Figure(client, measure, value) = told else { return None };
    let sample = Sample { scene: Scene::Native, client: client.into(), measure, value };
    (!measure.is_of_guest()).then_some(sample)
}

fn onetun(program: &Path) -> Client {
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (echo, http) = (local(8107), local(8180));
    let mut command = Command::new(program);
    command.args(["--endpoint-addr", &format!("{FAR}:{WIREGUARD}")]);
    command.args(["--endpoint-public-key", PEER.in_base64, "--private-key", ONETUN.in_base64]);
    command.args(["--source-peer-ip", INNER, "--log", "error"]);
    command.args([format!("{echo}:{DEVICE}:7"), format!("{http}:{DEVICE}:80")]);
    let way = Way::Ports(Ports { echo, http });
    // it begins to connect with the first packet, and says nothing of it
    Client { name: "onetun", command, processes: &["onetun"], up: None, way }
}

/// Plays the far host until it is told to stop
fn serve(boringtun: &Path, ready: &Sender<()>, stopped: Receiver<()>) -> io::Result<()> {
    ip("link set lo up")?;
    let _peer = Peer::start(boringtun)?;
    let _device = Device::start()?;
    real_time().block_on(async {
        let server = Server::builder(1).serve(FAR).await?;
        // an Err of either says the same: nobody waits any more
        let _ = ready.send(());
        let _ = stopped.await;
        drop(server);
        Ok(())
    })
}

/// boringtun-cli, with a TUN device and the building's address on it
struct Peer {
    _program: Running,
    socket: PathBuf,
}

impl Peer {
    fn start(program: &Path) -> io::Result<Self> {
        // so that two runs on a machine do not meet: the socket is a file of the whole machine's
        let device = format!("side{}", process::id() % 10_000_000);
        let socket = Path::new("/var/run/wireguard").join(format!("{device}.sock"));
        let mut command = Command::new(program);
        command.args(["--foreground", "--disable-drop-privileges", &device]);
        let peer = Self { _program: Running(command.stdout(Stdio::null()).spawn()?), socket };
        peer.configure()?;
        ip(&format!("address add {DEVICE}/32 dev {device}"))?;
        ip(&format!("link set {device} mtu {MTU} up"))?;
        ip(&format!("route add {INNER}/32 dev {device}"))?;
        Ok(peer)
    }

    /// Tells it the keys, in the words of `WireGuard`'s cross-platform interface
    fn configure(&self) -> io::Result<()> {
        let mut stream = eventually(|| UnixStream::connect(&self.socket))?;
        let (private, public) = (PEER.in_hex, ONETUN.in_hex);
        write!(
            stream,
            "set=1\nprivate_key={private}\nlisten_port={WIREGUARD}\npublic_key={public}\n\
             allowed_ip={INNER}/32\n\n"
        )?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        if answer.trim() == "errno=0" {
            Ok(())
        } else {
            Err(wrong(&format!("boringtun: {answer}")))
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
    }
}

/// The lab's LAN device, at the address of the [`Peer`]
struct Device(#[expect(dead_code, reason = "lives as long as this")] Running);

impl Device {
    fn start() -> io::Result<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/interop/lab/lan-device");
        let mut command = Command::new("python3");
        command.arg(program).arg("1").stdout(Stdio::null()).stderr(Stdio::null());
        let device = Self(Running(command.spawn()?));
        eventually(|| TcpStream::connect((DEVICE, 80)))?;
        Ok(device)
    }
}

/// A program that is killed when dropped
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // it may have ended already
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tries until a program that was just started is there
fn eventually<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let begin = Instant::now();
    loop {
        match attempt() {
            Err(error) if begin.elapsed() > STARTED => return Err(error),
            Err(_) => sleep(STARTED / 200),
            Ok(done) => return Ok(done),
        }
    }
}

/// Sets something up on the host whose thread this is
fn ip(arguments: &str) -> io::Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output()?;
    let said = || io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned());
    if output.status.success() { Ok(()) } else { Err(said()) }
}

/// A key of an X25519 pair: boringtun's private one and onetun's public one in hexadecimal, and in
/// base64 what the other side needs of the pair, as each of the programs wants it
struct Key {
    in_hex: &'static str,
    in_base64: &'static str,
}

/// The peer's: private in hexadecimal, public in base64
const PEER: Key = Key {
    in_hex: "98e86c62bd6679a99b097bd2a5725341c39c54321f4cd93612b4cd9335adb87e",
    in_base64: "tosQVyBGciFQXdU+zKc6y+bHFEz0WgB+xIWfELC3VF8=",
};
/// onetun's: public in hexadecimal, private in base64
const ONETUN: Key = Key {
    in_hex: "4267e4a2c8c466a206249434a75c9e84135ab75f83eaa2d52b25d3c33a05195d",
    in_base64: "MJB8bmBgxfI7Pjv2cxSRaZwWVqzvbZFMQlQJKFU0v0o=",
};
/// UDP port of the peer
const WIREGUARD: u16 = 51820;
/// Who onetun is behind the peer
const INNER: &str = "192.168.2.2";
/// What onetun takes by itself
const MTU: u32 = 1420;
/// After it a program listens
const STARTED: Duration = Duration::from_secs(10);
