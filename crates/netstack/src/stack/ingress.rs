//! The way of a packet to its protocol

use pptp_packet::Egress;

use super::Stack;
use crate::{
    SocketError,
    engine::{Datagram, Fragment, Protocol, Unusable},
    icmp::{Icmp, Quoted},
    ip::{Flow, Martian, is_reassembled},
    shared::counter::count,
};

impl Stack {
    pub(super) fn take_in(&mut self, packet: &[u8], out: &mut impl Egress) {
        let Self { tcp, udp, shared, .. } = self;
        // before anything else is read, so that no fragment of a martian is kept
        if let Some(martian) = shared.addresses.martian(packet) {
            count(&mut shared.stats.martians);
            if martian == Martian::Destination {
                count(&mut shared.stats.unclaimed);
            }
            return;
        }
        let datagram = match Datagram::parse(packet) {
            Ok(datagram) => datagram,
            Err(Unusable::Fragment) => return self.take_in_fragment(packet, out),
            Err(Unusable::Malformed) => return count(&mut shared.stats.malformed),
        };
        match datagram.protocol {
            Protocol::Tcp => tcp.ingress(&datagram, packet, shared, out),
            Protocol::Udp => udp.ingress(&datagram, packet, shared, out),
            Protocol::Icmp => self.take_in_icmp(&datagram, packet, out),
            Protocol::Igmp => {
                shared.multicast.handle_query(datagram.payload, shared.now);
                shared.answer(packet, out);
            }
            Protocol::Other(_) => shared.unclaimed(packet, out),
        }
    }

    /// Takes in a fragment, and the datagram if it is whole now
    ///
    /// Its header has been checked. Only fragments that some socket could receive are kept.
    fn take_in_fragment(&mut self, packet: &[u8], out: &mut impl Egress) {
        let Self { fragments, shared, .. } = self;
        count(&mut shared.stats.fragments_in);
        let Some(fragment) = Fragment::parse(packet) else {
            return count(&mut shared.stats.malformed);
        };
        let key = &fragment.key;
        if !is_reassembled(key.protocol) || !shared.is_reached_at(key.destination) {
            return count(&mut shared.stats.unclaimed);
        }
        if let Some(datagram) = fragments.insert(&fragment, shared.now, &mut shared.stats) {
            self.take_in(&datagram, out);
        }
    }

    fn take_in_icmp(&mut self, datagram: &Datagram<'_>, packet: &[u8], out: &mut impl Egress) {
        let Self { echoes, shared, .. } = self;
        if !shared.is_reached_at(datagram.destination) {
            return count(&mut shared.stats.unclaimed);
        }
        match datagram.icmp().and_then(Icmp::parse) {
            Some(Icmp::EchoReply { ident, sequence }) => {
                echoes.on_reply(datagram.source, ident, sequence, shared);
            }
            Some(Icmp::Unreachable { error, quoted }) => self.tell_unreachable(error, quoted),
            None => shared.answer(packet, out),
        }
    }

    /// Passes an ICMP message on to the socket whose datagram it complains of
    fn tell_unreachable(&mut self, error: SocketError, quoted: Quoted) {
        let Self { tcp, udp, echoes, shared, .. } = self;
        match quoted {
            Quoted::Tcp { local, peer, sequence } => {
                tcp.on_unreachable(Flow { local, peer }, sequence, error, shared);
            }
            Quoted::Udp { local, peer } => udp.on_unreachable(local, peer, error, shared),
            Quoted::Echo { to, ident, sequence } => {
                echoes.on_unreachable(to, ident, sequence, error, shared);
            }
        }
    }
}
