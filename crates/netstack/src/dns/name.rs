//! Names in a message (RFC 1035 §3.1, §4.1.4)

use super::work::Work;

/// Octets of the longest name, its last, empty label included (RFC 1035 §2.3.4)
pub(crate) const MAX_NAME: usize = 255;

/// Labels and pointers of a name that are walked at most, its last, empty label included
///
/// A name of 255 octets has 127 labels and the empty one, and a pointer in front of each is the most that
/// compression has a use for.
pub(crate) const MAX_STEPS: usize = 255;

/// Expands the name that begins at `at`: its labels behind their lengths, in lower case, and the place behind it
///
/// `None` if it is not a valid name: it runs beyond the message, it is too long, its labels are of a kind that does
/// not exist, or a pointer does not lead to an earlier place. hickory's own reader has no limit on pointers: an
/// answer of 64 KiB with a chain of 7,000 that all its other records begin with took it 8 s, as measured.
pub(super) fn expand(message: &[u8], at: usize, work: &mut Work) -> Option<(Vec<u8>, usize)> {
    let (mut at, mut start, mut end) = (at, at, None);
    let mut name = Vec::with_capacity(32);
    for _ in 0..MAX_STEPS {
        work.step();
        match *message.get(at)? {
            0 => {
                name.push(0);
                return Some((name, end.or_else(|| at.checked_add(1))?));
            }
            length @ 1..=63 => {
                let next = at.checked_add(usize::from(length))?.checked_add(1)?;
                let label = message.get(at..next)?;
                if name.len().checked_add(label.len())? >= MAX_NAME {
                    return None;
                }
                work.octets(label.len());
                // a length is below any letter
                name.extend(label.iter().map(u8::to_ascii_lowercase));
                at = next;
            }
            high @ 0xC0.. => {
                let behind = at.checked_add(1)?;
                let low = *message.get(behind)?;
                let target = usize::from(u16::from_be_bytes([high & 0x3F, low]));
                if target >= start {
                    return None;
                }
                end = end.or_else(|| behind.checked_add(1));
                (at, start) = (target, target);
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(message: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
        let mut work = Work::default();
        let name = expand(message, at, &mut work);
        assert!(work.total() <= (MAX_STEPS + MAX_NAME) as u64, "{work:?}");
        name
    }

    #[test]
    fn rfc1035_4_1_4_example() {
        // F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40, ARPA at 64, the root at 92
        let mut message = vec![0; 93];
        message[20..32].copy_from_slice(b"\x01F\x03ISI\x04ARPA\0");
        message[40..46].copy_from_slice(b"\x03FOO\xC0\x14");
        message[64..66].copy_from_slice(b"\xC0\x1A");
        assert_eq!(expanded(&message, 20), Some((b"\x01f\x03isi\x04arpa\0".to_vec(), 32)));
        assert_eq!(expanded(&message, 40), Some((b"\x03foo\x01f\x03isi\x04arpa\0".to_vec(), 46)));
        assert_eq!(expanded(&message, 64), Some((b"\x04arpa\0".to_vec(), 66)));
        assert_eq!(expanded(&message, 92), Some((vec![0], 93)));
    }

    #[test]
    fn pointers_that_lead_nowhere_are_no_names() {
        for (message, at) in [
            (&b"\xC0\x00"[..], 0),      // itself
            (b"\xC0\x02\xC0\x00", 2),   // each other
            (b"\xC0\x02\x00", 0),       // ahead
            (b"\x01a\xC0\x00", 0),      // the name it ends
            (b"\x01a\x01b\xC0\x00", 2), // through its own label
            (b"\xC0", 0),               // half
            (b"", 0),                   // nothing
            (b"\x03ab", 0),             // a label beyond the end
            (b"\x40ab\0", 0),           // reserved (RFC 1035 §4.1.4)
            (b"\x80ab\0", 0),           // reserved
        ] {
            assert_eq!(expanded(message, at), None, "{message:?}");
        }
    }

    #[test]
    fn the_longest_name_has_255_octets() {
        let longest = [&[1, b'a'].repeat(127)[..], &[0]].concat();
        assert_eq!(longest.len(), MAX_NAME);
        assert_eq!(expanded(&longest, 0), Some((longest.clone(), 255)));
        let longer = [&[2, b'a', b'a'][..], &[1, b'a'].repeat(126), &[0]].concat();
        assert_eq!(expanded(&longer, 0), None);
    }

    #[test]
    fn a_chain_of_pointers_has_an_end() {
        // the root, and 7,999 pointers, each to the one before
        let mut message = vec![0, 0];
        for at in (2_u16..16_000).step_by(2) {
            message.extend((0xC000 | (at - 2)).to_be_bytes());
        }
        assert_eq!(expanded(&message, 2 * (MAX_STEPS - 1)), Some((vec![0], 2 * MAX_STEPS)));
        assert_eq!(expanded(&message, 2 * MAX_STEPS), None);
    }
}
