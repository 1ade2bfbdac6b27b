//! What comes together is dealt with together: acknowledgments and wakes for eight segments
//!
//! In memory and in virtual time, so that the eight are queued when the driver looks.

use std::{
    future::poll_fn,
    io,
    net::Ipv4Addr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use pptp::{
    Client, TunnelConfig,
    net::{TcpOptions, TcpStream},
};
use pptp_testkit::{DEVICE, Server, memory::Network};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    time::sleep,
};

use crate::{Figure, Goal, servers};

/// All figures of batches
pub fn figures() -> Vec<Figure> {
    let counted = servers::virtual_time().block_on(count()).expect("a network in memory");
    let figure = |name, count: u32, most, what| {
        let value = f64::from(count) / f64::from(BATCHES);
        let detail = format!("{what} for 8 segments of a download that are queued");
        Figure { name, value, goal: Goal::AtMost(most), detail }
    };
    vec![
        figure("batches/acknowledgments", counted.sent, 2.0, "datagrams sent"),
        figure("batches/wakes", counted.wakes, 1.0, "wakes of the reader"),
    ]
}

struct Counted {
    sent: u32,
    wakes: u32,
}

async fn count() -> io::Result<Counted> {
    let network = Network::new(1);
    network.set_latency(Duration::from_millis(10));
    let [server, client] = [1, 2].map(|host| Ipv4Addr::new(10, 99, 0, host));
    let server = Server::builder(1).serve_memory(&network, server)?;
    let client =
        Client::builder().memory(network.host(client)).build().map_err(io::Error::other)?;
    let config = TunnelConfig::new(server.address().to_string(), "testuser", "test123");
    let tunnel = client.connect(config).await.map_err(io::Error::other)?;
    let listener = server.net().tcp_listen((DEVICE, PORT).into(), 1, TcpOptions::default())?;
    let stream = tunnel.tcp_connect((DEVICE, PORT)).await?;
    let (mut source, _) = listener.accept().await?;
    let wakes = Arc::new(AtomicU32::new(0));
    tokio::spawn(read(stream, Arc::clone(&wakes)));
    source.write_all(&vec![0; WARM_UP]).await?;
    sleep(APART).await;

    let sent = || {
        let gre = tunnel.stats().tunnel.gre;
        gre.sealed + u64::from(gre.acknowledgments_sent)
    };
    let before = (sent(), wakes.swap(0, Ordering::Relaxed));
    let eight = vec![0; 8 * (usize::from(tunnel.info().mtu) - TCP_IP)];
    for _ in 0..BATCHES {
        source.write_all(&eight).await?;
        sleep(APART).await;
    }
    let sent = u32::try_from(sent() - before.0).map_err(io::Error::other)?;
    Ok(Counted { sent, wakes: wakes.load(Ordering::Relaxed) })
}

/// A waker that counts
struct Counting {
    task: Waker,
    wakes: Arc<AtomicU32>,
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.task.wake_by_ref();
    }
}

/// Reads to the end and counts how often it is woken
async fn read(mut stream: TcpStream, wakes: Arc<AtomicU32>) -> io::Result<()> {
    let mut octets = vec![0; 64 << 10];
    loop {
        let mut buffer = ReadBuf::new(&mut octets);
        let read = poll_fn(|cx| {
            let (task, wakes) = (cx.waker().clone(), Arc::clone(&wakes));
            let waker = Arc::new(Counting { task, wakes }).into();
            Pin::new(&mut stream).poll_read(&mut Context::from_waker(&waker), &mut buffer)
        });
        read.await?;
        if buffer.filled().is_empty() {
            return Ok(());
        }
    }
}

/// Batches of eight segments
const BATCHES: u32 = 100;
/// Time between them
const APART: Duration = Duration::from_secs(1);
/// Octets after which the sender's window takes eight segments
const WARM_UP: usize = 1 << 20;
/// Octets of the headers of TCP and IP without options
const TCP_IP: usize = 40;
/// Of the building's device
const PORT: u16 = 1000;
