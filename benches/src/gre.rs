//! GRE's bookkeeping, as a share of the cipher's work for the same packets

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use pptp_gre::{Header, Session};

use crate::{
    Figure, Goal,
    measure::{Ratio, Rounds, thread_time},
    path::{BATCHES, CipherOnly, Direction, FULL, PACKETS, Road, Slots, Traffic},
};

/// All figures of GRE
pub fn figures() -> Vec<Figure> {
    vec![
        compare("gre/receive", Direction::Download, Sessions::receive),
        compare("gre/send", Direction::Upload, Sessions::send),
    ]
}

/// Both ends of a call
#[derive(Debug)]
pub struct Sessions {
    ours: Session,
    peer: Session,
    slots: Slots,
    now: Instant,
}

impl Sessions {
    /// A call without datagrams so far
    pub fn new() -> Self {
        let now = Road::new().now;
        let slots = Slots::new(PACKETS * BATCHES);
        Self { ours: Session::new(1, 0, now), peer: Session::new(2, 0, now), slots, now }
    }

    /// The CPU time of taking 64 datagrams, eight in a turn, each turn acknowledged
    pub fn receive(&mut self) -> Duration {
        let Self { ours, peer, slots, now } = self;
        slots.clear();
        for _ in 0..PACKETS * BATCHES {
            peer.seal(*now, slots.take(FRAME));
        }
        let begin = thread_time();
        for batch in slots.datagrams().chunks(PACKETS) {
            *now += TURN;
            for datagram in batch {
                let (header, payload) = Header::parse(datagram.as_slice()).expect("a datagram");
                let verdict = ours.check(&header).expect("the next");
                black_box(payload);
                ours.commit(*now, verdict);
            }
            black_box(ours.poll_acknowledgment(*now));
            black_box(ours.poll_timeout());
        }
        thread_time().saturating_sub(begin)
    }

    /// The CPU time of sealing 64 datagrams, eight in a turn, each turn acknowledged by the peer
    pub fn send(&mut self) -> Duration {
        let Self { ours, peer, slots, now } = self;
        slots.clear();
        let begin = thread_time();
        for batch in 0..BATCHES {
            *now += TURN;
            for _ in 0..PACKETS {
                black_box(ours.may_send(*now));
                ours.seal(*now, slots.take(FRAME));
            }
            black_box(ours.poll_timeout());
            let last = slots.datagrams()[batch * PACKETS].as_slice();
            let (header, _) = Header::parse(last).expect("a datagram");
            ours.handle_acknowledgment(*now, header.sequence.expect("a payload"));
        }
        let time = thread_time().saturating_sub(begin);
        // so that the next ones are ahead
        for datagram in slots.datagrams() {
            let (header, _) = Header::parse(datagram.as_slice()).expect("a datagram");
            let verdict = peer.check(&header).expect("the next");
            peer.commit(*now, verdict);
        }
        time
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new()
    }
}

fn compare(
    name: &'static str,
    direction: Direction,
    mut run: impl FnMut(&mut Sessions) -> Duration,
) -> Figure {
    let mut sessions = Sessions::new();
    let mut cipher = CipherOnly::new(sessions.now);
    let traffic = Traffic::bulk(direction);
    let bound = || cipher.round(&traffic).as_secs_f64();
    let ratio = Rounds::default().ratio_of_times(bound, || run(&mut sessions).as_secs_f64());
    figure(name, ratio)
}

fn figure(name: &'static str, Ratio { ratio, a, b }: Ratio) -> Figure {
    let detail = format!("{:.1} ns a packet, the cipher {:.0} ns", b * PACKET, a * PACKET);
    Figure { name, value: ratio, goal: Goal::AtMost(0.03), detail }
}

/// Nanoseconds of a packet in a second of a round
const PACKET: f64 = 1e9 / 64.0;
/// Octets of a PPP frame with a whole packet: address and control, protocol, MPPE's header
const FRAME: usize = FULL + 8;
const TURN: Duration = Duration::from_millis(1);
