//! The client over raw sockets, against the cipher and the system calls that it cannot do without
//!
//! Two hosts of the bench's own ([`wire`](crate::wire)): the client on one, the testkit's server on
//! the other, each with a thread. Measured is the CPU time of the client's thread, which is all of
//! the client: the driver, the tasks that read or write the streams, their copies, tokio, and the
//! kernel on its behalf. The bound is measured in the same round over the same wire: as many packets
//! of the same sizes opened and sealed, as many datagrams drained from a raw socket and sent through
//! one, in full batches, with nothing else done to them.
//!
//! The server of this bench is slower than the client, since it pays for the delivery of what it
//! sends. So the client finds a few datagrams at a time and sleeps in between. For the bulk download
//! it is held up a while again and again, without using CPU time, so that datagrams are queued as
//! they are when it is the client that cannot keep up; a figure of its own has the other case.

mod bare;
mod traffic;

use std::{error::Error, io, thread, time::Duration};

use pptp::{Client, Tunnel, TunnelConfig};
use pptp_gre_socket::BATCH;
use pptp_testkit::{DEVICE, Server};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
    task::JoinSet,
};

use self::{
    bare::Bare,
    traffic::{Direction, Traffic},
};
use crate::{
    Figure, Goal,
    measure::{median, thread_time},
    servers::real_time,
    wire::{FAR, Host, hosts},
};

/// The figures, or none and a word on stderr where namespaces cannot be made
pub fn figures() -> Vec<Figure> {
    let (near, far) = match hosts() {
        Ok(hosts) => hosts,
        Err(error) => {
            eprintln!("raw_path is skipped: it makes network namespaces, as root: {error}");
            return Vec::new();
        }
    };
    let rounds = |load: Load| (0..ROUNDS).map(|_| round(&near, &far, load)).collect::<Vec<_>>();
    let downloads = rounds(Load { direction: Direction::Download, streams: 4, held_up: HELD_UP });
    let alone = Load { direction: Direction::Download, streams: 1, held_up: Duration::ZERO };
    let as_it_comes = rounds(alone);
    let uploads = rounds(Load { direction: Direction::Upload, ..alone });
    let [send, receive] = bare::batches(&near, &far);
    vec![
        path("raw_path/download", &downloads),
        path("raw_path/download-as-it-comes", &as_it_comes),
        path("raw_path/upload", &uploads),
        batch(send, receive),
    ]
}

/// What is moved, and how
#[derive(Clone, Copy, Debug)]
struct Load {
    direction: Direction,
    streams: usize,
    /// How long the client is held up at a time
    held_up: Duration,
}

/// A transfer of [`OCTETS`], and what it cannot take less than
#[derive(Clone, Copy, Debug)]
struct Round {
    client: Duration,
    traffic: Traffic,
    bound: Bare,
}

fn round(near: &Host, far: &Host, load: Load) -> Round {
    let (client, traffic) = transfer(near, far, load);
    let bound = bare::bound(near, far, traffic, load.direction);
    Round { client, traffic, bound }
}

/// Lets a client move [`OCTETS`] to or from a server
fn transfer(near: &Host, far: &Host, load: Load) -> (Duration, Traffic) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (listens, listening) = oneshot::channel();
    let served = far.start(move || {
        real_time().block_on(async {
            let server = Server::builder(1).serve(FAR).await.expect("an address of the wire");
            let _ = listens.send(());
            // an Err says the same
            let _ = stopped.await;
            drop(server);
        });
    });
    let measured = near.run(move || {
        real_time().block_on(async {
            listening.await.expect("a server");
            measure(load).await.expect("a transfer over a wire that loses nothing")
        })
    });
    drop(stop);
    served.recv().expect("a server that stops");
    measured
}

async fn measure(load: Load) -> Result<(Duration, Traffic), Box<dyn Error>> {
    let client = Client::new()?;
    let tunnel = client.connect(TunnelConfig::new(FAR.to_string(), "testuser", "test123")).await?;
    run(&tunnel, load, WARM_UP).await?;
    let (before, begin) = (tunnel.stats().tunnel.gre, thread_time());
    run(&tunnel, load, OCTETS).await?;
    let time = thread_time().saturating_sub(begin);
    let after = tunnel.stats().tunnel.gre;
    let acknowledgments =
        usize::try_from(after.acknowledgments_sent - before.acknowledgments_sent)?;
    let traffic = Traffic {
        received: usize::try_from(after.committed - before.committed)?,
        sent: usize::try_from(after.sealed - before.sealed)? + acknowledgments,
        acknowledgments,
        mtu: tunnel.info().mtu.into(),
    };
    tunnel.close().await;
    Ok((time, traffic))
}

async fn run(tunnel: &Tunnel, load: Load, octets: usize) -> Result<(), Box<dyn Error>> {
    let mut streams = JoinSet::new();
    for _ in 0..load.streams {
        let (tunnel, octets) = (tunnel.clone(), octets / load.streams);
        streams.spawn(async move { transfer_one(&tunnel, load.direction, octets).await });
    }
    let held_up = tokio::spawn(hold_up(load.held_up));
    while let Some(done) = streams.join_next().await {
        done??;
    }
    held_up.abort();
    Ok(())
}

async fn transfer_one(tunnel: &Tunnel, direction: Direction, octets: usize) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    match direction {
        Direction::Download => {
            let mut source = tunnel.tcp_connect((DEVICE, 19)).await?;
            source.write_all(format!("{octets}\n").as_bytes()).await?;
            while source.read(&mut buffer).await? > 0 {}
        }
        Direction::Upload => {
            let mut sink = tunnel.tcp_connect((DEVICE, 9)).await?;
            for _ in 0..octets / PIECE {
                sink.write_all(&buffer).await?;
            }
            sink.shutdown().await?;
            sink.read_to_end(&mut buffer).await?;
        }
    }
    Ok(())
}

/// Holds the whole thread up again and again, each time until it has done what was there to do
async fn hold_up(time: Duration) {
    while !time.is_zero() {
        thread::sleep(time);
        for _ in 0..ROUNDS_BETWEEN {
            tokio::task::yield_now().await;
        }
    }
}

fn path(name: &'static str, rounds: &[Round]) -> Figure {
    let of = |f: &dyn Fn(&Round) -> f64| median(rounds.iter().map(f).collect());
    let share = |round: &Round| round.bound.total().as_secs_f64() / round.client.as_secs_f64();
    let each =
        |time: Duration, round: &Round| time.as_secs_f64() * 1e6 / round.traffic.packets().max(1.0);
    let detail = format!(
        "per full packet {:.2} us, bound cipher {:.2} + receive {:.2} + send {:.2} us; \
         {:.2} datagrams back for each",
        of(&|round| each(round.client, round)),
        of(&|round| each(round.bound.cipher, round)),
        of(&|round| each(round.bound.receive, round)),
        of(&|round| each(round.bound.send, round)),
        of(&|round| round.traffic.back()),
    );
    Figure { name, value: of(&share), goal: Goal::AtLeast(0.75), detail }
}

/// A datagram that comes and one that goes
fn batch(send: [f64; 2], receive: [f64; 2]) -> Figure {
    let parts = |[alone, full]: [f64; 2]| {
        format!("{:.2} us alone, {:.2} us of {BATCH}", alone * 1e6, full * 1e6)
    };
    let detail = format!("sent {}; received {}", parts(send), parts(receive));
    let value = (send[1] + receive[1]) / (send[0] + receive[0]);
    Figure { name: "raw_path/batch", value, goal: Goal::AtMost(0.6), detail }
}

/// Transfers each way
const ROUNDS: usize = 9;

/// How long the client is held up: until four windows of 64 KiB are queued, and longer
const HELD_UP: Duration = Duration::from_millis(1);

/// Turns of the tasks before it is held up again: enough for what is queued
const ROUNDS_BETWEEN: usize = 16;

/// Octets of a transfer
const OCTETS: usize = 16 << 20;

/// Octets moved before, so that nothing happens for the first time
const WARM_UP: usize = 1 << 20;

/// Octets that the user reads or writes at a time
const PIECE: usize = 64 << 10;
