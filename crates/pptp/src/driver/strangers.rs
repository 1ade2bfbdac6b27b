//! Datagrams with a Call ID of ours that are not taken: what they tell of a server whose GRE is missed

use std::sync::atomic::{AtomicU8, Ordering};

/// The number of a dial's datagrams that were examined for this
#[derive(Debug, Default)]
pub(crate) struct Strangers(AtomicU8);

impl Strangers {
    /// Another dial has begun
    pub(crate) fn begin(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Returns true if one more may be examined
    pub(crate) fn take(&self) -> bool {
        let counted = |count: u8| (count < MAX_EXAMINED).then(|| count.saturating_add(1));
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted).is_ok()
    }
}

/// The Call IDs that a GRE datagram may be meant for, the one of RFC 2637 first
///
/// With a checksum (RFC 1701), which enhanced GRE does not have, the key lies four octets further behind.
pub(crate) const fn call_ids(gre: &[u8]) -> (u16, Option<u16>) {
    let call_id = match pptp_gre::call_id(gre) {
        Some(call_id) => call_id,
        None => 0,
    };
    match gre {
        [0x80..=0xFF, _, _, _, _, _, _, _, _, _, high, low, ..] => {
            (call_id, Some(u16::from_be_bytes([*high, *low])))
        }
        _ => (call_id, None),
    }
}

/// Datagrams looked at for each dial: each costs the tunnel's lock, and anybody may send them
const MAX_EXAMINED: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_id_is_found_behind_a_checksum_too() {
        let plain = [0x30, 1, 0x88, 0x0B, 0, 4, 0x12, 0x34, 0, 0, 0, 0];
        assert_eq!(call_ids(&plain), (0x1234, None));
        let sum = [0xB0, 1, 0x88, 0x0B, 0xAB, 0xCD, 0, 0, 0, 4, 0x12, 0x34, 0, 0, 0, 0];
        assert_eq!(call_ids(&sum), (0, Some(0x1234)));
        assert_eq!(call_ids(&sum[..11]), (0, None));
        for length in 0..8 {
            assert_eq!(call_ids(&sum[..length]), (0, None));
        }
    }

    #[test]
    fn eight_of_a_dial_are_looked_at() {
        let strangers = Strangers::default();
        assert_eq!((0..300).filter(|_| strangers.take()).count(), 8);
        strangers.begin();
        assert!(strangers.take());
    }
}
