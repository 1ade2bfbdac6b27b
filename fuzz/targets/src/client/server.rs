//! The server at the other end, if there is one that behaves

use std::time::Instant;

use pptp_packet::PacketBuf;
use pptp_tunnel::Tunnel;

use super::{
    line::{Inbound, Line},
    setting::Setting,
};
use crate::packets::{self, Packets};

/// The server
pub(super) struct Server {
    /// `None` if the script is all that the client hears
    tunnel: Option<Tunnel>,
    /// Numbers of the IP packets that were sent to the client
    packets: u16,
    /// The datagrams of a turn
    out: Packets,
    control: Vec<u8>,
}

impl Server {
    pub(super) fn new(setting: &Setting, now: Instant) -> Self {
        let accept = |config| Tunnel::accept(config, SERVER_CALL_ID, [2; 32], now);
        let tunnel = setting.server().map(accept);
        Self { tunnel, packets: 0, out: Packets::new(ROOM), control: Vec::new() }
    }

    /// Falls silent for good
    pub(super) fn leave(&mut self) {
        self.tunnel = None;
    }

    /// The time of its next turn
    pub(super) fn next(&self) -> Option<Instant> {
        self.tunnel.as_ref().and_then(Tunnel::poll_timeout).map(|(at, _)| at)
    }

    /// Closes, negotiates anew, or challenges the client
    pub(super) fn act(&mut self, now: Instant, act: u8) {
        let Some(server) = &mut self.tunnel else { return };
        match act % 3 {
            0 => server.close(now),
            1 => server.renegotiate(now),
            _ => server.challenge(now),
        }
    }

    /// Sends an IP packet of this length, if it may
    pub(super) fn send(&mut self, now: Instant, length: u16, to_client: &mut Line) {
        let Some(server) = &mut self.tunnel else { return };
        while server.poll_event().is_some() {}
        if server.may_send(now).is_ok() {
            let mut slot = PacketBuf::new();
            let packet = packets::ip(self.packets, length.into());
            self.packets = self.packets.wrapping_add(1) & 0x7FFF;
            slot.reset(packet.len()).copy_from_slice(&packet);
            server.seal(now, &mut slot);
            to_client.push(now, Inbound::Gre(slot.as_slice().to_vec()));
        }
    }

    /// Its turn: it takes what has arrived, and sends
    pub(super) fn serve(&mut self, now: Instant, to_client: &mut Line, to_server: &mut Line) {
        let Some(server) = &mut self.tunnel else {
            while to_server.next_due(now).is_some() {}
            return;
        };
        server.handle_timeout(now);
        while let Some(inbound) = to_server.next_due(now) {
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
            to_client.push(now, Inbound::Gre(datagram.to_vec()));
        }
        if !self.control.is_empty() {
            to_client.push(now, Inbound::Control(self.control.clone()));
        }
        self.out.dropped = 0;
    }
}

/// In the GRE that the server gets
const SERVER_CALL_ID: u16 = 2;
/// Datagrams that a turn has room for
const ROOM: usize = 96;
