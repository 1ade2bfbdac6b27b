//! The client's tunnel, with what has to hold for it

use std::time::Instant;

use pptp_gre::Header;
use pptp_packet::PacketBuf;
use pptp_ppp::frame;
use pptp_tunnel::{ConnectTimeline, Event, NotNow, Tunnel};

use super::{
    line::{Inbound, Line},
    records,
    secrecy::Secrecy,
    setting::Setting,
};
use crate::{
    heap::Heap,
    packets::{self, Packets},
};

/// The client's tunnel, checked at each turn
pub(super) struct Checked {
    setting: Setting,
    tunnel: Tunnel,
    heap: Heap,
    /// The datagrams that a turn sends
    out: Packets,
    control: Vec<u8>,
    /// Turns have room for datagrams
    pub(super) has_room: bool,
    secrecy: Secrecy,
    is_down: bool,
    is_finished: bool,
}

impl Checked {
    pub(super) fn new(setting: Setting, now: Instant) -> Self {
        let mut heap = Heap::new();
        let config = setting.client(now);
        let tunnel = heap.within(|| {
            Tunnel::connect(config.clone(), CALL_ID, [1; 32], ConnectTimeline::new(now), now)
        });
        Self {
            tunnel,
            heap,
            out: Packets::new(ROOM),
            control: Vec::with_capacity(8 << 10),
            has_room: true,
            secrecy: Secrecy::new(setting.is_required()),
            is_down: false,
            is_finished: false,
            setting,
        }
    }

    pub(super) const fn setting(&self) -> &Setting {
        &self.setting
    }

    pub(super) const fn tunnel(&self) -> &Tunnel {
        &self.tunnel
    }

    /// Calls the tunnel, whose memory is counted
    pub(super) fn call(&mut self, command: impl FnOnce(&mut Tunnel)) {
        let tunnel = &mut self.tunnel;
        self.heap.within(|| command(tunnel));
    }

    /// A copy that the tunnel may own
    pub(super) fn owned<T: Clone>(&mut self, value: &T) -> T {
        self.heap.within(|| value.clone())
    }

    /// Takes something in
    pub(super) fn hear(&mut self, now: Instant, inbound: Inbound) {
        match inbound {
            Inbound::Control(octets) => self.call(|it| it.handle_control(now, &octets)),
            Inbound::Eof => self.call(|it| it.handle_control_eof(now)),
            Inbound::Gre(datagram) => self.hear_gre(now, datagram),
        }
    }

    fn hear_gre(&mut self, now: Instant, mut datagram: Vec<u8>) {
        let protocol = self.note(&datagram);
        let tunnel = &mut self.tunnel;
        let is_ip = self.heap.within(|| tunnel.handle_gre(now, &mut datagram).is_some());
        let is_encrypted = protocol == Some(frame::MPPE);
        assert!(!is_ip || is_encrypted || !self.secrecy.is_required(), "IP in the clear came up");
        assert!(!is_ip || !self.is_finished, "IP after the end");
        self.take_ordered(now);
    }

    /// The protocol of the frame in a datagram; what is in the clear is remembered
    fn note(&mut self, datagram: &[u8]) -> Option<u16> {
        let (_, payload) = Header::parse(datagram).ok()?;
        let mut octets = datagram.get(payload)?.to_vec();
        let (protocol, packet) = frame::parse(&mut octets).ok()?;
        self.secrecy.note(protocol, packet);
        Some(protocol)
    }

    /// Packets that had to wait for others
    fn take_ordered(&mut self, now: Instant) {
        let (tunnel, secrecy) = (&mut self.tunnel, &self.secrecy);
        self.heap.within(|| {
            while let Some(packet) = tunnel.poll_ip(now) {
                let is_clear = secrecy.has_seen(&packet);
                assert!(!is_clear || !secrecy.is_required(), "IP in the clear came up, late");
            }
        });
    }

    /// Seals an IP packet of this length, if one may be sent
    pub(super) fn send(&mut self, now: Instant, length: u16) -> Option<Vec<u8>> {
        match self.tunnel.may_send(now) {
            Ok(()) => {}
            Err(NotNow::PacedUntil(until)) => {
                assert!(until > now, "a pause that is over");
                return None;
            }
            Err(NotNow::NotUp) => return None,
        }
        // the events of this turn come before its packets
        self.events();
        let mut slot = seal_slot(length);
        self.call(|tunnel| tunnel.seal(now, &mut slot));
        let protocol = Header::parse(slot.as_slice()).ok().and_then(|(_, payload)| {
            frame::parse(&mut slot.as_slice()[payload].to_vec()).ok().map(|it| it.0)
        });
        let is_encrypted = protocol == Some(frame::MPPE);
        assert!(is_encrypted || !self.secrecy.is_required(), "IP was sent in the clear");
        Some(slot.as_slice().to_vec())
    }

    /// A turn, as the tunnel's documentation wants it: what it sends goes to the server's line
    pub(super) fn turn(&mut self, now: Instant, to_server: &mut Line) {
        self.call(|tunnel| tunnel.handle_timeout(now));
        self.take_ordered(now);
        self.events();
        self.out.clear();
        self.control.clear();
        if self.has_room {
            let (tunnel, out) = (&mut self.tunnel, &mut self.out);
            self.heap.within(|| {
                tunnel.poll_frames(now, out);
                tunnel.poll_gre(now, out);
            });
        }
        let (tunnel, control) = (&mut self.tunnel, &mut self.control);
        self.heap.within(|| tunnel.poll_control(now, control));
        assert_eq!(self.out.dropped, 0, "composed without room");
        self.check(now);
        self.post(now, to_server);
    }

    fn events(&mut self) {
        let (tunnel, setting, secrecy) = (&mut self.tunnel, &self.setting, &mut self.secrecy);
        let mut downs = usize::from(self.is_down);
        self.heap.within(|| {
            let mut count = 0;
            while let Some(event) = tunnel.poll_event() {
                assert_eq!(downs, 0, "{event:?} after the end");
                count += 1;
                assert!(count <= MOST_EVENTS, "a flood of events");
                match event {
                    Event::Up(facts) => {
                        let is_encrypted = facts.encryption.is_some();
                        assert!(is_encrypted || !secrecy.is_required(), "up in the clear");
                        setting.check(&facts);
                        secrecy.came_up(is_encrypted);
                    }
                    Event::Down(_) => downs += 1,
                    _ => {}
                }
            }
        });
        self.is_down = downs > 0;
    }

    /// Checks what holds at the end of each turn
    fn check(&mut self, now: Instant) {
        let cap = MOST_HELD + self.setting.recorder() + MOST_ORDERED * self.setting.may_wait();
        self.heap.assert_at_most(cap);
        let is_any = self.out.iter().next().is_some() || !self.control.is_empty();
        assert!(!self.is_finished || !is_any, "output after the end");
        match self.tunnel.poll_timeout() {
            Some((at, why)) => {
                assert!(at > now || !self.has_room, "{why:?} is still due");
                assert!(!self.is_finished, "a deadline after the end: {why:?}");
            }
            None => assert!(self.tunnel.is_finished(), "neither finished nor a deadline"),
        }
        if self.tunnel.is_finished() {
            assert!(self.is_down, "finished without a word");
            // what had no room in the turn that finished it may still go out
            self.is_finished |= self.has_room;
        }
    }

    /// Puts what the client has sent on its way
    fn post(&self, now: Instant, to_server: &mut Line) {
        for datagram in self.out.iter() {
            let (header, _) = Header::parse(datagram).expect("our own datagram");
            assert_eq!(Some(header.call_id), self.tunnel.peer_call_id());
            to_server.push(now, Inbound::Gre(datagram.to_vec()));
        }
        if !self.control.is_empty() {
            to_server.push(now, Inbound::Control(self.control.clone()));
        }
    }

    /// The time of the next turn
    pub(super) fn next(&self) -> Option<Instant> {
        self.tunnel.poll_timeout().map(|(at, _)| at).filter(|_| self.has_room)
    }

    /// Panics unless the tunnel has finished and its records are as they should be
    pub(super) fn assert_finished(&self) {
        assert!(self.is_finished, "not finished: {:?}", self.tunnel.poll_timeout());
        records::check(&self.tunnel.recorder().records(), self.setting.recorder());
    }
}

fn seal_slot(length: u16) -> PacketBuf {
    let mut slot = PacketBuf::new();
    let packet = packets::ip(0x8000, length.into());
    slot.reset(packet.len()).copy_from_slice(&packet);
    slot
}

/// The Call ID in the GRE that the client gets, and in what it sends
pub const CALL_ID: u16 = 1;
/// Octets that a tunnel holds beyond those that wait to be put in order: its link 28 KiB at the worst, the
/// recorder 1.5, a control connection 2, and 8 of GRE that overtook the Outgoing-Call-Reply, each
/// frame with its place
const MOST_HELD: isize = (28 + 2 + 2 + 10) << 10;
/// Frames that wait for others, 2 KiB each, and their places
const MOST_ORDERED: isize = 65 * (2048 + 128);
/// Events that one turn may leave
const MOST_EVENTS: usize = 40;
/// Datagrams that a turn has room for
const ROOM: usize = 96;
