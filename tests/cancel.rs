//! Every future of the public API, dropped at each of its await points
//!
//! Each is polled once and dropped, polled twice and dropped, and so on until it ends. After each drop
//! the tunnel goes on, and after all of them the heap holds what it held: no socket, no task, no waker
//! is left behind.

use std::{
    alloc::System, fmt, future::poll_fn, io, net::Ipv4Addr, pin::pin, task::Poll, time::Duration,
};

use pptp::{Tunnel, net::UdpSocket};
use pptp_test_support::heap;
use pptp_testkit::{BLACK_HOLE, DEVICE, Net, Server, TcpOptions};
use pptp_tests::{World, address_of, config, get};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    time::{sleep, timeout},
};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Octets on the heap
fn held() -> usize {
    heap::held(HEAP)
}

/// An executor that counts: polls at most so many times, then drops; `None` if it came to that
async fn dropped_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), polls);
    let counted = poll_fn(move |context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    });
    // one that waits for what never comes has no further await points
    timeout(Duration::from_mins(1), counted).await.ok().flatten()
}

/// A tunnel to try things on
struct Ground {
    world: World,
    building: Server,
    tunnel: Tunnel,
}

impl Ground {
    async fn new() -> Self {
        let world = World::new(5);
        let building = world.building(1);
        let tunnel = world.connect(&building).await;
        Self { world, building, tunnel }
    }

    /// The tunnel goes on, and nothing else is there
    async fn goes_on(&self, what: &str) {
        let page = timeout(Duration::from_secs(5), get(&self.tunnel, "/")).await;
        assert_eq!(page.expect(what).expect(what), b"building 1\n", "{what}");
        let alone = self.building.until(|stats| stats.connections == 1);
        timeout(Duration::from_secs(10), alone).await.expect(what);
    }

    /// Drops what `make` makes at each of its await points; returns how many there are
    async fn drops<'a, F: Future<Output: fmt::Debug>>(
        &'a self,
        what: &str,
        make: impl Fn(&'a Self) -> F,
    ) -> usize {
        for polls in 1..=MOST {
            let ended = dropped_after(polls, make(self)).await.is_some();
            self.goes_on(&format!("{what}, dropped after {polls} polls")).await;
            if ended {
                return polls - 1;
            }
        }
        MOST
    }

    /// Again and again, until a time leaves nothing on the heap: the first ones leave room in lists
    /// that are there to stay, and a leak comes each time
    async fn leaves_nothing<'a, F: Future<Output: fmt::Debug>>(
        &'a self,
        what: &str,
        make: impl Fn(&'a Self) -> F,
    ) {
        let mut before = usize::MAX;
        for _ in 0..TIMES {
            let clients = self.building.stats().connections_ever;
            let points = self.drops(what, &make).await;
            assert!(points > 0, "{what} never waits");
            // longer than a closed connection lingers
            sleep(Duration::from_secs(130)).await;
            self.goes_on(what).await;
            sleep(Duration::from_secs(130)).await;
            let clients = self.building.stats().connections_ever - clients;
            let slack = SLACK + RECORD * usize::try_from(clients).expect("few");
            let now = held();
            if before.saturating_add(slack) >= now && before < usize::MAX {
                return;
            }
            before = now;
        }
        panic!("{what} leaves something each time: {before} octets by now");
    }
}

#[tokio::test(start_paused = true)]
async fn every_future_may_be_dropped_at_each_of_its_await_points() {
    let ground = Ground::new().await;
    connecting(&ground).await;
    questions(&ground).await;
    streams(&ground).await;
    datagrams(&ground).await;
    listening(&ground).await;
    waiting(&ground).await;
    packets(&ground).await;
    closing(async |it| it.tunnel.close().await).await;
    closing(async |it| it.world.client.close().await).await;
}

async fn connecting(ground: &Ground) {
    let dial = |ground: &Ground| ground.world.client.connect(config(address_of(1)));
    ground.leaves_nothing("a connect", dial).await;
    let nowhere = Ipv4Addr::new(10, 99, 0, 99);
    ground.leaves_nothing("no connect", |it| it.world.client.connect(config(nowhere))).await;
}

async fn questions(ground: &Ground) {
    let wait = Duration::from_secs(1);
    ground.leaves_nothing("ping", |it| it.tunnel.ping(DEVICE, wait)).await;
    ground.leaves_nothing("ping into nothing", |it| it.tunnel.ping(BLACK_HOLE, wait)).await;
    ground.leaves_nothing("lookup_host", |it| it.tunnel.lookup_host("knx.lan")).await;
    ground.leaves_nothing("lookup of no name", |it| it.tunnel.lookup_host("no.lan")).await;
    ground.leaves_nothing("lookup_txt over TCP", |it| it.tunnel.lookup_txt("big.lan")).await;
}

async fn streams(ground: &Ground) {
    ground.leaves_nothing("tcp_connect", |it| it.tunnel.tcp_connect((DEVICE, 80))).await;
    ground.leaves_nothing("by name", |it| it.tunnel.tcp_connect("knx.lan:80")).await;
    ground.leaves_nothing("refused", |it| it.tunnel.tcp_connect((DEVICE, 81))).await;
    ground.leaves_nothing("into nothing", |it| it.tunnel.tcp_connect((BLACK_HOLE, 80))).await;
    ground.leaves_nothing("echo", |it| echo(&it.tunnel)).await;
    ground.leaves_nothing("echo of halves", |it| echo_of_halves(&it.tunnel)).await;
    ground.leaves_nothing("a write that waits", |it| full(&it.tunnel)).await;
    reads_lose_nothing(&ground.tunnel).await;
}

async fn echo(tunnel: &Tunnel) -> io::Result<()> {
    let mut stream = tunnel.tcp_connect((DEVICE, 7)).await?;
    stream.write_all(&[7; 3000]).await?;
    stream.readable().await?;
    stream.writable().await?;
    stream.ready(Interest::READABLE).await?;
    let mut octets = vec![0; 3000];
    stream.peek(&mut octets).await?;
    stream.read_exact(&mut octets).await?;
    stream.shutdown().await?;
    assert_eq!(stream.read(&mut octets).await?, 0);
    Ok(())
}

async fn echo_of_halves(tunnel: &Tunnel) -> io::Result<()> {
    let (mut reads, mut writes) = tunnel.tcp_connect((DEVICE, 7)).await?.into_split();
    writes.writable().await?;
    writes.write_all(&[7; 3000]).await?;
    writes.shutdown().await?;
    reads.readable().await?;
    let mut octets = Vec::new();
    reads.read_to_end(&mut octets).await?;
    assert_eq!(octets.len(), 3000);
    Ok(())
}

/// More than all buffers hold, and then a reset
async fn full(tunnel: &Tunnel) -> io::Result<()> {
    let mut stream = tunnel.tcp_connect((DEVICE, 7)).await?;
    let octets = vec![7; 1 << 20];
    let filled = timeout(Duration::from_millis(200), stream.write_all(&octets)).await;
    assert!(filled.is_err(), "nobody reads the echo");
    stream.abort();
    Ok(())
}

/// A read that is dropped has taken nothing, and a write that is dropped has written nothing
async fn reads_lose_nothing(tunnel: &Tunnel) {
    let mut stream = tunnel.tcp_connect((DEVICE, 7)).await.unwrap();
    let sent = (0..200_000_u32).flat_map(u32::to_be_bytes).collect::<Vec<_>>();
    let (mut written, mut got) = (0, Vec::new());
    let (mut reads, mut writes) = stream.split();
    for round in 0.. {
        assert!(round < 100_000, "{written} written, {} read", got.len());
        if let Some(count) = dropped_after(1, writes.write(&sent[written..])).await {
            written += count.unwrap();
        }
        let mut piece = [0; 1000];
        match dropped_after(1, reads.read(&mut piece)).await {
            Some(count) => got.extend_from_slice(&piece[..count.unwrap()]),
            None => sleep(Duration::from_millis(1)).await,
        }
        if got.len() == sent.len() {
            break;
        }
    }
    assert!(got == sent, "octets are lost, doubled or changed");
}

async fn datagrams(ground: &Ground) {
    ground.leaves_nothing("datagrams", |it| datagram(&it.tunnel)).await;
    ground.leaves_nothing("a datagram from nobody", |it| nobody(&it.tunnel)).await;
}

async fn datagram(tunnel: &Tunnel) -> io::Result<()> {
    let socket: UdpSocket = tunnel.udp_bind(0)?;
    let mut answer = [0; 10];
    socket.send_to(b"question", "knx.lan:7").await?;
    socket.readable().await?;
    socket.peek_from(&mut answer).await?;
    socket.recv_from(&mut answer).await?;
    socket.connect((DEVICE, 7)).await?;
    socket.writable().await?;
    socket.send(b"another").await?;
    socket.peek(&mut answer).await?;
    socket.recv(&mut answer).await?;
    Ok(())
}

async fn nobody(tunnel: &Tunnel) -> io::Result<usize> {
    tunnel.udp_bind(0)?.recv(&mut [0; 10]).await
}

async fn listening(ground: &Ground) {
    ground.leaves_nothing("accept", accepted).await;
}

/// The building opens a connection to the client, which accepts it
async fn accepted(ground: &Ground) -> io::Result<()> {
    let listener = ground.tunnel.tcp_listen(0, 1)?;
    let client = (ground.tunnel.info().inner_address, listener.local_addr()?.port());
    let net: Net = ground.building.net();
    let (accepted, connected) =
        tokio::join!(listener.accept(), net.tcp_connect(client, TcpOptions::default()));
    accepted?;
    connected?;
    Ok(())
}

async fn waiting(ground: &Ground) {
    ground.leaves_nothing("closed", |it| it.tunnel.closed()).await;
    ground.leaves_nothing("wait_idle", |it| it.world.client.wait_idle()).await;
    ground.leaves_nothing("hung_up", |it| it.tunnel.hung_up()).await;
    ground.leaves_nothing("a beat", |it| it.world.client.beat()).await;
    let changed = async |ground: &Ground| ground.tunnel.state().changed().await.is_ok();
    ground.leaves_nothing("a change of state", changed).await;
}

/// On a tunnel of its own, since it takes the sockets away
async fn packets(ground: &Ground) {
    ground.leaves_nothing("IP packets", packet).await;
}

async fn packet(ground: &Ground) -> io::Result<()> {
    let tunnel = ground.world.dial(&ground.building).await.map_err(io::Error::other)?;
    let packets = tunnel.ip_packets()?;
    // not IP at all, which the server drops, until all that may wait is full
    for _ in 0..200 {
        packets.send(&[0; 100]).await?;
    }
    let silence = timeout(Duration::from_millis(100), packets.recv(&mut [0; 1500])).await;
    assert!(silence.is_err());
    drop(packets);
    tunnel.close().await;
    Ok(())
}

/// A hang-up goes on when nobody waits for it any more
async fn closing(close: impl AsyncFn(&Ground)) {
    for polls in 1..20 {
        let ground = Ground::new().await;
        let ended = dropped_after(polls, close(&ground)).await;
        let (idle, gone) = (ground.building.idle(), ground.world.client.wait_idle());
        timeout(Duration::from_secs(9), gone).await.expect("the tunnel ends");
        timeout(Duration::from_secs(9), idle).await.expect("the server knows");
        assert!(ground.building.stats().ended[0].is_clean(), "after {polls} polls");
        if ended.is_some() {
            return;
        }
    }
    panic!("a hang-up has fewer await points");
}

/// Await points that are tried; a transfer has more, which are alike
const MOST: usize = 60;

/// Times after which the lists have found their size
const TIMES: usize = 16;

/// What the server remembers of a client that is gone; a tunnel holds some kilobytes
const RECORD: usize = 512;

/// What the allocator's own figures may be off by, and a deadline that moved
const SLACK: usize = 512;
