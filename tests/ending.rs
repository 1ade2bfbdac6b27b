//! How tunnels end: properly, and without leaving anything behind

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use pptp::{Connecting, State, Tunnel, error::Phase};
use pptp_testkit::{DEVICE, Ended, ROUTER, Server, ServerOrder, TcpOptions, UdpOptions};
use pptp_tests::{World, address_of, config, get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

const ORDERS: [ServerOrder; 3] = [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras];

/// Longer than any hang-up may take
const BOUND: Duration = Duration::from_secs(8);

async fn leaves_nothing(world: &World, building: &Server) {
    timeout(BOUND, world.client.wait_idle()).await.expect("the client holds no tunnel");
    timeout(BOUND, building.idle()).await.expect("the server holds no session");
}

#[tokio::test(start_paused = true)]
async fn close_hangs_up_properly() {
    for order in ORDERS {
        let world = World::new(20);
        let building = world.serve(1, Server::builder(1).order(order));
        let tunnel = world.connect(&building).await;
        let began = Instant::now();
        tunnel.close().await;
        assert!(began.elapsed() < Duration::from_secs(1), "{order:?}: {:?}", began.elapsed());
        assert_eq!(tunnel.closed().await.name(), "Closed");
        leaves_nothing(&world, &building).await;
        let ended = &building.stats().ended[0];
        assert!(ended.was_up && ended.is_clean(), "{order:?}: {ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_to_go_hangs_up() {
    let world = World::new(20);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let mut stream = tunnel.tcp_connect((DEVICE, 7)).await.unwrap();
    let clone = tunnel.clone();
    drop(tunnel);
    drop(clone);
    // the stream is a handle too
    sleep(Duration::from_secs(10)).await;
    stream.write_all(b"still here").await.unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!((&answer, building.stats().up), (b"still here", 1));
    drop(stream);
    leaves_nothing(&world, &building).await;
    assert!(building.stats().ended[0].is_clean(), "{:?}", building.stats().ended);
}

/// The building's end of the client's connections and datagrams: what each of them brought
fn hears(building: &Server) -> tokio::task::JoinHandle<(Vec<u8>, Vec<u8>)> {
    let net = building.net();
    let listener = net.tcp_listen((ROUTER, 77).into(), 1, TcpOptions::default()).unwrap();
    let datagrams = net.udp_bind((ROUTER, 77).into(), UdpOptions::default()).unwrap();
    tokio::spawn(async move {
        let mut datagram = vec![0; 100];
        let (count, _) = datagrams.recv_from(&mut datagram).await.unwrap();
        datagram.truncate(count);
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).await.unwrap();
        (datagram, octets)
    })
}

#[tokio::test(start_paused = true)]
async fn what_was_written_last_still_arrives() {
    for way in ["close", "drop", "the stream is the last to go", "the stream is kept"] {
        let world = World::new(20);
        let building = world.building(1);
        let heard = hears(&building);
        let tunnel = world.connect(&building).await;
        let datagrams = tunnel.udp_bind(0).unwrap();
        let mut stream = tunnel.tcp_connect((ROUTER, 77)).await.unwrap();
        datagrams.send_to(b"goodbye", (ROUTER, 77)).await.unwrap();
        drop(datagrams);
        stream.write_all(&vec![7; 60_000]).await.unwrap();
        match way {
            "close" => {
                drop(stream);
                tunnel.close().await;
            }
            "drop" => drop((stream, tunnel)),
            "the stream is the last to go" => {
                drop(tunnel);
                drop(stream);
            }
            _ => {
                stream.shutdown().await.unwrap();
                tunnel.close().await;
            }
        }
        let (datagram, octets) = timeout(BOUND, heard).await.expect(way).unwrap();
        assert_eq!((&*datagram, octets.len()), (&b"goodbye"[..], 60_000), "{way}");
        leaves_nothing(&world, &building).await;
        assert!(building.stats().ended[0].is_clean(), "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_holds_a_hang_up_for_two_seconds() {
    let world = World::new(20);
    let building = world.building(1);
    let net = building.net();
    let options = TcpOptions::default();
    let listener = net.tcp_listen((ROUTER, 77).into(), 1, options).unwrap();
    let tunnel = world.connect(&building).await;
    let mut stream = tunnel.tcp_connect((ROUTER, 77)).await.unwrap();
    let _unread = listener.accept().await.unwrap();
    let full = async { while stream.write_all(&[0; 4096]).await.is_ok() {} };
    assert!(timeout(Duration::from_secs(1), full).await.is_err(), "the buffers are full");
    drop(stream);
    let began = Instant::now();
    tunnel.close().await;
    let took = began.elapsed();
    assert!((2000..3000).contains(&took.as_millis()), "{took:?}");
    leaves_nothing(&world, &building).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_tunnel_was_can_be_asked_after_its_end() {
    let world = World::new(20);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    get(&tunnel, "/").await.unwrap();
    let (before, peer) = (tunnel.stats().tunnel, tunnel.peer());
    tunnel.close().await;
    timeout(BOUND, world.client.wait_idle()).await.unwrap();
    assert!(before.ip_sent > 0 && tunnel.stats().tunnel.ip_sent >= before.ip_sent);
    assert!(peer.is_some() && tunnel.peer() == peer);
    assert!(tunnel.flight_record().records().len() > 10);
}

/// The driver and the control tasks are on a runtime that is shut down under them
#[test]
fn a_runtime_that_is_shut_down_ends_its_tunnels() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let theirs = runtime();
    let (world, building, tunnel, dialling) = theirs.block_on(async {
        let world = World::new(1);
        let building = world.building(1);
        let tunnel = world.connect(&building).await;
        let dialling = world.dial(&building);
        (world, building, tunnel, dialling)
    });
    drop(building);
    let ours = runtime();
    let reading = ours.spawn({
        let tunnel = tunnel.clone();
        async move { tunnel.udp_bind(0)?.recv_from(&mut [0; 10]).await }
    });
    ours.block_on(tokio::task::yield_now());
    drop(theirs);
    ours.block_on(async {
        let ended = async {
            assert_eq!(tunnel.closed().await.name(), "RuntimeShutDown");
            assert_eq!(dialling.await.unwrap_err().name(), "RuntimeShutDown");
            assert!(reading.await.unwrap().unwrap_err().to_string().contains("RuntimeShutDown"));
            tunnel.close().await;
            world.client.wait_idle().await;
            let late = world.client.connect(config(address_of(1))).await;
            assert_eq!(late.unwrap_err().name(), "RuntimeShutDown");
        };
        timeout(BOUND, ended).await.expect("nothing hangs");
    });
}

#[tokio::test(start_paused = true)]
async fn idle_means_that_nothing_is_dialled_either() {
    let world = World::new(500);
    let building = world.building(1);
    let connecting = world.dial(&building);
    assert!(timeout(Duration::from_millis(10), world.client.wait_idle()).await.is_err());
    drop(connecting);
    leaves_nothing(&world, &building).await;
}

/// A read that waits, a write that waits, and what each of them comes to
async fn stuck(tunnel: &Tunnel) -> [tokio::task::JoinHandle<io::Error>; 3] {
    let mut reading = tunnel.tcp_connect((DEVICE, 7)).await.unwrap();
    let mut writing = tunnel.tcp_connect((DEVICE, 7)).await.unwrap();
    let receiving = tunnel.udp_bind(0).unwrap();
    [
        tokio::spawn(async move { reading.read_u8().await.unwrap_err() }),
        tokio::spawn(async move {
            // the echo is not read, so that all buffers fill
            loop {
                if let Err(error) = writing.write_all(&[0; 4096]).await {
                    return error;
                }
            }
        }),
        tokio::spawn(async move { receiving.recv_from(&mut [0; 16]).await.unwrap_err() }),
    ]
}

/// Every call on a tunnel that ended fails with the reason
async fn fails_everywhere(tunnel: &Tunnel, stuck: [tokio::task::JoinHandle<io::Error>; 3]) {
    let reason = timeout(Duration::from_secs(1), tunnel.closed()).await.expect("it has ended");
    let mut errors = Vec::new();
    for task in stuck {
        errors.push(timeout(Duration::from_secs(1), task).await.expect("it is not stuck").unwrap());
    }
    errors.push(tunnel.tcp_connect((DEVICE, 80)).await.unwrap_err());
    errors.push(tunnel.udp_bind(0).unwrap_err());
    errors.push(tunnel.tcp_listen(80, 1).unwrap_err());
    errors.push(tunnel.ping(DEVICE, BOUND).await.unwrap_err());
    errors.push(tunnel.lookup_host("knx.lan").await.unwrap_err());
    errors.push(tunnel.ip_packets().unwrap_err());
    for error in errors {
        assert_eq!(error.kind(), reason.io_kind(), "{error:?}");
        assert!(error.to_string().contains(reason.name()), "{error} does not tell {reason}");
    }
    assert!(matches!(&*tunnel.state().borrow(), State::Down { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_hang_up_of_the_server_is_told_to_everyone() {
    for order in ORDERS {
        let world = World::new(20);
        let building = world.serve(1, Server::builder(1).order(order));
        let tunnel = world.connect(&building).await;
        let stuck = stuck(&tunnel).await;
        sleep(Duration::from_secs(1)).await;
        building.hang_up_all();
        sleep(Duration::from_secs(1)).await;
        let reason = timeout(BOUND, tunnel.closed()).await.unwrap();
        assert_eq!((reason.name(), reason.phase), ("TerminatedByPeer", Phase::Up), "{reason}");
        fails_everywhere(&tunnel, stuck).await;
        leaves_nothing(&world, &building).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_vanishes_is_noticed_at_once_by_its_tcp() {
    let world = World::new(20);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let stuck = stuck(&tunnel).await;
    drop(building);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(tunnel.closed().await.name(), "ConnectionLost");
    fails_everywhere(&tunnel, stuck).await;
    timeout(BOUND, world.client.wait_idle()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn gre_that_stops_passing_is_noticed_by_echoes() {
    let world = World::new(20);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    sleep(Duration::from_mins(5)).await;
    assert!(matches!(&*tunnel.state().borrow(), State::Up));
    let stuck = stuck(&tunnel).await;
    building.mute_gre(true);
    let began = Instant::now();
    let reason = tunnel.closed().await;
    assert_eq!((reason.name(), reason.phase), ("EchoTimeout", Phase::Up), "{reason}");
    let took = began.elapsed().as_secs();
    assert!((60..=80).contains(&took), "30 s of silence and four echoes: {took} s");
    fails_everywhere(&tunnel, stuck).await;
    leaves_nothing(&world, &building).await;
}

#[tokio::test(start_paused = true)]
async fn shut_down_hangs_up_and_stops() {
    let world = World::new(20);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    timeout(BOUND, building.shut_down()).await.expect("in bounded time");
    assert_eq!(tunnel.closed().await.name(), "TerminatedByPeer");
    timeout(BOUND, world.client.wait_idle()).await.unwrap();
    drop(world.building(1));
}

async fn reached(connecting: &Connecting, phase: Phase) {
    let mut state = connecting.state();
    let reached = |state: &State| match state {
        State::Connecting { phase: now } => *now >= phase,
        _ => true,
    };
    state.wait_for(reached).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connect_dropped_in_any_phase_leaves_nothing() {
    for phase in Phase::ALL {
        let world = World::new(50);
        let building = world.building(1);
        let connecting = world.dial(&building);
        reached(&connecting, phase).await;
        drop(connecting);
        // what is under way arrives
        sleep(Duration::from_millis(500)).await;
        leaves_nothing(&world, &building).await;
        let ended = building.stats().ended;
        assert_eq!(ended.len(), usize::from(phase >= Phase::ControlConnection), "{phase}");
        // before the control connection is established there is nothing to take leave of
        let clean = phase <= Phase::ControlConnection || ended.iter().all(Ended::is_clean);
        assert!(clean, "dropped in phase {phase}: {ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connect_dropped_at_any_moment_leaves_nothing() {
    let world = World::new(50);
    let building = world.building(1);
    for moment in (0..=800).step_by(10) {
        let connecting = world.dial(&building);
        let _ = timeout(Duration::from_millis(moment), connecting).await;
        leaves_nothing(&world, &building).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_tunnel_alone() {
    let world = World::new(5);
    let (north, south) = (world.building(1), world.building(2));
    let (broken, other) = tokio::join!(world.connect(&north), world.connect(&south));
    let stuck = stuck(&broken).await;
    let download = tokio::spawn({
        let other = other.clone();
        async move { get(&other, "/16M").await.map(|body| body.len()) }
    });
    sleep(Duration::from_millis(50)).await;
    broken.inject_panic();
    let reason = timeout(BOUND, broken.closed()).await.unwrap();
    assert_eq!(reason.name(), "Internal", "{reason}");
    fails_everywhere(&broken, stuck).await;
    assert_eq!(download.await.unwrap().unwrap(), 16 << 20);
    assert_eq!(world.client.stats().panics, 1);
    other.close().await;
    timeout(BOUND, world.client.wait_idle()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tcp_listener_and_its_connections_end_with_the_tunnel() {
    let world = World::new(5);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let listener = tunnel.tcp_listen(8080, 4).unwrap();
    let accepting = tokio::spawn(async move { listener.accept().await.map(drop).unwrap_err() });
    sleep(Duration::from_millis(10)).await;
    tunnel.close().await;
    let error = timeout(BOUND, accepting).await.unwrap().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
    leaves_nothing(&world, &building).await;
}
