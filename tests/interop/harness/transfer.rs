//! Octets that go through a tunnel both ways while something happens to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::Failed;
use pptp::{Tunnel, net::TcpOptions};
use pptp_test_support::digest::sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::content::{download, upload};
use crate::lab::Building;
use crate::trial::Outcome;

/// As many octets as a device serves and takes in one go
pub const SIXTEEN_MEBIBYTES: usize = 16 << 20;

/// A download and an upload under way at once
///
/// Neither goes far before the other has begun. Both end whole, as their SHA-256 says, or with an error.
#[derive(Debug)]
pub struct Transfer {
    octets: usize,
    down: Direction,
    up: Direction,
}

#[derive(Debug)]
struct Direction {
    moved: Arc<AtomicUsize>,
    task: JoinHandle<Outcome>,
}

/// What both directions of a transfer are told
#[derive(Clone)]
struct Order {
    building: Building,
    octets: usize,
    options: TcpOptions,
    /// Passed by both at once, a little after their beginning
    both_begun: Arc<Barrier>,
}

impl Transfer {
    /// Begin to move `octets` each way between `tunnel` and the device of its building, sixteen MiB at most.
    ///
    /// The peer's silence is borne for `patience`.
    pub fn start(tunnel: &Tunnel, building: Building, octets: usize, patience: Duration) -> Self {
        let options = TcpOptions::default().user_timeout(patience).connect_timeout(patience);
        let both_begun = Arc::new(Barrier::new(2));
        let order = Order { building, octets, options, both_begun };
        let down = Direction::start(|moved| receive(tunnel.clone(), order.clone(), moved));
        let up = Direction::start(|moved| send(tunnel.clone(), order, moved));
        Self { octets, down, up }
    }

    /// Wait until some of it has passed each way.
    pub async fn has_begun(&self) -> Outcome {
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let moved = [self.down.moved(), self.up.moved()];
            if moved.iter().all(|moved| *moved > self.octets / 16) {
                return Ok(());
            }
            let has_failed = self.down.task.is_finished() || self.up.task.is_finished();
            if has_failed || Instant::now() > deadline {
                return Err(format!("not begun: {moved:?} octets have passed").into());
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Wait until all has arrived, and compare it; an error after `limit`.
    pub async fn is_whole(self, limit: Duration) -> Outcome {
        let moved = [Arc::clone(&self.down.moved), Arc::clone(&self.up.moved)];
        let both = async {
            self.down.task.await??;
            self.up.task.await?
        };
        let outcome = timeout(limit, both).await;
        let moved = moved.map(|moved| moved.load(Ordering::Relaxed));
        let outcome = outcome.unwrap_or_else(|_| Err(format!("not done within {limit:?}").into()));
        outcome.map_err(|failed| told(&failed, &format!("after {moved:?} octets")))
    }
}

impl Direction {
    fn start<F>(transfer: impl FnOnce(Arc<AtomicUsize>) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let moved = Arc::new(AtomicUsize::new(0));
        Self { task: tokio::spawn(transfer(Arc::clone(&moved))), moved }
    }

    fn moved(&self) -> usize {
        self.moved.load(Ordering::Relaxed)
    }
}

/// The first octets of what the device serves
async fn receive(tunnel: Tunnel, order: Order, moved: Arc<AtomicUsize>) -> Outcome {
    let Order { building, octets, options, both_begun } = order;
    let mut stream = tunnel.tcp_connect_with(building.device(80), options).await?;
    stream.write_all(b"GET /16M HTTP/1.0\r\n\r\n").await?;
    let mut body = vec![0; octets];
    let (mut filled, mut head) = (0, Vec::new());
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    for part in body.chunks_mut(octets.div_ceil(PARTS)) {
        stream.read_exact(part).await?;
        filled += part.len();
        moved.store(filled, Ordering::Relaxed);
        if is_second_part(filled, octets) {
            both_begun.wait().await;
        }
    }
    same(&sha256(&download(building.number())[..octets]), &sha256(&body), "download")
}

/// The first octets of what is for the building, whose device tells what it has got
async fn send(tunnel: Tunnel, order: Order, moved: Arc<AtomicUsize>) -> Outcome {
    let Order { building, octets, options, both_begun } = order;
    let all = &upload(building.number())[..octets];
    let mut sink = tunnel.tcp_connect_with(building.device(9), options).await?;
    for part in all.chunks(octets.div_ceil(PARTS)) {
        sink.write_all(part).await?;
        let filled = moved.fetch_add(part.len(), Ordering::Relaxed) + part.len();
        if is_second_part(filled, octets) {
            both_begun.wait().await;
        }
    }
    sink.shutdown().await?;
    let mut answer = String::new();
    sink.read_to_string(&mut answer).await?;
    same(&sha256(all), answer.trim_end(), "upload")
}

/// Whether the part of the transfer that ends here is its second
fn is_second_part(filled: usize, octets: usize) -> bool {
    let part = octets.div_ceil(PARTS);
    (part + 1..=2 * part).contains(&filled)
}

fn same(expected: &str, got: &str, what: &str) -> Outcome {
    if expected == got { Ok(()) } else { Err(format!("the {what} is not whole").into()) }
}

fn told(failed: &Failed, more: &str) -> Failed {
    format!("{} {more}", failed.message().unwrap_or("failed")).into()
}

/// A transfer is looked at after each of its parts.
const PARTS: usize = 16;
