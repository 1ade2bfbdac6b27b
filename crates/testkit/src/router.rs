//! From the building's network into the tunnels

use std::{collections::BTreeMap, time::Instant};

use pptp_packet::Egress;

use crate::{
    lan::{Pool, destination},
    outlet::Outlet,
    session::Session,
};

/// The building's router: finds the session of each packet that leaves the building
pub(crate) struct Router<'a> {
    pub(crate) sessions: &'a mut BTreeMap<u16, Session>,
    pub(crate) pool: &'a Pool,
    pub(crate) outlet: &'a mut Outlet,
    pub(crate) now: Instant,
    /// Counts the packets that are for nobody
    pub(crate) undeliverable: &'a mut u64,
}

impl Egress for Router<'_> {
    fn has_room(&self) -> bool {
        self.outlet.has_room_for_hosts()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let Some(mut packet) = self.outlet.take_slot() else { return fill(&mut vec![0; len]) };
        let filled = fill(packet.reset(len));
        let call = destination(packet.as_slice()).and_then(|address| self.pool.call(address));
        let delivered = if let Some(session) = call.and_then(|id| self.sessions.get_mut(&id)) {
            session.deliver(self.now, packet, self.outlet)
        } else {
            self.outlet.put_back(packet);
            false
        };
        if !delivered {
            *self.undeliverable = self.undeliverable.saturating_add(1);
        }
        filled
    }
}
