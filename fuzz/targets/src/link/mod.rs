//! A client's link, brought to a phase by a server that behaves, and then spoken to by a script
//!
//! What holds in all targets that use it:
//!
//! - no IP packet in the clear is taken or sent once MPPE is required, and it is required by the
//!   policy, or for good once the link was encrypted;
//! - a link that comes up has what its policy asks for, and no less;
//! - there is a deadline until the link has ended, it lies ahead, and silence ends the link;
//! - what the link holds on the heap is within its cap;
//! - a link that has ended says that once, and nothing afterwards.

mod setting;
mod step;

use std::time::{Duration, Instant};

use pptp_packet::PacketBuf;
use pptp_ppp::{
    Arrival, Encryption, Event, Link, Negotiated, Order, Password, Phase, Question, Received, frame,
};

pub use self::{
    setting::{PASSWORD, Reach, Setting, Spoken},
    step::Step,
};
use crate::{
    heap::Heap,
    packets,
    script::{Script, centiseconds, epoch},
};

/// Octets of a link whose frames and events are taken, before it has keys: what it remembers of requests
/// and of the login, and three frames that came too early
const MOST_CONNECTING: isize = 6 << 10;
/// The same with keys of MPPE, 22 KiB at the worst
const MOST_HELD: isize = 28 << 10;
/// Frames that one packet may bring
const MOST_FRAMES: usize = 64;
/// Events that one packet may bring
const MOST_EVENTS: usize = 40;
const MOST_STEPS: usize = 128;
/// From the last word of the peer to the end: a minute for an open question, 70 s of echoes, 30 s of
/// requests, and 2 s of farewell
const MOST_SILENCE: Duration = Duration::from_secs(170);
/// From our own farewell to the end
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs a script: a [`Setting`], then [`Step`]s
pub fn run(data: &[u8], reach: Reach, spoken: Spoken) {
    let mut script = Script::new(data);
    let setting = Setting::new(script.array(), spoken);
    let mut bench = Bench::new(setting, reach);
    for step in script.steps(MOST_STEPS) {
        bench.take(&step);
        bench.settle();
    }
    bench.end();
}

struct Bench {
    setting: Setting,
    client: Link,
    server: Link,
    heap: Heap,
    now: Instant,
    /// Of frames to the client
    sequence: u32,
    /// Of frames to the server
    answered: u32,
    /// What the client has sent lately
    said: Vec<Vec<u8>>,
    /// What the server has sent and the client has not got
    held_back: Vec<Vec<u8>>,
    /// Where the client's new frames go, before they are looked at
    fresh: Vec<u8>,
    question: Option<Asked>,
    /// It was up, and encrypted
    was_encrypted: bool,
    is_up: bool,
    has_ended: bool,
}

impl Bench {
    fn new(setting: Setting, reach: Reach) -> Self {
        let now = epoch();
        let mut heap = Heap::new();
        let client = heap.within(|| Link::client(setting.client(), [1; 32]));
        let server = Link::server(setting.server(), [2; 32]);
        let mut bench = Self {
            setting,
            client,
            server,
            heap,
            now,
            sequence: 0,
            answered: 0,
            said: Vec::with_capacity(MOST_SAID),
            held_back: Vec::new(),
            fresh: Vec::with_capacity(MOST_FRAMES << 11),
            question: None,
            was_encrypted: false,
            is_up: false,
            has_ended: false,
        };
        bench.open();
        bench.bring_to(reach.phase());
        bench
    }

    fn open(&mut self) {
        let (client, now) = (&mut self.client, self.now);
        self.heap.within(|| client.open(now));
        self.server.open(self.now);
        self.settle();
    }

    /// Hands frames over one by one until the client is in that phase
    fn bring_to(&mut self, phase: Phase) {
        for _ in 0..MOST_FRAMES {
            if self.client.phase() >= phase || self.has_ended {
                return;
            }
            self.hear_server();
            self.settle();
        }
    }

    fn take(&mut self, step: &Step<'_>) {
        match *step {
            Step::Packet(packet) => self.packet(packet),
            Step::Same(packet) => {
                let mut packet = packet.to_vec();
                self.borrow_id(&mut packet);
                self.packet(&packet);
            }
            Step::Answer(code, changes) => self.answer(code, changes),
            Step::Frame(octets) => {
                self.hear(octets.to_vec());
            }
            Step::Late(behind) => self.sequence = self.sequence.wrapping_sub(behind.into()),
            Step::Plain(length) => {
                let packet = packets::ip(1, length.into());
                self.hear([&[0xFF, 0x03, 0x00, 0x21][..], &packet].concat());
            }
            Step::Server(count) => (0..=count % 8).for_each(|_| self.hear_server()),
            Step::Send(length) => self.send(length),
            Step::Wait(time) => self.now += centiseconds(time),
            Step::Renegotiate => self.call(Link::renegotiate),
            Step::ServerRenegotiates => self.server.renegotiate(self.now),
            Step::Reply(with) => self.reply(with),
            Step::Close => self.call(Link::close),
        }
    }

    fn call(&mut self, command: impl FnOnce(&mut Link, Instant)) {
        let (client, now) = (&mut self.client, self.now);
        self.heap.within(|| command(client, now));
    }

    /// A packet of the protocol that is fuzzed
    fn packet(&mut self, packet: &[u8]) {
        let protocol = self.setting.protocol();
        self.hear(frame::control(protocol, packet));
    }

    /// With the identifier of our latest packet of that protocol
    fn borrow_id(&self, packet: &mut [u8]) {
        let ours = self.latest().and_then(|said| said.get(5));
        if let (Some(ours), Some(id)) = (ours, packet.get_mut(1)) {
            *id = *ours;
        }
    }

    /// Our latest frame of the protocol that is fuzzed
    fn latest(&self) -> Option<&Vec<u8>> {
        let protocol = self.setting.protocol().to_be_bytes();
        self.said.iter().rev().find(|said| said.get(2..4) == Some(&protocol[..]))
    }

    /// Our latest packet comes back with this code, and with octets of it changed
    fn answer(&mut self, code: u8, changes: &[u8]) {
        let Some(mut answer) = self.latest().cloned() else { return };
        answer[4] = code;
        for change in changes.chunks_exact(2) {
            let at = 8 + usize::from(change[0]);
            if let Some(octet) = answer.get_mut(at) {
                *octet ^= change[1];
            }
        }
        self.hear(answer);
    }

    /// The server's next frame reaches the client
    fn hear_server(&mut self) {
        if !self.held_back.is_empty() {
            let frame = self.held_back.remove(0);
            self.hear(frame);
        }
    }

    fn hear(&mut self, mut octets: Vec<u8>) {
        let is_encrypted = frame::parse(&mut octets.clone()).is_ok_and(|it| it.0 == frame::MPPE);
        let arrival = Arrival { sequence: self.sequence, order: Order::Ahead };
        self.sequence = self.sequence.wrapping_add(1);
        let (client, now) = (&mut self.client, self.now);
        let is_ip = self
            .heap
            .within(|| matches!(client.handle_frame(now, arrival, &mut octets), Received::Ip(_)));
        assert!(!is_ip || is_encrypted || !self.is_required(), "IP in the clear was taken");
        assert!(!is_ip || !self.has_ended, "IP after the end");
    }

    /// Whether IP packets have to be encrypted
    fn is_required(&self) -> bool {
        self.setting.is_required() || self.was_encrypted
    }

    fn send(&mut self, length: u16) {
        let mut slot = PacketBuf::new();
        let packet = packets::ip(2, length.into());
        slot.reset(packet.len()).copy_from_slice(&packet);
        let client = &mut self.client;
        let is_sealed = self.heap.within(|| client.seal(&mut slot));
        assert_eq!(is_sealed, self.client.is_up());
        let mut sealed = slot.as_slice().to_vec();
        if is_sealed && self.is_required() {
            let protocol = frame::parse(&mut sealed).map(|it| it.0);
            assert_eq!(protocol, Ok(frame::MPPE), "IP was sent in the clear");
        }
        if is_sealed {
            self.tell_server(&mut sealed);
        }
    }

    fn reply(&mut self, with: u8) {
        let Some(question) = self.question.take() else { return };
        match (question, with % 3) {
            (_, 0) => self.call(Link::give_up),
            (Asked::NewPassword, _) => {
                self.call(|link, now| link.change_password(now, Password::new("new")));
            }
            _ => self.call(|link, now| link.log_in_as(now, "two".into(), Password::new("other"))),
        }
    }

    /// Takes all that is due and all that comes out
    fn settle(&mut self) {
        self.call(Link::handle_timeout);
        self.events();
        self.frames();
        let has_keys = self.client.phase() >= Phase::Network;
        self.heap.assert_at_most(if has_keys { MOST_HELD } else { MOST_CONNECTING });
        let has_ended = self.client.phase() == Phase::Dead;
        match self.client.poll_timeout() {
            Some((at, why)) => assert!(at > self.now, "{why:?} is still due"),
            None => assert!(has_ended, "no deadline in {:?}", self.client.phase()),
        }
        self.serve();
    }

    fn events(&mut self) {
        for count in 0.. {
            assert!(count < MOST_EVENTS, "a flood of events");
            let (client, setting) = (&mut self.client, &self.setting);
            // the event itself is dropped within: it is nothing that the link holds
            let told = self.heap.within(|| Some(Told::of(client.poll_event()?, setting)));
            let Some(told) = told else { return };
            assert!(!self.has_ended, "{told:?} after the end");
            self.told(told);
        }
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::Up(encryption) => {
                assert!(encryption.is_some() || !self.is_required(), "up in the clear");
                self.is_up = true;
                self.was_encrypted |= encryption.is_some();
            }
            Told::Ask(question) => self.question = Some(question),
            Told::Ended => {
                self.has_ended = true;
                assert_eq!(self.client.phase(), Phase::Dead);
            }
            Told::Other => {}
        }
    }

    /// The client's frames go to the server, and are remembered
    fn frames(&mut self) {
        for count in 0.. {
            assert!(count <= MOST_FRAMES, "a flood of frames");
            let (client, fresh) = (&mut self.client, &mut self.fresh);
            let is_any = self.heap.within(|| {
                fresh.clear();
                client.poll_frame().is_some_and(|frame| {
                    fresh.extend_from_slice(&frame);
                    true
                })
            });
            if !is_any {
                return;
            }
            let mut frame = self.fresh.clone();
            if self.said.len() == MOST_SAID {
                self.said.remove(0);
            }
            self.said.push(frame.clone());
            self.tell_server(&mut frame);
        }
    }

    fn tell_server(&mut self, frame: &mut [u8]) {
        let arrival = Arrival { sequence: self.answered, order: Order::Ahead };
        self.answered = self.answered.wrapping_add(1);
        let _ = self.server.handle_frame(self.now, arrival, frame);
    }

    /// The server's turn; what it says waits until a step hands it over
    fn serve(&mut self) {
        self.server.handle_timeout(self.now);
        while self.server.poll_event().is_some() {}
        while let Some(frame) = self.server.poll_frame() {
            if self.held_back.len() < MOST_SAID {
                self.held_back.push(frame.to_vec());
            }
        }
    }

    /// Left alone, or closed, the link ends in time, and is silent from then on
    fn end(&mut self) {
        let limit = if self.setting.closes { FAREWELL } else { MOST_SILENCE };
        if self.setting.closes {
            self.call(Link::close);
            self.settle();
        }
        let end = self.now + limit;
        while let Some((at, why)) = self.client.poll_timeout() {
            assert!(at <= end, "{why:?} is later than the end");
            self.now = at;
            self.settle();
        }
        assert!(self.has_ended, "no event of the end");
        self.assert_silent();
    }

    fn assert_silent(&mut self) {
        let mut request = *b"\xFF\x03\xC0\x21\x01\x01\0\x04";
        let arrival = Arrival { sequence: self.sequence, order: Order::Ahead };
        let received = self.client.handle_frame(self.now, arrival, &mut request);
        assert!(!matches!(received, Received::Ip(_)));
        self.client.handle_timeout(self.now + MOST_SILENCE);
        self.client.close(self.now);
        self.client.renegotiate(self.now);
        assert_eq!(self.client.poll_event(), None, "an event after the end");
        assert_eq!(self.client.poll_timeout(), None, "a deadline after the end");
        assert!(!self.client.is_up() && !self.client.seal(&mut PacketBuf::new()));
    }
}

/// What the owner was asked
#[derive(Debug, Clone, Copy)]
enum Asked {
    NewPassword,
    OtherCredentials,
}

/// What an event means here
#[derive(Debug, Clone, Copy)]
enum Told {
    Up(Option<Encryption>),
    Ask(Asked),
    Ended,
    Other,
}

impl Told {
    fn of(event: Event, setting: &Setting) -> Self {
        match event {
            Event::Up(negotiated) => {
                let Negotiated { authentication, encryption, mtu, .. } = negotiated;
                assert!(setting.allows(authentication), "{authentication:?} was not allowed");
                let is_enough = encryption.is_none_or(|it| setting.is_enough(it));
                assert!(is_enough, "{encryption:?} is not enough");
                assert!(mtu <= 1500, "an MTU of {mtu}");
                Self::Up(encryption)
            }
            Event::Ask(Question::NewPassword { .. }) => Self::Ask(Asked::NewPassword),
            Event::Ask(_) => Self::Ask(Asked::OtherCredentials),
            Event::Closed | Event::Down { .. } => Self::Ended,
            _ => Self::Other,
        }
    }
}

/// Frames that are remembered
const MOST_SAID: usize = 64;
