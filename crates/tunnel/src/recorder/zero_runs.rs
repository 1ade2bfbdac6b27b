//! Runs of zero octets, stored as their length

use pptp_packet::Counter;

/// Stores `octets`, then `zeros` zero octets; each run of zeros becomes a zero and its length
pub(super) fn squeeze(octets: &[u8], zeros: usize, into: &mut Vec<u8>) {
    let mut run: u8 = 0;
    let hidden = std::iter::repeat_n(&0, zeros);
    for octet in octets.iter().chain(hidden) {
        if *octet == 0 && run < u8::MAX {
            run.increment();
            continue;
        }
        if run > 0 {
            into.extend([0, run]);
        }
        run = u8::from(*octet == 0);
        if *octet != 0 {
            into.push(*octet);
        }
    }
    if run > 0 {
        into.extend([0, run]);
    }
}

/// Returns the octets that were stored
pub(super) fn unsqueeze(stored: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut stored = stored.iter();
    while let Some(octet) = stored.next() {
        if *octet == 0 {
            let run = stored.next().copied().unwrap_or(0);
            octets.extend(std::iter::repeat_n(0, run.into()));
        } else {
            octets.push(*octet);
        }
    }
    octets
}
