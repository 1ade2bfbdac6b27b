//! Frames that others overtake on the way are no loss
//!
//! A download over a line of limited rate, in memory and in virtual time, with and without 2 % of the
//! frames held up for 1 to 3 ms, in which up to eight others pass them.

use std::{io, net::Ipv4Addr, num::NonZeroU32, time::Duration};

use pptp::{Client, TunnelConfig};
use pptp_testkit::{
    DEVICE, Server, TcpOptions,
    memory::{Impairment, Network},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::{Figure, Goal, servers};

/// All figures of reordering
pub fn figures() -> Vec<Figure> {
    let run = |held| servers::virtual_time().block_on(download(held)).expect("a download");
    let (undisturbed, reordered) = (run(0), run(HELD_PER_MILLE));
    let value = undisturbed.took.as_secs_f64() / reordered.took.as_secs_f64();
    let detail = format!(
        "{:.2?} undisturbed, {:.2?} reordered; {} of {} frames late, {} sent again",
        undisturbed.took,
        reordered.took,
        reordered.late,
        reordered.packets,
        reordered.packets.saturating_sub(undisturbed.packets)
    );
    vec![Figure { name: "reordering/download", value, goal: Goal::AtLeast(0.95), detail }]
}

#[derive(Debug)]
struct Download {
    took: Duration,
    /// Frames that were accepted behind others
    late: u32,
    /// IP packets that came
    packets: u64,
}

async fn download(held_per_mille: u16) -> io::Result<Download> {
    let network = Network::new(1);
    network.set_latency(Duration::from_millis(10));
    let [server, client] = [1, 2].map(|host| network.host(Ipv4Addr::new(10, 99, 0, host)));
    server.limit_gre(NonZeroU32::new(LINE));
    let server = Server::builder(1).serve_memory(&network, server.address())?;
    let client = Client::builder().memory(client).build().map_err(io::Error::other)?;
    let config = TunnelConfig::new(server.address().to_string(), "testuser", "test123");
    let tunnel = client.connect(config).await.map_err(io::Error::other)?;
    let listener = server.net().tcp_listen((DEVICE, PORT).into(), 1, TcpOptions::default())?;
    let mut stream = tunnel.tcp_connect((DEVICE, PORT)).await?;
    let (mut source, _) = listener.accept().await?;
    network.set_impairment(Impairment { held_per_mille, hold: HOLD, ..Impairment::default() });
    let sending = tokio::spawn(async move {
        source.write_all(&vec![0; OCTETS]).await?;
        source.shutdown().await
    });
    let mut piece = vec![0; 64 << 10];
    let begin = Instant::now();
    while stream.read(&mut piece).await? > 0 {}
    let took = begin.elapsed();
    sending.await??;
    let stats = tunnel.stats().tunnel;
    Ok(Download { took, late: stats.gre.late, packets: stats.ip_received })
}

/// 20 Mbit/s, in octets a second: a full datagram takes 0.57 ms
const LINE: u32 = 2_500_000;
const HELD_PER_MILLE: u16 = 20;
const HOLD: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(3));
/// Octets downloaded
const OCTETS: usize = 32 << 20;
/// Of the building's device
const PORT: u16 = 1000;
