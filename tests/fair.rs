//! A line that is not enough for all: each gets its share

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use pptp::{Tunnel, net::TcpStream};
use pptp_testkit::{DEVICE, Server, TcpOptions};
use pptp_tests::{CLIENT, World};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

/// Octets that arrived, by the client's end
type Moved = Arc<Mutex<HashMap<SocketAddr, u32>>>;

/// Counts what the building's device is sent
fn count_uploads(server: &Server) -> Moved {
    let moved = Moved::default();
    let counting = Arc::clone(&moved);
    let listener = server.net().tcp_listen((DEVICE, 1000).into(), 64, TcpOptions::default());
    let listener = listener.unwrap();
    tokio::spawn(async move {
        while let Ok((stream, end)) = listener.accept().await {
            tokio::spawn(count(stream, end, Arc::clone(&counting)));
        }
    });
    moved
}

async fn count(mut stream: TcpStream, end: SocketAddr, moved: Moved) {
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        *moved.lock().unwrap().entry(end).or_default() += u32::try_from(count).unwrap();
    }
}

/// Connects some sockets of a tunnel to the building's device
async fn sockets(tunnel: &Tunnel, count: usize) -> Vec<TcpStream> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        sockets.push(tunnel.tcp_connect((DEVICE, 1000)).await.unwrap());
    }
    sockets
}

/// Writes to all of them without end, over a line of 1 MB/s
fn upload(world: &World, sockets: Vec<TcpStream>) {
    world.network.host(CLIENT).limit_gre(NonZeroU32::new(1_000_000));
    for mut socket in sockets {
        tokio::spawn(async move { while socket.write_all(&[0; 4096]).await.is_ok() {} });
    }
}

/// The least and the most of some numbers, whose mean is 1
fn extremes(numbers: &[u32]) -> (f64, f64) {
    let count = f64::from(u32::try_from(numbers.len()).unwrap());
    let mean = f64::from(numbers.iter().sum::<u32>()) / count;
    let of_mean = |number: Option<&u32>| f64::from(*number.unwrap()) / mean;
    (of_mean(numbers.iter().min()), of_mean(numbers.iter().max()))
}

#[tokio::test(start_paused = true)]
async fn busy_sockets_share_their_tunnel() {
    let world = World::new(10);
    let building = world.building(1);
    let moved = count_uploads(&building);
    let tunnel = world.connect(&building).await;
    upload(&world, sockets(&tunnel, 64).await);
    sleep(Duration::from_secs(1)).await;
    moved.lock().unwrap().clear();
    sleep(Duration::from_secs(4)).await;
    let octets = moved.lock().unwrap().values().copied().collect::<Vec<_>>();
    let (least, most) = extremes(&octets);
    assert_eq!(octets.len(), 64);
    assert!(least > 0.5 && most < 2.0, "{least:.2} to {most:.2} of a fair share");
}

#[tokio::test(start_paused = true)]
async fn a_greedy_tunnel_gets_no_more_than_its_share_of_a_driver() {
    let world = World::new(10);
    let building = world.building(1);
    let moved = count_uploads(&building);
    let mut all = Vec::new();
    for number in 0..20 {
        let tunnel = world.connect(&building).await;
        all.extend(sockets(&tunnel, if number == 7 { 64 } else { 1 }).await);
    }
    upload(&world, all);
    sleep(Duration::from_secs(2)).await;
    moved.lock().unwrap().clear();
    sleep(Duration::from_secs(8)).await;
    let mut by_tunnel = HashMap::<IpAddr, u32>::new();
    for (end, octets) in &*moved.lock().unwrap() {
        *by_tunnel.entry(end.ip()).or_default() += octets;
    }
    let (least, most) = extremes(&by_tunnel.into_values().collect::<Vec<_>>());
    assert!(least > 0.8 && most < 1.25, "{least:.2} to {most:.2} of a fair share");
}

#[tokio::test(start_paused = true)]
async fn a_question_waits_for_one_turn_of_the_others_only() {
    let world = World::new(10);
    let building = world.building(1);
    let _moved = count_uploads(&building);
    let asking = world.connect(&building).await;
    let mut all = Vec::new();
    for _ in 0..10 {
        let tunnel = world.connect(&building).await;
        all.extend(sockets(&tunnel, 8).await);
    }
    upload(&world, all);
    sleep(Duration::from_secs(2)).await;
    // ahead are what the line has taken and what is sealed already, 93 ms each at most, and ten
    // tunnels with six packets each, 87 ms
    let asked = asking.ping(DEVICE, Duration::from_secs(5));
    let round_trip = timeout(Duration::from_secs(5), asked).await.unwrap().unwrap();
    assert!(round_trip < Duration::from_millis(300), "{round_trip:?}");
}
