//! The driver's sign of life, and the control connection's

use std::time::Duration;

use pptp::{ClientError, State, config::EchoPolicy};
use pptp_testkit::DEVICE;
use pptp_tests::{CLIENT, World, address_of, config, get};
use tokio::time::{Instant, sleep, timeout};

const SOON: Duration = Duration::from_millis(10);

/// What comes before any time passes: the clock stands still while a task can run
async fn at_once(beat: impl Future<Output = Result<(), ClientError>>) {
    let began = Instant::now();
    timeout(SOON, beat).await.expect("at once").unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_driver_answers_whether_it_is_idle_or_busy() {
    let world = World::new(20);
    for _ in 0..3 {
        at_once(world.client.beat()).await;
    }
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let download = tokio::spawn(async move { get(&tunnel, "/16M").await.unwrap().len() });
    let mut beats = 0;
    while !download.is_finished() {
        timeout(SOON, world.client.beat()).await.expect("also while it carries").unwrap();
        beats += 1;
        sleep(SOON).await;
    }
    assert!(beats > 50, "{beats}");
    assert_eq!(download.await.unwrap(), 16 << 20);
}

#[tokio::test(start_paused = true)]
async fn a_round_counts_only_if_it_began_after_the_call() {
    let world = World::new(20);
    // no task of this thread runs before it waits
    let beats: Vec<_> = (0..1000).map(|_| world.client.beat()).collect();
    let turns = world.client.stats().turns;
    for beat in beats {
        at_once(beat).await;
    }
    assert_eq!(world.client.stats().turns, turns, "and no tunnel has a turn for it");
    drop(world.client.beat());
    at_once(world.client.beat()).await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_takes_nothing_does_not_silence_the_driver() {
    let world = World::new(5);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    let socket = tunnel.udp_bind(0).unwrap();
    world.network.host(CLIENT).stall_gre(true);
    for _ in 0..10 {
        socket.send_to(b"waits", (DEVICE, 7)).await.unwrap();
        sleep(SOON).await;
        timeout(SOON, world.client.beat()).await.expect("it is not the socket's").unwrap();
    }
}

/// Two runtimes: the driver's is blocked by a task, or gone
#[test]
fn a_driver_that_does_not_run_gives_no_sign_of_life() {
    let theirs = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = theirs.block_on(async { tokio::spawn(async { World::new(1) }).await.unwrap() });
    let (block, blocked) = std::sync::mpsc::channel::<()>();
    ours.block_on(async {
        world.client.beat().await.unwrap();
        let (begin, begun) = tokio::sync::oneshot::channel();
        theirs.spawn(async move {
            begin.send(()).unwrap();
            blocked.recv().unwrap_err();
        });
        begun.await.unwrap();
        let waiting = world.client.beat();
        let early = timeout(Duration::from_millis(100), waiting).await;
        assert!(early.is_err(), "the only thread of its runtime is blocked");
        drop(block);
        timeout(Duration::from_mins(1), world.client.beat()).await.expect("it goes on").unwrap();
    });
    let beat = world.client.beat();
    drop(theirs);
    ours.block_on(async {
        // whether its round was made before the end is chance
        timeout(Duration::from_mins(1), beat).await.expect("it is told in any case").ok();
        let beat = timeout(Duration::from_mins(1), world.client.beat()).await;
        assert!(matches!(beat, Ok(Err(ClientError::DriverStopped))), "{beat:?}");
    });
}

/// LCP asks nothing, so that only the control connection notices
fn without_lcp_echoes() -> pptp::TunnelConfig {
    let never = Duration::from_hours(1);
    config(address_of(1)).echo(EchoPolicy::DEFAULT.silence(never).interval(never).unanswered(1))
}

#[tokio::test(start_paused = true)]
async fn the_control_connection_is_probed_as_often_and_as_patiently_as_is_asked() {
    let seconds = Duration::from_secs;
    for (interval, patience) in [(20, 10), (1, 1), (300, 5)] {
        let world = World::new(20);
        let _building = world.building(1);
        let config = without_lcp_echoes().control_echo(seconds(interval), seconds(patience));
        let tunnel = world.client.connect(config).await.unwrap();
        // healthy, and probed some times
        sleep(seconds(10 * interval) + seconds(interval) / 2).await;
        assert!(matches!(&*tunnel.state().borrow(), State::Up), "{interval} s, {patience} s");
        world.network.host(address_of(1)).unplug();
        let began = Instant::now();
        let reason = timeout(seconds(interval + patience + 1), tunnel.closed()).await;
        assert_eq!(reason.expect("in time").name(), "ControlEchoTimeout");
        let took = began.elapsed();
        assert!(took >= seconds(patience), "{took:?} with {interval} s, {patience} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silence_shorter_than_the_patience_ends_nothing() {
    let world = World::new(20);
    let _building = world.building(1);
    let times = Duration::from_secs(10);
    let config = without_lcp_echoes().control_echo(times, times * 3);
    let tunnel = world.client.connect(config).await.unwrap();
    for _ in 0..5 {
        world.network.host(address_of(1)).unplug();
        sleep(times).await;
        world.network.host(address_of(1)).plug_in();
        sleep(times * 4).await;
    }
    assert!(matches!(&*tunnel.state().borrow(), State::Up));
}
