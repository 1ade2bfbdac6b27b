//! The signs that the two ends have different MPPE keys
//!
//! MPPE has no checksum: with a wrong key an end finds noise where the inner protocol should be. A
//! server tells by Protocol-Rejects of protocols that were never sent, and its own encrypted
//! packets do not open here. The login may succeed all the same: its proof is made from the
//! password's hash alone, the keys from more than that.

use crate::{failure::WrongKey, liveness::path_monitor::Complaint, wire::frame};

/// The signs since MPPE came up that the two ends have different keys
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyMismatch {
    /// Protocols that the peer rejected and that were never sent, 0 for none yet
    rejected: [u16; WrongKey::PROTOCOLS],
    /// Frames that did not open before the link was up: the peer sends none then
    early: u64,
}

impl KeyMismatch {
    /// Notes that the peer rejected a protocol, while all packets are sent encrypted
    pub(crate) fn rejected(&mut self, protocol: u16) -> Option<WrongKey> {
        if SENT_PROTOCOLS.contains(&protocol) || self.rejected.contains(&protocol) {
            return None;
        }
        let free = self.rejected.iter_mut().find(|rejected| **rejected == 0)?;
        *free = protocol;
        let all = !self.rejected.contains(&0);
        all.then_some(WrongKey::RandomProtocols(self.rejected))
    }

    /// Begins to count the packets of the peer, since the link is up
    pub(crate) const fn begin(&mut self, stats: &pptp_mppe::Stats) {
        self.early = stats.implausible;
    }

    /// Judges the packets of the peer that could not be opened
    pub(crate) const fn unopened(self, stats: &pptp_mppe::Stats) -> Option<WrongKey> {
        let packets = stats.implausible.saturating_sub(self.early);
        if stats.opened == 0 && packets >= MIN_PACKETS {
            Some(WrongKey::NothingOpens { packets })
        } else {
            None
        }
    }
}

/// Returns the complaint that a Protocol-Reject means, while all packets are sent encrypted
///
/// One of a protocol that this end may have sent says nothing.
pub(crate) fn complaint(rejected: u16) -> Option<Complaint> {
    match rejected {
        frame::MPPE => Some(Complaint::MppeRejected),
        rejected if SENT_PROTOCOLS.contains(&rejected) => None,
        _ => Some(Complaint::UnsentProtocol),
    }
}

/// Packets that have to fail: single ones may be forged
const MIN_PACKETS: u64 = 8;

/// The protocols that this end may have sent
const SENT_PROTOCOLS: [u16; 10] = [
    0,
    frame::IP,
    frame::IPV6,
    frame::MPPE,
    frame::IPCP,
    frame::CCP,
    0x8057,
    frame::LCP,
    frame::CHAP,
    frame::EAP,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_protocols_that_nobody_sent_are_a_wrong_key() {
        let mut mismatch = KeyMismatch::default();
        for protocol in [0x3B12, 0x8057, 0x3B12, frame::MPPE, 0x91C4] {
            assert_eq!(mismatch.rejected(protocol), None, "{protocol:04x}");
        }
        let told = mismatch.rejected(0x77A0).expect("the third");
        assert_eq!(told, WrongKey::RandomProtocols([0x3B12, 0x91C4, 0x77A0]));
        assert!(told.to_string().contains("3b12, 91c4 and 77a0"), "{told}");
    }

    #[test]
    fn packets_that_do_not_open_are_a_wrong_key_unless_one_did() {
        let mut stats = pptp_mppe::Stats::default();
        let mut mismatch = KeyMismatch::default();
        stats.implausible = MIN_PACKETS - 1;
        assert_eq!(mismatch.unopened(&stats), None);
        stats.implausible = MIN_PACKETS;
        assert_eq!(
            mismatch.unopened(&stats),
            Some(WrongKey::NothingOpens { packets: MIN_PACKETS })
        );
        mismatch.begin(&stats);
        assert_eq!(mismatch.unopened(&stats), None, "those before the link was up do not count");
        stats.implausible += MIN_PACKETS;
        assert_eq!(
            mismatch.unopened(&stats),
            Some(WrongKey::NothingOpens { packets: MIN_PACKETS })
        );
        stats.opened = 1;
        assert_eq!(mismatch.unopened(&stats), None);
    }
}
