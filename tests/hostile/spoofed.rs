//! Forged sequence numbers and coherency counts: what they cost is counted
//!
//! One datagram in 50 is forged, in both directions, twenty times as many as a tunnel has to bear. A
//! forged one may cost ten good ones, which would be a hundredth of the thousand that it comes with;
//! it costs none.

use std::{collections::HashMap, net::Ipv4Addr, time::Duration};

use pptp::{Tunnel, config::StatefulReset};
use pptp_testkit::{DEVICE, Server, ServerEncryption, memory::Network};
use pptp_tests::{World, config};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use crate::attacker::{Seen, damage, noise, ppp};

/// Good datagrams to each forged one
const INTERVAL: usize = 50;
/// Good ones that a forged one may cost: a hundredth of a thousand
const MOST_LOST: usize = 10;
const SEED: u64 = 5;

/// What a tunnel is encrypted with
#[derive(Debug, Clone, Copy)]
enum Mode {
    Stateless,
    Stateful(StatefulReset),
}

const MODES: [Mode; 3] =
    [Mode::Stateless, Mode::Stateful(StatefulReset::Rfc), Mode::Stateful(StatefulReset::Linux)];

/// Makes a forged datagram of the next good one; the number says which of the forger's values it is
type Forge = fn(&mut StdRng, &Seen, usize) -> Seen;

/// Forges a datagram of each direction after every [`INTERVAL`]
fn forge_each_interval(network: &Network, forge: Forge) {
    let mut rng = StdRng::seed_from_u64(SEED);
    let mut passed: HashMap<Ipv4Addr, usize> = HashMap::new();
    network.wiretap_gre(move |_, to, gre| {
        let Some(seen) = Seen::parse(gre).filter(|seen| seen.mppe_header().is_some()) else {
            return Vec::new();
        };
        let count = passed.entry(to).or_default();
        *count += 1;
        let number = *count / INTERVAL;
        let is_due = *count % INTERVAL == INTERVAL / 2;
        is_due.then(|| forge(&mut rng, &seen, number).emit()).into_iter().collect()
    });
}

async fn up(world: &World, mode: Mode) -> (Server, Tunnel) {
    let (builder, config) = (Server::builder(1), |server: &Server| config(server.address()));
    match mode {
        Mode::Stateless => {
            let server = world.serve(1, builder);
            let tunnel = world.client.connect(config(&server)).await.expect("a tunnel");
            (server, tunnel)
        }
        Mode::Stateful(reset) => {
            let server =
                world.serve(1, builder.encryption(ServerEncryption::Mppe128Stateful(reset)));
            let config = config(&server).insecure_stateful_mppe(reset);
            let tunnel = world.client.connect(config).await.expect("a tunnel");
            (server, tunnel)
        }
    }
}

/// Sends a datagram each millisecond to a service that sends it back; tells which came back
async fn echoed(tunnel: &Tunnel, count: usize) -> Vec<bool> {
    let socket = tunnel.udp_bind(0).expect("a socket");
    let mut echoed = vec![false; count];
    let mut take = |socket: &pptp::net::UdpSocket| {
        let mut datagram = [0; 64];
        while let Ok((8, from)) = socket.try_recv_from(&mut datagram) {
            assert_eq!(from, (DEVICE, 7).into());
            let number = u64::from_be_bytes(datagram[..8].try_into().expect("eight"));
            echoed[usize::try_from(number).expect("a number")] = true;
        }
    };
    for number in 0..count {
        socket
            .send_to(&u64::try_from(number).expect("64 bits").to_be_bytes(), (DEVICE, 7))
            .await
            .expect("sent");
        sleep(Duration::from_millis(1)).await;
        take(&socket);
    }
    sleep(Duration::from_secs(2)).await;
    take(&socket);
    echoed
}

/// Forges each of so many values once in each direction, and counts what is lost
async fn suffer(what: &str, mode: Mode, values: usize, forge: Forge) {
    let world = World::new(10);
    let (_server, tunnel) = up(&world, mode).await;
    forge_each_interval(&world.network, forge);
    let echoed = echoed(&tunnel, values * INTERVAL).await;
    let lost = echoed.chunks(INTERVAL).map(|some| some.iter().filter(|it| !**it).count());
    let lost: Vec<_> = lost.collect();
    let (sum, most) = (lost.iter().sum::<usize>(), lost.iter().max().expect("one"));
    let (arrived, all) = (echoed.len() - sum, echoed.len());
    println!(
        "{what}, {mode:?}, seed {SEED}: {arrived} of {all} arrive, at most {most} lost at once"
    );
    assert!(*most <= MOST_LOST, "{what}, {mode:?}: lost by each value {lost:?}");
}

/// Just ahead, half a window, at the guard and beyond, the wrap, and behind
const SEQUENCES: [i64; 22] = [
    0,
    1,
    2,
    31,
    63,
    64,
    65,
    300,
    4096,
    5999,
    6000,
    6001,
    100_000,
    0x7FFF_FFFF,
    0x8000_0000,
    -1,
    -2,
    -64,
    -65,
    -300,
    -6000,
    -6001,
];

fn moved(seen: &Seen, number: usize) -> u32 {
    let offset = SEQUENCES[number % SEQUENCES.len()];
    u32::try_from(i64::from(seen.sequence).wrapping_add(offset) & 0xFFFF_FFFF).expect("32 bits")
}

fn noise_in_its_place(rng: &mut StdRng, seen: &Seen, number: usize) -> Seen {
    let start = seen.mppe_header().expect("MPPE") + 2;
    let octets = noise(rng, seen.frame.len() - start);
    let frame = [&seen.frame[..start], &octets].concat();
    Seen { sequence: moved(seen, number), frame, ..seen.clone() }
}

fn a_copy_with_a_damaged_head(rng: &mut StdRng, seen: &Seen, number: usize) -> Seen {
    let start = seen.mppe_header().expect("MPPE") + 2;
    let mut frame = seen.frame.clone();
    damage(rng, &mut frame[start..start + 20]);
    Seen { sequence: moved(seen, number), frame, ..seen.clone() }
}

fn a_copy(_: &mut StdRng, seen: &Seen, number: usize) -> Seen {
    Seen { sequence: moved(seen, number), ..seen.clone() }
}

/// Well-formed, and so evidence for its number: an LCP Discard-Request
fn a_control_frame(_: &mut StdRng, seen: &Seen, number: usize) -> Seen {
    let id = u8::try_from(number & 0xFF).expect("an octet");
    Seen { sequence: moved(seen, number), frame: ppp(0xC021, 11, id, &[0; 4]), ..seen.clone() }
}

/// Somebody who sees nothing: numbers and counts are guessed
fn blind(rng: &mut StdRng, seen: &Seen, number: usize) -> Seen {
    let sequence = match number % 3 {
        0 => rng.random(),
        1 => rng.random_range(0..100_000),
        _ => rng.random_range(0..12_000),
    };
    let count: u16 = rng.random_range(0..4096);
    let [high, low] = (0x9000 | count).to_be_bytes();
    let frame = [&[0xFF, 3, 0, 0xFD, high, low], &noise(rng, 60)[..]].concat();
    Seen { sequence, frame, ..seen.clone() }
}

macro_rules! in_each_mode {
    ($($name:ident: $values:expr;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(start_paused = true)]
            async fn stateless() {
                suffer(stringify!($name), MODES[0], $values, super::$name).await;
            }

            #[tokio::test(start_paused = true)]
            async fn stateful() {
                suffer(stringify!($name), MODES[1], $values, super::$name).await;
            }

            #[tokio::test(start_paused = true)]
            async fn stateful_as_linux_does_it() {
                suffer(stringify!($name), MODES[2], $values, super::$name).await;
            }
        }
    )*};
}

in_each_mode! {
    noise_in_its_place: SEQUENCES.len();
    a_copy_with_a_damaged_head: SEQUENCES.len();
    a_copy: SEQUENCES.len();
    a_control_frame: SEQUENCES.len();
    blind: 30;
    another_count: 2 * COUNTS.len();
    another_bit: 8;
}

/// Just ahead, around a flag frame, where a stateless decryptor stops trying, half a window, behind
const COUNTS: [u16; 14] = [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 2047, 2048, 4094, 4095];

/// A right sequence number, another count, with noise behind it or the true octets
fn another_count(rng: &mut StdRng, seen: &Seen, number: usize) -> Seen {
    let at = seen.mppe_header().expect("MPPE");
    let header = u16::from_be_bytes([seen.frame[at], seen.frame[at + 1]]);
    let count = header.wrapping_add(COUNTS[number % COUNTS.len()]) & 0x0FFF;
    let header = (header & 0xF000 | count).to_be_bytes();
    let mut frame = seen.frame.clone();
    frame[at..at + 2].copy_from_slice(&header);
    if number >= COUNTS.len() {
        let length = frame.len() - at - 2;
        frame[at + 2..].copy_from_slice(&noise(rng, length));
    }
    Seen { frame, ..seen.clone() }
}

/// A right sequence number and count, and the other A, the other D, both, or B or C
fn another_bit(rng: &mut StdRng, seen: &Seen, number: usize) -> Seen {
    let at = seen.mppe_header().expect("MPPE");
    let mut frame = seen.frame.clone();
    frame[at] ^= [0x80, 0x10, 0x90, 0x40, 0x20, 0x60, 0xF0, 0xD0][number % 8];
    let length = frame.len() - at - 2;
    frame[at + 2..].copy_from_slice(&noise(rng, length));
    Seen { frame, ..seen.clone() }
}
