//! ICMP's "protocol unreachable", which anybody can send in a server's name

use std::{net::Ipv4Addr, time::Duration};

use pptp::{Connecting, TunnelError, error::TunnelFailure};
use pptp_testkit::{DEVICE, Server};
use pptp_tests::{CLIENT, World, address_of};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::attacker::Seen;

/// A connect in which the server's GRE does not come, and the Call ID that our GRE has
async fn without_answer() -> (World, Server, Connecting, u16) {
    let world = World::new(10);
    let server = world.serve(1, Server::builder(1).mute_gre(true));
    let (tell, mut told) = mpsc::unbounded_channel();
    world.network.wiretap_gre(move |from, _, gre| {
        if let Some(seen) = Seen::parse(gre).filter(|_| from == CLIENT) {
            let _ = tell.send(seen.call_id);
        }
        Vec::new()
    });
    let connecting = world.dial(&server);
    let call_id = told.recv().await.expect("the first Configure-Request");
    (world, server, connecting, call_id)
}

fn is_gre_blocked(error: &TunnelError, after: Duration) -> bool {
    matches!(
        error.failure.tunnel(),
        Some(TunnelFailure::GreBlocked { after: told, heard: false, .. }) if *told == after
    )
}

#[tokio::test(start_paused = true)]
async fn a_message_that_names_the_call_ends_its_connect() {
    let (world, server, connecting, call_id) = without_answer().await;
    world.network.forge_unreachable(CLIENT, server.address(), Some(call_id));
    let ended = timeout(Duration::from_millis(100), connecting).await.expect("at once");
    let error = ended.expect_err("no GRE passes");
    assert!(is_gre_blocked(&error, Duration::ZERO), "{error}");
}

/// RFC 792 has 8 octets quoted, and the Call ID is in them
#[tokio::test(start_paused = true)]
async fn a_message_without_the_right_call_id_and_address_ends_no_connect() {
    let (world, server, mut connecting, call_id) = without_answer().await;
    for other in 0..1_000 {
        let other = call_id.wrapping_add(1).wrapping_add(other);
        world.network.forge_unreachable(CLIENT, server.address(), None);
        world.network.forge_unreachable(CLIENT, server.address(), Some(other));
        world.network.forge_unreachable(CLIENT, address_of(2), Some(call_id));
        sleep(Duration::from_millis(1)).await;
    }
    assert!(timeout(Duration::from_secs(1), &mut connecting).await.is_err(), "it goes on");
    server.mute_gre(false);
    connecting.await.expect("a tunnel");
}

#[tokio::test(start_paused = true)]
async fn a_message_about_a_tunnel_that_is_up_is_nothing() {
    let world = World::new(10);
    let server = world.building(1);
    let (tell, mut told) = mpsc::unbounded_channel();
    world.network.wiretap_gre(move |from, _, gre| {
        if let Some(seen) = Seen::parse(gre).filter(|_| from == CLIENT) {
            let _ = tell.send(seen.call_id);
        }
        Vec::new()
    });
    let tunnel = world.connect(&server).await;
    let call_id = told.recv().await.expect("the first Configure-Request");
    // what is owed to the connect itself is done
    tunnel.ping(DEVICE, Duration::from_secs(2)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let before = world.client.stats().turns;
    for _ in 0..100 {
        world.network.forge_unreachable(CLIENT, server.address(), Some(call_id));
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(world.client.stats().turns, before, "not even a turn");
    tunnel.ping(DEVICE, Duration::from_secs(2)).await.unwrap();
}

/// In real time, which is what a flood costs
#[tokio::test]
async fn a_flood_of_messages_is_paid_for() {
    let world = World::new(1);
    let server = world.building(1);
    let tunnel = world.connect(&server).await;
    let nobody = Ipv4Addr::new(10, 99, 7, 7);
    let mut sent = 0_u32;
    // 20 µs at least for each round, and a twelfth of the time: 20 ms saved up last 1,100 rounds
    while world.client.stats().pauses == 0 {
        assert!(sent < 200_000, "nothing restrains it");
        world.network.forge_unreachable(CLIENT, nobody, Some(0x1234));
        sent += 1;
        tokio::task::yield_now().await;
    }
    tunnel.ping(DEVICE, Duration::from_secs(5)).await.unwrap();
}
