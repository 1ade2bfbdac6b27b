//! ICMP messages of the building's router about packets that it does not deliver (RFC 792, RFC 1812
//! §5.2.7, §5.3.1)

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use crate::ROUTER;

/// Destination unreachable, host unreachable, about a packet; `None` where RFC 1122 §3.2.2 forbids it
///
/// No answer is made to an ICMP error, to a fragment other than the first, or to a packet with a
/// broken header.
pub(crate) fn host_unreachable(about: &[u8]) -> Option<Vec<u8>> {
    error([3, 1], about)
}

/// Time exceeded in transit, about a packet; `None` for the same packets
pub(crate) fn time_exceeded(about: &[u8]) -> Option<Vec<u8>> {
    error([11, 0], about)
}

/// An ICMP error with this type and code
fn error(kind: [u8; 2], about: &[u8]) -> Option<Vec<u8>> {
    let (fixed, _) = about.split_first_chunk::<20>()?;
    let &[version_ihl, .., a, b, c, d, _, _, _, _] = fixed;
    let &[_, _, _, _, _, _, fragment_high, fragment_low, _, protocol, ..] = fixed;
    let (header, payload) =
        about.split_at_checked(usize::from(version_ihl & 0x0F).checked_mul(4)?)?;
    let offset = u16::from_be_bytes([fragment_high, fragment_low]) & 0x1FFF;
    let answerable = protocol != ICMP || QUERIES.contains(payload.first()?);
    let well_formed = version_ihl >> 4 == 4 && checksum(header) == [0, 0];
    (well_formed && offset == 0 && answerable)
        .then(|| compose(kind, Ipv4Addr::new(a, b, c, d), about.get(..MAX_QUOTED).unwrap_or(about)))
}

fn compose(kind: [u8; 2], to: Ipv4Addr, quoted: &[u8]) -> Vec<u8> {
    let mut message = [&kind[..], &[0; 6], quoted].concat();
    let sum = checksum(&message);
    message.splice(2..4, sum);
    let length = u16::try_from(message.len()).unwrap_or_default().saturating_add(20).to_be_bytes();
    // precedence "internetwork control" (RFC 1812 §4.3.2.5), 64 hops
    let mut packet = vec![0x45, 0xC0, length[0], length[1], 0, 0, 0, 0, 64, ICMP, 0, 0];
    packet.extend(ROUTER.octets());
    packet.extend(to.octets());
    let sum = checksum(&packet);
    packet.splice(10..12, sum);
    packet.extend(message);
    packet
}

/// RFC 1071
pub(crate) fn checksum(octets: &[u8]) -> [u8; 2] {
    let words = octets.chunks(2).map(|word| match *word {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(u16::from_be_bytes([high, 0])),
        _ => 0,
    });
    let sum = words.fold(0, u32::saturating_add);
    let folded = (sum & 0xFFFF).saturating_add(sum >> 16);
    let folded = (folded & 0xFFFF).saturating_add(folded >> 16);
    (!u16::try_from(folded).unwrap_or_default()).to_be_bytes()
}

/// Rate limit of ICMP messages to a client, as a number in each second (RFC 1812 §4.3.2.8)
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    since: Option<Instant>,
    left: u32,
}

impl Allowance {
    /// Returns true if one more message may be sent, and counts it
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let second = Duration::from_secs(1);
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= second) {
            *self = Self { since: Some(now), left: MAX_PER_SECOND };
        }
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or_default();
        left.is_some()
    }
}

const ICMP: u8 = 1;

/// ICMP messages that are not answers: echo, timestamp, information and address mask
const QUERIES: [u8; 4] = [8, 13, 15, 17];

/// Octets of the packet that go back with the message: 576 with it, as RFC 1812 §4.3.2.3 wants
const MAX_QUOTED: usize = 576 - 28;

const MAX_PER_SECOND: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN's IPv4 header from 192.168.1.20 to 192.168.1.99, and some octets behind it
    fn packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, protocol, 0, 0];
        packet.extend([192, 168, 1, 20, 192, 168, 1, 99]);
        let sum = checksum(&packet);
        packet.splice(10..12, sum);
        packet.extend(payload);
        packet
    }

    #[test]
    fn rfc_792_host_unreachable_quotes_the_packet() {
        let about = packet(6, &[0xC0, 1, 0, 80, 1, 2, 3, 4]);
        let answer = host_unreachable(&about).unwrap();
        assert_eq!(answer[..4], [0x45, 0xC0, 0, 56]);
        assert_eq!(answer[12..20], [192, 168, 1, 1, 192, 168, 1, 20]);
        assert_eq!(answer[20..22], [3, 1]);
        assert_eq!(answer[28..], about);
        assert_eq!((checksum(&answer[..20]), checksum(&answer[20..])), ([0, 0], [0, 0]));
    }

    #[test]
    fn rfc_792_time_exceeded_quotes_the_packet() {
        let about = packet(17, &[0xC0, 1, 0, 9, 0, 8, 0, 0]);
        let answer = time_exceeded(&about).unwrap();
        assert_eq!((&answer[20..22], &answer[28..]), (&[11, 0][..], &about[..]));
        assert_eq!((checksum(&answer[..20]), checksum(&answer[20..])), ([0, 0], [0, 0]));
    }

    #[test]
    fn rfc_1812_no_more_than_576_octets() {
        let answer = host_unreachable(&packet(17, &[7; 1380])).unwrap();
        assert_eq!((answer.len(), &answer[2..4]), (576, &[2, 64][..]));
        assert_eq!(checksum(&answer[20..]), [0, 0]);
    }

    #[test]
    fn rfc_1122_what_must_not_be_answered() {
        assert!(host_unreachable(&packet(ICMP, &[8, 0, 0, 0])).is_some(), "an echo request");
        for kind in [0, 3, 5, 11, 12] {
            assert_eq!(host_unreachable(&packet(ICMP, &[kind, 0, 0, 0])), None, "type {kind}");
        }
        assert_eq!(host_unreachable(&packet(ICMP, &[])), None);
        let mut later = packet(17, &[0; 8]);
        later.splice(6..8, [0, 1]);
        later.splice(10..12, [0, 0]);
        let sum = checksum(&later[..20]);
        later.splice(10..12, sum);
        assert_eq!(host_unreachable(&later), None, "not the first fragment");
        let whole = packet(17, &[0; 8]);
        for (at, wrong) in [(0, 0x65), (0, 0x4F), (0, 0x44), (8, 63)] {
            let mut broken = whole.clone();
            broken[at] = wrong;
            assert_eq!(host_unreachable(&broken), None, "octet {at} = {wrong:#x}");
        }
        for length in 0..20 {
            assert_eq!(host_unreachable(&whole[..length]), None, "{length} octets");
        }
    }

    #[test]
    fn a_client_is_told_a_hundred_times_a_second() {
        let mut allowance = Allowance::default();
        let start = tokio::time::Instant::now().into_std();
        for second in 0..3 {
            let now = start + Duration::from_secs(second);
            assert_eq!((0..1000).filter(|_| allowance.take(now)).count(), 100);
        }
    }
}
