//! Time: clocks that jump, a socket that takes nothing, and a day of silence

use std::time::Duration;

use pptp::{State, config::EchoPolicy, error::Phase};
use pptp_testkit::{DEVICE, Server};
use pptp_tests::{CLIENT, World, address_of, config, get};
use tokio::time::{Instant, advance, sleep, timeout};

/// Whatever a tunnel waits for just then, a server that is there is not taken for dead
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_kills_no_tunnel() {
    // around LCP's first echoes, and those of the control connection
    let moments = (0..=1).chain(28_000..32_000).chain(54_000..62_000).chain([119_000, 180_300]);
    for moment in moments.filter(|moment| moment % 250 == 0) {
        for jump in [20, 120, 86_400] {
            // a round trip of a second, so that something is always on its way
            let world = World::new(500);
            let building = world.building(1);
            let tunnel = world.connect(&building).await;
            sleep(Duration::from_millis(moment)).await;
            advance(Duration::from_secs(jump)).await;
            sleep(Duration::from_mins(5)).await;
            assert!(
                matches!(&*tunnel.state().borrow(), State::Up),
                "{jump} s at {moment} ms: {:?}",
                tunnel.state()
            );
            assert_eq!(get(&tunnel, "/").await.unwrap(), b"building 1\n");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_a_connect_at_its_deadline() {
    let world = World::new(500);
    let building = world.serve(1, Server::builder(1).mute_gre(true));
    let connecting = tokio::spawn(world.dial(&building));
    sleep(Duration::from_secs(5)).await;
    advance(Duration::from_hours(1)).await;
    let ended = timeout(Duration::from_secs(1), connecting).await.expect("at once").unwrap();
    let name = ended.unwrap_err().name();
    assert!(["ConnectTimeout", "GreBlocked"].contains(&name), "{name}");
}

/// A send buffer that stays full, as behind a device whose queue is stuck
#[tokio::test(start_paused = true)]
async fn deadlines_strike_while_the_gre_socket_takes_nothing() {
    let world = World::new(20);
    let building = world.building(1);
    let (tunnel, other) = (world.connect(&building).await, world.connect(&building).await);
    world.network.host(CLIENT).stall_gre(true);
    let writing = tunnel.ping(DEVICE, Duration::from_secs(3));
    assert!(writing.await.is_err(), "this fills what there is to fill");

    let began = Instant::now();
    let limit = Duration::from_secs(5);
    let late = world.client.connect(config(address_of(1)).connect_timeout(limit)).await;
    assert_eq!(late.unwrap_err().name(), "ConnectTimeout");
    assert!(began.elapsed() < limit + Duration::from_millis(500), "{:?}", began.elapsed());

    let began = Instant::now();
    other.close().await;
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());

    let reason = timeout(Duration::from_secs(80), tunnel.closed()).await.expect("it is noticed");
    // ours are not sent, and those of the server not answered
    assert!(["EchoTimeout", "TerminatedByPeer"].contains(&reason.name()), "{reason}");
    timeout(Duration::from_secs(9), world.client.wait_idle()).await.expect("nothing is left");
}

#[tokio::test(start_paused = true)]
async fn what_the_server_says_is_heard_while_the_gre_socket_takes_nothing() {
    let world = World::new(20);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    world.network.host(CLIENT).stall_gre(true);
    assert!(tunnel.ping(DEVICE, Duration::from_secs(1)).await.is_err());
    drop(building);
    let reason = timeout(Duration::from_secs(1), tunnel.closed()).await.expect("at once");
    assert_eq!((reason.name(), reason.phase), ("ConnectionLost", Phase::Up));
}

/// An answer that is there when its deadline strikes counts
#[tokio::test(start_paused = true)]
async fn an_answer_just_before_the_deadline_is_one() {
    let latency = Duration::from_micros(999_700);
    for interval in (1_999_800..2_003_000).step_by(100).map(Duration::from_micros) {
        // it comes a little earlier than the deadline, and both are seen when the clock ticks next
        let echo = EchoPolicy::DEFAULT.silence(interval).interval(interval).unanswered(1);
        let world = World::new(0);
        world.network.set_latency(latency);
        let _building = world.building(1);
        let tunnel = world.client.connect(config(address_of(1)).echo(echo)).await.unwrap();
        sleep(Duration::from_mins(2)).await;
        assert!(matches!(&*tunnel.state().borrow(), State::Up), "{interval:?}");
    }
}
