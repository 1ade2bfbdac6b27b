//! The two ways by which a turn fills the driver's send batch

use std::time::Instant;

use pptp_gre_socket::{BATCH, Outgoing, SendBatch};
use pptp_packet::{Egress, PacketBuf};
use pptp_tunnel::{NotNow, Tunnel as Machine};

use crate::{
    driver::tunnel_shared::Route,
    record::{Captures, Direction},
};

/// The joint between the stack and the state machine: a packet that the stack composes is sealed
pub(super) struct Uplink<'a> {
    pub(super) machine: &'a mut Machine,
    pub(super) captures: &'a mut Captures,
    pub(super) send: &'a mut SendBatch,
    pub(super) route: Route,
    pub(super) now: Instant,
    /// The number of packets that may still be composed in this turn
    pub(super) quota: usize,
}

impl Egress for Uplink<'_> {
    /// Half of the slots are kept for replies and for the state machines themselves
    fn has_room(&self) -> bool {
        self.quota > 0 && self.send.room() > BATCH && self.machine.may_send(self.now).is_ok()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let Self { machine, captures, send, route, now, quota } = self;
        *quota = quota.saturating_sub(1);
        let Some(mut packet) = send.take_slot() else { return fill(&mut vec![0; len]) };
        let filled = fill(packet.reset(len));
        if machine.may_send(*now) == Err(NotNow::NotUp) {
            send.put_back(packet);
        } else {
            // a reply within the stack does not ask: the peer's window is advisory, so it may pass
            captures.take(*now, Direction::Outbound, packet.as_slice());
            machine.seal(*now, &mut packet);
            send.push(route.outgoing(packet));
        }
        filled
    }
}

/// The datagrams of the state machine itself: control frames and acknowledgments
pub(super) struct Datagrams<'a> {
    pub(super) send: &'a mut SendBatch,
    pub(super) route: Route,
    /// True if none may be composed now
    pub(super) none: bool,
}

impl Egress for Datagrams<'_> {
    fn has_room(&self) -> bool {
        !self.none && self.send.has_room()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let Some(mut packet) = self.send.take_slot() else { return fill(&mut vec![0; len]) };
        let filled = fill(packet.reset(len));
        // a PAP request has the password in it
        packet.wipe_after_use();
        self.send.push(self.route.outgoing(packet));
        filled
    }
}

impl Route {
    fn outgoing(&self, packet: PacketBuf) -> Outgoing {
        Outgoing {
            packet,
            destination: *self.server.ip(),
            source: self.local.map(|local| *local.ip()),
            tag: u32::from(self.call_id),
        }
    }
}
