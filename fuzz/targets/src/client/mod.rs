//! The whole client without its sockets: a [`Tunnel`] between lines that lose, double, delay and forge
//!
//! Either a server that behaves is at the other end, and the script comes on top of what it says, or
//! there is none, and the script is all that the client hears.

mod line;
mod setting;
mod step;

use std::time::{Duration, Instant};

use pptp_gre::Header;
use pptp_packet::PacketBuf;
use pptp_ppp::frame;
use pptp_tunnel::{ConnectTimeline, Event, GreError, NotNow, Password, Record, RecordKind, Tunnel};

use self::line::{Inbound, Line};
pub use self::{setting::Setting, step::Step};
use crate::{
    heap::Heap,
    link::PASSWORD,
    packets::{self, Packets},
    script::{Script, centiseconds, epoch},
};

/// In the GRE that the client gets, and in what it sends
pub const CALL_ID: u16 = 1;
const SERVER_CALL_ID: u16 = 2;

/// What a tunnel holds beyond what waits to be put in order: its link 28 KiB at the worst, the
/// recorder 1.5, a control connection 2, and 8 of GRE that overtook the Outgoing-Call-Reply, each
/// frame with its place
const MOST_HELD: isize = (28 + 2 + 2 + 10) << 10;
/// Frames that wait for others, 2 KiB each, and their places
const MOST_ORDERED: isize = 65 * (2048 + 128);
/// Events that one turn may leave
const MOST_EVENTS: usize = 40;
/// Datagrams that a turn has room for
const ROOM: usize = 96;
const MOST_STEPS: usize = 128;
/// Turns while the time goes on: deadlines, and what arrives
const MOST_TURNS: usize = 4096;
/// LCP first, then the control connection
const FAREWELL: Duration = Duration::from_secs(7);
/// From the last word of the peer to the end: echoes of the control connection, each a minute apart, a
/// question that may stay open as long, and the farewell
const MOST_SILENCE: Duration = Duration::from_secs(200);

/// A [`Setting`], then a script of [`Step`]s
///
/// Holds: no IP packet in the clear comes up or goes out once MPPE is required; what comes up keeps to
/// the policy; each turn settles all that was due, leaves few events and has a deadline unless the
/// tunnel is finished; what the tunnel holds is within its cap; left alone or closed it ends in time;
/// the end is told once, and nothing comes of whatever follows it; the flight recorder keeps to its size and
/// holds no password.
pub fn target(data: &[u8]) {
    let mut script = Script::new(data);
    let mut world = World::new(Setting::new(script.array(), script.octet()));
    world.begin();
    for step in script.steps(MOST_STEPS) {
        world.take(&step);
        if !matches!(step, Step::Room(_)) {
            world.turn();
        }
    }
    world.end();
}

struct World {
    setting: Setting,
    client: Tunnel,
    server: Option<Tunnel>,
    heap: Heap,
    now: Instant,
    to_client: Line,
    to_server: Line,
    /// What a turn of the client sends
    out: Packets,
    control: Vec<u8>,
    has_room: bool,
    /// Payloads that came in the clear
    clear: Vec<Vec<u8>>,
    /// Numbers of the IP packets that were sent to the client
    packets: u16,
    was_encrypted: bool,
    is_down: bool,
    is_finished: bool,
}

impl World {
    fn new(setting: Setting) -> Self {
        let now = epoch();
        let mut heap = Heap::new();
        let config = setting.client(now);
        let client = heap.within(|| {
            Tunnel::connect(config.clone(), CALL_ID, [1; 32], ConnectTimeline::new(now), now)
        });
        let server =
            setting.server().map(|config| Tunnel::accept(config, SERVER_CALL_ID, [2; 32], now));
        Self {
            setting,
            client,
            server,
            heap,
            now,
            to_client: Line::new(),
            to_server: Line::new(),
            out: Packets::new(ROOM),
            control: Vec::with_capacity(8 << 10),
            has_room: true,
            clear: Vec::new(),
            packets: 0,
            was_encrypted: false,
            is_down: false,
            is_finished: false,
        }
    }

    /// The first turn; with a server that is wanted so, until the tunnel is up
    fn begin(&mut self) {
        self.turn();
        if self.setting.starts_up {
            self.pass(Duration::from_secs(1));
        }
    }

    fn take(&mut self, step: &Step<'_>) {
        match *step {
            Step::Control(octets) => self.hear(Inbound::Control(octets.to_vec())),
            Step::Message(kind, fields) => {
                self.hear(Inbound::Control(step::message(kind, fields)));
            }
            Step::Gre(octets) => self.hear(Inbound::Gre(octets.to_vec())),
            Step::Frame(ahead, frame) => self.hear_frame(ahead, None, frame),
            Step::Acknowledged(ahead, behind, frame) => {
                let sent = self.client.stats().gre.sealed;
                let sent = u32::try_from(sent).unwrap_or(u32::MAX);
                self.hear_frame(ahead, Some(sent.wrapping_sub(behind.into())), frame);
            }
            Step::Same(protocol, packet) => {
                let frame = self.to_server.with_latest_id(protocol, packet);
                self.hear_frame(0, None, &frame);
            }
            Step::Answer(protocol, code, changes) => {
                if let Some(frame) = self.to_server.answer(protocol, code, changes) {
                    self.hear_frame(0, None, &frame);
                }
            }
            Step::Plain(ahead, length) => {
                let packet = packets::ip(0xFFFF, length.into());
                self.hear_frame(ahead, None, &[&[0xFF, 3, 0, 0x21][..], &packet].concat());
            }
            Step::Again(age, at, change) => {
                if let Some(datagram) = self.to_client.earlier(age, at, change) {
                    self.hear(Inbound::Gre(datagram));
                }
            }
            Step::Send(count, length) => (0..=count % 32).for_each(|_| self.send(length)),
            Step::ServerSends(count, length) => {
                (0..=count % 32).for_each(|_| self.server_sends(length));
            }
            Step::Lose(to_client, to_server) => {
                (self.to_client.lost, self.to_server.lost) = (to_client, to_server);
            }
            Step::Delay(time) => self.to_client.delay = centiseconds(time.into()),
            Step::Room(has_room) => self.has_room = has_room,
            Step::Wait(time) => self.pass(centiseconds(time)),
            Step::Unreachable => {
                self.call(|it, now| it.handle_gre_error(now, GreError::ProtocolUnreachable));
            }
            Step::NotSent => {
                let error = GreError::NotSent("not permitted".into());
                let owned = self.heap.within(|| error.clone());
                self.call(|it, now| it.handle_gre_error(now, owned));
            }
            Step::Eof => self.hear(Inbound::Eof),
            Step::Close => self.call(Tunnel::close),
            Step::Renegotiate => self.call(Tunnel::renegotiate),
            Step::Reply(with) => self.reply(with),
            Step::Server(act) => self.server_acts(act),
        }
    }

    fn call(&mut self, command: impl FnOnce(&mut Tunnel, Instant)) {
        let (client, now) = (&mut self.client, self.now);
        self.heap.within(|| command(client, now));
    }

    fn reply(&mut self, with: u8) {
        self.call(|tunnel, now| match with % 3 {
            0 => tunnel.give_up_login(now),
            1 => tunnel.change_password(now, Password::new("new")),
            _ => tunnel.log_in_as(now, "two".into(), Password::new("other")),
        });
    }

    fn server_acts(&mut self, act: u8) {
        let (Some(server), now) = (&mut self.server, self.now) else { return };
        match act % 3 {
            0 => server.close(now),
            1 => server.renegotiate(now),
            _ => server.challenge(now),
        }
    }

    /// A frame of the call, so far from the latest number
    fn hear_frame(&mut self, ahead: i8, acknowledgment: Option<u32>, frame: &[u8]) {
        let sequence = self.to_client.next_number().wrapping_add_signed(ahead.into());
        let header = Header { call_id: CALL_ID, sequence: Some(sequence), acknowledgment };
        let length = u16::try_from(frame.len()).unwrap_or(u16::MAX);
        self.hear(Inbound::Gre([header.emit(length).as_slice(), frame].concat()));
    }

    /// The client takes something in
    fn hear(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Control(octets) => self.call(|it, now| it.handle_control(now, &octets)),
            Inbound::Eof => self.call(Tunnel::handle_control_eof),
            Inbound::Gre(datagram) => self.hear_gre(datagram),
        }
    }

    fn hear_gre(&mut self, mut datagram: Vec<u8>) {
        let protocol = self.note(&datagram);
        let (client, now) = (&mut self.client, self.now);
        let is_ip = self.heap.within(|| client.handle_gre(now, &mut datagram).is_some());
        let is_encrypted = protocol == Some(frame::MPPE);
        assert!(!is_ip || is_encrypted || !self.is_required(), "IP in the clear came up");
        assert!(!is_ip || !self.is_finished, "IP after the end");
        self.take_ordered();
    }

    /// The protocol of the frame in a datagram; what is in the clear is remembered
    fn note(&mut self, datagram: &[u8]) -> Option<u16> {
        let (header, payload) = Header::parse(datagram).ok()?;
        self.to_client.note_number(header.sequence);
        let mut octets = datagram.get(payload)?.to_vec();
        let (protocol, packet) = frame::parse(&mut octets).ok()?;
        if matches!(protocol, frame::IP | frame::IPV6) && self.clear.len() < MOST_CLEAR {
            self.clear.push(packet.to_vec());
        }
        Some(protocol)
    }

    /// Packets that had to wait for others
    fn take_ordered(&mut self) {
        let (client, now) = (&mut self.client, self.now);
        let is_required = self.setting.is_required() || self.was_encrypted;
        let clear = &self.clear;
        self.heap.within(|| {
            while let Some(packet) = client.poll_ip(now) {
                let is_clear = clear.contains(&packet);
                assert!(!is_clear || !is_required, "IP in the clear came up, late");
            }
        });
    }

    fn is_required(&self) -> bool {
        self.setting.is_required() || self.was_encrypted
    }

    /// An IP packet of ours, if one may be sent
    fn send(&mut self, length: u16) {
        match self.client.may_send(self.now) {
            Ok(()) => {}
            Err(NotNow::PacedUntil(until)) => {
                assert!(until > self.now, "a pause that is over");
                return;
            }
            Err(NotNow::NotUp) => return,
        }
        // the events of this turn come before its packets
        self.events();
        let mut slot = seal_slot(length);
        self.call(|tunnel, now| tunnel.seal(now, &mut slot));
        let protocol = Header::parse(slot.as_slice()).ok().and_then(|(_, payload)| {
            frame::parse(&mut slot.as_slice()[payload].to_vec()).ok().map(|it| it.0)
        });
        let is_encrypted = protocol == Some(frame::MPPE);
        assert!(is_encrypted || !self.is_required(), "IP was sent in the clear");
        self.to_server.push(self.now, Inbound::Gre(slot.as_slice().to_vec()));
    }

    fn server_sends(&mut self, length: u16) {
        let Some(server) = &mut self.server else { return };
        while server.poll_event().is_some() {}
        if server.may_send(self.now).is_ok() {
            let mut slot = PacketBuf::new();
            let packet = packets::ip(self.packets, length.into());
            self.packets = self.packets.wrapping_add(1) & 0x7FFF;
            slot.reset(packet.len()).copy_from_slice(&packet);
            server.seal(self.now, &mut slot);
            self.to_client.push(self.now, Inbound::Gre(slot.as_slice().to_vec()));
        }
    }

    /// A turn of the client, as its documentation wants it
    fn turn(&mut self) {
        self.call(Tunnel::handle_timeout);
        self.take_ordered();
        self.events();
        self.out.clear();
        self.control.clear();
        if self.has_room {
            let (client, out, now) = (&mut self.client, &mut self.out, self.now);
            self.heap.within(|| {
                client.poll_frames(now, out);
                client.poll_gre(now, out);
            });
        }
        let (client, control, now) = (&mut self.client, &mut self.control, self.now);
        self.heap.within(|| client.poll_control(now, control));
        assert_eq!(self.out.dropped, 0, "composed without room");
        self.check();
        self.post();
    }

    fn events(&mut self) {
        let (client, setting) = (&mut self.client, &self.setting);
        let (mut encrypted, mut downs) = (self.was_encrypted, usize::from(self.is_down));
        self.heap.within(|| {
            let mut count = 0;
            while let Some(event) = client.poll_event() {
                assert_eq!(downs, 0, "{event:?} after the end");
                count += 1;
                assert!(count <= MOST_EVENTS, "a flood of events");
                match event {
                    Event::Up(facts) => {
                        let is_required = setting.is_required() || encrypted;
                        assert!(facts.encryption.is_some() || !is_required, "up in the clear");
                        setting.check(&facts);
                        encrypted |= facts.encryption.is_some();
                    }
                    Event::Down(_) => downs += 1,
                    _ => {}
                }
            }
        });
        (self.was_encrypted, self.is_down) = (encrypted, downs > 0);
    }

    /// What holds at the end of each turn
    fn check(&mut self) {
        let cap = MOST_HELD + self.setting.recorder() + MOST_ORDERED * self.setting.may_wait();
        self.heap.assert_at_most(cap);
        let is_any = self.out.iter().next().is_some() || !self.control.is_empty();
        assert!(!self.is_finished || !is_any, "output after the end");
        match self.client.poll_timeout() {
            Some((at, why)) => {
                assert!(at > self.now || !self.has_room, "{why:?} is still due");
                assert!(!self.is_finished, "a deadline after the end: {why:?}");
            }
            None => assert!(self.client.is_finished(), "neither finished nor a deadline"),
        }
        if self.client.is_finished() {
            assert!(self.is_down, "finished without a word");
            // what had no room in the turn that finished it may still go out
            self.is_finished |= self.has_room;
        }
    }

    /// What the client has sent is under way
    fn post(&mut self) {
        for datagram in self.out.iter() {
            let (header, _) = Header::parse(datagram).expect("our own datagram");
            assert_eq!(Some(header.call_id), self.client.peer_call_id());
            self.to_server.push(self.now, Inbound::Gre(datagram.to_vec()));
        }
        if !self.control.is_empty() {
            self.to_server.push(self.now, Inbound::Control(self.control.clone()));
        }
    }

    /// Lets time go by, with all that is due in it
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.serve();
        for _ in 0..MOST_TURNS {
            let Some(next) = self.next().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            while let Some(inbound) = self.to_client.next_due(self.now) {
                self.hear(inbound);
            }
            self.turn();
            self.serve();
        }
        self.now = self.now.max(end);
    }

    fn next(&self) -> Option<Instant> {
        let deadline = self.client.poll_timeout().map(|(at, _)| at).filter(|_| self.has_room);
        let server = self.server.as_ref().and_then(Tunnel::poll_timeout).map(|(at, _)| at);
        [deadline, server, self.to_client.next(), self.to_server.next()].into_iter().flatten().min()
    }

    fn serve(&mut self) {
        let now = self.now;
        let Some(server) = &mut self.server else {
            while self.to_server.next_due(now).is_some() {}
            return;
        };
        server.handle_timeout(now);
        while let Some(inbound) = self.to_server.next_due(now) {
            match inbound {
                Inbound::Control(octets) => server.handle_control(now, &octets),
                Inbound::Eof => server.handle_control_eof(now),
                Inbound::Gre(mut datagram) => _ = server.handle_gre(now, &mut datagram),
            }
            while server.poll_ip(now).is_some() {}
        }
        while server.poll_event().is_some() {}
        self.out.clear();
        self.control.clear();
        server.poll_frames(now, &mut self.out);
        server.poll_gre(now, &mut self.out);
        server.poll_control(now, &mut self.control);
        for datagram in self.out.iter() {
            self.to_client.push(now, Inbound::Gre(datagram.to_vec()));
        }
        if !self.control.is_empty() {
            self.to_client.push(now, Inbound::Control(self.control.clone()));
        }
        self.out.dropped = 0;
    }

    /// The peer falls silent: closed or left alone, the tunnel ends in time, and for good
    fn end(&mut self) {
        self.server = None;
        self.to_client.cut();
        self.has_room = true;
        self.turn();
        let limit = if self.setting.closes() { FAREWELL } else { MOST_SILENCE };
        if self.setting.closes() {
            self.call(Tunnel::close);
            self.turn();
        }
        self.pass(limit);
        assert!(self.is_finished, "not finished: {:?}", self.client.poll_timeout());
        check_records(&self.client.recorder().records(), self.setting.recorder());
        self.hear(Inbound::Control(step::message(5, &[])));
        self.hear_frame(0, None, b"\xFF\x03\xC0\x21\x01\x01\0\x04");
        for command in [Tunnel::handle_timeout, Tunnel::close, Tunnel::renegotiate] {
            self.call(command);
        }
        self.turn();
        assert!(self.client.may_send(self.now).is_err());
    }
}

/// Within the recorder's size, and without the password, which PAP sends in the clear
fn check_records(records: &[Record], most: isize) {
    let mut least = 0;
    for Record { kind, octets, .. } in records {
        // runs of zeros are stored as their length
        least += RECORD_HEADER + octets.iter().filter(|octet| **octet != 0).count();
        let is_pap = *kind == RecordKind::FrameSent && octets.get(2..4) == Some(&[0xC0, 0x23]);
        let has_password = octets.windows(PASSWORD.len()).any(|it| it == PASSWORD.as_bytes());
        assert!(!(is_pap && has_password), "the password was recorded");
    }
    assert!(isize::try_from(least).is_ok_and(|least| least <= most), "{least} octets of records");
}

fn seal_slot(length: u16) -> PacketBuf {
    let mut slot = PacketBuf::new();
    let packet = packets::ip(0x8000, length.into());
    slot.reset(packet.len()).copy_from_slice(&packet);
    slot
}

/// Octets of a record's header: kind, time, length
const RECORD_HEADER: usize = 7;
/// Payloads in the clear that are remembered
const MOST_CLEAR: usize = 256;
