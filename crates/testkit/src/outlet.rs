//! The way out of a server's sessions, onto its GRE socket

use std::{io, net::Ipv4Addr};

use pptp_gre_socket::{BATCH, GreSocket, Outgoing, SendBatch};
use pptp_packet::{Counter, Egress, PacketBuf};

use crate::builder::Options;

/// Datagrams on their way out; all leave from the server's address
#[derive(Debug)]
pub(crate) struct Outlet {
    batch: SendBatch,
    address: Ipv4Addr,
    /// True if datagrams are dropped here
    mute: bool,
    /// True if each datagram is sent twice
    twice: bool,
    /// True if each datagram carries a checksum
    sums: bool,
    /// True if the socket takes no more for now
    blocked: bool,
    unsendable: u64,
}

impl Outlet {
    pub(crate) fn new(address: Ipv4Addr, options: &Options) -> Self {
        // a batch for each of the two that write: the building's hosts, and the sessions themselves
        let most = BATCH.saturating_mul(2);
        Self {
            batch: SendBatch::new(most),
            address: options.gre_source.unwrap_or(address),
            mute: options.mute_gre,
            twice: options.says_twice,
            sums: options.gre_checksums,
            blocked: false,
            unsendable: 0,
        }
    }

    pub(crate) const fn set_mute(&mut self, mute: bool) {
        self.mute = mute;
    }

    /// Gives the waiting datagrams to the socket
    pub(crate) fn flush(&mut self, socket: &mut impl GreSocket) {
        let unsendable = &mut self.unsendable;
        let sent = socket.send(&mut self.batch, |_, error: io::Error| {
            tracing::debug!(%error, "a GRE datagram was not sent");
            unsendable.increment();
        });
        match sent {
            Ok(all_gone) => self.blocked = !all_gone,
            Err(error) => tracing::warn!(%error, "the GRE socket cannot be written"),
        }
    }

    pub(crate) fn take_slot(&mut self) -> Option<PacketBuf> {
        self.batch.take_slot()
    }

    pub(crate) fn put_back(&mut self, slot: PacketBuf) {
        self.batch.put_back(slot);
    }

    pub(crate) fn push(&mut self, mut packet: PacketBuf, client: Ipv4Addr) {
        if self.mute {
            self.batch.put_back(packet);
            return;
        }
        if self.sums {
            let summed = with_checksum(packet.as_slice());
            packet.reset(summed.len()).copy_from_slice(&summed);
        }
        let source = Some(self.address);
        let again = self.twice.then(|| self.batch.take_slot()).flatten().map(|mut again| {
            again.reset(packet.len()).copy_from_slice(packet.as_slice());
            again
        });
        for packet in std::iter::once(packet).chain(again) {
            self.batch.push(Outgoing { packet, destination: client, source, tag: 0 });
        }
    }

    /// Returns true if there is room for a datagram, and for its copy if everything is sent twice
    pub(crate) fn has_room(&self) -> bool {
        self.batch.room() > usize::from(self.twice)
    }

    /// Returns true if the building's hosts may send: half of the room is for the sessions
    /// themselves
    pub(crate) fn has_room_for_hosts(&self) -> bool {
        self.batch.room() > BATCH
    }

    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(crate) const fn unsendable(&self) -> u64 {
        self.unsendable
    }

    /// Room for the datagrams of one client's session
    pub(crate) const fn towards(&mut self, client: Ipv4Addr) -> Towards<'_> {
        Towards { outlet: self, client }
    }
}

/// A GRE datagram with a checksum as RFC 1701 has it: bit C, and two more fields before the key
fn with_checksum(gre: &[u8]) -> Vec<u8> {
    let (begin, rest) = gre.split_at_checked(4).unwrap_or((gre, &[]));
    let mut summed = [begin, &[0; 4], rest].concat();
    if let Some(first) = summed.first_mut() {
        *first |= 0x80;
    }
    let words = summed.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let sum = words.fold(0_u32, u32::wrapping_add);
    let folded = [(); 2].iter().fold(sum, |sum, ()| (sum & 0xFFFF).wrapping_add(sum >> 16));
    let [.., high, low] = (!folded).to_be_bytes();
    if let Some(field) = summed.get_mut(4..6) {
        field.copy_from_slice(&[high, low]);
    }
    summed
}

pub(crate) struct Towards<'a> {
    outlet: &'a mut Outlet,
    client: Ipv4Addr,
}

impl Egress for Towards<'_> {
    fn has_room(&self) -> bool {
        self.outlet.has_room()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let Some(mut packet) = self.outlet.take_slot() else { return fill(&mut vec![0; len]) };
        let filled = fill(packet.reset(len));
        self.outlet.push(packet, self.client);
        filled
    }
}
