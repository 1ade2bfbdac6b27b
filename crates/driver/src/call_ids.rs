//! The Call IDs that a GRE datagram may be meant for

/// Returns the Call IDs that a GRE datagram may be meant for, the one of RFC 2637 first
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
}
