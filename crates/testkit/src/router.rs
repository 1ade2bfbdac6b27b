//! The router from the building's network into the tunnels

use std::{
    collections::{BTreeMap, VecDeque},
    net::Ipv4Addr,
    time::Instant,
};

use pptp_packet::{Counter, Egress, PacketBuf};

use crate::{
    fragment::fragments,
    lan::{Pool, destination, is_everyone, is_igmp},
    outlet::Outlet,
    session::Session,
};

/// The building's router: finds the session of each packet that leaves the building
pub(crate) struct Router<'a> {
    pub(crate) sessions: &'a mut BTreeMap<u16, Session>,
    pub(crate) pool: &'a Pool,
    /// The packet for every client; the building's hosts wait while there is one
    pub(crate) relay: &'a mut Option<Relay>,
    pub(crate) outlet: &'a mut Outlet,
    pub(crate) now: Instant,
    /// Counts packets without a receiver
    pub(crate) undeliverable: &'a mut u64,
    /// The other hosts of the building, where there are any
    pub(crate) inside: Option<Inside>,
}

/// The way from one host of a building to the others, where some were added
pub(crate) struct Inside {
    /// The addresses of all hosts
    pub(crate) hosts: Vec<Ipv4Addr>,
    /// Packets that they get after this turn, [`MAX_INSIDE`] at most
    pub(crate) packets: VecDeque<Vec<u8>>,
}

impl Inside {
    /// Keeps a copy of a packet for everyone for the other hosts; the packet itself is for the clients
    fn copy(&mut self, packet: &[u8]) {
        if !is_igmp(packet) {
            self.packets.push_back(packet.to_vec());
        }
    }
}

/// A packet for every client, and its progress
#[derive(Debug)]
pub(crate) struct Relay {
    packet: Vec<u8>,
    /// The next Call ID; clients with smaller ones have got it
    next: u16,
}

impl Router<'_> {
    /// Sends the packet for every client on, as far as there is room
    pub(crate) fn relay(&mut self) {
        let Some(Relay { packet, next }) = self.relay.take() else { return };
        for (call_id, session) in self.sessions.range_mut(next..) {
            if !session.is_up() {
                continue;
            }
            let room = self.outlet.has_room_for_hosts();
            let Some(mut copy) = room.then(|| self.outlet.take_slot()).flatten() else {
                *self.relay = Some(Relay { packet, next: *call_id });
                return;
            };
            copy.reset(packet.len()).copy_from_slice(&packet);
            if !session.deliver(self.now, copy, self.outlet) {
                self.undeliverable.increment();
            }
        }
    }

    fn deliver(&mut self, to: Ipv4Addr, packet: PacketBuf) -> bool {
        if let Some(inside) = self.inside.as_mut().filter(|inside| inside.hosts.contains(&to)) {
            inside.packets.push_back(packet.as_slice().to_vec());
            self.outlet.put_back(packet);
            return true;
        }
        let call = self.pool.call(to);
        let Some(session) = call.and_then(|call_id| self.sessions.get_mut(&call_id)) else {
            return self.refuse(packet);
        };
        let Some(fragments) = fragments(packet.as_slice(), session.mtu()) else {
            return session.deliver(self.now, packet, self.outlet);
        };
        self.outlet.put_back(packet);
        fragments.iter().all(|fragment| {
            // those of one packet find room in the half that is the sessions' own
            self.outlet.take_slot().is_some_and(|mut slot| {
                slot.reset(fragment.len()).copy_from_slice(fragment);
                session.deliver(self.now, slot, self.outlet)
            })
        })
    }

    fn deliver_to_all(&mut self, packet: PacketBuf) -> bool {
        if let Some(inside) = &mut self.inside {
            inside.copy(packet.as_slice());
        }
        if self.relay.is_some() {
            return self.refuse(packet);
        }
        if !is_igmp(packet.as_slice()) {
            *self.relay = Some(Relay { packet: packet.as_slice().to_vec(), next: 0 });
        }
        self.outlet.put_back(packet);
        self.relay();
        true
    }

    fn refuse(&mut self, packet: PacketBuf) -> bool {
        self.outlet.put_back(packet);
        false
    }
}

impl Egress for Router<'_> {
    fn has_room(&self) -> bool {
        let is_full = self.inside.as_ref().is_some_and(|inside| inside.packets.len() >= MAX_INSIDE);
        !is_full && self.relay.is_none() && self.outlet.has_room_for_hosts()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let Some(mut packet) = self.outlet.take_slot() else { return fill(&mut vec![0; len]) };
        let filled = fill(packet.reset(len));
        let delivered = match destination(packet.as_slice()) {
            Some(to) if is_everyone(to) => self.deliver_to_all(packet),
            Some(to) => self.deliver(to, packet),
            None => self.refuse(packet),
        };
        if !delivered {
            self.undeliverable.increment();
        }
        filled
    }
}

/// Packets from host to host in one turn
const MAX_INSIDE: usize = 64;
