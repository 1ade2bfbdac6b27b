//! Many threads use, cancel and close the same few tunnels: nothing hangs, nothing is left.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pptp::{Client, Tunnel, TunnelConfig};
use pptp_testkit::DEVICE;
use pptp_tests::{World, config, get, knx_name};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::{sleep, timeout},
};

/// How long tunnels are dialled and closed, in real time
const LENGTH: Duration = Duration::from_secs(40);
/// The users of one tunnel at a time
const USERS: u64 = 24;
/// What each of them does with one tunnel
const ERRANDS: u64 = 20;

/// An operation of one kind or another; how it ends is its own affair
async fn errand(tunnel: &Tunnel, kind: u64, port: u16) {
    match kind % 7 {
        0 => drop(get(tunnel, "/").await),
        1 => drop(tunnel.ping(DEVICE, Duration::from_millis(200)).await),
        2 => drop(tunnel.lookup_host("device.test").await),
        3 => drop(knx_name(tunnel).await),
        4 => {
            let mut capture = tunnel.capture();
            let _ = timeout(Duration::from_millis(3), capture.read(&mut [0; 64])).await;
        }
        5 => {
            let Ok(mut stream) = tunnel.tcp_connect((DEVICE, 9)).await else { return };
            let _ = stream.write_all(&[7; 3000]).await;
            let (reader, writer) = stream.into_split();
            drop(writer);
            drop(reader);
        }
        _ => {
            let _ = (tunnel.stats(), tunnel.flight_record());
            let _ = tunnel.tcp_listen(port, 2).map(drop);
        }
    }
}

/// Each errand is given up after up to 30 ms, wherever it is then.
async fn user(tunnel: Tunnel, number: u64, done: Arc<AtomicU64>) {
    let port = 1000 + u16::try_from(number).unwrap();
    for n in 0..ERRANDS {
        let patience = Duration::from_micros((number * 7919 + n * 104_729) % 30_000);
        let _ = timeout(patience, errand(&tunnel, number + n, port)).await;
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Dials again and again until the time is over; how many tunnels came up
async fn redial(client: Client, config: TunnelConfig, hangs_up: bool, done: Arc<AtomicU64>) -> u64 {
    let (end, mut came_up) = (Instant::now() + LENGTH, 0);
    while Instant::now() < end {
        let connected = timeout(Duration::from_secs(20), client.connect(config.clone())).await;
        let tunnel = connected.expect("a connect hangs").expect("a server that is well");
        came_up += 1;
        let users = (0..USERS).map(|number| user(tunnel.clone(), number, done.clone()));
        let users: JoinSet<()> = users.collect();
        if hangs_up {
            sleep(Duration::from_millis(20)).await;
            tunnel.hang_up();
        }
        users.join_all().await;
        timeout(Duration::from_secs(10), tunnel.close()).await.expect("close hangs");
    }
    came_up
}

/// One of two callers of each server hangs up while its tunnel is in use.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
#[ignore = "40 s of all processors: a step of .ci/long"]
async fn nothing_hangs_and_nothing_is_left_of_tunnels_used_by_many_threads() {
    let world = World::new(1);
    let servers: Vec<_> = (1..=6).map(|number| world.building(number)).collect();
    let (done, mut callers) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
    for server in &servers {
        for hangs_up in [false, true] {
            let (client, config) = (world.client.clone(), config(server.address()));
            callers.spawn(redial(client, config, hangs_up, Arc::clone(&done)));
        }
    }
    let came_up = timeout(LENGTH + Duration::from_mins(1), callers.join_all()).await;
    let came_up = came_up.expect("something hangs");
    println!("{} errands, tunnels of each caller: {came_up:?}", done.load(Ordering::Relaxed));
    assert!(came_up.iter().all(|tunnels| *tunnels > 0), "each caller had some: {came_up:?}");
    timeout(Duration::from_secs(10), world.client.wait_idle()).await.expect("a tunnel is left");
    assert_eq!(world.client.tunnels().len(), 0);
}
