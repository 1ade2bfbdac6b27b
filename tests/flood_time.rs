//! In real time: what a flood takes of the driver's processor
//!
//! Somebody sends GRE in the server's name as fast as they can, and the time that the driver's thread
//! used is read from the kernel, so that what else the machine does matters little. In memory for
//! everybody; with root, `unshare` and `PPTP_INTEROP=1` through raw sockets in a network namespace.

#![cfg(target_os = "linux")]

use std::{
    net::Ipv4Addr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};
use pptp::{Client, ClientBuilder, Tunnel, TunnelConfig};
use pptp_gre_socket::{
    EitherSocket, GreSocket, Outgoing, RawSocket, ReceiveBatch, SendBatch, SocketOptions,
};
use pptp_testkit::{
    DEVICE, Server,
    memory::{MemorySocket, Network},
};
use tokio::{
    runtime::Builder,
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// What a flood may take of the driver's processor
const SHARE: f64 = 0.20;

/// Until a flood has used up what the driver lets pass at first, 20 ms of its time
const WARMING_UP: Duration = Duration::from_millis(200);

/// So long it is measured
const FLOOD: Duration = Duration::from_millis(400);

/// A network, real or in memory
#[derive(Clone)]
enum Ground {
    Memory(Network),
    Kernel,
}

impl Ground {
    fn socket(&self, address: Ipv4Addr) -> EitherSocket<RawSocket, MemorySocket> {
        match self {
            Self::Memory(network) => EitherSocket::Second(network.host(address).open_gre()),
            Self::Kernel => {
                let local_address = Some(address);
                let options = SocketOptions { local_address, ..SocketOptions::default() };
                EitherSocket::First(RawSocket::open(&options).expect("root"))
            }
        }
    }

    async fn serve(&self) -> Server {
        let builder = Server::builder(1);
        match self {
            Self::Memory(network) => builder.serve_memory(network, SERVER),
            Self::Kernel => builder.serve(SERVER).await,
        }
        .expect("a server")
    }

    fn client(&self) -> ClientBuilder {
        match self {
            Self::Memory(network) => Client::builder().memory(network.host(CLIENT)),
            Self::Kernel => Client::builder().local_address(CLIENT),
        }
    }
}

fn block_on<R>(body: impl Future<Output = R>) -> R {
    Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(body)
}

/// The time that this thread has used
fn used() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock").into()
}

/// A driver with a thread of its own, which tells what time it has used
struct Driver {
    client: Client,
    tunnel: Tunnel,
    ask: mpsc::Sender<oneshot::Sender<Duration>>,
}

impl Driver {
    async fn start(ground: &Ground) -> Self {
        let (ask, mut asked) = mpsc::channel::<oneshot::Sender<Duration>>(1);
        let (up, is_up) = oneshot::channel();
        let ground = ground.clone();
        thread::spawn(move || {
            block_on(async move {
                let client = ground.client().build().expect("a client");
                let config = TunnelConfig::new(SERVER.to_string(), "testuser", "test123");
                let tunnel = client.connect(config).await.expect("a tunnel");
                up.send((client, tunnel)).unwrap_or_else(|_| panic!("nobody waits"));
                while let Some(answer) = asked.recv().await {
                    answer.send(used()).expect("somebody asks");
                }
            });
        });
        let (client, tunnel) = is_up.await.expect("up");
        Self { client, tunnel, ask }
    }

    async fn used(&self) -> Duration {
        let (answer, answered) = oneshot::channel();
        self.ask.send(answer).await.expect("it lives");
        answered.await.expect("an answer")
    }
}

/// Makes the next forged datagram of a call; the number counts them
type Forge = fn(call_id: u16, number: u32) -> Vec<u8>;

fn datagram(call_id: u16, sequence: u32, frame: &[u8]) -> Vec<u8> {
    let length = u16::try_from(frame.len()).expect("a frame").to_be_bytes();
    let call_id = call_id.to_be_bytes();
    [&[0x30, 0x01, 0x88, 0x0B][..], &length, &call_id, &sequence.to_be_bytes(), frame].concat()
}

/// 28 octets of noise behind MPPE's header: 64 octets with Ethernet's and IP's headers
fn encrypted(call_id: u16, sequence: u32, count: u32) -> Vec<u8> {
    let [.., high, low] = (0x9000 | count & 0xFFF).to_be_bytes();
    datagram(call_id, sequence, &[&[0, 0xFD, high, low][..], &[0x5A; 14]].concat())
}

const KINDS: [(&str, Forge); 6] = [
    ("a call that there is not", |call_id, number| encrypted(call_id ^ 1, number, number)),
    ("what looks like the next packet", |call_id, number| encrypted(call_id, 50 + number, 0)),
    ("any coherency count", |call_id, number| encrypted(call_id, 50 + number, number * 1237)),
    ("counts that agree, far ahead", |call_id, number| {
        encrypted(call_id, 1_000_000 + number, 3000 + number)
    }),
    ("LCP Echo-Requests", |call_id, number| {
        let [.., id] = number.to_be_bytes();
        let echo = [0xFF, 3, 0xC0, 0x21, 9, id, 0, 8, 1, 2, 3, 4];
        datagram(call_id, 50 + number, &echo)
    }),
    ("acknowledgments", |call_id, number| {
        let head = [0x20, 0x81, 0x88, 0x0B, 0, 0];
        [&head[..], &call_id.to_be_bytes(), &number.to_be_bytes()].concat()
    }),
];

/// Sends in the server's name as fast as it can, on a thread of its own
struct Flood {
    sent: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Flood {
    fn start(ground: &Ground, call_id: u16, forge: Forge) -> Self {
        let (sent, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (ground, counter, is_over) = (ground.clone(), Arc::clone(&sent), Arc::clone(&over));
        let thread = thread::spawn(move || {
            block_on(async move {
                let (mut socket, mut batch) = (ground.socket(SERVER), SendBatch::new(64));
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    while let Some(mut packet) = batch.take_slot() {
                        let octets = forge(call_id, number);
                        packet.reset(octets.len()).copy_from_slice(&octets);
                        batch.push(Outgoing { packet, destination: CLIENT, source: None, tag: 0 });
                        number += 1;
                    }
                    while !socket.send(&mut batch, |_, _| ()).expect("sent") {
                        socket.writable().await.expect("a socket");
                    }
                    counter.store(number.into(), Ordering::Relaxed);
                }
            });
        });
        Self { sent, over, thread: Some(thread) }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(thread::JoinHandle::join);
        assert!(ended.is_some_and(|ended| ended.is_ok()) || thread::panicking());
    }
}

/// The Call ID in the datagrams for the client, as somebody on the way sees it
async fn call_id_of(ground: &Ground, driver: &Driver) -> u16 {
    let mut ear = ground.socket(CLIENT);
    let mut batch = ReceiveBatch::new();
    let talk = driver.tunnel.udp_bind(0).expect("a socket");
    talk.send_to(b"hello", (DEVICE, 7)).await.expect("sent");
    loop {
        ear.readable().await.expect("a socket");
        ear.receive(&mut batch).expect("a socket");
        if let Some(datagram) = batch.datagrams().find(|datagram| datagram.source == SERVER) {
            return u16::from_be_bytes([datagram.gre[6], datagram.gre[7]]);
        }
    }
}

/// The share of the driver's processor that a flood takes; datagrams and packets a second that came
async fn share(ground: &Ground, driver: &Driver, call_id: u16, forge: Forge) -> (f64, f64) {
    let flood = Flood::start(ground, call_id, forge);
    sleep(WARMING_UP).await;
    let (before, sent, began) = (driver.used().await, flood.sent(), Instant::now());
    sleep(FLOOD).await;
    let used = driver.used().await.saturating_sub(before);
    let sent = u32::try_from(flood.sent() - sent).expect("32 bits");
    let took = began.elapsed().as_secs_f64();
    (used.as_secs_f64() / took, f64::from(sent) / took)
}

/// Whether the tunnel still carries something
async fn goes_on(tunnel: &Tunnel) -> bool {
    let socket = tunnel.udp_bind(0).expect("a socket");
    for _ in 0..50 {
        socket.send_to(b"good", (DEVICE, 7)).await.expect("sent");
        if timeout(Duration::from_millis(200), socket.recv(&mut [0; 64])).await.is_ok() {
            return true;
        }
    }
    false
}

async fn floods(ground: Ground) {
    let _server = ground.serve().await;
    let driver = Driver::start(&ground).await;
    let call_id =
        timeout(Duration::from_secs(5), call_id_of(&ground, &driver)).await.expect("heard");
    for (what, forge) in KINDS {
        let mut least = f64::MAX;
        for _ in 0..3 {
            let (share, rate) = share(&ground, &driver, call_id, forge).await;
            println!("{what}: {rate:.0} a second take {:.1} %", 100.0 * share);
            least = least.min(share);
            if least <= SHARE {
                break;
            }
        }
        assert!(least <= SHARE, "{what}: {:.1} %", 100.0 * least);
        assert!(goes_on(&driver.tunnel).await, "{what}: nothing arrives any more");
    }
    println!("{:?}", driver.client.stats());
}

#[test]
fn a_flood_takes_a_fifth_of_the_driver_at_most() {
    block_on(floods(Ground::Memory(Network::new(1))));
}

#[test]
fn a_flood_through_the_kernel_takes_a_fifth_of_the_driver_at_most() {
    const TEST: &str = "a_flood_through_the_kernel_takes_a_fifth_of_the_driver_at_most";
    if std::env::var_os(INSIDE).is_some() {
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(up.expect("ip").success());
        return block_on(floods(Ground::Kernel));
    }
    if !nix::unistd::geteuid().is_root() || std::env::var("PPTP_INTEROP").as_deref() != Ok("1") {
        return println!("{TEST} did nothing: it needs root and PPTP_INTEROP=1");
    }
    let program = std::env::current_exe().expect("a program");
    let mut command = Command::new("unshare");
    command.arg("--net").arg(program).args([TEST, "--exact", "--nocapture"]).env(INSIDE, "1");
    assert!(command.status().expect("unshare").success());
}

/// Set in the process that has a network namespace of its own
const INSIDE: &str = "PPTP_FLOOD_INSIDE";
