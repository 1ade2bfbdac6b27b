//! Counting

use pptp_packet::Egress;

use crate::Stats;

/// Adds one to a counter
pub(crate) const fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

/// Sends a copy of a packet that was composed before, and counts it
pub(crate) fn send_copy(packet: &[u8], stats: &mut Stats, out: &mut impl Egress) {
    out.compose(packet.len(), |octets| octets.copy_from_slice(packet));
    count(&mut stats.packets_out);
}
