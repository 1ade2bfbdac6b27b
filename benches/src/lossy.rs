//! Uploads over lines that lose packets, and through bottlenecks with a short queue
//!
//! In memory and in virtual time, some minutes of each line in seconds. The peer is the testkit's
//! stack; [`lossy_lab`](crate::lossy_lab) measures the same against Linux.

use std::{
    fmt::Write as _,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    num::NonZeroU32,
    time::Duration,
};

use pptp::{
    Tunnel,
    net::{CongestionControl, TcpOptions},
};
use pptp_testkit::{
    DEVICE, Server,
    memory::{Impairment, Network},
};
use tokio::{io::AsyncReadExt, time::sleep};

use crate::{
    Figure, Goal,
    memory_tunnel::MemoryTunnel,
    servers,
    upload::{Flow, Load, Upload, upload},
};

/// All figures of lossy lines
pub fn figures() -> Vec<Figure> {
    let mut figures = grid();
    for bottleneck in BOTTLENECKS {
        let alone = run(through(bottleneck, CongestionControl::default()));
        let share = run(beside(bottleneck));
        figures.extend(bottleneck_figures(bottleneck.names, alone, ("another of ours", share)));
    }
    figures
}

/// Uploads over each line, by the share of what window and round trip allow
fn grid() -> Vec<Figure> {
    let of = |congestion_control, loss| {
        let speed = |trip| run(over(trip, loss, congestion_control)).speed / bound(trip);
        ROUND_TRIPS.map(speed)
    };
    let figure = |((name, least), loss): ((&'static str, f64), u16)| {
        let shares = of(CongestionControl::default(), loss);
        let mut detail = format!("of the window at round trips of {ROUND_TRIPS:?} ms {shares:.2?}");
        for (name, other) in &CONTROLLERS[1..] {
            let _ = write!(detail, ", {name} {:.2?}", of(*other, loss));
        }
        let value = shares.into_iter().fold(f64::INFINITY, f64::min);
        Figure { name, value, goal: Goal::AtLeast(least), detail }
    };
    GOALS.into_iter().zip(LOSSES.into_iter().skip(1)).map(figure).collect()
}

/// What an upload through a bottleneck should be like, and what another beside it should keep
pub(crate) fn bottleneck_figures(
    names: [&'static str; 3],
    Upload { speed, resent, ping: [median, most] }: Upload,
    (other, share): (&str, f64),
) -> Vec<Figure> {
    let [of_resent, of_ping, of_share] = names;
    let queue = QUEUE.as_secs_f64() * 1e3;
    let figure = |name, value, goal, detail| Figure { name, value, goal, detail };
    vec![
        figure(
            of_resent,
            resent,
            Goal::AtMost(0.05),
            format!("of all segments, at {speed:.2} Mbit/s"),
        ),
        figure(
            of_ping,
            most / queue,
            Goal::AtMost(2.0),
            format!(
                "of the queue's 100 ms: 19 of 20 below {most:.0} ms, half below {median:.0} ms"
            ),
        ),
        figure(
            of_share,
            share,
            Goal::AtLeast(0.3),
            format!("of the line for {other}, which was there before"),
        ),
    ]
}

/// Mbit/s that a window of 64 KiB allows at so many milliseconds
pub(crate) fn bound(round_trip: u32) -> f64 {
    65.536 * 8.0 / f64::from(round_trip)
}

fn run<T>(measured: impl Future<Output = io::Result<T>>) -> T {
    servers::virtual_time().block_on(measured).expect("an upload in memory")
}

async fn over(trip: u32, loss: u16, congestion_control: CongestionControl) -> io::Result<Upload> {
    let line = Line::new(trip).await?;
    line.network.set_impairment(Impairment { loss_per_mille: loss, ..Impairment::default() });
    let time = Duration::from_millis(trip.into()) * 500;
    upload(&line.tunnel, load(congestion_control, time.max(LEAST))).await
}

async fn through(
    bottleneck: Bottleneck,
    congestion_control: CongestionControl,
) -> io::Result<Upload> {
    let line = Line::new(bottleneck.round_trip).await?;
    line.narrow(bottleneck);
    let pinged = Some(DEVICE);
    upload(&line.tunnel, Load { pinged, ..load(congestion_control, LONG) }).await
}

/// The share that an upload keeps beside another that begins later
async fn beside(bottleneck: Bottleneck) -> io::Result<f64> {
    let line = Line::new(bottleneck.round_trip).await?;
    line.narrow(bottleneck);
    let other = Flow::start(&line.tunnel, SINK, CongestionControl::default()).await?;
    sleep(LEAST).await;
    let ours = Flow::start(&line.tunnel, SINK, CongestionControl::default()).await?;
    sleep(LEAST).await;
    let before = (other.octets(), ours.octets());
    sleep(LONG).await;
    let (other, ours) = (other.octets() - before.0, ours.octets() - before.1);
    Ok(other / (other + ours))
}

/// A tunnel over a network in memory, to a device that reads and throws away
#[derive(Debug)]
struct Line {
    network: Network,
    client: Ipv4Addr,
    tunnel: Tunnel,
    _server: Server,
}

impl Line {
    async fn new(round_trip: u32) -> io::Result<Self> {
        let one_way = Duration::from_millis(round_trip.into()) / 2;
        let MemoryTunnel { network, server, client, tunnel } =
            MemoryTunnel::connect(one_way).await?;
        let listener = server.net().tcp_listen(SINK.into(), 4, TcpOptions::default())?;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut piece = vec![0; 64 << 10];
                    while stream.read(&mut piece).await.is_ok_and(|count| count > 0) {}
                });
            }
        });
        Ok(Self { network, client, tunnel, _server: server })
    }

    fn narrow(&self, bottleneck: Bottleneck) {
        let rate = NonZeroU32::new(bottleneck.kbit * 125).expect("a line that takes something");
        self.network.host(self.client).route_gre(rate, QUEUE);
    }
}

fn load(congestion_control: CongestionControl, time: Duration) -> Load {
    Load { sink: SINK, congestion_control, pinged: None, warm_up: time / 5, time }
}

/// A router that takes less than comes
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bottleneck {
    pub(crate) kbit: u32,
    /// Milliseconds without the queue
    pub(crate) round_trip: u32,
    /// Of the figures: what is sent again, the ping, and the flow beside
    pub(crate) names: [&'static str; 3],
    pub(crate) lab: [&'static str; 3],
}

pub(crate) const BOTTLENECKS: [Bottleneck; 3] = [
    Bottleneck {
        kbit: 500,
        round_trip: 20,
        names: ["lossy/0.5M-resent", "lossy/0.5M-ping", "lossy/0.5M-beside"],
        lab: ["lossy_lab/0.5M-resent", "lossy_lab/0.5M-ping", "lossy_lab/0.5M-beside"],
    },
    Bottleneck {
        kbit: 2_000,
        round_trip: 20,
        names: ["lossy/2M-resent", "lossy/2M-ping", "lossy/2M-beside"],
        lab: ["lossy_lab/2M-resent", "lossy_lab/2M-ping", "lossy_lab/2M-beside"],
    },
    Bottleneck {
        kbit: 20_000,
        round_trip: 20,
        names: ["lossy/20M-resent", "lossy/20M-ping", "lossy/20M-beside"],
        lab: ["lossy_lab/20M-resent", "lossy_lab/20M-ping", "lossy_lab/20M-beside"],
    },
];

/// How long a packet waits in front of a bottleneck at most
pub(crate) const QUEUE: Duration = Duration::from_millis(100);

/// Milliseconds
pub(crate) const ROUND_TRIPS: [u32; 4] = [10, 50, 100, 200];

/// Per mille, of each direction
pub(crate) const LOSSES: [u16; 5] = [0, 1, 5, 10, 20];

/// Of the figures with loss, and what they should be at least
const GOALS: [(&str, f64); 4] = [
    ("lossy/upload-0.1%", 0.85),
    ("lossy/upload-0.5%", 0.7),
    ("lossy/upload-1%", 0.5),
    ("lossy/upload-2%", 0.33),
];

/// All controllers, the default first
pub(crate) const CONTROLLERS: [(&str, CongestionControl); 4] = [
    ("ours", CongestionControl::Westwood),
    ("CUBIC", CongestionControl::Cubic),
    ("Reno", CongestionControl::Reno),
    ("none", CongestionControl::None),
];

const SINK: SocketAddrV4 = SocketAddrV4::new(DEVICE, 1000);

/// What an upload takes at least, and one through a bottleneck
const LEAST: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(100);
