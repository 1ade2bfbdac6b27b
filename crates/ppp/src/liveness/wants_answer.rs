//! A check if an IP packet asks for an answer

/// Returns true if a packet asks for an answer, so that a missing answer is a silence
///
/// A TCP segment without data, SYN or FIN asks for none (RFC 9293 §3.10.7.4), nor does an ICMP error or an
/// Echo-Reply (RFC 1122 §3.2.2). Such a packet ends most exchanges. What cannot be read asks for one.
pub fn wants_answer(packet: &[u8]) -> bool {
    let Some((header, body)) = split(packet) else { return true };
    match header.get(9).copied() {
        Some(TCP) => segment_wants_answer(body).unwrap_or(true),
        Some(ICMP) => body.first().is_none_or(|kind| QUESTIONS.contains(kind)),
        _ => true,
    }
}

/// Splits an IPv4 packet that is no later fragment into its header and its payload
fn split(packet: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = packet.first().filter(|first| **first >> 4 == 4)?;
    let total = u16::from_be_bytes(*packet.get(2..4)?.first_chunk()?);
    let fragment = u16::from_be_bytes(*packet.get(6..8)?.first_chunk()?);
    let packet = packet.get(..total.into())?;
    let header = usize::from(first & 0x0F).saturating_mul(4);
    packet.split_at_checked(header).filter(|_| fragment.trailing_zeros() >= FRAGMENT_OFFSET_BITS)
}

fn segment_wants_answer(segment: &[u8]) -> Option<bool> {
    let offset = usize::from(segment.get(12)? >> 4).saturating_mul(4);
    let flags = *segment.get(13)?;
    let has_data = segment.len() > offset;
    Some(flags & RST == 0 && (has_data || flags & (SYN | FIN) != 0))
}

/// The Fragment Offset is the lower part of its word (RFC 791 §3.1)
const FRAGMENT_OFFSET_BITS: u32 = 13;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
/// Echo, Timestamp, Information and Address Mask Requests
const QUESTIONS: [u8; 4] = [8, 13, 15, 17];

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(protocol: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(20 + body.len()).unwrap();
        let mut packet = vec![0x45, 0, 0, length, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(body);
        packet
    }

    fn segment(flags: u8, data: &[u8]) -> Vec<u8> {
        let mut segment = [0; 20].to_vec();
        (segment[12], segment[13]) = (0x50, flags);
        segment.extend(data);
        packet(TCP, &segment)
    }

    #[test]
    fn an_acknowledgment_a_reset_and_a_reply_ask_for_nothing() {
        let ack = 0x10;
        for silent in [segment(ack, b""), segment(ack | RST, b""), segment(RST, b"")] {
            assert!(!wants_answer(&silent), "{silent:?}");
        }
        for asking in [segment(SYN, b""), segment(ack | FIN, b""), segment(ack, b"x")] {
            assert!(wants_answer(&asking), "{asking:?}");
        }
        for (kind, wants) in [(0, false), (3, false), (8, true), (11, false), (13, true)] {
            assert_eq!(wants_answer(&packet(ICMP, &[kind, 0, 0, 0])), wants, "{kind}");
        }
        assert!(wants_answer(&packet(17, &[0; 8])));
    }

    #[test]
    fn what_cannot_be_read_asks_for_one() {
        let ack = segment(0x10, b"");
        for length in 0..ack.len() {
            assert!(wants_answer(&ack[..length]), "{length}");
        }
        let mut fragment = ack.clone();
        fragment[7] = 1;
        assert!(wants_answer(&fragment));
        let mut padded = ack;
        padded.push(0);
        assert!(!wants_answer(&padded), "octets behind the total length are no data");
    }
}
