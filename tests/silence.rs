//! Tunnels that are up and carry nothing: found, named and ended; and those that carry are left alone

use std::{net::Ipv4Addr, time::Duration};

use pptp::{
    Reachability, Tunnel, TunnelError,
    config::EchoPolicy,
    error::{LinkFailure, NothingPasses, Retry},
    info::Proof,
};
use pptp_testkit::{BLACK_HOLE, DEVICE, Deafness, Echoes, Faults, Muteness, ROUTER, Server};
use pptp_tests::{World, config};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

const SECOND: Duration = Duration::from_secs(1);

async fn up(world: &World, faults: Faults) -> (Server, Tunnel) {
    let server = world.serve(1, Server::builder(1).faults(faults));
    let tunnel = world.client.connect(config(server.address())).await.expect("a tunnel");
    (server, tunnel)
}

/// Sends a datagram each half second until the tunnel ends, and tells why and when it did
async fn send_until_down(
    tunnel: &Tunnel,
    to: Ipv4Addr,
    limit: Duration,
) -> Option<(Duration, TunnelError)> {
    let began = Instant::now();
    let socket = tunnel.udp_bind(0).unwrap();
    let mut buffer = [0; 100];
    while began.elapsed() < limit {
        let _ = socket.send_to(b"anybody there?", (to, 7)).await;
        let _ = socket.try_recv(&mut buffer);
        if let Ok(reason) = timeout(SECOND / 2, tunnel.closed()).await {
            return Some((began.elapsed(), reason));
        }
    }
    None
}

fn nothing_passes(error: &TunnelError) -> NothingPasses {
    let Some(LinkFailure::NothingPasses(evidence)) = error.failure.link() else {
        panic!("{error}");
    };
    *evidence
}

#[tokio::test(start_paused = true)]
async fn the_path_is_proven_by_a_ping_right_after_coming_up() {
    let world = World::new(10);
    let (_server, tunnel) = up(&world, Faults::default()).await;
    let began = Instant::now();
    assert_eq!(tunnel.reachable().await.unwrap(), Reachability::Proven(Proof::Ping));
    assert!(began.elapsed() <= Duration::from_millis(30), "{:?}", began.elapsed());
    assert_eq!(tunnel.info().reachability(), Reachability::Proven(Proof::Ping));
    let stats = tunnel.stats();
    assert_eq!(stats.reachability(), Reachability::Proven(Proof::Ping));
    assert_eq!(stats.ping().last(), Some(Duration::from_millis(20)));
    assert_eq!((stats.tunnel.ip_received, stats.tunnel.ip_sent), (0, 0), "of users");
    sleep(3600 * SECOND).await;
    assert_eq!(tunnel.stats().tunnel.link.proofs_sent, stats.tunnel.link.proofs_sent, "idle");
}

#[tokio::test(start_paused = true)]
async fn a_router_that_answers_no_ping_turns_a_short_lived_packet_back() {
    let world = World::new(10);
    let (_server, tunnel) = up(&world, Faults { ignores_pings: true, ..Faults::default() }).await;
    assert_eq!(tunnel.reachable().await.unwrap(), Reachability::Proven(Proof::RouterError));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_nothing_is_unproven_after_three_seconds_and_lives() {
    let world = World::new(10);
    let faults = Faults { ignores_pings: true, hides_expired: true, ..Faults::default() };
    let (_server, tunnel) = up(&world, faults).await;
    let began = Instant::now();
    assert_eq!(tunnel.reachable().await.unwrap(), Reachability::Unproven);
    assert!((3000..3100).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let end = send_until_down(&tunnel, BLACK_HOLE, 600 * SECOND).await;
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn users_of_ip_packets_see_no_answer_to_a_proof() {
    let world = World::new(10);
    let (_server, tunnel) = up(&world, Faults::default()).await;
    let packets = tunnel.ip_packets().unwrap();
    let mut buffer = [0; 1500];
    assert!(timeout(10 * SECOND, packets.recv(&mut buffer)).await.is_err());
    assert_eq!(tunnel.reachable().await.unwrap(), Reachability::Proven(Proof::Ping));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_opens_nothing_any_more_is_left_within_fifteen_seconds() {
    let kinds =
        [Deafness::ResetRequests, Deafness::RejectsMppe, Deafness::RejectsRandom, Deafness::Silent];
    for deafness in kinds {
        for since_up in [4, 9, 14, 60] {
            let world = World::new(10);
            let (server, tunnel) = up(&world, Faults::default()).await;
            sleep(since_up * SECOND).await;
            server.set_faults(Faults { deaf: Some(deafness), ..Faults::default() });
            let (took, reason) = send_until_down(&tunnel, ROUTER, 60 * SECOND).await.expect("down");
            assert!(took <= 15 * SECOND, "{deafness:?} {took:?}");
            let is_silence = matches!(nothing_passes(&reason), NothingPasses::Silence { .. });
            assert_eq!(is_silence, deafness == Deafness::Silent, "{reason}");
            assert_eq!(reason.failure.retry(), Retry::Soon);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_of_which_nothing_opens_any_more_is_left_within_fifteen_seconds() {
    for mute in [Muteness::Garbled, Muteness::Silent] {
        let world = World::new(10);
        let (server, tunnel) = up(&world, Faults::default()).await;
        sleep(20 * SECOND).await;
        server.set_faults(Faults { mute: Some(mute), ..Faults::default() });
        let (took, reason) = send_until_down(&tunnel, ROUTER, 60 * SECOND).await.expect("down");
        assert!(took <= 15 * SECOND, "{mute:?} {took:?} {reason}");
        assert!(matches!(nothing_passes(&reason), NothingPasses::Silence { .. }), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_deaf_from_the_start_and_says_so_is_left_at_once() {
    for deafness in [Deafness::ResetRequests, Deafness::RejectsMppe, Deafness::RejectsRandom] {
        let world = World::new(10);
        let faults = Faults { deaf: Some(deafness), ..Faults::default() };
        let (_server, tunnel) = up(&world, faults).await;
        let began = Instant::now();
        let reason = timeout(60 * SECOND, tunnel.closed()).await.expect("down");
        assert!(began.elapsed() <= 2 * SECOND, "{deafness:?} {:?}", began.elapsed());
        assert!(["NothingPasses", "WrongKey"].contains(&reason.name()), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_remembered_server_that_is_deaf_from_the_start_is_left_though_it_says_nothing() {
    let world = World::new(10);
    let (server, tunnel) = up(&world, Faults::default()).await;
    tunnel.reachable().await.unwrap();
    let earlier = tunnel.info();
    tunnel.close().await;
    server.set_faults(Faults { deaf: Some(Deafness::Silent), ..Faults::default() });
    let config = config(server.address()).resuming(&earlier);
    let tunnel = world.client.connect(config).await.unwrap();
    let (took, reason) = send_until_down(&tunnel, ROUTER, 60 * SECOND).await.expect("down");
    assert!(took <= 15 * SECOND, "{took:?}");
    nothing_passes(&reason);
    assert_eq!(tunnel.info().reachability(), Reachability::Unproven);
}

#[tokio::test(start_paused = true)]
async fn a_remembered_server_that_answers_no_more_pings_is_given_up_a_few_times_only() {
    let world = World::new(10);
    let (server, tunnel) = up(&world, Faults::default()).await;
    tunnel.reachable().await.unwrap();
    let mut earlier = tunnel.info();
    tunnel.close().await;
    // its firewall was changed, and nothing else
    let faults = Faults { ignores_pings: true, hides_expired: true, ..Faults::default() };
    server.set_faults(faults);
    let mut ended = 0;
    loop {
        let config = config(server.address()).resuming(&earlier);
        let tunnel = world.client.connect(config).await.unwrap();
        let end = send_until_down(&tunnel, BLACK_HOLE, 120 * SECOND).await;
        earlier = tunnel.info();
        if end.is_none() {
            break;
        }
        ended += 1;
        assert!(ended < 10, "for ever");
    }
    assert_eq!(ended, 4, "as many as are documented");
}

#[tokio::test(start_paused = true)]
async fn dead_hosts_behind_a_living_server_end_nothing_and_cost_a_ping_in_ten_seconds() {
    let world = World::new(10);
    let (_server, tunnel) = up(&world, Faults { hosts_are_dead: true, ..Faults::default() }).await;
    tunnel.reachable().await.unwrap();
    let before = tunnel.stats().tunnel.link.proofs_sent;
    let end = send_until_down(&tunnel, BLACK_HOLE, 1800 * SECOND).await;
    assert!(end.is_none(), "{end:?}");
    let proofs = tunnel.stats().tunnel.link.proofs_sent - before;
    assert!(proofs <= 181, "{proofs}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_no_lcp_echo_is_judged_by_its_control_connection() {
    for lcp_echoes in [Echoes::Unanswered, Echoes::WithPeersMagic] {
        let world = World::new(10);
        let (_server, tunnel) = up(&world, Faults { lcp_echoes, ..Faults::default() }).await;
        assert!(timeout(3600 * SECOND, tunnel.closed()).await.is_err(), "{lcp_echoes:?}");
    }
}

/// The control connection's own echoes come once in a minute: the policy may be quicker
#[tokio::test(start_paused = true)]
async fn a_quick_echo_policy_ends_no_tunnel_to_a_server_that_answers_no_lcp_echo() {
    let (silence, interval) = (3 * SECOND, 2 * SECOND);
    for unanswered in [1, 3, 5] {
        let world = World::new(10);
        let faults = Faults { lcp_echoes: Echoes::Unanswered, ..Faults::default() };
        let server = world.serve(1, Server::builder(1).faults(faults));
        let policy = EchoPolicy::DEFAULT.silence(silence).interval(interval).unanswered(unanswered);
        let config = config(server.address()).echo(policy);
        let tunnel = world.client.connect(config).await.unwrap();
        assert!(timeout(600 * SECOND, tunnel.closed()).await.is_err(), "{unanswered}");
        assert_eq!(tunnel.ping(ROUTER, SECOND).await.ok(), Some(20 * SECOND / 1000));
        world.network.host(server.address()).unplug();
        let began = Instant::now();
        timeout(150 * SECOND, tunnel.closed()).await.expect("the line is gone");
        assert!(began.elapsed() <= 122 * SECOND, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn without_proofs_nothing_is_sent_and_nothing_is_known() {
    let world = World::new(10);
    let server = world.building(1);
    let config = config(server.address()).path_proof(false);
    let tunnel = world.client.connect(config).await.unwrap();
    assert_eq!(tunnel.reachable().await.unwrap(), Reachability::Unknown);
    server.set_faults(Faults { deaf: Some(Deafness::Silent), ..Faults::default() });
    assert!(send_until_down(&tunnel, ROUTER, 60 * SECOND).await.is_none());
    assert_eq!(tunnel.stats().tunnel.link.proofs_sent, 0);
}

#[tokio::test(start_paused = true)]
async fn a_user_who_sends_just_as_the_echo_policy_judges_ends_no_tunnel_of_a_peer_without_echoes() {
    for after in (69_940..=70_000).step_by(10).map(Duration::from_millis) {
        let world = World::new(20);
        let faults = Faults { lcp_echoes: Echoes::Unanswered, ..Faults::default() };
        let asks_nothing = EchoPolicy::DEFAULT.silence(Duration::ZERO);
        let server = world.serve(1, Server::builder(1).faults(faults).echo(asks_nothing));
        let tunnel = world.connect(&server).await;
        tunnel.reachable().await.unwrap();
        // 70 s after the answer to the proof, which was the last that came in
        sleep(after).await;
        let socket = tunnel.udp_bind(0).unwrap();
        let _ = socket.send_to(b"anybody there?", (ROUTER, 7)).await;
        let end = timeout(SECOND, tunnel.closed()).await;
        assert!(end.is_err(), "{after:?}: {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_echoes_is_not_dead_before_its_control_connection_is() {
    let world = World::new(10);
    let faults = Faults { lcp_echoes: Echoes::Unanswered, ..Faults::default() };
    let server = world.serve(1, Server::builder(1).faults(faults));
    let brisk = EchoPolicy::DEFAULT.silence(10 * SECOND).interval(5 * SECOND).unanswered(3);
    let slow = config(server.address()).control_echo(600 * SECOND, 60 * SECOND);
    for config in [config(server.address()).echo(brisk), slow] {
        let tunnel = world.client.connect(config).await.unwrap();
        let end = timeout(3600 * SECOND, tunnel.closed()).await;
        assert!(end.is_err(), "{end:?}");
        tunnel.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_pauses_costs_no_proof_though_its_last_packet_is_ours() {
    let world = World::new(10);
    let (_server, tunnel) = up(&world, Faults::default()).await;
    tunnel.reachable().await.unwrap();
    let before = tunnel.stats().tunnel.link.proofs_sent;
    let mut stream = tunnel.tcp_connect((DEVICE, 7)).await.unwrap();
    for _ in 0..60 {
        stream.write_all(b"hello").await.unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        sleep(20 * SECOND).await;
    }
    assert_eq!(tunnel.stats().tunnel.link.proofs_sent - before, 0);
}

/// The line of GRE is cut before the first LCP echo was ever asked for, and TCP passes
#[tokio::test(start_paused = true)]
async fn a_server_whose_gre_is_lost_is_found_though_it_never_answered_an_lcp_echo() {
    let world = World::new(10);
    let (server, tunnel) = up(&world, Faults::default()).await;
    assert_eq!(tunnel.reachable().await.unwrap(), Reachability::Proven(Proof::Ping));
    server.mute_gre(true);
    let reason = timeout(90 * SECOND, tunnel.closed()).await.expect("down");
    assert_eq!(reason.name(), "EchoTimeout", "{reason}");
}
