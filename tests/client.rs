//! A client as a whole: its list of tunnels, its end, and what is left on the wire of each

use std::time::Duration;

use pptp::{
    Client, Connecting, State, Tunnel, TunnelConfig,
    error::{Failure, TunnelFailure},
};
use pptp_testkit::{DEVICE, Server, ServerOrder};
use pptp_tests::{World, address_of, config};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

/// The stated bound of `Client::close`
const BOUND: Duration = Duration::from_secs(11);

/// The end of a tunnel that was hung up on this side
const CLOSED: Failure = Failure::Tunnel(TunnelFailure::Closed);

fn names(client: &Client) -> Vec<String> {
    client.tunnels().iter().map(|tunnel| tunnel.name().to_owned()).collect()
}

fn named(server: &Server, name: &str) -> TunnelConfig {
    config(server.address()).name(name)
}

#[tokio::test(start_paused = true)]
async fn close_hangs_up_all_that_a_client_has_in_whatever_state_it_is() {
    let world = World::new(20);
    let good = world.building(1);
    // one that takes a SYN and never answers it, and one that accepts and says nothing
    let silent = world.network.host(address_of(2)).listen_tcp(1723).unwrap();
    world.network.host(address_of(3)).unplug();
    let up = world.connect(&good).await;
    let forgotten = up.tcp_connect((DEVICE, 7)).await.unwrap();
    let connecting: Vec<Connecting> = [good.address(), address_of(2), address_of(3)]
        .map(|server| world.client.connect(config(server).connect_timeout(BOUND * 10)))
        .into();
    sleep(Duration::from_millis(90)).await;
    assert_eq!(world.client.tunnels().len(), 4);

    let (began, clone) = (Instant::now(), world.client.clone());
    timeout(BOUND, clone.close()).await.expect("the bound");
    let took = began.elapsed();
    assert_eq!(up.closed().await.failure, CLOSED);
    for connecting in connecting {
        assert_eq!(connecting.await.unwrap_err().failure, CLOSED);
    }
    assert!(world.client.tunnels().is_empty());
    timeout(Duration::ZERO, world.client.wait_idle()).await.expect("nothing is left, at once");
    timeout(Duration::from_secs(1), good.idle()).await.expect("the server holds nothing");
    assert!(good.stats().ended.iter().all(|ended| !ended.was_up || ended.is_clean()));
    println!("close took {took:?}");
    drop((silent, forgotten));
}

#[tokio::test(start_paused = true)]
async fn a_closed_client_dials_no_more() {
    let world = World::new(5);
    let building = world.building(1);
    let clone = world.client.clone();
    timeout(Duration::ZERO, world.client.close()).await.expect("at once: there is no tunnel");
    let began = Instant::now();
    let connecting = clone.connect(config(building.address()));
    let hung_up = connecting.hung_up();
    assert_eq!(connecting.await.unwrap_err().failure, CLOSED);
    hung_up.await;
    assert_eq!((began.elapsed(), clone.tunnels().len()), (Duration::ZERO, 0));
    assert_eq!(building.stats().connections, 0);
    // it can be closed again
    clone.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_given_up_goes_on() {
    let world = World::new(50);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    assert!(timeout(Duration::from_millis(1), world.client.close()).await.is_err());
    assert_eq!(tunnel.closed().await.failure, CLOSED);
    timeout(BOUND, world.client.wait_idle()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_list_has_names_and_states_and_keeps_nothing_up() {
    let world = World::new(10);
    let building = world.building(1);
    let first = world.client.connect(named(&building, "first")).await.unwrap();
    let second = world.client.connect(named(&building, "second"));
    let third = world.client.connect(named(&building, "third")).await.unwrap();
    let second = {
        let list = world.client.tunnels();
        assert_eq!(names(&world.client), ["first", "second", "third"], "in their order");
        assert!(matches!(&*list[0].state().borrow(), State::Up));
        second.await.unwrap()
    };

    let list = world.client.tunnels();
    let held: Tunnel = list[0].upgrade().expect("it is up");
    drop(first);
    sleep(BOUND).await;
    assert!(matches!(&*held.state().borrow(), State::Up), "a handle like any other");
    drop(held);
    assert!(list[0].upgrade().is_none(), "its last handle is gone");
    assert_eq!(names(&world.client), ["second", "third"]);
    let mut state = list[0].state();
    let down = timeout(BOUND, state.wait_for(State::is_down)).await.expect("nothing keeps it up");
    assert!(matches!(&*down.unwrap(), State::Down { reason } if reason.name() == "Closed"));

    list[1].hang_up();
    assert_eq!(second.closed().await.failure, CLOSED);
    second.hung_up().await;
    assert_eq!(names(&world.client), ["third"], "of what has ended nothing is left");
    assert_eq!((list[1].name(), list[1].upgrade().is_some()), ("second", true), "while it is held");
    drop(third);
    timeout(BOUND, world.client.wait_idle()).await.expect("the lists hold nothing");
}

#[tokio::test(start_paused = true)]
async fn a_connect_is_no_tunnel_before_it_is_up() {
    let world = World::new(10);
    let building = world.building(1);
    let connecting = world.dial(&building);
    let listed = world.client.tunnels().remove(0);
    assert!(listed.upgrade().is_none());
    assert!(matches!(&*listed.state().borrow(), State::Connecting { .. }));
    listed.hang_up();
    assert_eq!(connecting.await.unwrap_err().failure, CLOSED);
    timeout(BOUND, world.client.wait_idle()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn when_a_tunnel_has_hung_up_the_server_holds_nothing_of_it() {
    for order in [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras] {
        let world = World::new(20);
        let building = world.serve(1, Server::builder(1).order(order));
        let tunnel = world.connect(&building).await;
        let (hung_up, clone) = (tunnel.hung_up(), tunnel.clone());
        let early = timeout(Duration::from_mins(5), clone.hung_up()).await;
        assert!(early.is_err(), "waiting neither hangs up nor ends by itself");
        drop((tunnel, clone));
        timeout(BOUND, hung_up).await.expect("it holds no handle");
        timeout(Duration::ZERO, world.client.wait_idle()).await.expect("nothing is left");
        // the last octets arrive after one latency
        timeout(Duration::from_millis(21), building.idle()).await.expect("nor there");
        assert!(building.stats().ended[0].is_clean(), "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_before_the_hang_up_that_follows_it() {
    let world = World::new(20);
    let building = world.building(1);
    let connecting = world.client.connect(TunnelConfig::new(
        building.address().to_string(),
        "testuser",
        "another password",
    ));
    let hung_up = connecting.hung_up();
    let error = connecting.await.unwrap_err();
    assert_eq!(error.name(), "AuthFailed");
    timeout(BOUND, hung_up).await.expect("the bound");
    timeout(Duration::from_millis(21), building.idle()).await.expect("the server is free again");
    timeout(Duration::ZERO, world.client.wait_idle()).await.expect("nothing is left");
}

#[tokio::test(start_paused = true)]
async fn a_connect_that_was_dropped_has_hung_up_at_any_moment() {
    for after in 0..30 {
        let world = World::new(20);
        let building = world.building(1);
        let connecting = world.dial(&building);
        let hung_up = connecting.hung_up();
        sleep(Duration::from_millis(after * 11)).await;
        drop(connecting);
        timeout(BOUND, hung_up).await.unwrap_or_else(|_| panic!("after {after} times 11 ms"));
        timeout(Duration::from_millis(21), building.idle())
            .await
            .expect("the server is free again");
        timeout(Duration::ZERO, world.client.wait_idle()).await.expect("nothing is left");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_has_hung_up_already_says_so_at_once() {
    let world = World::new(5);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    tunnel.close().await;
    tunnel.hung_up().await;
    timeout(Duration::ZERO, tunnel.hung_up()).await.expect("again and at once");
    let mut all: Vec<_> = (0..100).map(|_| tunnel.hung_up()).collect();
    for hung_up in &mut all {
        timeout(Duration::ZERO, hung_up).await.expect("all of them");
    }
}

/// A server that never reads its control connection: what is told to it cannot be delivered
#[tokio::test(start_paused = true)]
async fn a_server_that_reads_nothing_holds_nothing_up_past_the_bound() {
    let world = World::new(5);
    let listener = world.network.host(address_of(1)).listen_tcp(1723).unwrap();
    let connecting = world.client.connect(config(address_of(1)).connect_timeout(BOUND));
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.read_exact(&mut [0; 156]).await.unwrap();
    stream.write_all(b"\0\x9c\0\x01").await.unwrap();
    let hung_up = connecting.hung_up();
    drop(connecting);
    timeout(BOUND, hung_up).await.expect("the bound");
}

/// A runtime that is shut down leaves nothing either, and says so
#[test]
fn a_runtime_that_is_shut_down_ends_what_waits_for_a_hang_up() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (theirs, ours) = (runtime(), runtime());
    let (world, building, tunnel) = theirs.block_on(async {
        let world = World::new(1);
        let building = world.building(1);
        let tunnel = world.connect(&building).await;
        (world, building, tunnel)
    });
    let (hung_up, idle) = (tunnel.hung_up(), world.client.wait_idle());
    drop(theirs);
    ours.block_on(async {
        timeout(BOUND, hung_up).await.expect("the task is gone");
        timeout(BOUND, idle).await.expect("and the client has no tunnel");
        assert_eq!(tunnel.closed().await.name(), "RuntimeShutDown");
    });
    drop(building);
}
