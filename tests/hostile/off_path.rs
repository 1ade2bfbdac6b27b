//! Somebody off the path: sees nothing, knows the two outer addresses, and sends in the server's name
//!
//! A sweep over all Call IDs, with any sequence number, or, against an idle tunnel, with numbers near
//! 0, where that tunnel's are. Whatever it says, nothing ends and nothing changes.

use std::{net::Ipv4Addr, time::Duration};

use pptp::{State, Tunnel};
use pptp_testkit::{DEVICE, Server, memory::Network};
use pptp_tests::{CLIENT, World, address_of};
use tokio::time::{Instant, sleep};

use crate::attacker::{gre, ppp};

const EVIL: [u8; 4] = [6, 6, 6, 6];
const LCP: u16 = 0xC021;
const CHAP: u16 = 0xC223;
const CCP: u16 = 0x80FD;
const IPCP: u16 = 0x8021;

/// What must not change
fn facts(tunnel: &Tunnel) -> (Ipv4Addr, Vec<Ipv4Addr>, u16) {
    let info = tunnel.info();
    (info.inner_address, info.dns.clone(), info.mtu)
}

fn is_up(tunnel: &Tunnel) -> bool {
    matches!(*tunnel.state().borrow(), State::Up)
}

/// A tunnel over which something went, so that its numbers are not the first ones
async fn up(world: &World) -> (Server, Tunnel) {
    let server = world.building(1);
    let tunnel = world.connect(&server).await;
    for _ in 0..50 {
        tunnel.ping(DEVICE, Duration::from_secs(1)).await.expect("an answer");
    }
    (server, tunnel)
}

async fn call_id(network: &Network, tunnel: &Tunnel) -> u16 {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    network.wiretap_gre(move |_, to, gre| {
        if to == CLIENT {
            let _ = tell.send(u16::from_be_bytes([gre[6], gre[7]]));
        }
        Vec::new()
    });
    let socket = tunnel.udp_bind(0).expect("a socket");
    socket.send_to(b"x", (DEVICE, 7)).await.expect("sent");
    let call = told.recv().await.expect("a datagram");
    network.wiretap_gre(|_, _, _| Vec::new());
    call
}

fn naks_and_acks(ids: std::ops::RangeInclusive<u8>) -> Vec<Vec<u8>> {
    let all = [&[3, 6, 192, 168, 1, 20, 129, 6][..], &EVIL, &[131, 6], &EVIL].concat();
    let answer = |id: u8| [ppp(IPCP, 3, id, &all), ppp(IPCP, 2, id.wrapping_add(1), &all)];
    ids.flat_map(answer).collect()
}

/// Each frame that would end a link, restart it, or change what was agreed, as one burst
fn every_frame() -> Vec<Vec<u8>> {
    let mut frames = vec![
        ppp(LCP, 5, 1, b"forged"),
        ppp(LCP, 1, 77, &[5, 6, 1, 2, 3, 4]),
        ppp(LCP, 6, 78, &[]),
        ppp(LCP, 7, 79, &[1, 1, 0, 4]),
        ppp(LCP, 8, 80, &[0xC2, 0x23, 1, 1, 0, 4]),
        ppp(LCP, 8, 81, &[0x80, 0xFD, 1, 1, 0, 4]),
        ppp(LCP, 8, 82, &[0x80, 0x21, 1, 1, 0, 4]),
        ppp(CCP, 1, 83, &[18, 6, 0, 0, 0, 0]),
        ppp(CCP, 5, 84, &[]),
        ppp(CCP, 6, 85, &[]),
        ppp(CCP, 14, 86, &[]),
        ppp(CHAP, 1, 87, b"\x10sixteen octets!!server"),
        ppp(CHAP, 4, 87, b"E=691 R=0"),
        ppp(CHAP, 3, 87, b"S=00"),
        ppp(IPCP, 5, 88, &[]),
        ppp(IPCP, 6, 89, &[]),
        ppp(IPCP, 1, 90, &[3, 6, 192, 168, 1, 1]),
    ];
    frames.extend(naks_and_acks(1..=24));
    frames.extend(
        [[0x3B, 0x12], [0x91, 0xC4], [0x77, 0xA0]]
            .map(|protocol| ppp(LCP, 8, 91, &[&protocol[..], &[1, 1, 0, 4]].concat())),
    );
    // what is no frame of MPPE's: sixteen in a row ended a link, and eight that do not open
    frames.extend((0..20).map(|_| [&[0, 0xFD, 0, 0][..], &[0x5A; 40]].concat()));
    frames.extend((0..20_u8).map(|count| [&[0, 0xFD, 0x90, count][..], &[0x5A; 40]].concat()));
    frames
}

/// One burst of these frames at each `step`th of the Call IDs, the tunnel's among them; some 20,000
/// datagrams in a second
async fn sweep(step: u16, first: u32, frames: &[Vec<u8>]) {
    let world = World::new(10);
    let (_server, tunnel) = up(&world).await;
    let (before, began) = (facts(&tunnel), Instant::now());
    let (mut sent, mut next) = (0_u32, first);
    let rest = call_id(&world.network, &tunnel).await % step;
    for call in (0..=u16::MAX).filter(|call| call % step == rest) {
        for frame in frames {
            world.network.forge_gre(address_of(1), CLIENT, &gre(call, Some(next), None, frame));
            (sent, next) = (sent + 1, next.wrapping_add(1));
            if sent % 20 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
    println!("{sent} datagrams in {:?}", began.elapsed());
    sleep(Duration::from_secs(20)).await;
    assert!(is_up(&tunnel), "{:?}", *tunnel.state().borrow());
    assert_eq!(facts(&tunnel), before);
    let stats = tunnel.stats().tunnel.link;
    assert!(stats.outside_window > 0 && stats.renegotiations == 0, "the call was met: {stats:?}");
    tunnel.ping(DEVICE, Duration::from_secs(1)).await.expect("it carries");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_over_all_call_ids_ends_no_tunnel() {
    sweep(1, 0x5EED_0000, &[ppp(LCP, 5, 1, &[])]).await;
}

#[tokio::test(start_paused = true)]
async fn a_sweep_over_all_call_ids_names_no_dns_server() {
    let mut frames = vec![ppp(IPCP, 1, 77, &[3, 6, 192, 168, 1, 1])];
    frames.extend(naks_and_acks(2..=5));
    sweep(16, 0x5EED_0000, &frames).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "five million datagrams: .ci/long has the time"]
async fn a_sweep_of_every_frame_over_all_call_ids_changes_nothing() {
    sweep(1, 0x5EED_0000, &every_frame()).await;
}

/// Bursts at one Call ID, as a sweep gives it to each, while the tunnel is idle
async fn blind(first: impl Fn(u32) -> u32) {
    let world = World::new(10);
    let (_server, tunnel) = up(&world).await;
    let call = call_id(&world.network, &tunnel).await;
    let (before, frames) = (facts(&tunnel), every_frame());
    for burst in 0..6 {
        for (number, frame) in (0..).zip(&frames) {
            let datagram = gre(call, Some(first(burst).wrapping_add(number)), None, frame);
            world.network.forge_gre(address_of(1), CLIENT, &datagram);
        }
        for _ in 0..2000 {
            sleep(Duration::from_millis(1)).await;
            assert!(is_up(&tunnel), "burst {burst}: {:?}", *tunnel.state().borrow());
            assert_eq!(facts(&tunnel), before, "burst {burst}");
        }
    }
    tunnel.ping(DEVICE, Duration::from_secs(1)).await.expect("it carries");
    let stats = tunnel.stats().tunnel.link;
    assert_eq!(stats.renegotiations, 0, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_blind_changes_anything_with_any_sequence_number() {
    for seed in [0x5EED_0000, 0x8000_0000, 0xFFFF_FF00] {
        blind(|burst| u32::wrapping_add(seed, burst * 100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_blind_names_another_dns_server() {
    blind(|burst| 3000 + burst * 100).await;
}

/// Once a Call ID is known, a sweep over the small numbers meets those of an idle tunnel
#[tokio::test(start_paused = true)]
async fn nobody_who_guesses_the_numbers_of_an_idle_tunnel_ends_it() {
    let world = World::new(10);
    let (_server, tunnel) = up(&world).await;
    let call = call_id(&world.network, &tunnel).await;
    let before = facts(&tunnel);
    for frame in every_frame() {
        for number in 0..300 {
            world.network.forge_gre(address_of(1), CLIENT, &gre(call, Some(number), None, &frame));
        }
        sleep(Duration::from_secs(3)).await;
        let state = tunnel.state().borrow().clone();
        assert!(is_up(&tunnel), "{:02x?}: {state:?}", &frame[..8]);
        assert_eq!(facts(&tunnel), before, "{:02x?}", &frame[..8]);
    }
    let stats = tunnel.stats().tunnel.link;
    assert!(stats.unconfirmed > 1000, "they were met: {stats:?}");
    assert_eq!(stats.renegotiations, 0, "{stats:?}");
    tunnel.ping(DEVICE, Duration::from_secs(1)).await.expect("it carries");
}
