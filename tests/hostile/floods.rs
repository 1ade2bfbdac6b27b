//! Floods: what is held, answered and worked stays within bounds
//!
//! Each runs for 0.3 s of virtual time, 64 datagrams or messages a millisecond (the driver's
//! batch), and good packets go on meanwhile. The heap is that of the whole process, the server and
//! the network in memory included.

#[expect(dead_code, reason = "the other tests need the rest of it")]
mod attacker;

use std::{
    alloc::System,
    net::Ipv4Addr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use attacker::{Seen, gre, noise, ppp};
use pptp::{State, Tunnel, config::StatefulReset};
use pptp_test_support::heap;
use pptp_testkit::{DEVICE, ROUTER, Server, ServerEncryption, UdpOptions};
use pptp_tests::{CLIENT, World, address_of, config};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{sleep, timeout},
};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One after the other, since they count what all of them allocate
static ALONE: LazyLock<Mutex<()>> = LazyLock::new(|| Mutex::new(()));

/// Octets on the heap
fn held() -> usize {
    heap::held(HEAP)
}

/// What a flood may add to the heap, in octets, beside what is on its way in the network in memory
///
/// The driver's 128 slots of 2 KiB, which are made when they are first needed; 64 frames that wait
/// for their order, of 2 KiB at most; 64 answers; 768 keys ahead of MPPE.
const MOST_HELD: usize = 448 << 10;

/// What fragments of the inner network may add to that: four datagrams of 65,535 octets that are never
/// whole, and what is known of them, until 30 s are over
const MOST_REASSEMBLED: usize = 260 << 10;

const SEED: u64 = 9;
const ROUNDS: u32 = 300;
const A_ROUND: u32 = 64;
const FORGED: u64 = (ROUNDS * A_ROUND) as u64;

/// A tunnel that is flooded, and somebody on the way who counts what it sends
struct Victim {
    world: World,
    server: Server,
    tunnel: Tunnel,
    call_id: u16,
    /// Of the latest datagram of the server
    sequence: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
    /// Octets of the largest datagram that was forged
    largest: AtomicUsize,
    is_stateful: bool,
    _alone: MutexGuard<'static, ()>,
}

/// What a flood came to
#[derive(Debug)]
struct Outcome {
    held: usize,
    /// Datagrams that the client sent beside what the good ones took
    answers: u64,
    rekeys: u64,
    keys_tried: u64,
    turns: u64,
    /// Good ones of a hundred that came back
    good: usize,
}

impl Victim {
    async fn new(stateful: bool) -> Self {
        let alone = ALONE.lock().await;
        let world = World::new(5);
        let (sequence, sent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let call_id = Arc::new(AtomicU16::new(0));
        let (heard, counted, call) = (sequence.clone(), sent.clone(), call_id.clone());
        world.network.wiretap_gre(move |_, to, gre| {
            if to != CLIENT {
                counted.fetch_add(1, Ordering::Relaxed);
            } else if let Some(seen) = Seen::parse(gre) {
                heard.store(seen.sequence.into(), Ordering::Relaxed);
                call.store(seen.call_id, Ordering::Relaxed);
            }
            Vec::new()
        });
        let (builder, reset) = (Server::builder(1), StatefulReset::Linux);
        let (server, tunnel) = if stateful {
            let encryption = ServerEncryption::Mppe128Stateful(reset);
            let server = world.serve(1, builder.encryption(encryption));
            let config = config(server.address()).insecure_stateful_mppe(reset);
            (server, world.client.connect(config).await)
        } else {
            let server = world.serve(1, builder);
            let tunnel = world.connect(&server).await;
            (server, Ok(tunnel))
        };
        let tunnel = tunnel.expect("a tunnel");
        let call_id = call_id.load(Ordering::Relaxed);
        let largest = AtomicUsize::new(0);
        Self {
            world,
            server,
            tunnel,
            call_id,
            sequence,
            sent,
            largest,
            is_stateful: stateful,
            _alone: alone,
        }
    }

    fn next_sequence(&self) -> u32 {
        u32::try_from(self.sequence.load(Ordering::Relaxed)).expect("32 bits").wrapping_add(1)
    }

    /// Runs a flood, beside a datagram each three milliseconds that comes back
    async fn flood(&self, mut forge: impl FnMut(&Self, u32)) -> Outcome {
        let good = self.tunnel.udp_bind(0).expect("a socket");
        let (mut datagram, mut back) = ([0; 64], 0);
        // what allocates once has allocated
        assert!(self.recovers().await);
        let (before, held_before) = (self.figures(), held());
        let mut most = 0;
        for round in 0..ROUNDS {
            if round % 3 == 0 {
                good.send_to(b"good", (DEVICE, 7)).await.expect("sent");
            }
            for number in 0..A_ROUND {
                forge(self, round * A_ROUND + number);
            }
            sleep(Duration::from_millis(1)).await;
            most = most.max(held().saturating_sub(held_before));
            while good.try_recv(&mut datagram).is_ok() {
                back += 1;
            }
        }
        sleep(Duration::from_secs(1)).await;
        while good.try_recv(&mut datagram).is_ok() {
            back += 1;
        }
        let after = self.figures();
        let [answers, rekeys, keys_tried, turns] =
            [0, 1, 2, 3].map(|which| after[which] - before[which]);
        // five milliseconds' worth on its way, and the buffers kept for what is to come
        let network = (5 * A_ROUND as usize + 256) * self.largest.load(Ordering::Relaxed);
        Outcome {
            held: most.saturating_sub(network),
            answers: answers.saturating_sub(100),
            rekeys,
            keys_tried,
            turns,
            good: back,
        }
    }

    /// Whether a datagram comes back, of one each 200 ms
    async fn recovers(&self) -> bool {
        let good = self.tunnel.udp_bind(0).expect("a socket");
        for _ in 0..100 {
            good.send_to(b"good", (DEVICE, 7)).await.expect("sent");
            if timeout(Duration::from_millis(200), good.recv(&mut [0; 64])).await.is_ok() {
                return true;
            }
        }
        false
    }

    fn figures(&self) -> [u64; 4] {
        let mppe = self.tunnel.stats().tunnel.mppe;
        let sent = self.sent.load(Ordering::Relaxed);
        [sent, mppe.rekeys, mppe.keys_tried, self.world.client.stats().turns]
    }

    fn forge(&self, datagram: &[u8]) {
        self.largest.fetch_max(datagram.len(), Ordering::Relaxed);
        self.world.network.forge_gre(address_of(1), CLIENT, datagram);
    }

    fn is_up(&self) -> bool {
        matches!(*self.tunnel.state().borrow(), State::Up)
    }
}

/// What holds for each flood of a tunnel that lives through it
fn assert_bounded(what: &str, victim: &Victim, outcome: &Outcome) {
    println!("{what}, {FORGED} forged, seed {SEED}: {outcome:?}");
    assert!(victim.is_up(), "{what}: {:?}", victim.tunnel.state().borrow().clone());
    assert!(outcome.held <= MOST_HELD, "{what}: {outcome:?}");
    // a stateful session that loses a frame asks for a reset each second, and what resets cost is
    // metered: a flood may hold it up, for no longer than it lasts
    assert!(victim.is_stateful || outcome.good >= 99, "{what}: {outcome:?}");
    // a hundred a second, each with its acknowledgment at most
    assert!(outcome.answers <= 600, "{what}: {outcome:?}");
    assert!(outcome.keys_tried <= 32 * 4096 + 3 * FORGED, "{what}: {outcome:?}");
    assert!(outcome.rekeys <= 33 * 4096 + 4 * FORGED + 1000, "{what}: {outcome:?}");
    // each batch, and what goes out
    assert!(outcome.turns <= u64::from(4 * ROUNDS), "{what}: {outcome:?}");
}

fn encrypted(victim: &Victim, sequence: u32, header: u16, octets: &[u8]) -> Vec<u8> {
    let frame = [&[0xFF, 3, 0, 0xFD][..], &header.to_be_bytes(), octets].concat();
    gre(victim.call_id, Some(sequence), None, &frame)
}

/// Frames of a flood, by what changes in them
type Kind = (&'static str, fn(u8) -> Vec<u8>);

#[tokio::test(start_paused = true)]
async fn of_gre() {
    for stateful in [false, true] {
        let victim = Victim::new(stateful).await;
        let mut rng = StdRng::seed_from_u64(SEED);
        let random = victim.flood(|it, _| it.forge(&noise(&mut rng, 40))).await;
        assert_bounded("any octets", &victim, &random);
        let mut rng = StdRng::seed_from_u64(SEED);
        let valid = victim
            .flood(|it, _| {
                let header = 0x9000 | rng.random_range(0..4096);
                let sequence = it.next_sequence().wrapping_add(rng.random_range(0..100));
                it.forge(&encrypted(it, sequence, header, &noise(&mut rng, 60)));
            })
            .await;
        assert_bounded("what looks encrypted", &victim, &valid);
        let agreeing = victim
            .flood(|it, number| {
                let [.., high, low] = (0x9000 | (3000 + number) & 0xFFF).to_be_bytes();
                let header = u16::from_be_bytes([high, low]);
                it.forge(&encrypted(it, 1_000_000 + number, header, &[7; 60]));
            })
            .await;
        assert_bounded("counts that agree", &victim, &agreeing);
        let huge = victim
            .flood(|it, number| {
                it.forge(&encrypted(it, it.next_sequence() + number % 64, 0x9000, &[7; 1900]));
            })
            .await;
        assert_bounded("huge ones", &victim, &huge);
        let tiny = victim
            .flood(|it, number| {
                let all = encrypted(it, it.next_sequence(), 0x9000, &[7]);
                it.forge(&all[..number as usize % all.len()]);
            })
            .await;
        assert_bounded("tiny ones", &victim, &tiny);
        let acknowledgments = victim
            .flood(|it, number| it.forge(&gre(it.call_id, None, Some(number * 7919), &[])))
            .await;
        assert_bounded("acknowledgments", &victim, &acknowledgments);
        let unknown = victim
            .flood(|it, number| it.forge(&gre(it.call_id ^ 1, Some(number), None, &[7; 60])))
            .await;
        assert_bounded("unknown calls", &victim, &unknown);
        assert!(victim.recovers().await);
    }
}

#[tokio::test(start_paused = true)]
async fn of_ppp_control_frames() {
    let kinds: [Kind; 8] = [
        ("LCP Echo-Requests", |id| ppp(0xC021, 9, id, &[0; 4])),
        ("LCP Echo-Replies", |id| ppp(0xC021, 10, id, &[0; 4])),
        ("LCP Discard-Requests", |id| ppp(0xC021, 11, id, &[0; 1000])),
        ("LCP Identifications", |id| ppp(0xC021, 12, id, &[b'x'; 300])),
        ("unknown codes", |id| ppp(0xC021, 200, id, &[0; 100])),
        ("unknown protocols", |id| ppp(0xC0FF, 1, id, &[0; 100])),
        ("CCP Reset-Requests", |id| ppp(0x80FD, 14, id, &[])),
        ("CCP Reset-Acks", |id| ppp(0x80FD, 15, id, &[])),
    ];
    for stateful in [false, true] {
        let victim = Victim::new(stateful).await;
        for (what, frame) in kinds {
            let outcome = victim
                .flood(|it, number| {
                    let [.., id] = number.to_be_bytes();
                    let sequence = it.next_sequence().wrapping_add(1 + number);
                    it.forge(&gre(it.call_id, Some(sequence), None, &frame(id)));
                })
                .await;
            assert_bounded(what, &victim, &outcome);
        }
    }
}

/// What the RFCs let a peer do, whoever speaks in its name, ends a tunnel: soon, and with its reason
#[tokio::test(start_paused = true)]
async fn of_what_a_peer_may_end_a_tunnel_with() {
    let kinds: [Kind; 7] = [
        ("LCP Configure-Requests", |id| ppp(0xC021, 1, id, &[5, 6, 1, 2, 3, id])),
        ("CCP Configure-Requests", |id| ppp(0x80FD, 1, id, &[18, 6, 1, 0, 0, 0x40])),
        ("IPCP Configure-Requests", |id| ppp(0x8021, 1, id, &[3, 6, 10, 0, 0, id])),
        ("LCP Terminate-Requests", |id| ppp(0xC021, 5, id, &[])),
        ("CCP Terminate-Requests", |id| ppp(0x80FD, 5, id, &[])),
        ("IPCP Terminate-Requests", |id| ppp(0x8021, 5, id, &[])),
        ("wrong MPPE bits", |_| [&[0xFF, 3, 0, 0xFD, 0, 0][..], &[7; 60]].concat()),
    ];
    for (what, frame) in kinds {
        let victim = Victim::new(false).await;
        let (before, held_before) = (victim.figures(), held());
        let mut most = 0;
        for number in 0..ROUNDS * A_ROUND / 4 {
            let [.., id] = number.to_be_bytes();
            let sequence = victim.next_sequence().wrapping_add(1 + number);
            victim.forge(&gre(victim.call_id, Some(sequence), None, &frame(id)));
            if number % A_ROUND == 0 {
                sleep(Duration::from_millis(1)).await;
                most = most.max(held().saturating_sub(held_before));
            }
        }
        sleep(Duration::from_mins(1)).await;
        let answers = victim.figures()[0].saturating_sub(before[0]);
        let state = victim.tunnel.state().borrow().clone();
        let came_to = match &state {
            State::Down { reason } => reason.name(),
            State::Up => "up",
            other => panic!("{what}: {other:?}"),
        };
        println!("{what}: {came_to}; {most} octets held, {answers} datagrams sent");
        assert!(most <= MOST_HELD && answers <= 300, "{what}: {most}, {answers}");
    }
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(12 + body.len()).expect("short").to_be_bytes();
    [&length[..], &[0, 1, 0x1A, 0x2B, 0x3C, 0x4D], &kind.to_be_bytes(), &[0, 0], body].concat()
}

#[tokio::test(start_paused = true)]
async fn of_control_messages() {
    let kinds: [(&str, Vec<u8>); 4] = [
        ("Echo-Replies", message(6, &[0; 8])),
        ("Set-Link-Infos", message(15, &[0xFF; 12])),
        ("WAN-Error-Notifies", message(14, &[0xFF; 28])),
        ("Incoming-Call-Connecteds", message(11, &[0xFF; 16])),
    ];
    for (what, octets) in kinds {
        let victim = Victim::new(false).await;
        let host = victim.world.network.host(CLIENT);
        let outcome = victim.flood(|_, _| host.forge_octets(address_of(1), &octets)).await;
        println!("{what}: {:?}", victim.tunnel.state().borrow().clone());
        assert!(outcome.held <= MOST_HELD, "{what}: {outcome:?}");
        if victim.is_up() {
            assert_bounded(what, &victim, &outcome);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_echo_requests_on_the_control_connection() {
    let victim = Victim::new(false).await;
    let host = victim.world.network.host(CLIENT);
    let echo = message(5, &[0, 0, 0, 1]);
    let outcome = victim.flood(|_, _| host.forge_octets(address_of(1), &echo)).await;
    println!("Echo-Requests: {outcome:?}, {:?}", victim.tunnel.state().borrow().clone());
    assert!(outcome.held <= MOST_HELD, "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn of_octets_one_at_a_time() {
    let victim = Victim::new(false).await;
    let host = victim.world.network.host(CLIENT);
    let octets = message(15, &[0xFF; 12]);
    let outcome = victim
        .flood(|_, number| {
            let at = number as usize % octets.len();
            host.forge_octets(address_of(1), &octets[at..=at]);
        })
        .await;
    assert_bounded("octets one at a time", &victim, &outcome);
}

/// Packets that the building's side sends through the tunnel, truly encrypted
#[tokio::test(start_paused = true)]
async fn of_the_inner_network() {
    let victim = Victim::new(false).await;
    let net = victim.server.net();
    let inner = victim.tunnel.info().inner_address;
    let _listener = victim.tunnel.tcp_listen(80, 8).expect("a listener");
    let mut rng = StdRng::seed_from_u64(SEED);
    let from = net.udp_bind((DEVICE, 9000).into(), UdpOptions::default()).expect("a socket");
    let dns = net.udp_bind((ROUTER, 9053).into(), UdpOptions::default()).expect("free");
    let unbound = victim
        .flood(|_, number| {
            let port = 20_000 + u16::try_from(number % 10_000).expect("a port");
            let _ = from.try_send_to(&noise(&mut rng, 40), (inner, port).into());
            let _ = dns.try_send_to(&noise(&mut rng, 40), (inner, port).into());
        })
        .await;
    println!("UDP to ports that nobody has: {unbound:?}");
    assert!(victim.is_up() && unbound.held <= 2 * MOST_HELD, "{unbound:?}");
    assert!(unbound.good >= 99 && unbound.answers <= 2000, "{unbound:?}");
}

/// Fragments of datagrams that are never whole, each as far apart as can be, from ever new senders
#[tokio::test(start_paused = true)]
async fn of_fragments_of_the_inner_network() {
    let victim = Victim::new(false).await;
    let inner = victim.tunnel.info().inner_address;
    let before = held();
    let mut refused = 0;
    let fragments = victim
        .flood(|it, number| {
            let [.., high, low] = (number / 2).to_be_bytes();
            let place = if number % 2 == 0 { 0x2000 } else { 0x3FF0 };
            let packet = fragment(Ipv4Addr::new(10, 9, high, low), inner, place);
            refused += u32::from(!it.server.forge_ip(packet));
        })
        .await;
    println!("fragments of the inner network: {fragments:?}, {refused} beyond the router's queue");
    assert!(victim.is_up() && refused < ROUNDS * A_ROUND / 2, "{refused}");
    // they reach the stack: four datagrams of 64 KiB are held at some time
    assert!(fragments.held > 200 << 10, "{fragments:?}");
    assert!(fragments.held <= MOST_HELD + MOST_REASSEMBLED, "{fragments:?}");
    assert!(fragments.good >= 99 && fragments.answers <= 600, "{fragments:?}");
    sleep(Duration::from_secs(31)).await;
    let left = held().saturating_sub(before);
    assert!(left <= MOST_HELD, "{left} octets are left after the datagrams' time");
}

/// A fragment of 64 octets of a UDP datagram, with flags and place as in its header (RFC 791 §3.1)
fn fragment(from: Ipv4Addr, to: Ipv4Addr, place: u16) -> Vec<u8> {
    let [place_high, place_low] = place.to_be_bytes();
    let mut packet = vec![0x45, 0, 0, 84, 0, 7, place_high, place_low, 64, 17, 0, 0];
    packet.extend(from.octets());
    packet.extend(to.octets());
    let words = packet.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    let sum = !u16::try_from((folded & 0xFFFF) + (folded >> 16)).expect("folded");
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend([7; 64]);
    packet
}
