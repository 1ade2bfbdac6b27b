//! Two links joined by a line in virtual time

use std::{
    collections::VecDeque,
    fmt::Write,
    time::{Duration, Instant},
};

use pptp_mppe::{Arrival, Order};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::epoch;
use crate::{Event, Failure, Link, Negotiated, Received};

/// One end of the line
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) link: Link,
    pub(crate) events: Vec<(Duration, Event)>,
    sequence: u32,
    highest: Option<u32>,
    /// Frames on their way to this end
    inbound: VecDeque<(Instant, u32, Vec<u8>)>,
}

impl End {
    fn new(link: Link) -> Self {
        let (events, inbound) = (Vec::new(), VecDeque::new());
        Self { link, events, sequence: 0, highest: None, inbound }
    }

    pub(crate) fn up(&self) -> Option<(Duration, &Negotiated)> {
        self.events.iter().rev().find_map(|(at, event)| match event {
            Event::Up(negotiated) => Some((*at, negotiated)),
            _ => None,
        })
    }

    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.events.iter().find_map(|(_, event)| match event {
            Event::Down { failure, .. } => Some(failure),
            _ => None,
        })
    }

    /// Those on their way to this end
    pub(crate) fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.inbound.iter().map(|(_, _, frame)| frame.as_slice())
    }

    fn next(&self) -> Option<Instant> {
        let arrival = self.inbound.iter().map(|(at, ..)| *at).min();
        arrival.into_iter().chain(self.link.poll_timeout().map(|(at, _)| at)).min()
    }
}

/// Two ends, the line between them and the time
pub(crate) struct Wire {
    pub(crate) client: End,
    pub(crate) server: End,
    pub(crate) now: Instant,
    pub(crate) ladder: String,
    start: Instant,
    delay: Duration,
    /// Frames of the client that are lost first of all
    swallow: u8,
    loss: f64,
    /// Share of the frames that arrive twice, and how much later than usual one may be
    doubled: f64,
    jitter: Duration,
    random: ChaCha8Rng,
}

impl Wire {
    pub(crate) fn new(client: Link, server: Link, delay: Duration) -> Self {
        let now = epoch();
        Self {
            client: End::new(client),
            server: End::new(server),
            now,
            ladder: String::new(),
            start: now,
            delay,
            swallow: 0,
            loss: 0.0,
            doubled: 0.0,
            jitter: Duration::ZERO,
            random: ChaCha8Rng::seed_from_u64(0),
        }
    }

    /// From now on a share of the frames is lost
    pub(crate) fn lose(&mut self, loss: f64, seed: u64) -> &mut Self {
        (self.loss, self.random) = (loss, ChaCha8Rng::seed_from_u64(seed));
        self
    }

    /// From now on a share of the frames arrives twice, and any of them up to so much later
    pub(crate) fn disturb(&mut self, doubled: f64, jitter: Duration) -> &mut Self {
        (self.doubled, self.jitter) = (doubled, jitter);
        self
    }

    /// The client's first frame is lost: pppd empties its terminal when it starts
    pub(crate) fn swallow_first(&mut self) -> &mut Self {
        self.swallow = 1;
        self
    }

    /// The server begins half a round trip before its word that it has reaches the client
    pub(crate) fn connect(&mut self) -> &mut Self {
        self.server.link.open(self.now);
        self.turn();
        self.now += self.delay;
        self.start = self.now;
        self.client.link.open(self.now);
        self.turn();
        self
    }

    /// Runs until nothing is left to do, or `limit` has passed
    pub(crate) fn run(&mut self, limit: Duration) -> &mut Self {
        let end = self.now + limit;
        while let Some(next) = self.client.next().into_iter().chain(self.server.next()).min() {
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = self.now.max(end);
        self
    }

    /// Runs until both ends are up
    pub(crate) fn run_until_up(&mut self, limit: Duration) -> &mut Self {
        let end = self.now + limit;
        while !(self.client.link.is_up() && self.server.link.is_up()) {
            let next = self.client.next().into_iter().chain(self.server.next()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.turn();
        }
        self
    }

    /// Runs until the client is up, and the server too, or until the client has ended
    pub(crate) fn run_until_settled(&mut self, limit: Duration) -> &mut Self {
        let end = self.now + limit;
        while !(self.client.link.is_up() && self.server.link.is_up())
            && self.client.failure().is_none()
        {
            let next = self.client.next().into_iter().chain(self.server.next()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.turn();
        }
        self
    }

    /// Runs until both ends are up or both have ended; false if that is not so within `limit`
    pub(crate) fn converges(&mut self, limit: Duration) -> bool {
        let end = self.now + limit;
        loop {
            let [client, server] = [&self.client, &self.server];
            let is_up = client.link.is_up() && server.link.is_up();
            if is_up || client.failure().is_some() && server.failure().is_some() {
                return true;
            }
            let next = self.client.next().into_iter().chain(self.server.next()).min();
            let Some(next) = next.filter(|next| *next <= end) else { return false };
            self.now = self.now.max(next);
            self.turn();
        }
    }

    /// Since the client began
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// The next turn of either end; `look` sees both before what they have to send is taken
    pub(crate) fn step(&mut self, mut look: impl FnMut(&Self)) {
        let next = self.client.next().into_iter().chain(self.server.next()).min();
        self.now = next.map_or(self.now, |next| self.now.max(next));
        self.turn_with(&mut look);
    }

    /// Everything that is due now, at both ends
    pub(crate) fn turn(&mut self) {
        self.turn_with(&mut |_| {});
    }

    fn turn_with(&mut self, look: &mut dyn FnMut(&Self)) {
        for _ in 0..2 {
            let (now, start) = (self.now, self.start);
            for end in [&mut self.client, &mut self.server] {
                Self::deliver(end, now);
                end.link.handle_timeout(now);
                let at = now.saturating_duration_since(start);
                end.events.extend(std::iter::from_fn(|| end.link.poll_event()).map(|e| (at, e)));
            }
            look(self);
            self.collect();
        }
    }

    fn deliver(end: &mut End, now: Instant) {
        while let Some(at) = end.inbound.iter().position(|(at, ..)| *at <= now) {
            let Some((_, sequence, mut frame)) = end.inbound.remove(at) else { break };
            let is_ahead =
                end.highest.is_none_or(|highest| sequence.wrapping_sub(highest).cast_signed() > 0);
            let order = if is_ahead { Order::Ahead } else { Order::Behind };
            let received = end.link.handle_frame(now, Arrival { sequence, order }, &mut frame);
            if is_ahead && !matches!(received, Received::Discarded(_)) {
                end.highest = Some(sequence);
            }
        }
    }

    fn collect(&mut self) {
        let (now, delay) = (self.now, self.delay);
        for to_server in [true, false] {
            let (from, to) = if to_server {
                (&mut self.client, &mut self.server)
            } else {
                (&mut self.server, &mut self.client)
            };
            while let Some(frame) = from.link.poll_frame() {
                let swallowed = to_server && self.swallow > 0;
                self.swallow -= u8::from(swallowed);
                let lost = swallowed || self.random.random_bool(self.loss);
                let at = now.saturating_duration_since(self.start).as_millis();
                let lost_mark = if lost { "  LOST" } else { "" };
                let arrow = if to_server { "  ->    " } else { "     <- " };
                writeln!(self.ladder, "{at:6} ms {arrow} {}{lost_mark}", describe(&frame)).unwrap();
                let copies =
                    if lost { 0 } else { 1 + u8::from(self.random.random_bool(self.doubled)) };
                for _ in 0..copies {
                    let late = self.jitter.mul_f64(self.random.random::<f64>());
                    to.inbound.push_back((now + delay + late, from.sequence, frame.to_vec()));
                }
                from.sequence = from.sequence.wrapping_add(1);
            }
        }
    }
}

/// A control frame in words
pub(crate) fn describe(frame: &[u8]) -> String {
    let mut frame = frame.to_vec();
    let (protocol, information) = crate::wire::frame::parse(&mut frame).unwrap();
    let packet = crate::wire::packet::Packet::parse(information).unwrap();
    let (code, id) = (packet.code, packet.id);
    let name = match protocol {
        crate::wire::frame::LCP => "LCP ",
        crate::wire::frame::CCP => "CCP ",
        crate::wire::frame::IPCP => "IPCP",
        crate::wire::frame::PAP => return format!("PAP  {} id={id}", named(PAP, code)),
        crate::wire::frame::CHAP => return format!("CHAP {} id={id}", named(CHAP, code)),
        crate::wire::frame::EAP => {
            let inner = match packet.data {
                [26, code, ..] => named(CHAP, *code),
                _ => "",
            };
            let kind = packet.data.first();
            return format!("EAP  {} id={id} {kind:?} {inner}", named(EAP, code));
        }
        _ => "?",
    };
    let code = crate::wire::packet::Code::from(code);
    format!("{name} {code:?} id={id} {:02x?}", packet.data)
}

fn named(names: [&'static str; 7], code: u8) -> &'static str {
    usize::from(code).checked_sub(1).and_then(|at| names.get(at).copied()).unwrap_or("?")
}

const PAP: [&str; 7] = ["Request", "Ack", "Nak", "?", "?", "?", "?"];
const CHAP: [&str; 7] =
    ["Challenge", "Response", "Success", "Failure", "?", "ChangePassword1", "ChangePassword2"];
const EAP: [&str; 7] = ["Ask", "Reply", "Succeeded", "Failed", "?", "?", "?"];
