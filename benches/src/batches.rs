//! What comes together is dealt with together: acknowledgments and wakes for eight segments
//!
//! In memory and in virtual time, so that the eight are queued when the driver looks.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use pptp::net::TcpOptions;
use pptp_test_support::wakes;
use pptp_testkit::DEVICE;
use tokio::{io::AsyncWriteExt, time::sleep};

use crate::{Figure, Goal, memory_tunnel::MemoryTunnel, servers};

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
    let MemoryTunnel { server, tunnel, .. } =
        MemoryTunnel::connect(Duration::from_millis(10)).await?;
    let listener = server.net().tcp_listen((DEVICE, PORT).into(), 1, TcpOptions::default())?;
    let stream = tunnel.tcp_connect((DEVICE, PORT)).await?;
    let (mut source, _) = listener.accept().await?;
    let woken = Arc::new(AtomicU32::new(0));
    tokio::spawn(wakes::read(stream, Arc::clone(&woken)));
    source.write_all(&vec![0; WARM_UP]).await?;
    sleep(APART).await;

    let sent = || {
        let gre = tunnel.stats().tunnel.gre;
        gre.sealed + u64::from(gre.acknowledgments_sent)
    };
    let before = (sent(), woken.swap(0, Ordering::Relaxed));
    let eight = vec![0; 8 * (usize::from(tunnel.info().mtu) - TCP_IP)];
    for _ in 0..BATCHES {
        source.write_all(&eight).await?;
        sleep(APART).await;
    }
    let sent = u32::try_from(sent() - before.0).map_err(io::Error::other)?;
    Ok(Counted { sent, wakes: woken.load(Ordering::Relaxed) })
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
