//! Somebody on the path: sees all GRE and sends in the server's name, and holds nothing back
//!
//! Such a person may end a tunnel, by the control connection if not otherwise; and cannot redirect
//! one.

use std::{net::Ipv4Addr, time::Duration};

use pptp::{State, Tunnel};
use pptp_testkit::{DEVICE, Server};
use pptp_tests::{CLIENT, World, address_of};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Instant, sleep, timeout},
};

use crate::attacker::{Seen, gre, ppp};

const EVIL: [u8; 4] = [6, 6, 6, 6];
const OTHER: [u8; 4] = [192, 168, 1, 99];
const IPCP: u16 = 0x8021;
const LCP: u16 = 0xC021;

struct OnPath {
    world: World,
    server: Server,
    tunnel: Tunnel,
    /// Whether it goes to the client, and the datagram
    seen: UnboundedReceiver<(bool, Seen)>,
    call_id: u16,
    /// The highest number that the server has sent
    latest: u32,
}

impl OnPath {
    async fn new() -> Self {
        let world = World::new(10);
        let server = world.building(1);
        let tunnel = world.connect(&server).await;
        let (tell, mut seen) = unbounded_channel();
        world.network.wiretap_gre(move |_, to, gre| {
            if let Some(datagram) = Seen::parse(gre) {
                let _ = tell.send((to == CLIENT, datagram));
            }
            Vec::new()
        });
        tunnel.ping(DEVICE, Duration::from_secs(1)).await.expect("an answer");
        let last = loop {
            if let Ok((true, datagram)) = seen.try_recv() {
                break datagram;
            }
        };
        let (call_id, latest) = (last.call_id, last.sequence);
        Self { world, server, tunnel, seen, call_id, latest }
    }

    /// With the number behind the server's latest, which is the likeliest to count
    fn forge(&mut self, frame: &[u8]) {
        self.latest = self.latest.wrapping_add(1);
        let datagram = gre(self.call_id, Some(self.latest), None, frame);
        self.world.network.forge_gre(address_of(1), CLIENT, &datagram);
    }

    fn is_up(&self) -> bool {
        matches!(*self.tunnel.state().borrow(), State::Up)
    }

    fn has_ended(&self) -> bool {
        matches!(*self.tunnel.state().borrow(), State::Down { .. })
    }

    /// Whether the client has acknowledged a Terminate-Request
    fn was_acknowledged(&mut self) -> bool {
        let all = std::iter::from_fn(|| self.seen.try_recv().ok());
        let is_ack = |(to_client, datagram): (bool, Seen)| {
            !to_client && datagram.frame.starts_with(&[0xFF, 3, 0xC0, 0x21, 6])
        };
        all.filter(|it| is_ack(it.clone())).count() > 0
    }
}

fn options(list: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (mut list, mut found) = (list, Vec::new());
    while list.len() >= 2 && list[1] >= 2 && usize::from(list[1]) <= list.len() {
        let (option, rest) = list.split_at(list[1].into());
        found.push((option[0], option[2..].to_vec()));
        list = rest;
    }
    found
}

/// Answers each of the client's IPCP requests before the server can; the option `kind` is to have
/// `value`
async fn race(attack: &mut OnPath, kind: u8, value: [u8; 4]) {
    let until = Instant::now() + Duration::from_secs(40);
    let mut next_request = Instant::now();
    while Instant::now() < until && !attack.has_ended() {
        if next_request <= Instant::now() {
            // IPCP starts over because "the server" asks again, and again, as a true one would
            attack.forge(&ppp(IPCP, 1, 77, &[3, 6, 192, 168, 1, 1]));
            next_request += Duration::from_secs(3);
        }
        let Ok(Some((to_client, datagram))) =
            timeout(Duration::from_millis(100), attack.seen.recv()).await
        else {
            continue;
        };
        if to_client {
            attack.latest = attack.latest.max(datagram.sequence);
            continue;
        }
        let [0xFF, 3, 0x80, 0x21, 1, id, _, _, data @ ..] = &datagram.frame[..] else { continue };
        let wanted = options(data).into_iter().find(|(option, _)| *option == kind);
        match wanted {
            Some((_, current)) if current != value => {
                attack.forge(&ppp(IPCP, 3, *id, &[&[kind, 6][..], &value].concat()));
            }
            _ => attack.forge(&ppp(IPCP, 2, *id, data)),
        }
    }
}

/// The tunnel was never up with what the attacker named, and if it has ended, then because of that
fn assert_not_redirected(attack: &OnPath, address: Ipv4Addr, dns: &[Ipv4Addr]) {
    let (info, state) = (attack.tunnel.info(), attack.tunnel.state().borrow().clone());
    println!("{state:?} {} {:?}", info.inner_address, info.dns);
    assert_eq!((info.inner_address, &*info.dns), (address, dns));
    let State::Down { reason } = state else { panic!("{state:?}") };
    assert_eq!(reason.name(), "AddressChanged", "{reason}");
    assert_eq!(reason.failure.retry(), pptp::error::Retry::Soon);
}

#[tokio::test(start_paused = true)]
async fn nobody_on_the_path_names_another_dns_server() {
    let mut attack = OnPath::new().await;
    let (address, dns) = (attack.tunnel.info().inner_address, attack.tunnel.info().dns.clone());
    race(&mut attack, 129, EVIL).await;
    assert_not_redirected(&attack, address, &dns);
}

#[tokio::test(start_paused = true)]
async fn nobody_on_the_path_gives_another_inner_address() {
    let mut attack = OnPath::new().await;
    let (address, dns) = (attack.tunnel.info().inner_address, attack.tunnel.info().dns.clone());
    race(&mut attack, 3, OTHER).await;
    assert_not_redirected(&attack, address, &dns);
}

#[tokio::test(start_paused = true)]
async fn a_forged_hang_up_is_refuted_by_the_server_and_gets_no_ack() {
    let mut attack = OnPath::new().await;
    for _ in 0..20 {
        attack.forge(&ppp(LCP, 5, 1, b"Administrative shutdown"));
        sleep(Duration::from_secs(3)).await;
        assert!(attack.is_up());
    }
    assert!(!attack.was_acknowledged(), "an Ack would be a hang-up of ours");
    assert!(attack.tunnel.stats().tunnel.link.unconfirmed >= 20);
    attack.tunnel.ping(DEVICE, Duration::from_secs(1)).await.expect("it carries");
}

/// The server's answers have numbers that were taken before
#[tokio::test(start_paused = true)]
async fn numbers_that_were_taken_beforehand_do_not_keep_the_servers_answers_out() {
    let mut attack = OnPath::new().await;
    let latest = attack.latest;
    for _ in 0..60 {
        attack.forge(&ppp(LCP, 9, 1, &[0; 4]));
    }
    sleep(Duration::from_millis(50)).await;
    attack.latest = latest;
    attack.forge(&ppp(LCP, 5, 1, b"forged"));
    sleep(Duration::from_secs(5)).await;
    assert!(attack.is_up());
    assert!(attack.tunnel.stats().tunnel.gre.duplicates > 0, "the answers were met");
}

#[tokio::test(start_paused = true)]
async fn a_hang_up_that_the_control_connection_confirms_counts_at_once_with_its_words() {
    let mut attack = OnPath::new().await;
    attack.forge(&ppp(LCP, 5, 1, b"Session-Timeout"));
    sleep(Duration::from_millis(15)).await;
    assert!(attack.is_up(), "it is asked about");
    let began = Instant::now();
    attack.world.network.host(CLIENT).reset_connections();
    let error = timeout(Duration::from_secs(1), attack.tunnel.closed()).await.expect("at once");
    assert!(began.elapsed() < Duration::from_millis(100));
    assert_eq!(error.name(), "TerminatedByPeer", "{error}");
    assert!(error.to_string().contains("Session-Timeout"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn forged_renegotiations_of_lcp_and_ccp_change_nothing() {
    let mut attack = OnPath::new().await;
    for frame in [
        ppp(LCP, 1, 99, &[1, 4, 0, 128, 5, 6, 1, 2, 3, 4]),
        ppp(0x80FD, 1, 99, &[18, 6, 0, 0, 0, 0]),
        ppp(0x80FD, 5, 99, &[]),
        ppp(LCP, 8, 99, &[0x80, 0xFD, 1, 1, 0, 10]),
    ] {
        attack.forge(&frame);
        sleep(Duration::from_secs(4)).await;
        assert!(attack.is_up(), "{frame:02x?}");
    }
    assert_eq!(attack.tunnel.stats().tunnel.link.renegotiations, 0);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_reset_requests_ends_no_tunnel() {
    let mut attack = OnPath::new().await;
    for number in 0..5000_u32 {
        attack.forge(&ppp(0x80FD, 14, 1, &[]));
        if number % 20 == 0 {
            sleep(Duration::from_millis(10)).await;
            attack.tunnel.ping(DEVICE, Duration::from_secs(1)).await.expect("it carries");
            while let Ok((to_client, datagram)) = attack.seen.try_recv() {
                if to_client {
                    attack.latest = datagram.sequence;
                }
            }
        }
    }
    sleep(Duration::from_secs(20)).await;
    assert!(attack.is_up());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_up_or_starts_over_is_believed_within_some_seconds() {
    let attack = OnPath::new().await;
    let began = Instant::now();
    attack.server.renegotiate_all();
    let mut states = attack.tunnel.state();
    states.wait_for(|state| matches!(state, State::Renegotiating)).await.expect("alive");
    states.wait_for(|state| matches!(state, State::Up)).await.expect("alive");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let began = Instant::now();
    attack.server.hang_up_all();
    let error = attack.tunnel.closed().await;
    assert_eq!(error.name(), "TerminatedByPeer");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
