//! The two ways by which a turn fills the driver's send batch

use std::{fmt, time::Instant};

use pptp_gre_socket::{BATCH, Outgoing, SendBatch};
use pptp_packet::{Egress, PacketBuf};

use crate::{CallEnds, Carrier, NotNow};

/// The slots of the send batch that a session may fill in this turn
#[derive(Debug)]
pub struct Slots<'a> {
    pub(crate) send: &'a mut SendBatch,
    pub(crate) ends: CallEnds,
    pub(crate) now: Instant,
    /// The number of packets that may still be composed in this turn
    pub(crate) quota: usize,
}

impl<'a> Slots<'a> {
    /// Joins the slots to a machine, which seals each packet that is composed in them
    ///
    /// `tap` sees each IP packet before it is sealed.
    pub fn sealed_by<C: Carrier, T: FnMut(&[u8])>(
        self,
        carrier: &'a mut C,
        tap: T,
    ) -> Uplink<'a, C, T> {
        Uplink { carrier, slots: self, tap }
    }
}

/// The joint between the users of IP packets and the carrier: a packet that is composed is sealed
pub struct Uplink<'a, C, T> {
    carrier: &'a mut C,
    slots: Slots<'a>,
    tap: T,
}

/// Prints the slots only: packets and machine may be confidential
impl<C, T> fmt::Debug for Uplink<'_, C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uplink").field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl<C: Carrier, T> Uplink<'_, C, T> {
    /// Returns true if there is a slot for one more packet, also if the peer's window has no room for it
    ///
    /// Half of the slots are kept for replies and for the machines themselves.
    pub fn has_slot(&self) -> bool {
        self.slots.quota > 0 && self.slots.send.room() > BATCH
    }

    /// Checks whether a packet may be sent now: see [`Carrier::may_send`]
    ///
    /// # Errors
    /// The machine's.
    pub fn may_send(&self) -> Result<(), NotNow> {
        self.carrier.may_send(self.slots.now)
    }
}

impl<C: Carrier, T: FnMut(&[u8])> Egress for Uplink<'_, C, T> {
    fn has_room(&self) -> bool {
        self.has_slot() && self.may_send().is_ok()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let Self { carrier, slots: Slots { send, ends, now, quota }, tap } = self;
        *quota = quota.saturating_sub(1);
        let Some(mut packet) = send.take_slot() else { return fill(&mut vec![0; len]) };
        let filled = fill(packet.reset(len));
        if carrier.may_send(*now) == Err(NotNow::NotUp) {
            send.put_back(packet);
        } else {
            // a reply within the stack does not ask: the peer's window is advisory, so it may pass
            tap(packet.as_slice());
            carrier.seal(*now, &mut packet);
            send.push(ends.outgoing(packet));
        }
        filled
    }
}

/// The datagrams of the machine itself: control frames and acknowledgments
pub(super) struct Datagrams<'a> {
    pub(super) send: &'a mut SendBatch,
    pub(super) ends: CallEnds,
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
        self.send.push(self.ends.outgoing(packet));
        filled
    }
}

impl CallEnds {
    fn outgoing(&self, packet: PacketBuf) -> Outgoing {
        Outgoing {
            packet,
            destination: self.peer,
            source: self.local,
            tag: u32::from(self.call_id),
        }
    }
}
