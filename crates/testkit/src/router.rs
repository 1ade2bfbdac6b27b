//! The router from the building's network into the tunnels

use std::{collections::VecDeque, net::Ipv4Addr, sync::Arc, time::Instant};

use pptp_packet::{Counter, Egress};

use crate::{
    client::Client,
    clients::Clients,
    lan::{destination, is_everyone, is_igmp},
};

/// The building's router: finds the client of each packet that leaves the building
pub(crate) struct Router<'a> {
    clients: &'a Clients,
    pub(crate) now: Instant,
    /// The number of packets without a receiver
    pub(crate) undeliverable: u64,
    /// A client for which too many packets wait: the hosts wait for it
    pub(crate) full: Option<Arc<Client>>,
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

impl<'a> Router<'a> {
    pub(crate) const fn new(clients: &'a Clients, now: Instant) -> Self {
        Self { clients, now, undeliverable: 0, full: None, inside: None }
    }

    /// Sends a packet to its client, or to all of them if it is for everyone
    pub(crate) fn send(&mut self, packet: Vec<u8>) {
        match destination(&packet) {
            Some(to) if is_everyone(to) => self.send_to_all(packet),
            Some(to) => self.send_to(to, packet),
            None => self.undeliverable.increment(),
        }
    }

    fn send_to(&mut self, to: Ipv4Addr, packet: Vec<u8>) {
        if let Some(inside) = self.inside.as_mut().filter(|inside| inside.hosts.contains(&to)) {
            inside.packets.push_back(packet);
            return;
        }
        let call = self.clients.pool().call(to);
        match call.and_then(|call_id| self.clients.get(call_id)) {
            Some(client) => {
                let is_sent = client.send(packet);
                self.note(client, is_sent);
            }
            None => self.undeliverable.increment(),
        }
    }

    fn send_to_all(&mut self, packet: Vec<u8>) {
        if is_igmp(&packet) {
            return;
        }
        for client in self.clients.all() {
            if client.is_up() {
                let is_sent = client.send_whole(packet.clone());
                self.note(client, is_sent);
            }
        }
        if let Some(inside) = &mut self.inside {
            // the other hosts get it, too
            inside.packets.push_back(packet);
        }
    }

    fn note(&mut self, client: Arc<Client>, is_sent: bool) {
        if !is_sent {
            self.undeliverable.increment();
        }
        if client.is_full() {
            self.full = Some(client);
        }
    }
}

impl Egress for Router<'_> {
    fn has_room(&self) -> bool {
        let is_full = self.inside.as_ref().is_some_and(|inside| inside.packets.len() >= MAX_INSIDE);
        !is_full && self.full.as_ref().is_none_or(|client| !client.is_full())
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut packet = vec![0; len];
        let filled = fill(&mut packet);
        self.send(packet);
        filled
    }
}

/// Packets from host to host in one turn
const MAX_INSIDE: usize = 64;
