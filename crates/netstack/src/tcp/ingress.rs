//! The way of a segment to its connection

use pptp_packet::Egress;

use super::{
    Tcp,
    closing::{self, Answer},
    connection::{Cause, Connection, Holder},
    delayed_dup_acks::Reply,
    initial_numbers,
    sequence_numbers::Verdict,
};
use crate::{
    engine::{Datagram, Segment},
    ip::Flow,
    shared::{
        Shared,
        counter::{count, send_copy},
        table::Id,
    },
};

impl Tcp {
    /// Takes in a segment
    pub(crate) fn ingress(
        &mut self,
        datagram: &Datagram<'_>,
        packet: &[u8],
        shared: &mut Shared,
        out: &mut impl Egress,
    ) {
        let Some(segment) = datagram.tcp() else { return count(&mut shared.stats.malformed) };
        if !shared.addresses.own(datagram.destination) {
            return count(&mut shared.stats.unclaimed);
        }
        let flow = Flow { local: segment.local, peer: segment.peer };
        if let Some(id) = self.flows.get(&flow, &self.connections) {
            return self.give_to_connection(id, &segment, packet, shared, out);
        }
        let answer = self.closing.handle(&segment, shared.now);
        if !matches!(answer, Answer::NotOurs | Answer::Reopens) {
            if closing::compose(answer, &segment, out) {
                count(&mut shared.stats.packets_out);
            }
            return;
        }
        if segment.syn && !segment.acknowledges && !segment.rst {
            let listeners = self.listeners.iter();
            let mut takes = listeners.filter(|(_, listener)| listener.takes(segment.local));
            let listener = takes.next().map(|(id, _)| id);
            drop(takes);
            if let Some(listener) = listener {
                return self.open_from_listener(listener, &segment, packet, shared, out);
            }
        }
        shared.unclaimed(packet, out);
    }

    fn give_to_connection(
        &mut self,
        id: Id,
        segment: &Segment,
        packet: &[u8],
        shared: &mut Shared,
        out: &mut impl Egress,
    ) {
        let Some(connection) = self.connections.get(id) else { return };
        match connection.judge(segment) {
            Verdict::Accept => self.process(id, *segment, packet, true, shared, out),
            Verdict::Answer => self.process(id, *segment, packet, false, shared, out),
            Verdict::Challenge => self.challenge(id, shared, out),
            Verdict::Drop => {}
        }
    }

    /// Lets the engine process a segment; one that is not acceptable is only answered
    ///
    /// The order matters. The numbers are noted before the engine sees the segment, because they decide which
    /// window it is shown. Its reply leaves before the packets of the next turn. A segment of the
    /// handshake was taken if it changed the engine's state, so that the notes of it come after the engine.
    /// `update` comes behind them, because it may remove the connection; what is left of it is queued last.
    fn process(
        &mut self,
        id: Id,
        mut segment: Segment,
        packet: &[u8],
        is_acceptable: bool,
        shared: &mut Shared,
        out: &mut impl Egress,
    ) {
        let Shared { engine, stats, now, .. } = &mut *shared;
        let Some(connection) = self.connections.get_mut(id) else { return };
        let was = connection.state();
        let is_handshake = !was.is_synchronized();
        let counts = is_acceptable && !is_handshake;
        let changed = counts.then(|| connection.acknowledge(&mut segment, packet)).flatten();
        let packet = changed.as_deref().unwrap_or(packet);
        let mut reply = Reply::default();
        if let Some(socket) = connection.socket_mut() {
            engine.tcp_ingress(socket, packet, *now, &mut 0, &mut reply);
        }
        if let Some(reply) = reply.0.and_then(|reply| connection.hold(&segment, reply, *now)) {
            send_copy(&reply, stats, out);
        }
        let is_taken = if is_handshake { connection.state() != was } else { is_acceptable };
        if is_handshake && is_taken {
            connection.on_handshake(&segment);
        }
        if is_taken {
            connection.on_segment(&segment, engine.mtu(), *now);
        }
        if is_taken || !is_handshake {
            connection.hear(*now);
        }
        self.update(id, Cause::Segment { rst: segment.rst }, shared);
        self.enqueue(id, shared);
    }

    /// Sends a challenge ACK (RFC 5961 §7), at most once a second
    fn challenge(&mut self, id: Id, shared: &mut Shared, out: &mut impl Egress) {
        let Shared { engine, stats, now, .. } = &mut *shared;
        let Some(connection) = self.connections.get_mut(id) else { return };
        let challenge = connection.challenge();
        let Some(socket) = connection.socket_mut() else { return };
        engine.tcp_ingress(socket, challenge.packet(), *now, &mut stats.packets_out, out);
    }

    fn open_from_listener(
        &mut self,
        listener: Id,
        segment: &Segment,
        packet: &[u8],
        shared: &mut Shared,
        out: &mut impl Egress,
    ) {
        let Some(entry) = self.listeners.get_mut(listener) else { return };
        if entry.is_full() {
            return count(&mut shared.stats.backlog_overflows);
        }
        entry.waiting = entry.waiting.saturating_add(1);
        let flow = Flow { local: segment.local, peer: segment.peer };
        let number = self.initial.number(&flow, shared.now);
        let initial =
            self.closing.take(&flow).map_or(number, |last| initial_numbers::above(last, number));
        let holder = Holder::Backlog(listener);
        let mut connection = Connection::new(flow, holder, &entry.options, initial, shared.now);
        connection.listen();
        let id = self.connections.insert(connection);
        self.flows.insert(id, &self.connections);
        let one = shared.engine.with_initial_number(initial, &shared.addresses, shared.now);
        let usual = std::mem::replace(&mut shared.engine, one);
        self.give_to_connection(id, segment, packet, shared, out);
        shared.engine = usual;
    }
}
