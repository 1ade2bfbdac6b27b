//! The way of a segment out of its connection

use pptp_packet::Egress;

use super::{Tcp, ack_injector::Watch, connection::Cause, delayed_dup_acks::Reply};
use crate::shared::{Shared, counter::send_copy, table::Id, time::NEVER};

impl Tcp {
    /// Lets one connection send one packet; false if it has no more to send for now
    pub(crate) fn egress(&mut self, id: Id, shared: &mut Shared, out: &mut impl Egress) -> bool {
        // The order matters. Timers come first: they may end the connection or change what it may send.
        // Packets that were held back leave before newer ones of the engine. The synthetic acknowledgments
        // come just before the engine is asked, because it decides by the window that it was given last. Its
        // segment is noted before `update`, which may remove the connection. The next deadline is computed
        // last, from all of that.
        let Shared { engine, stats, now, .. } = &mut *shared;
        let Some(connection) = self.connections.get_mut(id) else { return false };
        connection.check_time(*now);
        let is_proven = stats.packets_in > 0;
        if is_proven {
            connection.forget_syn();
        }
        if let Some(packet) = connection.take_due(*now) {
            send_copy(&packet, stats, out);
            return true;
        }
        while let Some((synthetic, socket)) = connection.inject() {
            engine.tcp_ingress(socket, synthetic.packet(), *now, &mut 0, &mut Reply::default());
        }
        let Some(socket) = connection.socket_mut() else {
            self.deadlines.set(id, NEVER);
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
        self.update(id, Cause::Turn, shared);
        if has_sent {
            return self.connections.get(id).is_some();
        }
        self.note_deadline(id, shared);
        false
    }
}
