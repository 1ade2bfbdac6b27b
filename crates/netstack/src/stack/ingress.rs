//! Whose packet it is

use std::net::{Ipv4Addr, SocketAddrV4};

use pptp_packet::Egress;
use smoltcp::wire::IpProtocol;

use super::{
    Stack, Ticket,
    closing::{self, Answer},
    datagram::{Datagram, Icmp, Quoted, Segment, Unusable},
    device::{Port, interface, seed_for, to_smoltcp},
    gap::Reply,
    initial,
    numbers::Verdict,
    steering::Forged,
    table::Id,
    tcp::{Cause, Connection, Flow, Keeper},
    tcp_numbers::is_synchronized,
};
use crate::SocketError;

impl Stack {
    pub(super) fn take_in(&mut self, packet: &[u8], out: &mut impl Egress) {
        if self.is_martian(packet) {
            return;
        }
        let datagram = match Datagram::parse(packet) {
            Ok(datagram) => datagram,
            Err(Unusable::Fragment) => return self.take_in_fragment(packet, out),
            Err(Unusable::Malformed) => return count(&mut self.stats.malformed),
        };
        match datagram.protocol {
            IpProtocol::Tcp => self.take_in_tcp(&datagram, packet, out),
            IpProtocol::Udp => self.take_in_udp(&datagram, packet, out),
            IpProtocol::Icmp => self.take_in_icmp(&datagram, packet, out),
            IpProtocol::Igmp => {
                self.multicast.handle_query(datagram.payload, self.now);
                self.give_to_nobody(packet, out);
            }
            _ => self.unclaimed(packet, out),
        }
    }

    fn take_in_tcp(&mut self, datagram: &Datagram<'_>, packet: &[u8], out: &mut impl Egress) {
        let Some(segment) = datagram.tcp() else { return count(&mut self.stats.malformed) };
        if !self.addresses.own(datagram.destination) {
            return count(&mut self.stats.unclaimed);
        }
        let flow = Flow { local: segment.local, peer: segment.peer };
        if let Some(id) = self.flows.get(&flow).copied() {
            return self.give_to_connection(id, &segment, packet, out);
        }
        let answer = self.closing.handle(&segment, self.now);
        if !matches!(answer, Answer::NotOurs | Answer::Reopens) {
            if closing::compose(answer, &segment, out) {
                count(&mut self.stats.packets_out);
            }
            return;
        }
        if segment.syn && !segment.acknowledges && !segment.rst {
            let listeners = self.listeners.iter();
            let mut takes = listeners.filter(|(_, listener)| listener.takes(segment.local));
            let listener = takes.next().map(|(id, _)| id);
            drop(takes);
            if let Some(listener) = listener {
                return self.open_from_listener(listener, &segment, packet, out);
            }
        }
        self.unclaimed(packet, out);
    }

    fn give_to_connection(
        &mut self,
        id: Id,
        segment: &Segment,
        packet: &[u8],
        out: &mut impl Egress,
    ) {
        let Some(connection) = self.connections.get(id) else { return };
        match connection.judge(segment) {
            Verdict::Accept => self.give_to_smoltcp(id, *segment, packet, true, out),
            Verdict::Answer => self.give_to_smoltcp(id, *segment, packet, false, out),
            Verdict::Challenge => self.challenge(id, out),
            Verdict::Drop => {}
        }
    }

    /// Lets smoltcp process a segment; one that is not acceptable is only answered
    fn give_to_smoltcp(
        &mut self,
        id: Id,
        mut segment: Segment,
        packet: &[u8],
        is_acceptable: bool,
        out: &mut impl Egress,
    ) {
        let Self { interface, connections, stats, mtu, now, .. } = self;
        let Some(connection) = connections.get_mut(id) else { return };
        let was = connection.state();
        let is_handshake = !is_synchronized(was);
        let counts = is_acceptable && !is_handshake;
        let changed = counts.then(|| connection.acknowledge(&mut segment, packet)).flatten();
        let packet = changed.as_deref().unwrap_or(packet);
        let mut reply = Reply::default();
        if let Some(set) = connection.set_mut() {
            let packet = Some(packet);
            let mut port = Port { packet, out: &mut reply, sent: &mut 0, mtu: *mtu };
            interface.poll_ingress_single(to_smoltcp(*now), &mut port, set);
        }
        if let Some(reply) = reply.0.and_then(|reply| connection.hold(&segment, reply, *now)) {
            out.compose(reply.len(), |octets| octets.copy_from_slice(&reply));
            count(&mut stats.packets_out);
        }
        let is_taken = if is_handshake { connection.state() != was } else { is_acceptable };
        if is_handshake && is_taken {
            connection.on_handshake(&segment);
        }
        if is_taken {
            connection.on_segment(&segment, *mtu, *now);
        }
        if is_taken || !is_handshake {
            connection.hear(*now);
        }
        self.look(id, Cause::Segment { rst: segment.rst });
        self.enqueue(Ticket::Tcp(id));
    }

    /// Tells a peer which numbers count, if that has not been done within the last second
    fn challenge(&mut self, id: Id, out: &mut impl Egress) {
        let Self { interface, connections, stats, mtu, now, .. } = self;
        let Some(connection) = connections.get_mut(id) else { return };
        let Forged(packet) = connection.challenge();
        let Some(set) = connection.set_mut() else { return };
        let sent = &mut stats.packets_out;
        let mut port = Port { packet: Some(packet.as_slice()), out, sent, mtu: *mtu };
        interface.poll_ingress_single(to_smoltcp(*now), &mut port, set);
    }

    fn open_from_listener(
        &mut self,
        listener: Id,
        segment: &Segment,
        packet: &[u8],
        out: &mut impl Egress,
    ) {
        let Some(entry) = self.listeners.get_mut(listener) else { return };
        if entry.is_full() {
            return count(&mut self.stats.backlog_overflows);
        }
        entry.waiting = entry.waiting.saturating_add(1);
        let flow = Flow { local: segment.local, peer: segment.peer };
        let number = self.initial.number(&flow, self.now);
        let initial = self.closing.take(&flow).map_or(number, |last| initial::above(last, number));
        let keeper = Keeper::Backlog(listener);
        let mut connection = Connection::new(flow, keeper, &entry.options, initial, self.now);
        connection.listen();
        let id = self.connections.insert(connection);
        self.flows.insert(flow, id);
        let one = interface(&self.addresses, self.mtu, seed_for(initial), self.now);
        let usual = std::mem::replace(&mut self.interface, one);
        self.give_to_connection(id, segment, packet, out);
        self.interface = usual;
    }

    fn take_in_udp(&mut self, datagram: &Datagram<'_>, packet: &[u8], out: &mut impl Egress) {
        let Some((from, to, payload)) = datagram.udp() else {
            return count(&mut self.stats.malformed);
        };
        let source = SocketAddrV4::new(datagram.source, from);
        let destination = SocketAddrV4::new(datagram.destination, to);
        if !self.is_reached_at(datagram.destination) {
            return count(&mut self.stats.unclaimed);
        }
        let all = self.addresses.was_broadcast(datagram.destination);
        if !self.give_to_udp(source, destination, all, payload) {
            self.unclaimed(packet, out);
        }
    }

    /// Gives a datagram to every socket that takes it; false if none does
    pub(super) fn give_to_udp(
        &mut self,
        source: SocketAddrV4,
        destination: SocketAddrV4,
        all: bool,
        payload: &[u8],
    ) -> bool {
        let (port, mut claimed) = (destination.port(), false);
        for (_, id) in self.udp_ports.range((port, 0)..=(port, Id::MAX)) {
            let Some(socket) = self.udp.get_mut(*id) else { continue };
            if socket.takes(source, destination, all) {
                claimed = true;
                if !socket.receive(source, payload, &mut self.wakes) {
                    count(&mut self.stats.udp_overflows);
                }
            }
        }
        claimed
    }

    /// Whether what is sent there is for this host too
    pub(super) fn is_reached_at(&self, destination: Ipv4Addr) -> bool {
        self.addresses.own(destination)
            || self.addresses.was_broadcast(destination)
            || self.multicast.holds(destination)
    }

    fn take_in_icmp(&mut self, datagram: &Datagram<'_>, packet: &[u8], out: &mut impl Egress) {
        if !self.is_reached_at(datagram.destination) {
            return count(&mut self.stats.unclaimed);
        }
        match datagram.icmp() {
            Some(Icmp::EchoReply { ident, sequence }) => {
                let now = self.now;
                for (_, echo) in self.echoes.iter_mut() {
                    if echo.is_of(datagram.source, ident, sequence) {
                        echo.answer(sequence, now);
                        echo.waiters.wake(&mut self.wakes);
                    }
                }
            }
            Some(Icmp::Unreachable { error, quoted }) => self.tell_unreachable(error, quoted),
            None => self.give_to_nobody(packet, out),
        }
    }

    /// Passes an ICMP message on to the socket whose datagram it complains of
    ///
    /// A connection that is established does not end by it (RFC 1122 §4.2.3.9), as with the
    /// kernel's sockets, and one that is being made only if its own SYN is quoted, by its sequence number
    /// (RFC 5927 §4.1); a UDP socket is told only if it is connected.
    fn tell_unreachable(&mut self, error: SocketError, quoted: Quoted) {
        match quoted {
            Quoted::Tcp { local, peer, sequence } => {
                let Some(id) = self.flows.get(&Flow { local, peer }).copied() else { return };
                if self.connections.get(id).is_some_and(|it| it.is_syn(sequence)) {
                    self.fail_connection(id, error);
                }
            }
            Quoted::Udp { local, peer } => {
                let port = local.port();
                for (_, id) in self.udp_ports.range((port, 0)..=(port, Id::MAX)) {
                    if let Some(socket) = self.udp.get_mut(*id)
                        && socket.peer == Some(peer)
                    {
                        socket.tell(error, &mut self.wakes);
                    }
                }
            }
            Quoted::Echo { to, ident, sequence } => {
                for (_, echo) in self.echoes.iter_mut() {
                    if echo.is_of(to, ident, sequence) {
                        echo.fail(error);
                        echo.waiters.wake(&mut self.wakes);
                    }
                }
            }
        }
    }

    fn unclaimed(&mut self, packet: &[u8], out: &mut impl Egress) {
        count(&mut self.stats.unclaimed);
        self.give_to_nobody(packet, out);
    }

    /// Lets smoltcp answer: a reset, an echo reply, port or protocol unreachable
    fn give_to_nobody(&mut self, packet: &[u8], out: &mut impl Egress) {
        if !self.manners.answers(self.now) {
            return count(&mut self.stats.unanswered);
        }
        let Self { interface, nobody, stats, mtu, now, .. } = self;
        let mut port = Port { packet: Some(packet), out, sent: &mut stats.packets_out, mtu: *mtu };
        interface.poll_ingress_single(to_smoltcp(*now), &mut port, nobody);
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
