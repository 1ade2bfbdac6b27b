//! The client and the server, the lines between them, and the time

use std::time::{Duration, Instant};

use pptp_gre::Header;
use pptp_tunnel::{GreError, Password, Tunnel};

use super::{
    checked::{CALL_ID, Checked},
    line::{Inbound, Line},
    server::Server,
    setting::Setting,
    step::{self, Step},
};
use crate::{
    packets,
    script::{centiseconds, epoch},
};

/// The client between its lines
pub(super) struct World {
    client: Checked,
    server: Server,
    now: Instant,
    to_client: Line,
    to_server: Line,
}

impl World {
    pub(super) fn new(setting: Setting) -> Self {
        let now = epoch();
        Self {
            server: Server::new(&setting, now),
            client: Checked::new(setting, now),
            now,
            to_client: Line::new(),
            to_server: Line::new(),
        }
    }

    /// The first turn; with a server that is wanted so, until the tunnel is up
    pub(super) fn begin(&mut self) {
        self.turn();
        if self.client.setting().starts_up {
            self.pass(Duration::from_secs(1));
        }
    }

    /// Carries a step out
    pub(super) fn take(&mut self, step: &Step<'_>) {
        match *step {
            Step::Control(octets) => self.hear(Inbound::Control(octets.to_vec())),
            Step::Message(kind, fields) => {
                self.hear(Inbound::Control(step::message(kind, fields)));
            }
            Step::Gre(octets) => self.hear(Inbound::Gre(octets.to_vec())),
            Step::Frame(ahead, frame) => self.hear_frame(ahead, None, frame),
            Step::Acknowledged(ahead, behind, frame) => {
                let sent = self.client.tunnel().stats().gre.sealed;
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
                let (server, line, now) = (&mut self.server, &mut self.to_client, self.now);
                (0..=count % 32).for_each(|_| server.send(now, length, line));
            }
            Step::Lose(to_client, to_server) => {
                (self.to_client.lost, self.to_server.lost) = (to_client, to_server);
            }
            Step::Delay(time) => self.to_client.delay = centiseconds(time.into()),
            Step::Room(has_room) => self.client.has_room = has_room,
            Step::Wait(time) => self.pass(centiseconds(time)),
            Step::Unreachable => {
                self.call(|it, now| it.handle_gre_error(now, GreError::ProtocolUnreachable));
            }
            Step::NotSent => {
                let error = GreError::NotSent("not permitted".into());
                let owned = self.client.owned(&error);
                self.call(|it, now| it.handle_gre_error(now, owned));
            }
            Step::Eof => self.hear(Inbound::Eof),
            Step::Close => self.call(Tunnel::close),
            Step::Renegotiate => self.call(Tunnel::renegotiate),
            Step::Reply(with) => self.reply(with),
            Step::Server(act) => self.server.act(self.now, act),
        }
    }

    fn call(&mut self, command: impl FnOnce(&mut Tunnel, Instant)) {
        let now = self.now;
        self.client.call(|tunnel| command(tunnel, now));
    }

    /// A turn of the client
    pub(super) fn turn(&mut self) {
        self.client.turn(self.now, &mut self.to_server);
    }

    /// The client takes something in
    fn hear(&mut self, inbound: Inbound) {
        if let Inbound::Gre(datagram) = &inbound
            && let Ok((header, _)) = Header::parse(datagram)
        {
            self.to_client.note_number(header.sequence);
        }
        self.client.hear(self.now, inbound);
    }

    /// An IP packet of ours, if one may be sent
    fn send(&mut self, length: u16) {
        if let Some(datagram) = self.client.send(self.now, length) {
            self.to_server.push(self.now, Inbound::Gre(datagram));
        }
    }

    fn reply(&mut self, with: u8) {
        self.call(|tunnel, now| match with % 3 {
            0 => tunnel.give_up_login(now),
            1 => tunnel.change_password(now, Password::new("new")),
            _ => tunnel.log_in_as(now, "two".into(), Password::new("other")),
        });
    }

    /// A frame of the call, so far from the latest number
    fn hear_frame(&mut self, ahead: i8, acknowledgment: Option<u32>, frame: &[u8]) {
        let sequence = self.to_client.next_number().wrapping_add_signed(ahead.into());
        let header = Header { call_id: CALL_ID, sequence: Some(sequence), acknowledgment };
        let length = u16::try_from(frame.len()).unwrap_or(u16::MAX);
        self.hear(Inbound::Gre([header.emit(length).as_slice(), frame].concat()));
    }

    /// Lets time go by, with all that is due in it
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.server.serve(self.now, &mut self.to_client, &mut self.to_server);
        for _ in 0..MOST_TURNS {
            let Some(next) = self.next().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            while let Some(inbound) = self.to_client.next_due(self.now) {
                self.hear(inbound);
            }
            self.turn();
            self.server.serve(self.now, &mut self.to_client, &mut self.to_server);
        }
        self.now = self.now.max(end);
    }

    fn next(&self) -> Option<Instant> {
        let ends = [self.client.next(), self.server.next()];
        let lines = [self.to_client.next(), self.to_server.next()];
        ends.into_iter().chain(lines).flatten().min()
    }

    /// The peer falls silent: closed or left alone, the tunnel ends in time, and for good
    pub(super) fn end(&mut self) {
        self.server.leave();
        self.to_client.cut();
        self.client.has_room = true;
        self.turn();
        let closes = self.client.setting().closes();
        let limit = if closes { FAREWELL } else { MOST_SILENCE };
        if closes {
            self.call(Tunnel::close);
            self.turn();
        }
        self.pass(limit);
        self.client.assert_finished();
        self.hear(Inbound::Control(step::message(5, &[])));
        self.hear_frame(0, None, b"\xFF\x03\xC0\x21\x01\x01\0\x04");
        for command in [Tunnel::handle_timeout, Tunnel::close, Tunnel::renegotiate] {
            self.call(command);
        }
        self.turn();
        assert!(self.client.tunnel().may_send(self.now).is_err());
    }
}

/// Turns while the time goes on: deadlines, and what arrives
const MOST_TURNS: usize = 4096;
/// LCP first, then the control connection
const FAREWELL: Duration = Duration::from_secs(7);
/// From the last word of the peer to the end: echoes of the control connection, each a minute apart, a
/// question that may stay open as long, and the farewell
const MOST_SILENCE: Duration = Duration::from_secs(200);
