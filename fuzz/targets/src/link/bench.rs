//! A link between a script and the server, and what has to hold for it

use std::time::{Duration, Instant};

use pptp_packet::PacketBuf;
use pptp_ppp::{Arrival, Link, Order, Password, Phase, Received, frame};

use super::{
    said::Said,
    server::Server,
    setting::{Reach, Setting},
    step::Step,
    told::{Asked, Told},
};
use crate::{
    heap::Heap,
    packets,
    script::{centiseconds, epoch},
};

/// A link between a script and the server
pub(super) struct Bench {
    setting: Setting,
    client: Link,
    server: Server,
    heap: Heap,
    now: Instant,
    /// Of frames to the client
    sequence: u32,
    said: Said,
    /// The client's new frames, before they are looked at
    fresh: Vec<u8>,
    question: Option<Asked>,
    /// It was up, and encrypted
    was_encrypted: bool,
    is_up: bool,
    has_ended: bool,
}

impl Bench {
    /// A link that the server brings to a phase
    pub(super) fn new(setting: Setting, reach: Reach) -> Self {
        let now = epoch();
        let mut heap = Heap::new();
        let client = heap.within(|| Link::client(setting.client(), [1; 32]));
        let server = Server::new(&setting);
        let said = Said::new(setting.protocol());
        let mut bench = Self {
            setting,
            client,
            server,
            heap,
            now,
            sequence: 0,
            said,
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

    /// Carries a step out
    pub(super) fn take(&mut self, step: &Step<'_>) {
        match *step {
            Step::Packet(packet) => self.packet(packet),
            Step::Same(packet) => {
                let mut packet = packet.to_vec();
                self.said.lend_id(&mut packet);
                self.packet(&packet);
            }
            Step::Answer(code, changes) => {
                if let Some(answer) = self.said.changed(code, changes) {
                    self.hear(answer);
                }
            }
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

    /// The server's next frame reaches the client
    fn hear_server(&mut self) {
        if let Some(frame) = self.server.next_frame() {
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

    /// Returns true if IP packets have to be encrypted
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
            self.server.hear(self.now, &mut sealed);
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
    pub(super) fn settle(&mut self) {
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
        self.server.turn(self.now);
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
            self.said.push(frame.clone());
            self.server.hear(self.now, &mut frame);
        }
    }

    /// Left alone, or closed, the link ends in time, and is silent from then on
    pub(super) fn end(&mut self) {
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

/// Octets of a link whose frames and events are taken, before it has keys: what it remembers of requests
/// and of the login, and three frames that came too early
const MOST_CONNECTING: isize = 6 << 10;
/// The same with keys of MPPE, 22 KiB at the worst
const MOST_HELD: isize = 28 << 10;
/// Frames that one packet may bring
const MOST_FRAMES: usize = 64;
/// Events that one packet may bring
const MOST_EVENTS: usize = 40;
/// From the last word of the peer to the end: a minute for an open question, 70 s of echoes, 30 s of
/// requests, and 2 s of farewell
const MOST_SILENCE: Duration = Duration::from_secs(170);
/// From our own farewell to the end
const FAREWELL: Duration = Duration::from_secs(2);
