//! Ten thousand clients of a listener, all of them bad, over sockets of the loopback

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use pptp_connector::{
    daemon::Daemon,
    settings::ProxyKind,
    way_in::{Counters, Way},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use crate::{
    held, in_real_time,
    world::{World, configuration, until_up},
};

#[test]
fn bad_clients_of_a_tcp_forward_harm_nobody() {
    in_real_time(bad_clients(|way| is_forward(way, "b0", false), HTTP));
}

#[test]
fn bad_clients_of_a_socks_proxy_harm_nobody() {
    in_real_time(bad_clients(|way| is_proxy(way, ProxyKind::Socks), SOCKS));
}

#[test]
fn bad_clients_of_an_http_proxy_harm_nobody() {
    in_real_time(bad_clients(|way| is_proxy(way, ProxyKind::Http), ABSOLUTE));
}

#[test]
fn ten_thousand_clients_of_a_udp_forward_harm_nobody() {
    in_real_time(async {
        let attacked = Attacked::start().await;
        let (to, counters) = attacked.listener(|way| is_forward(way, "b0", true)).await;
        let neighbour = attacked.neighbour().await;
        let (before, mut most) = (held(), 0);
        for round in 0..ROUNDS {
            for number in 0..CLIENTS {
                let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                let datagram = chance(round * CLIENTS + number).to_be_bytes();
                client.send_to(&datagram, to).await.unwrap();
                if number % 50 == 0 {
                    // the daemon runs in this thread, too
                    sleep(Duration::from_millis(1)).await;
                }
                assert!(counters.now() <= PLACES, "{} clients", counters.now());
                most = most.max(held());
            }
        }
        // one more is served: the most silent one has gone
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let echoed = async {
            let mut answer = [0; 16];
            loop {
                client.send_to(b"hello", to).await.unwrap();
                let answered = timeout(Duration::from_secs(1), client.recv(&mut answer)).await;
                if let Ok(Ok(length)) = answered {
                    return length;
                }
            }
        };
        assert_eq!(timeout(PATIENCE, echoed).await.expect("an echo"), 5);
        // the latest clients keep their sockets for five minutes
        assert!(most < before + MOST, "{before} octets before, {most} at most");
        neighbour.end().await;
        attacked.end().await;
    });
}

/// As many as this process may have files for: they take all places, and most wait in the kernel
#[test]
fn ten_thousand_silent_clients_at_once_harm_nobody() {
    in_real_time(async {
        let files = raise_file_limit();
        let attacked = Attacked::start().await;
        let (to, counters) = attacked.listener(|way| is_proxy(way, ProxyKind::Socks)).await;
        let neighbour = attacked.neighbour().await;
        let before = held();
        let mut connects = JoinSet::new();
        for _ in 0..files.saturating_sub(FILES_BESIDE).min(ROUNDS * CLIENTS) {
            // what the kernel has no room for does not connect
            connects.spawn(timeout(Duration::from_secs(2), TcpStream::connect(to)));
        }
        let silent: Vec<_> = connects.join_all().await.into_iter().flatten().flatten().collect();
        assert!(silent.len() > PLACES, "only {} are connected", silent.len());
        assert!((1..=PLACES).contains(&counters.now()), "{} clients", counters.now());
        drop(silent);
        served(to, SOCKS).await;
        until_nobody(&counters).await;
        until_as_before(before).await;
        neighbour.end().await;
        attacked.end().await;
    });
}

/// Lets bad clients loose on a listener whose good ones send `whole`
async fn bad_clients(is_it: impl Fn(&Way) -> bool, whole: &'static [u8]) {
    let attacked = Attacked::start().await;
    let (to, counters) = attacked.listener(is_it).await;
    let neighbour = attacked.neighbour().await;
    let (before, mut most) = (held(), 0);
    for round in 0..ROUNDS {
        let (at_once, mut clients) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for number in 0..CLIENTS {
            let place = Arc::clone(&at_once).acquire_owned().await.unwrap();
            clients.spawn(async move {
                // that it breaks off is what it is for
                let _ = bad_client(to, whole, chance(round * CLIENTS + number)).await;
                drop(place);
            });
            assert!(counters.now() <= PLACES, "{} clients", counters.now());
            while clients.try_join_next().is_some() {}
            most = most.max(attacked.inner_connections());
        }
        clients.join_all().await;
        served(to, whole).await;
        until_nobody(&counters).await;
    }
    assert!(counters.accepted() > ROUNDS * CLIENTS / 2, "{} came", counters.accepted());
    // those that are served, and those that are still flushed
    assert!(most <= 4 * PLACES, "{most} inner connections");
    until_as_before(before).await;
    neighbour.end().await;
    attacked.end().await;
}

/// A client that sends rubbish, or half of what it should, or slowly, or resets its connection
async fn bad_client(to: SocketAddr, whole: &[u8], chance: u64) -> io::Result<()> {
    let mut stream = timeout(PATIENCE, TcpStream::connect(to)).await??;
    let length = usize::try_from(chance >> 32).unwrap_or_default();
    match chance % 4 {
        0 => {
            let rubbish: Vec<_> =
                (0..length as u64 % 2000).map(|n| random(chance ^ n).to_le_bytes()[0]).collect();
            stream.write_all(&rubbish).await?;
        }
        1 => {
            stream.write_all(&whole[..length % whole.len()]).await?;
            stream.shutdown().await?;
        }
        2 => {
            for octet in &whole[..length % whole.len()] {
                stream.write_all(&[*octet]).await?;
                sleep(Duration::from_millis(2)).await;
            }
        }
        _ => return stream.set_zero_linger(),
    }
    let mut answer = Vec::new();
    timeout(Duration::from_millis(50), stream.read_to_end(&mut answer)).await??;
    Ok(())
}

/// Asks as a good client until the building has answered
async fn served(to: SocketAddr, whole: &[u8]) {
    let asked = async {
        while !is_answered(to, whole).await.unwrap_or_default() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, asked).await.expect("the listener serves again");
}

async fn is_answered(to: SocketAddr, whole: &[u8]) -> io::Result<bool> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(whole).await?;
    let mut answer = Vec::new();
    while !contains(&answer, b"building 1") && !contains(&answer, b"building 2") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|it| it == part)
}

/// Waits until a listener has no client
async fn until_nobody(counters: &Counters) {
    let gone = async {
        while counters.now() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let gone = timeout(PATIENCE, gone).await;
    assert!(gone.is_ok(), "{} clients are still there", counters.now());
}

/// Waits until the heap is as it was: buildings remember connections for a while that their clients gave up
async fn until_as_before(before: usize) {
    let forgotten = async {
        while held() > before + SLACK {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let forgotten = timeout(2 * PATIENCE, forgotten).await;
    assert!(forgotten.is_ok(), "{before} octets before, {} after", held());
}

/// A daemon with a listener of each kind, and a neighbour beside each
struct Attacked {
    daemon: Arc<Daemon>,
    world: World,
}

impl Attacked {
    async fn start() -> Self {
        let world = World::new(2, Duration::ZERO);
        let sites = configuration(2, 2, |site| match site {
            0 => forward(0, "tcp:192.168.1.3:80") + &forward(0, "udp:192.168.1.3:7"),
            _ => forward(1, "tcp:192.168.1.3:80"),
        });
        let proxy = |kind| format!("[[proxy]]\n{kind} = \"127.0.0.1:0\"\nconnections = {PLACES}\n");
        world.write(&format!("{}{}{sites}", proxy("socks"), proxy("http")));
        let daemon = world.start().await;
        for site in ["b0", "b1"] {
            until_up(&daemon, site).await;
        }
        Self { daemon, world }
    }

    async fn listener(&self, is_it: impl Fn(&Way) -> bool) -> (SocketAddr, Arc<Counters>) {
        let all = self.daemon.ways().status().await;
        let one = all.into_iter().find(|listener| is_it(&listener.way)).expect("the listener");
        (one.bound.expect("a port"), one.counters)
    }

    /// Returns the TCP connections inside of the site, those that are still flushed included
    fn inner_connections(&self) -> usize {
        let lease = self.daemon.fleet().site("b0").unwrap().lease().expect("it is up");
        // without a socket there is no stack
        lease.stats().stack.map_or(0, |stack| stack.connections)
    }

    async fn neighbour(&self) -> Neighbour {
        let (to, _) = self.listener(|way| is_forward(way, "b1", false)).await;
        let has_to_end = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&has_to_end);
        let asking = tokio::spawn(async move {
            let mut asked = 0_u32;
            while !ends.load(Relaxed) || asked == 0 {
                let answered = timeout(PATIENCE, is_answered(to, HTTP)).await;
                assert!(answered.expect("an answer in time").expect("an answer"));
                asked += 1;
                sleep(Duration::from_millis(20)).await;
            }
        });
        Neighbour { has_to_end, asking }
    }

    async fn end(self) {
        for site in ["b0", "b1"] {
            let state = self.daemon.fleet().site(site).unwrap().state();
            assert!(state.borrow().is_up(), "{site}: {:?}", *state.borrow());
        }
        assert!(self.daemon.shut_down().await);
        drop(self.world);
    }
}

/// A client of another site's forward, which asks again and again
struct Neighbour {
    has_to_end: Arc<AtomicBool>,
    asking: JoinHandle<()>,
}

impl Neighbour {
    /// Ends it; each of its requests has been answered
    async fn end(self) {
        self.has_to_end.store(true, Relaxed);
        self.asking.await.unwrap();
    }
}

fn forward(site: u32, to: &str) -> String {
    format!(
        "[[site.b{site}.forward]]\nlisten = \"127.0.0.1:0\"\nto = \"{to}\"\nconnections = {PLACES}\n"
    )
}

fn is_forward(way: &Way, name: &str, is_udp: bool) -> bool {
    matches!(way, Way::Forward { site, .. } if site.as_str() == name) && way.is_udp() == is_udp
}

fn is_proxy(way: &Way, kind: ProxyKind) -> bool {
    matches!(way, Way::Proxy(proxy) if proxy.kind == kind)
}

/// Raises the limit of open files as far as it goes; returns it
fn raise_file_limit() -> u64 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    maximum.unwrap_or(u64::MAX)
}

/// The chance of a client, which is the same in each run
fn chance(client: u64) -> u64 {
    random(random(client))
}

/// `SplitMix64`
fn random(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    seed ^ (seed >> 31)
}

const HTTP: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

const SOCKS: &[u8] = b"\x05\x01\x02\x01\x02b0\x01x\x05\x01\x00\x01\xc0\xa8\x01\x03\x00\x50\
    GET / HTTP/1.0\r\n\r\n";

const ABSOLUTE: &[u8] =
    b"GET http://192.168.1.3.b0.pptp.internal/ HTTP/1.1\r\nHost: 192.168.1.3.b0.pptp.internal\r\n\r\n";

/// Bad clients of a round: ten thousand in all
const CLIENTS: u64 = 5000;
const ROUNDS: u64 = 2;

/// Bad clients at once: more than a listener has places
const AT_ONCE: usize = 200;

/// The connections of each listener
const PLACES: usize = 64;

/// Files of this process beside clients that are silent
const FILES_BESIDE: u64 = 1000;

/// What the heap may grow by while they are there
const MOST: usize = 64 << 20;

/// What the heap may have grown by afterwards: the connections of the neighbour, and tables that keep their room
///
/// 1.4 MiB were seen. What 10,000 clients leave behind for good would be more from 400 octets each on.
const SLACK: usize = 4 << 20;

/// A deadline for what takes milliseconds on a machine without other work
const PATIENCE: Duration = Duration::from_mins(1);
