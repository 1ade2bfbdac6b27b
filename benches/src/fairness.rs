//! Who gets how much of a line that is not enough for all
//!
//! In memory and in virtual time, over a line that loses nothing: it takes what a send buffer holds
//! and lets everybody wait. So the shares are those which the driver and the stack deal out.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use pptp::{
    Client, TunnelConfig,
    net::{TcpOptions, TcpStream},
};
use pptp_testkit::{DEVICE, Server, memory::Network};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

use crate::{Figure, Goal, servers};

/// All figures of fairness
pub fn figures() -> Vec<Figure> {
    let mut greedy = [1; TUNNELS];
    greedy[TUNNELS / 2] = SOCKETS;
    let sockets = |direction| moved(&[SOCKETS], direction).into_values().collect::<Vec<_>>();
    vec![
        figure("fairness/sockets-upload", &sockets(Direction::Upload)),
        figure("fairness/sockets-download", &sockets(Direction::Download)),
        figure("fairness/greedy-tunnel", &by_tunnel(&moved(&greedy, Direction::Upload))),
    ]
}

fn figure(name: &'static str, shares: &[f64]) -> Figure {
    let fair = shares.iter().sum::<f64>() / shares.iter().map(|_| 1.0).sum::<f64>();
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min) / fair;
    let most = shares.iter().copied().fold(0.0, f64::max) / fair;
    let detail = format!("of a fair share the least has {least:.2}, the most {most:.2}");
    Figure { name, value: most.max(1.0 / least), goal: Goal::AtMost(2.0), detail }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Upload,
    Download,
}

/// Octets that arrived, by the client's end of the connection
type Moved = HashMap<SocketAddr, f64>;

/// The sums of each tunnel, which has an inner address of its own
fn by_tunnel(moved: &Moved) -> Vec<f64> {
    let mut sums = HashMap::new();
    for (end, octets) in moved {
        *sums.entry(end.ip()).or_insert(0.0) += octets;
    }
    sums.into_values().collect()
}

/// What so many busy sockets in each tunnel move
fn moved(sockets: &[usize], direction: Direction) -> Moved {
    servers::virtual_time().block_on(compete(sockets, direction)).expect("a network in memory")
}

async fn compete(sockets: &[usize], direction: Direction) -> io::Result<Moved> {
    let network = Network::new(1);
    network.set_latency(Duration::from_millis(10));
    let [near, far] = [1, 2].map(|host| network.host(Ipv4Addr::new(10, 99, 0, host)));
    let bottleneck = if direction == Direction::Upload { near.clone() } else { far.clone() };
    let server = Server::builder(1).serve_memory(&network, far.address())?;
    let client = Client::builder().memory(near).build().map_err(io::Error::other)?;
    let listener = server.net().tcp_listen((DEVICE, PORT).into(), 64, TcpOptions::default())?;
    let moved = Arc::new(Mutex::new(Moved::new()));
    let counting = Arc::clone(&moved);
    tokio::spawn(async move {
        while let Ok((stream, end)) = listener.accept().await {
            keep_busy(stream, end, direction == Direction::Upload, &counting);
        }
    });
    let mut streams = Vec::new();
    for sockets in sockets {
        let config = TunnelConfig::new(server.address().to_string(), "testuser", "test123");
        let tunnel = client.connect(config).await.map_err(io::Error::other)?;
        for _ in 0..*sockets {
            streams.push(tunnel.tcp_connect((DEVICE, PORT)).await?);
        }
    }
    bottleneck.limit_gre(NonZeroU32::new(LINE));
    for stream in streams {
        let end = stream.local_addr()?;
        keep_busy(stream, end, direction == Direction::Download, &moved);
    }
    sleep(WARM_UP).await;
    moved.lock().expect("no panic").values_mut().for_each(|octets| *octets = 0.0);
    sleep(MEASURED).await;
    let moved = moved.lock().expect("no panic").clone();
    Ok(moved)
}

/// Reads and counts what comes, or writes without end
fn keep_busy(mut stream: TcpStream, end: SocketAddr, reads: bool, moved: &Arc<Mutex<Moved>>) {
    let moved = Arc::clone(moved);
    tokio::spawn(async move {
        let mut piece = [0; 4096];
        loop {
            if !reads {
                stream.write_all(&piece).await?;
                continue;
            }
            let count = stream.read(&mut piece).await?;
            let octets = f64::from(u16::try_from(count).map_err(io::Error::other)?);
            *moved.lock().expect("no panic").entry(end).or_default() += octets;
        }
        #[expect(unreachable_code, reason = "it says what the task returns")]
        io::Result::Ok(())
    });
}

/// Tunnels of which one is greedy
const TUNNELS: usize = 100;

/// Busy sockets in a tunnel
const SOCKETS: usize = 64;

/// Octets a second, with all headers
const LINE: u32 = 4_000_000;

/// Until buffers are full
const WARM_UP: Duration = Duration::from_secs(5);

/// What is measured
const MEASURED: Duration = Duration::from_secs(20);

/// Of the building's device
const PORT: u16 = 1000;
