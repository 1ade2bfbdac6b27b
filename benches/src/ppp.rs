//! A PPP link with packets, against the cipher alone

use std::{
    hint::black_box,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use pptp_ppp::{Arrival, ClientConfig, Link, Order, Password, Received, ServerConfig};

use crate::{
    Figure, Goal,
    measure::{Ratio, Rounds, thread_time},
    path::{BATCHES, CipherOnly, Direction, FULL, PACKETS, Road, Slots, Traffic, ip_header},
};

/// All figures of PPP
pub fn figures() -> Vec<Figure> {
    vec![
        compare("ppp/receive", Direction::Download, Links::receive),
        compare("ppp/send", Direction::Upload, Links::send),
    ]
}

/// Both ends of a link that is up
#[derive(Debug)]
pub struct Links {
    ours: Link,
    peer: Link,
    slots: Slots,
    sequence: u32,
    now: Instant,
}

impl Links {
    /// Negotiates a link
    pub fn new() -> Self {
        let address = Ipv4Addr::new(192, 168, 1, 1);
        let mut server = ServerConfig::new(address, Ipv4Addr::new(192, 168, 1, 200));
        server.secrets = vec![("user".to_owned(), Password::new("password"))];
        let client = ClientConfig::new("user", Password::new("password"));
        let ours = Link::client(client, [1; 32]);
        let peer = Link::server(server, [2; 32]);
        let slots = Slots::new(PACKETS * BATCHES);
        let mut links = Self { ours, peer, slots, sequence: 0, now: Road::new().now };
        links.negotiate();
        links
    }

    fn negotiate(&mut self) {
        self.ours.open(self.now);
        self.peer.open(self.now);
        while !(self.ours.is_up() && self.peer.is_up()) {
            let from_ours = std::iter::from_fn(|| self.ours.poll_frame()).collect::<Vec<_>>();
            let from_peer = std::iter::from_fn(|| self.peer.poll_frame()).collect::<Vec<_>>();
            assert!(!(from_ours.is_empty() && from_peer.is_empty()), "nobody says anything");
            for (to, frames) in [(&mut self.peer, from_ours), (&mut self.ours, from_peer)] {
                for mut frame in frames {
                    let arrival = arrival(&mut self.sequence);
                    assert_eq!(to.handle_frame(self.now, arrival, &mut frame), Received::Control);
                }
            }
            while self.ours.poll_event().is_some() || self.peer.poll_event().is_some() {}
        }
    }

    /// The CPU time of taking 64 frames, eight in a turn
    pub fn receive(&mut self) -> Duration {
        let Self { ours, peer, slots, sequence, now } = self;
        slots.clear();
        for _ in 0..PACKETS * BATCHES {
            let packet = slots.take(FULL);
            packet.as_mut_slice()[..20].copy_from_slice(&ip_header(FULL));
            peer.seal(packet);
        }
        let begin = thread_time();
        for batch in slots.datagrams().chunks_mut(PACKETS) {
            *now += TURN;
            ours.handle_timeout(*now);
            for frame in batch {
                let arrival = arrival(sequence);
                let received = ours.handle_frame(*now, arrival, frame.as_mut_slice());
                assert!(matches!(black_box(received), Received::Ip(_)));
            }
            black_box((ours.poll_event(), ours.poll_frame(), ours.poll_timeout()));
        }
        thread_time().saturating_sub(begin)
    }

    /// The CPU time of sealing 64 packets, eight in a turn
    pub fn send(&mut self) -> Duration {
        let Self { ours, slots, now, .. } = self;
        slots.clear();
        let begin = thread_time();
        for _ in 0..BATCHES {
            *now += TURN;
            ours.handle_timeout(*now);
            for _ in 0..PACKETS {
                assert!(ours.seal(slots.take(FULL)));
            }
            black_box((ours.poll_event(), ours.poll_frame(), ours.poll_timeout()));
        }
        thread_time().saturating_sub(begin)
    }
}

impl Default for Links {
    fn default() -> Self {
        Self::new()
    }
}

fn arrival(sequence: &mut u32) -> Arrival {
    *sequence = sequence.wrapping_add(1);
    Arrival { sequence: *sequence, order: Order::Ahead }
}

fn compare(
    name: &'static str,
    direction: Direction,
    mut run: impl FnMut(&mut Links) -> Duration,
) -> Figure {
    let mut links = Links::new();
    let mut cipher = CipherOnly::new(links.now);
    let traffic = Traffic::bulk(direction);
    let bound = || cipher.round(&traffic).as_secs_f64();
    let ratio = Rounds::default().ratio_of_times(bound, || run(&mut links).as_secs_f64());
    figure(name, ratio)
}

fn figure(name: &'static str, Ratio { ratio, a, b }: Ratio) -> Figure {
    let detail = format!("{:.0} ns a packet, the cipher alone {:.0} ns", b * PACKET, a * PACKET);
    Figure { name, value: ratio, goal: Goal::AtMost(1.05), detail }
}

/// Nanoseconds of a packet in a second of a round
const PACKET: f64 = 1e9 / 64.0;
const TURN: Duration = Duration::from_millis(1);
