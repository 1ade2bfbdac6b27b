//! How tunnels come up, and why they do not

use std::{net::Ipv4Addr, time::Duration};

use pptp::{State, TunnelConfig, TunnelError, config::HashName, error::Phase};
use pptp_testkit::{Server, ServerEncryption, ServerOrder, memory::Impairment};
use pptp_tests::{CLIENT, World, address_of, client_at, config, get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

#[tokio::test(start_paused = true)]
async fn connect_time_is_round_trips_and_nothing_else() {
    // TCP, control connection, call, LCP, authentication, and two for CCP and IPCP together; RRAS's
    // LCP takes one more, for it asks for what has to be rejected
    let orders = [(ServerOrder::Pppd, 7), (ServerOrder::AccelPpp, 7), (ServerOrder::Rras, 8)];
    for (order, expected) in orders {
        let world = World::new(50);
        let building = world.serve(1, Server::builder(1).order(order));
        let info = world.connect(&building).await.info();
        println!("{order:?}: {} round trips; {}", info.round_trips, info.timeline);
        assert_eq!(
            info.connect_time,
            Duration::from_millis(100) * u32::from(info.round_trips),
            "{order:?}: {}",
            info.timeline
        );
        assert_eq!(info.round_trips, expected, "{order:?}: {}", info.timeline);
    }
}

/// What the server gave before, it does not have to change: its Configure-Nak is spared
#[tokio::test(start_paused = true)]
async fn resuming_saves_a_round_trip() {
    for order in [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras] {
        let world = World::new(50);
        let building = world.serve(1, Server::builder(1).order(order).sessions(1));
        let first = world.connect(&building).await;
        first.close().await;
        building.idle().await;
        let config = config(building.address()).resuming(&first.info());
        let again = world.client.connect(config).await.unwrap();
        let (first, again) = (first.info(), again.info());
        println!("{order:?}: {} round trips, then {}", first.round_trips, again.round_trips);
        assert_eq!(again.round_trips, first.round_trips - 1, "{order:?}\n{}", again.timeline);
        assert_eq!(again.connect_time, Duration::from_millis(100) * u32::from(again.round_trips));
        assert_eq!((again.inner_address, &again.dns), (first.inner_address, &first.dns));
    }
}

#[tokio::test(start_paused = true)]
async fn every_negotiated_fact_is_told() {
    let world = World::new(1);
    let builder =
        Server::builder(1).dns([Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::new(9, 9, 9, 9)]);
    let building = world.serve(1, builder.mru(1300));
    let info = world.connect(&building).await.info();
    assert_eq!(info.inner_address, Ipv4Addr::new(192, 168, 1, 20));
    assert_eq!(info.peer_address, Some(Ipv4Addr::new(192, 168, 1, 1)));
    assert_eq!(*info.server.ip(), address_of(1));
    assert_eq!(info.dns, [Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::new(9, 9, 9, 9)]);
    assert!(info.mtu <= 1300 && info.mtu >= 1290, "the MRU less what MPPE adds: {}", info.mtu);
}

/// One octet a write, one a read, and a write that would block before each octet: nothing of a control
/// message is lost, doubled or late, neither by the client nor by the server
#[tokio::test(start_paused = true)]
async fn control_messages_pass_octet_by_octet_as_they_pass_whole() {
    for order in [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras] {
        let mut times = Vec::new();
        for stammering in [&[][..], &[CLIENT], &[address_of(1)], &[CLIENT, address_of(1)]] {
            let world = World::new(20);
            for host in stammering {
                world.network.host(*host).move_single_octets();
            }
            let building = world.serve(1, Server::builder(1).order(order));
            let tunnel = world.connect(&building).await;
            times.push(tunnel.info().connect_time);
            // two Echo-Requests at least, of either end
            sleep(Duration::from_secs(200)).await;
            assert!(matches!(*tunnel.state().borrow(), State::Up), "{order:?}, {stammering:?}");
            assert!(get(&tunnel, "/").await.is_ok(), "{order:?}, {stammering:?}");
            tunnel.close().await;
            timeout(Duration::from_secs(8), building.idle()).await.expect("hung up");
            let ended = &building.stats().ended[0];
            assert!(ended.was_up && ended.is_clean(), "{order:?}, {stammering:?}: {ended:?}");
        }
        assert!(times.windows(2).all(|pair| pair[0] == pair[1]), "{order:?}: {times:?}");
    }
}

async fn failure(world: &World, config: TunnelConfig) -> (TunnelError, Duration) {
    let began = Instant::now();
    let error = world.client.connect(config).await.expect_err("no tunnel");
    world.client.wait_idle().await;
    (error, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_or_user_is_authentication_failed_691() {
    let world = World::new(10);
    let building = world.building(1);
    for (user, password) in [("testuser", "wrong"), ("nobody", "test123")] {
        let config = TunnelConfig::new(address_of(1).to_string(), user, password);
        let (error, _) = failure(&world, config).await;
        assert_eq!((error.name(), error.phase), ("AuthFailed", Phase::Authentication), "{error}");
        assert!(error.to_string().contains("691"), "{error}");
        building.idle().await;
    }
    assert_eq!(building.stats().up_ever, 0);
}

/// On the real clock TCP and GRE are read by two tasks, in whichever order
#[test]
fn a_wrong_password_is_told_however_the_tasks_run() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new(1);
        let building = world.building(1);
        for _ in 0..30 {
            let wrong = TunnelConfig::new(building.address().to_string(), "testuser", "wrong");
            let error = world.client.connect(wrong).await.unwrap_err();
            assert_eq!(error.name(), "AuthFailed", "{error}");
        }
    });
}

#[tokio::test(start_paused = true)]
async fn the_longest_connect_timeout_is_no_trouble() {
    let world = World::new(20);
    let building = world.building(1);
    let config = config(building.address()).connect_timeout(Duration::MAX);
    world.client.connect(config).await.unwrap().close().await;
}

#[tokio::test(start_paused = true)]
async fn a_connect_is_a_future_like_any_other() {
    let world = World::new(20);
    let buildings = [world.building(1), world.building(2)];
    let mut connects = tokio::task::JoinSet::new();
    for building in &buildings {
        connects.spawn(world.dial(building));
    }
    for tunnel in connects.join_all().await {
        tunnel.unwrap().close().await;
    }
    let wrong = TunnelConfig::new(buildings[0].address().to_string(), "testuser", "wrong");
    let mut connecting = world.client.connect(wrong);
    assert!(timeout(Duration::from_millis(10), &mut connecting).await.is_err());
    assert_eq!((&mut connecting).await.unwrap_err().name(), "AuthFailed");
    assert!(connecting.flight_record().records().len() > 10, "what was said before it failed");
}

#[test]
fn a_client_outside_a_runtime_is_an_error() {
    let network = pptp_testkit::memory::Network::new(0);
    let error = pptp::Client::builder().memory(network.host(address_of(1))).build().unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn no_tunnel_comes_up_without_encryption() {
    for order in [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras] {
        let world = World::new(10);
        let builder = Server::builder(1).order(order).encryption(ServerEncryption::None);
        let building = world.serve(1, builder);
        let (error, took) = failure(&world, config(address_of(1))).await;
        assert_eq!(
            (error.name(), error.phase),
            ("EncryptionUnavailable", Phase::Network),
            "{error}"
        );
        assert!(took < Duration::from_secs(10), "{order:?}: {took:?}");
        building.idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_gre_is_swallowed_is_gre_blocked_within_12_s() {
    let world = World::new(10);
    let building = world.serve(1, Server::builder(1).mute_gre(true));
    let (error, _) = failure(&world, config(address_of(1))).await;
    assert_eq!((error.name(), error.phase), ("GreBlocked", Phase::LinkControl), "{error}");
    let waited = error.timeline.shares().map(|(_, share)| share).sum::<Duration>();
    assert!(waited <= Duration::from_secs(12), "{waited:?}");
    building.idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_host_without_a_server_refuses() {
    let world = World::new(10);
    drop(world.network.host(address_of(9)));
    let (error, _) = failure(&world, config(address_of(9))).await;
    assert_eq!((error.name(), error.phase), ("TcpRefused", Phase::TcpConnect), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_address_without_a_host_and_a_name_are_told_apart() {
    let world = World::new(10);
    let (unreachable, _) = failure(&world, config(address_of(9))).await;
    assert_eq!((unreachable.name(), unreachable.phase), ("TcpFailed", Phase::TcpConnect));
    let (unknown, _) = failure(&world, TunnelConfig::new("no.such.host", "u", "p")).await;
    assert_eq!((unknown.name(), unknown.phase), ("NameNotResolved", Phase::Resolve), "{unknown}");
    let (ipv6, _) = failure(&world, TunnelConfig::new("[2001:db8::1]:1723", "u", "p")).await;
    assert_eq!(ipv6.name(), "OuterIpv6", "{ipv6}");
}

#[tokio::test(start_paused = true)]
async fn a_web_server_on_the_port_is_not_pptp() {
    let world = World::new(10);
    let listener = world.network.host(address_of(9)).listen_tcp(1723).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 16];
        stream.read_exact(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await.unwrap();
    });
    let (error, took) = failure(&world, config(address_of(9))).await;
    assert_eq!((error.name(), error.phase), ("NotPptp", Phase::ControlConnection), "{error}");
    assert!(error.to_string().contains("HTTP"), "it shows what came: {error}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_port_that_says_nothing_is_no_control_reply_within_12_s() {
    let world = World::new(10);
    let listener = world.network.host(address_of(9)).listen_tcp(1723).unwrap();
    let silent = tokio::spawn(async move {
        let held = listener.accept().await;
        sleep(Duration::from_mins(1)).await;
        drop(held);
    });
    let (error, _) = failure(&world, config(address_of(9))).await;
    assert_eq!((error.name(), error.phase), ("NoControlReply", Phase::ControlConnection));
    let waited = error.timeline.shares().map(|(_, share)| share).sum::<Duration>();
    assert!(waited <= Duration::from_secs(12), "{waited:?}");
    silent.abort();
}

#[tokio::test(start_paused = true)]
async fn one_deadline_covers_the_whole_connect_and_tells_each_share() {
    let world = World::new(100);
    let building = world.serve(1, Server::builder(1).mute_gre(true));
    let config = config(address_of(1)).connect_timeout(Duration::from_secs(3));
    let (error, _) = failure(&world, config).await;
    assert_eq!((error.name(), error.phase), ("ConnectTimeout", Phase::LinkControl), "{error}");
    let text = error.to_string();
    for share in ["TCP connect 200 ms", "control connection 200 ms", "call 200 ms", "LCP 2400 ms"] {
        assert!(text.contains(share), "{share} is missing: {text}");
    }
    building.idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_server_is_busy_and_has_room_again_later() {
    let world = World::new(10);
    let building = world.serve(1, Server::builder(1).sessions(1));
    let first = world.connect(&building).await;
    let (error, _) = failure(&world_of_another_client(&world), config(address_of(1))).await;
    assert_eq!((error.name(), error.phase), ("CallRefused", Phase::Call), "{error}");
    first.close().await;
    building.idle().await;
    drop(world.connect(&building).await);
}

fn world_of_another_client(world: &World) -> World {
    let network = world.network.clone();
    let client = client_at(&network, Ipv4Addr::new(10, 99, 1, 2));
    World { network, client }
}

#[tokio::test(start_paused = true)]
async fn a_domain_before_the_user_is_sent_and_not_hashed() {
    let world = World::new(1);
    let _building = world.serve(1, Server::builder(1).secret(r"CORP\testuser", "test123"));
    let server = address_of(1).to_string();
    let config = TunnelConfig::new(server, r"CORP\testuser", "test123");
    world.client.connect(config.clone()).await.expect("a tunnel");
    let as_sent = config.hash_name(HashName::AsSent);
    let (error, _) = failure(&world, as_sent).await;
    assert_eq!(error.name(), "AuthFailed", "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_state_goes_through_the_phases_in_order() {
    let world = World::new(50);
    let building = world.building(1);
    let connecting = world.dial(&building);
    let mut state = connecting.state();
    let watching = tokio::spawn(async move {
        let mut phases = Vec::new();
        loop {
            match &*state.borrow_and_update() {
                State::Connecting { phase } => phases.push(*phase),
                State::Up => return phases,
                other => panic!("{other:?}"),
            }
            state.changed().await.unwrap();
        }
    });
    let _tunnel = connecting.await.unwrap();
    let phases = watching.await.unwrap();
    assert!(phases.is_sorted(), "{phases:?}");
    // each takes a round trip, but for the name, which is an address
    assert_eq!(phases[phases.len() - 6..], Phase::ALL[1..7], "{phases:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bad_line_delays_the_connect_and_does_not_prevent_it() {
    let world = World::new(30);
    let (jitter, loss_per_mille, duplicate_per_mille) = (Duration::from_millis(30), 150, 100);
    world.network.set_impairment(Impairment {
        jitter,
        loss_per_mille,
        duplicate_per_mille,
        ..Impairment::default()
    });
    for order in [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras] {
        let building = world.serve(1, Server::builder(1).order(order));
        for attempt in 0..20 {
            let tunnel = world.dial(&building).await;
            let tunnel = tunnel.unwrap_or_else(|error| panic!("{order:?}, {attempt}: {error}"));
            tunnel.close().await;
        }
        building.shut_down().await;
    }
}
