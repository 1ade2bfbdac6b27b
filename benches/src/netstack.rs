//! The stack alone, against a copy of the same octets and a sum over them
//!
//! No stack does with less: the octets go between packet and buffer, and between buffer and user,
//! and TCP's checksum is over all of them.

use std::{
    hint::black_box,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use pptp_netstack::{Local, LocalLink, StackConfig, TcpOptions};

use crate::{
    Figure, Goal,
    measure::{Ratio, Rounds, thread_time},
    path::{
        BATCHES, Direction, FULL, HEADERS, Host, PACKETS, Road, SEGMENTS_ACKNOWLEDGED, SendQueue,
        Slots, Socket, complete, runtime,
    },
};

/// All figures of the stack
pub fn figures() -> Vec<Figure> {
    let runtime = runtime();
    let _entered = runtime.enter();
    vec![
        compare("netstack/receive", Direction::Download),
        compare("netstack/send", Direction::Upload),
    ]
}

/// A stack with a TCP connection to a host
#[derive(Debug)]
pub struct Stacks {
    road: Road,
    link: LocalLink,
    socket: Socket,
    host: Host,
    packet: Vec<u8>,
    octets: Vec<u8>,
}

impl Stacks {
    /// Connects; needs a tokio runtime around it
    pub fn new() -> Self {
        let to = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 1), 80);
        let config = StackConfig::new(Ipv4Addr::new(192, 168, 1, 200), FULL, 1);
        let (net, link) = Local::new(config);
        let (mut road, mut host, mut packet) = (Road::new(), Host::new(to), Vec::new());
        let options =
            TcpOptions::default().receive_buffer(BUFFER).send_buffer(BUFFER).nodelay(true);
        let stream = complete(net.tcp_connect(to, options), || {
            link.turn(road.now, &mut road.sent);
            let mut syn = false;
            road.sent.drain(|_, packet| syn |= host.handle(packet));
            if syn {
                host.syn_ack(&mut packet);
                link.handle_ip(road.now, &packet);
            }
        });
        let socket = Socket::new(stream.expect("the host answers"));
        let octets = vec![0x5A; 32 << 10];
        let mut stacks = Self { road, link, socket, host, packet, octets };
        stacks.take_sent();
        stacks
    }

    /// The CPU time of a round of packets and their acknowledgments
    pub fn round(&mut self, direction: Direction) -> Duration {
        let per_batch = self.prepare(direction);
        let begin = thread_time();
        for batch in 0..BATCHES {
            self.batch(batch * per_batch, per_batch, direction);
        }
        let time = thread_time().saturating_sub(begin);
        self.take_sent();
        time
    }

    fn take_sent(&mut self) {
        let Self { road, link, host, .. } = self;
        link.turn(road.now, &mut road.sent);
        road.sent.drain(|_, packet| _ = host.handle(packet));
    }

    /// Composes the host's packets; how many are in a batch
    fn prepare(&mut self, direction: Direction) -> usize {
        let Self { road, host, packet, octets, .. } = self;
        road.received.clear();
        let count = match direction {
            Direction::Download => PACKETS,
            Direction::Upload => PACKETS / SEGMENTS_ACKNOWLEDGED,
        };
        for _ in 0..count * BATCHES {
            match direction {
                Direction::Download => host.segment(packet, &octets[..SEGMENT]),
                Direction::Upload => {
                    if !host.acknowledge(packet, SEGMENTS_ACKNOWLEDGED * SEGMENT) {
                        break;
                    }
                }
            }
            road.received.take(packet.len()).as_mut_slice().copy_from_slice(packet);
        }
        count
    }

    fn batch(&mut self, from: usize, count: usize, direction: Direction) {
        let Self { road, link, socket, octets, .. } = self;
        let Road { received, sent, now, .. } = road;
        *now += TURN;
        let packets = received.datagrams();
        let end = packets.len().min(from + count);
        let mut wakers = std::mem::take(&mut sent.wakers);
        let mut turn = |packets: &[pptp_packet::PacketBuf], sent: &mut SendQueue| {
            link.with_stack(|stack| {
                for packet in packets {
                    stack.ingress(*now, packet.as_slice(), sent);
                }
                stack.egress(*now, sent);
                let _deadline = stack.poll_timeout(*now);
                stack.drain_wakers(&mut wakers);
                stack.take_ready();
            });
            wakers.wake_all();
        };
        turn(packets.get(from..end).unwrap_or_default(), sent);
        match direction {
            Direction::Download => assert_eq!(socket.read(octets), PACKETS * SEGMENT),
            Direction::Upload => _ = socket.write(octets),
        }
        sent.wakers = wakers;
    }
}

impl Default for Stacks {
    fn default() -> Self {
        Self::new()
    }
}

/// What any stack has to do with 64 segments: two copies, and a sum
#[derive(Debug)]
struct Copies {
    packets: Slots,
    buffer: Vec<u8>,
    user: Vec<u8>,
}

impl Copies {
    fn new() -> Self {
        let mut packets = Slots::new(PACKETS * BATCHES);
        (0..PACKETS * BATCHES).for_each(|_| packets.take(SEGMENT).as_mut_slice().fill(0x5A));
        Self { packets, buffer: vec![0; BUFFER], user: vec![0; PACKETS * SEGMENT] }
    }

    fn round(&mut self) -> Duration {
        let Self { packets, buffer, user } = self;
        let begin = thread_time();
        let batches = packets.datagrams().chunks(PACKETS);
        for (batch, buffer) in batches.zip(buffer.chunks_exact_mut(PACKETS * SEGMENT)) {
            for (packet, room) in batch.iter().zip(buffer.chunks_exact_mut(SEGMENT)) {
                black_box(sum(packet.as_slice()));
                room.copy_from_slice(packet.as_slice());
            }
            user.copy_from_slice(black_box(buffer));
            black_box(&mut *user);
        }
        thread_time().saturating_sub(begin)
    }
}

/// As wide as the processor likes it
fn sum(octets: &[u8]) -> u64 {
    octets.as_chunks().0.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum()
}

fn compare(name: &'static str, direction: Direction) -> Figure {
    let mut stacks = Stacks::new();
    (0..64).for_each(|_| _ = stacks.round(direction));
    let mut copies = Copies::new();
    let bound = || copies.round().as_secs_f64();
    let rounds = Rounds { count: 4 * Rounds::default().count, ..Rounds::default() };
    figure(name, rounds.ratio_of_times(bound, || stacks.round(direction).as_secs_f64()))
}

fn figure(name: &'static str, Ratio { ratio, a, b }: Ratio) -> Figure {
    let detail = format!("{:.0} ns a segment, copies and a sum {:.0} ns", b * PACKET, a * PACKET);
    Figure { name, value: ratio, goal: Goal::AtMost(4.0), detail }
}

/// Nanoseconds of a segment in a second of a round
const PACKET: f64 = 1e9 / 64.0;
const SEGMENT: usize = FULL - HEADERS;
const BUFFER: usize = 256 << 10;
const TURN: Duration = Duration::from_millis(1);
