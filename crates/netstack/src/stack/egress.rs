//! One packet out of one socket, for [`Stack::egress`]

use pptp_packet::Egress;
use smoltcp::iface::PollResult;

use super::{
    Stack,
    device::{NEVER, Port, to_smoltcp},
    gap::Reply,
    steering::{Forged, Watch},
    table::Id,
    tcp::Cause,
    udp::Sent,
};

impl Stack {
    /// Lets one connection send one packet; false if it has no more to send for now
    pub(super) fn tcp_egress(&mut self, id: Id, out: &mut impl Egress) -> bool {
        let Self { interface, connections, stats, mtu, now, .. } = self;
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
        while let Some((Forged(packet), set)) = connection.steer() {
            let mut reply = Reply::default();
            let packet = Some(packet.as_slice());
            let mut port = Port { packet, out: &mut reply, sent: &mut 0, mtu: *mtu };
            interface.poll_ingress_single(to_smoltcp(*now), &mut port, set);
        }
        let Some(set) = connection.set_mut() else {
            self.set_deadline(id, NEVER);
            return false;
        };
        let mut watch = Watch { out, sent: None, syn: None, keeps_syn: !is_proven };
        let sent = &mut stats.packets_out;
        let mut port = Port { packet: None, out: &mut watch, sent, mtu: *mtu };
        let result = interface.poll_egress(to_smoltcp(*now), &mut port, set);
        let Watch { sent, syn, .. } = watch;
        if let Some(sent) = sent {
            connection.on_sent(sent, *now);
        }
        if let Some(syn) = syn {
            connection.keep_syn(syn, *now);
        }
        self.look(id, Cause::Turn);
        if result == PollResult::SocketStateChanged {
            return self.connections.get(id).is_some();
        }
        self.note_deadline(id);
        false
    }

    pub(super) fn udp_egress(&mut self, id: Id, out: &mut impl Egress) -> bool {
        let Self { udp, addresses, mtu, identification, wakes, stats, .. } = self;
        let Some(socket) = udp.get_mut(id) else { return false };
        let sent = socket.egress(addresses, *mtu, identification, out, wakes);
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

    /// Lets smoltcp say what it has to say of multicast groups
    pub(super) fn multicast_egress(&mut self, out: &mut impl Egress) {
        if self.multicast.is_due(self.now) && out.has_room() {
            let Self { interface, nobody, stats, mtu, now, .. } = self;
            let mut port = Port { packet: None, out, sent: &mut stats.packets_out, mtu: *mtu };
            interface.poll_egress(to_smoltcp(*now), &mut port, nobody);
            self.multicast.done(self.now);
        }
    }
}
