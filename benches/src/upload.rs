//! One upload through a tunnel, and what goes on beside it

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use pptp::{
    Tunnel,
    net::{CongestionControl, TcpOptions, TcpStream},
};
use tokio::{
    io::AsyncWriteExt,
    task::AbortHandle,
    time::{Instant, sleep, sleep_until},
};

/// What is uploaded how
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Who reads and throws away
    pub(crate) sink: SocketAddrV4,
    pub(crate) congestion_control: CongestionControl,
    /// Who answers pings meanwhile, if any are sent
    pub(crate) pinged: Option<Ipv4Addr>,
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

/// How an upload went
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upload {
    /// Mbit/s of payload
    pub(crate) speed: f64,
    /// Of all segments, the share that was sent again
    pub(crate) resent: f64,
    /// Round trips of pings meanwhile in milliseconds: the median, and the one that 19 of 20 stay below
    pub(crate) ping: [f64; 2],
}

/// Uploads for a while
pub(crate) async fn upload(tunnel: &Tunnel, load: Load) -> io::Result<Upload> {
    let flow = Flow::start(tunnel, load.sink, load.congestion_control).await?;
    sleep(load.warm_up).await;
    let (begin, octets, packets) = (Instant::now(), flow.octets(), packets(tunnel));
    let pings = ping_until(tunnel, load.pinged, begin + load.time).await;
    let (took, octets) = (begin.elapsed().as_secs_f64(), flow.octets() - octets);
    let sent = self::packets(tunnel) - packets - pings.sent;
    let segments = octets / f64::from(tunnel.info().mtu - HEADERS);
    Ok(Upload {
        speed: octets * 8.0 / took / 1e6,
        resent: (1.0 - segments / sent).max(0.0),
        ping: [pings.quantile(50), pings.quantile(95)],
    })
}

/// A stream that is always full
#[derive(Debug)]
pub(crate) struct Flow {
    /// In units of [`PIECE`]
    written: Arc<AtomicU32>,
    writing: AbortHandle,
}

impl Flow {
    pub(crate) async fn start(
        tunnel: &Tunnel,
        sink: SocketAddrV4,
        congestion_control: CongestionControl,
    ) -> io::Result<Self> {
        let linger = Duration::ZERO;
        let options = TcpOptions::default().congestion_control(congestion_control).linger(linger);
        let mut stream = tunnel.tcp_connect_with(sink, options).await?;
        let written = Arc::new(AtomicU32::new(0));
        let counting = Arc::clone(&written);
        let writing = tokio::spawn(async move { fill(&mut stream, &counting).await });
        Ok(Self { written, writing: writing.abort_handle() })
    }

    /// Octets that were written
    pub(crate) fn octets(&self) -> f64 {
        f64::from(self.written.load(Relaxed)) * f64::from(PIECE)
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.writing.abort();
    }
}

async fn fill(stream: &mut TcpStream, written: &AtomicU32) -> io::Result<()> {
    let piece = [0; PIECE as usize];
    loop {
        stream.write_all(&piece).await?;
        written.fetch_add(1, Relaxed);
    }
}

#[derive(Debug, Default)]
struct Pings {
    sent: f64,
    /// Milliseconds
    took: Vec<f64>,
}

impl Pings {
    /// What so many of a hundred stay below
    fn quantile(&self, percent: usize) -> f64 {
        let mut took = self.took.clone();
        took.sort_by(f64::total_cmp);
        took.get(took.len() * percent / 100).copied().unwrap_or_default()
    }
}

async fn ping_until(tunnel: &Tunnel, pinged: Option<Ipv4Addr>, until: Instant) -> Pings {
    let mut pings = Pings::default();
    let Some(pinged) = pinged else {
        sleep_until(until).await;
        return pings;
    };
    while Instant::now() < until {
        pings.sent += 1.0;
        if let Ok(took) = tunnel.ping(pinged, PATIENCE).await {
            pings.took.push(took.as_secs_f64() * 1e3);
        }
        sleep(INTERVAL).await;
    }
    pings
}

/// IP packets that a tunnel has sent
fn packets(tunnel: &Tunnel) -> f64 {
    f64::from(u32::try_from(tunnel.stats().tunnel.ip_sent).unwrap_or(u32::MAX))
}

/// Octets written at a time
const PIECE: u16 = 4096;

/// Octets of the headers of IP and TCP
const HEADERS: u16 = 40;

/// Between pings
const INTERVAL: Duration = Duration::from_millis(100);

/// A ping that takes longer was lost
const PATIENCE: Duration = Duration::from_secs(2);
