//! Checks of the flight recorder

use pptp_tunnel::{Record, RecordKind};

use crate::link::PASSWORD;

/// Checks that records are within the recorder's size, and without the password, which PAP sends in
/// the clear
pub(super) fn check(records: &[Record], most: isize) {
    let mut least = 0;
    for Record { kind, octets, .. } in records {
        // runs of zeros are stored as their length
        least += RECORD_HEADER + octets.iter().filter(|octet| **octet != 0).count();
        let is_pap = *kind == RecordKind::FrameSent && octets.get(2..4) == Some(&[0xC0, 0x23]);
        let has_password = octets.windows(PASSWORD.len()).any(|it| it == PASSWORD.as_bytes());
        assert!(!(is_pap && has_password), "the password was recorded");
    }
    assert!(isize::try_from(least).is_ok_and(|least| least <= most), "{least} octets of records");
}

/// Octets of a record's header: kind, time, length
const RECORD_HEADER: usize = 7;
