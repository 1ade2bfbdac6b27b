//! How large buffers have to be: what one TCP connection moves over a line with a round trip
//!
//! In memory and in virtual time, so that nothing but the window and the round trip counts.

use std::{fmt::Write as _, io, time::Duration};

use pptp::net::TcpOptions;
use pptp_testkit::DEVICE;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::{Figure, Goal, memory_tunnel::MemoryTunnel, servers};

/// Milliseconds
const ROUND_TRIPS: [u32; 4] = [10, 50, 100, 200];
/// Octets, the same at both ends
const BUFFERS: [u32; 4] = [16 << 10, 64 << 10, 256 << 10, 1 << 20];
/// The default's place among them
const DEFAULT: usize = 1;
/// The line that the default is meant for, a good one of the sites that still speak PPTP: the place
/// of its round trip, and its Mbit/s
const LINE: (usize, f64) = (1, 10.0);

/// All figures of the window
pub fn figures() -> Vec<Figure> {
    let speeds = BUFFERS.map(|buffer| ROUND_TRIPS.map(|round_trip| speed(buffer, round_trip)));
    let mut table = format!("Mbit/s at {ROUND_TRIPS:?} ms:");
    for (buffer, speeds) in BUFFERS.iter().zip(speeds) {
        let _ = write!(table, " {} KiB {speeds:.1?}", buffer >> 10);
    }
    let default = ROUND_TRIPS.iter().zip(speeds[DEFAULT]);
    let bound = |round_trip: u32| f64::from(BUFFERS[DEFAULT]) * 8.0 / f64::from(round_trip) / 1e3;
    let ratios = default.map(|(round_trip, speed)| speed / bound(*round_trip));
    let figure = |name, value, goal, detail| {
        let goal = Goal::AtLeast(goal);
        Figure { name, value, goal, detail }
    };
    vec![
        figure(
            "window/default-50ms",
            speeds[DEFAULT][LINE.0],
            LINE.1,
            format!("Mbit/s with 64 KiB; the bound is {:.1}", bound(ROUND_TRIPS[LINE.0])),
        ),
        figure(
            "window/of-bound",
            ratios.fold(f64::INFINITY, f64::min),
            0.95,
            format!("of window / round trip with 64 KiB, the least of all round trips; {table}"),
        ),
    ]
}

/// Mbit/s of a download of thirty windows, once it is under way
fn speed(buffer: u32, round_trip: u32) -> f64 {
    let round_trip = Duration::from_millis(round_trip.into());
    let took = servers::virtual_time().block_on(download(buffer, round_trip)).expect("a download");
    f64::from(buffer) * 8.0 * f64::from(WINDOWS) / took.as_secs_f64() / 1e6
}

async fn download(buffer: u32, round_trip: Duration) -> io::Result<Duration> {
    let MemoryTunnel { server, tunnel, .. } = MemoryTunnel::connect(round_trip / 2).await?;

    let octets = buffer as usize;
    let options = TcpOptions::default().receive_buffer(octets).send_buffer(octets);
    let listener = server.net().tcp_listen((DEVICE, PORT).into(), 1, options.clone())?;
    let sending = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        stream.write_all(&vec![0; octets * (WARM_UP + WINDOWS) as usize]).await?;
        stream.shutdown().await
    });
    let mut stream = tunnel.tcp_connect_with((DEVICE, PORT), options).await?;
    let mut piece = vec![0; 16 << 10];
    let mut left = octets * WARM_UP as usize;
    while left > 0 {
        let most = left.min(piece.len());
        left -= stream.read_exact(&mut piece[..most]).await?;
    }
    let begin = Instant::now();
    while stream.read(&mut piece).await? > 0 {}
    let took = begin.elapsed();
    sending.await??;
    tunnel.close().await;
    Ok(took)
}

const PORT: u16 = 1000;
const WINDOWS: u32 = 30;
/// Windows after which the sender's own window has grown to ours
const WARM_UP: u32 = 30;
