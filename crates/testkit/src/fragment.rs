//! Fragments of a packet that is larger than the next network's MTU (RFC 791 §3.2)

use crate::unreachable::checksum;

/// The fragments of a packet, or of a fragment; `None` if it fits, or must not or cannot be cut
///
/// Made without the client's code: each has the packet's header as it is, but for length, place and
/// checksum. A packet with options is not cut: which of them go into every fragment is a long story.
pub(crate) fn fragments(packet: &[u8], mtu: usize) -> Option<Vec<Vec<u8>>> {
    let (header, payload) = packet.split_first_chunk::<HEADER>()?;
    let &[version_ihl, _, _, _, _, _, high, low, ..] = header;
    let word = u16::from_be_bytes([high, low]);
    let is_cut = packet.len() > mtu && word & DONT_FRAGMENT == 0 && version_ihl == 0x45;
    let step = mtu.checked_sub(HEADER)? & !7;
    if !is_cut || step == 0 {
        return None;
    }
    let count = payload.len().div_ceil(step);
    let fragment = |(number, part): (usize, &[u8])| {
        let is_last = number.saturating_add(1) == count;
        let more = if is_last { word & MORE_FRAGMENTS } else { MORE_FRAGMENTS };
        let eighths = u16::try_from(number.saturating_mul(step) / 8).unwrap_or_default();
        let place = more | (word & OFFSET).saturating_add(eighths);
        with_place(*header, place, part)
    };
    Some(payload.chunks(step).enumerate().map(fragment).collect())
}

fn with_place(header: [u8; HEADER], place: u16, part: &[u8]) -> Vec<u8> {
    let length = u16::try_from(part.len()).unwrap_or_default().saturating_add(20);
    let mut fragment = header.to_vec();
    fragment.splice(2..4, length.to_be_bytes());
    fragment.splice(6..8, place.to_be_bytes());
    fragment.splice(10..12, [0, 0]);
    let sum = checksum(&fragment);
    fragment.splice(10..12, sum);
    fragment.extend(part);
    fragment
}

const HEADER: usize = 20;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1FFF;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: usize, word: u16) -> Vec<u8> {
        let octets: Vec<_> = (0..payload).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let header =
            [0x45, 0, 0, 0, 0xAB, 0xCD, 0, 0, 64, 17, 0, 0, 192, 168, 1, 3, 192, 168, 1, 20];
        with_place(header, word, &octets)
    }

    /// Length, more fragments, and place in eights of each
    fn told(fragments: &[Vec<u8>]) -> Vec<(usize, bool, u16)> {
        let tell = |fragment: &Vec<u8>| {
            assert_eq!(checksum(&fragment[..20]), [0, 0]);
            assert_eq!(fragment[4..6], [0xAB, 0xCD]);
            assert_eq!(usize::from(fragment[2]) << 8 | usize::from(fragment[3]), fragment.len());
            let word = u16::from_be_bytes([fragment[6], fragment[7]]);
            (fragment.len(), word & MORE_FRAGMENTS > 0, word & OFFSET)
        };
        fragments.iter().map(tell).collect()
    }

    #[test]
    fn rfc_791_a_packet_is_cut_where_eight_divides() {
        let whole = packet(1480, 0);
        let cut = fragments(&whole, 1396).unwrap();
        assert_eq!(told(&cut), [(1396, true, 0), (124, false, 172)]);
        let octets: Vec<_> = cut.iter().flat_map(|fragment| &fragment[20..]).copied().collect();
        assert_eq!(octets, whole[20..]);
    }

    #[test]
    fn a_fragment_is_cut_once_more_and_only_the_datagrams_end_is_an_end() {
        let middle = fragments(&packet(1480, MORE_FRAGMENTS + 185), 800).unwrap();
        assert_eq!(told(&middle), [(796, true, 185), (724, true, 282)]);
        let last = fragments(&packet(1000, 370), 800).unwrap();
        assert_eq!(told(&last), [(796, true, 370), (244, false, 467)]);
    }

    #[test]
    fn what_fits_or_must_not_be_cut_is_left_alone() {
        assert_eq!(fragments(&packet(1376, 0), 1396), None);
        assert_eq!(fragments(&packet(1480, DONT_FRAGMENT), 1396), None);
        assert_eq!(fragments(&packet(1480, 0), 20), None);
        assert_eq!(fragments(&packet(1480, 0)[..19], 1396), None);
    }
}
