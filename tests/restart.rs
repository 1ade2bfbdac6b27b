//! What befalls servers: a process that is killed, a power failure, a restart

use std::{io, time::Duration};

use pptp::State;
use pptp_testkit::{DEVICE, Server, TcpOptions};
use pptp_tests::{World, address_of, config, get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

const LATENCY: Duration = Duration::from_millis(20);

#[tokio::test(start_paused = true)]
async fn a_power_failure_is_silence_until_the_echo_policy_ends_it() {
    let world = World::new(20);
    let mut building = world.building(1);
    let tunnel = world.connect(&building).await;
    let began = Instant::now();
    building.power_off().unwrap();
    let refused = world.client.connect(config(building.address()).connect_timeout(LATENCY * 100));
    assert_eq!(refused.await.unwrap_err().name(), "ConnectTimeout", "no host answers");
    assert!(matches!(&*tunnel.state().borrow(), State::Up), "nothing was said");
    let reason = timeout(Duration::from_secs(71), tunnel.closed()).await.expect("in time");
    assert_eq!(reason.name(), "EchoTimeout");
    assert!(began.elapsed() > Duration::from_mins(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_knows_nothing_of_its_clients() {
    let world = World::new(20);
    let mut building = world.building(1);
    let tunnel = world.connect(&building).await;
    building.power_off().unwrap();
    sleep(Duration::from_secs(10)).await;
    building.restart().await.unwrap();
    assert_eq!((building.stats().up_ever, building.stats().connections), (0, 0));
    let again = world.connect(&building).await;
    assert_eq!(get(&again, "/").await.unwrap(), b"building 1\n");
    // the first tunnel's hang-up or echo is answered with a reset, and its GRE with nothing
    tunnel.hang_up();
    timeout(Duration::from_secs(9), tunnel.closed()).await.expect("in time");
    assert_eq!(get(&again, "/").await.unwrap(), b"building 1\n");
    assert_eq!(building.stats().up, 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_killed_is_noticed_one_latency_later_and_its_address_is_free() {
    for way in ["drop", "restart"] {
        let world = World::new(20);
        let mut building = world.building(1);
        let tunnel = world.connect(&building).await;
        let began = Instant::now();
        if way == "drop" {
            drop(building);
            building = world.building(1);
        } else {
            building.restart().await.unwrap();
        }
        let reason = timeout(LATENCY * 2, tunnel.closed()).await.expect(way);
        assert_eq!(reason.name(), "ConnectionLost", "{way}");
        assert!(began.elapsed() >= LATENCY, "{way}: {:?}", began.elapsed());
        let again = world.connect(&building).await;
        assert_eq!(get(&again, "/").await.unwrap(), b"building 1\n", "{way}");
        assert_eq!(building.stats().up_ever, 1, "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_is_free_again_only_when_its_server_is_gone() {
    let world = World::new(5);
    for _ in 0..10 {
        let building = world.building(1);
        let second = Server::builder(2).serve_memory(&world.network, address_of(1));
        assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(building);
    }
}

/// Options, and the cable that somebody else has pulled out, are as they were
#[tokio::test(start_paused = true)]
async fn a_restart_changes_nothing_else() {
    let world = World::new(5);
    let mut building = world.serve(1, Server::builder(1).sessions(1));
    world.network.host(building.address()).unplug();
    building.restart().await.unwrap();
    let dial = world.client.connect(config(building.address()).connect_timeout(LATENCY * 10));
    assert_eq!(dial.await.unwrap_err().name(), "ConnectTimeout", "still unplugged");
    world.network.host(building.address()).plug_in();
    let _only = world.connect(&building).await;
    assert_eq!(world.dial(&building).await.unwrap_err().name(), "CallRefused", "one session");
}

#[tokio::test(start_paused = true)]
async fn a_service_of_a_tests_own_ends_with_the_server() {
    let world = World::new(5);
    let mut building = world.building(1);
    for round in 0..2 {
        let listener = building.net().tcp_listen((DEVICE, 502).into(), 8, TcpOptions::default());
        let listener = listener.unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"own").await.unwrap();
            drop(stream);
            listener.accept().await.unwrap_err()
        });
        let tunnel = world.connect(&building).await;
        let mut stream = tunnel.tcp_connect((DEVICE, 502)).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "own", "{round}");
        building.restart().await.unwrap();
        timeout(LATENCY, serving).await.expect("it is told").unwrap();
    }
}
