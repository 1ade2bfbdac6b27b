//! One packet out of one socket, for [`Stack::egress`]

use pptp_packet::Egress;

use super::{
    Stack,
    gap::Reply,
    steering::{Forged, Watch},
    table::Id,
    tcp::Cause,
    udp::Sent,
};
use crate::shared::time::NEVER;

impl Stack {
    /// Lets one connection send one packet; false if it has no more to send for now
    pub(super) fn tcp_egress(&mut self, id: Id, out: &mut impl Egress) -> bool {
        let Self { engine, connections, stats, now, .. } = self;
        let Some(connection) = connections.get_mut(id) else { return false };
        connection.check_time(*now);
        let is_proven = stats.packets_in > 0;
        if is_proven {
            connection.forget_syn();
        }
        if let Some(packet) = connection.take_due(*now) {
            out.compose(packet.len(), |octets| octets.copy_from_slice(&packet));
            stats.packets_out = stats.packets_out.saturating_add(1);
            return true;
        }
        while let Some((Forged(packet), socket)) = connection.steer() {
            engine.tcp_ingress(socket, &packet, *now, &mut 0, &mut Reply::default());
        }
        let Some(socket) = connection.socket_mut() else {
            self.set_deadline(id, NEVER);
            return false;
        };
        let mut watch = Watch { out, sent: None, syn: None, keeps_syn: !is_proven };
        let has_sent = engine.tcp_egress(socket, *now, &mut stats.packets_out, &mut watch);
        let Watch { sent, syn, .. } = watch;
        if let Some(sent) = sent {
            connection.on_sent(sent, *now);
        }
        if let Some(syn) = syn {
            connection.keep_syn(syn, *now);
        }
        self.look(id, Cause::Turn);
        if has_sent {
            return self.connections.get(id).is_some();
        }
        self.note_deadline(id);
        false
    }

    pub(super) fn udp_egress(&mut self, id: Id, out: &mut impl Egress) -> bool {
        let Self { udp, addresses, engine, identification, wakes, stats, .. } = self;
        let Some(socket) = udp.get_mut(id) else { return false };
        let sent = socket.egress(addresses, engine.mtu(), identification, out, wakes);
        let (packets, fragments) = match sent {
            Sent::Nothing => (0, 0),
            Sent::Whole => (1, 0),
            Sent::Fragment => (1, 1),
        };
        stats.packets_out = stats.packets_out.saturating_add(packets);
        stats.fragments_out = stats.fragments_out.saturating_add(fragments);
        let more = socket.has_egress();
        if socket.dropped && !more {
            self.udp.remove(id);
        }
        more
    }

    pub(super) fn echo_egress(&mut self, id: Id, out: &mut impl Egress) -> bool {
        if let Some(echo) = self.echoes.get_mut(id) {
            echo.egress(self.addresses.first, self.now, out);
            self.stats.packets_out = self.stats.packets_out.saturating_add(1);
        }
        false
    }

    /// Lets the engine say what it has to say of multicast groups
    pub(super) fn multicast_egress(&mut self, out: &mut impl Egress) {
        if self.multicast.is_due(self.now) && out.has_room() {
            self.engine.multicast_egress(self.now, &mut self.stats.packets_out, out);
            self.multicast.done(self.now);
        }
    }
}
