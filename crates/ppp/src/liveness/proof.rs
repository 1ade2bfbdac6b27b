//! Packets that prove the data path: an ICMP Echo-Request to the peer, and one that its router must
//! turn back (RFC 792)

use std::net::Ipv4Addr;

/// A destination that lies behind every peer and exists nowhere (TEST-NET-1, RFC 5737)
pub(crate) const TEST_NET_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Octets of a proof packet: IPv4 header, ICMP header and the cookie
pub(crate) const PROOF_LEN: usize = 36;

/// The two kinds of packets that ask for a proof
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProofPacket {
    /// An Echo-Request to an address that should answer it
    Ping,
    /// An Echo-Request with a TTL of 1 to [`TEST_NET_ADDRESS`]: a router answers with an ICMP error
    ExpiringPing,
}

/// The answers that prove a path
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProofAnswer {
    /// An Echo-Reply with our cookie
    EchoReply,
    /// An ICMP error that quotes our packet
    IcmpError,
}

/// An answer, and the sequence number of the packet that it answers
pub(crate) type Answered = (ProofAnswer, u16);

/// The fields that all proof packets of one link share
///
/// `cookie` is secret: it keeps a host that sees none of these packets from answering them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) cookie: [u8; 8],
}

impl std::fmt::Debug for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mark").finish_non_exhaustive()
    }
}

impl Mark {
    /// The ICMP identifier, drawn from the cookie
    const fn identifier(self) -> [u8; 2] {
        let [.., high, low] = self.cookie;
        [high, low]
    }

    /// Builds the packet number `sequence` from `source` to `target`
    pub(crate) fn emit(
        self,
        packet_kind: ProofPacket,
        source: Ipv4Addr,
        target: Ipv4Addr,
        sequence: u16,
    ) -> [u8; PROOF_LEN] {
        let ttl = if packet_kind == ProofPacket::ExpiringPing { 1 } else { TTL };
        let [id_high, id_low] = self.identifier();
        let [high, low] = sequence.to_be_bytes();
        let mut icmp = [ECHO_REQUEST, 0, 0, 0, id_high, id_low, high, low, 0, 0, 0, 0, 0, 0, 0, 0];
        if let Some(data) = icmp.last_chunk_mut() {
            *data = self.cookie;
        }
        put_checksum(&mut icmp, 2);
        let [s0, s1, s2, s3] = source.octets();
        let [t0, t1, t2, t3] = target.octets();
        let length = PROOF_LEN.to_be_bytes();
        let mut header = [
            0x45,
            0,
            0,
            *length.last().unwrap_or(&0),
            high,
            low,
            0,
            0,
            ttl,
            ICMP,
            0,
            0,
            s0,
            s1,
            s2,
            s3,
            t0,
            t1,
            t2,
            t3,
        ];
        put_checksum(&mut header, 10);
        let mut packet = [0; PROOF_LEN];
        for (octet, value) in packet.iter_mut().zip(header.into_iter().chain(icmp)) {
            *octet = value;
        }
        packet
    }

    /// Recognizes an answer to one of these packets, sent from `source`
    ///
    /// An error quotes the header and 8 octets only, so it is recognized by its identifier and by where the
    /// packet went: to `target`, or to [`TEST_NET_ADDRESS`].
    pub(crate) fn recognize(
        self,
        packet: &[u8],
        source: Ipv4Addr,
        target: impl FnOnce() -> Option<Ipv4Addr>,
    ) -> Option<Answered> {
        let (header, icmp) = split(packet)?;
        if header.get(16..20) != Some(&source.octets()) {
            return None;
        }
        match *icmp.first()? {
            ECHO_REPLY => {
                let sequence = self.sequence(icmp)?;
                (icmp.get(8..16) == Some(&self.cookie))
                    .then_some((ProofAnswer::EchoReply, sequence))
            }
            DESTINATION_UNREACHABLE | TIME_EXCEEDED => {
                let (quoted, inner) = split(icmp.get(8..)?)?;
                let sequence = self.sequence(inner)?;
                let went_to = |address: Ipv4Addr| quoted.get(16..20) == Some(&address.octets());
                let is_ours = quoted.get(12..16) == Some(&source.octets())
                    && inner.first() == Some(&ECHO_REQUEST)
                    && (went_to(TEST_NET_ADDRESS) || target().is_some_and(went_to));
                is_ours.then_some((ProofAnswer::IcmpError, sequence))
            }
            _ => None,
        }
    }

    /// The sequence number of an echo message with our identifier
    fn sequence(self, icmp: &[u8]) -> Option<u16> {
        if icmp.get(4..6) != Some(&self.identifier()) {
            return None;
        }
        icmp.get(6..8)?.first_chunk().copied().map(u16::from_be_bytes)
    }
}

/// Splits an IPv4 packet with ICMP in it into its header and the ICMP message
fn split(packet: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = packet.first()?;
    let length = usize::from(first & 0x0F).saturating_mul(4);
    if first >> 4 != 4 || length < 20 || packet.get(9) != Some(&ICMP) {
        return None;
    }
    packet.split_at_checked(length)
}

/// Writes the Internet checksum (RFC 1071) of `octets` at `at`, where there are zeros
fn put_checksum(octets: &mut [u8], at: usize) {
    let words = octets.chunks(2).map(|word| match word {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(u16::from_be_bytes([*high, 0])),
        _ => 0,
    });
    let mut sum = words.fold(0_u32, u32::saturating_add);
    while let Some(carry) = Some(sum >> 16).filter(|carry| *carry > 0) {
        sum = (sum & 0xFFFF).saturating_add(carry);
    }
    let checksum = u16::try_from(sum).map_or(0, |sum| !sum).to_be_bytes();
    let end = at.saturating_add(2);
    if let Some(field) = octets.get_mut(at..end) {
        field.copy_from_slice(&checksum);
    }
}

const TTL: u8 = 64;
const ICMP: u8 = 1;
const ECHO_REPLY: u8 = 0;
const DESTINATION_UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;

#[cfg(test)]
mod tests {
    use super::*;

    const US: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);
    const PEER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
    const MARK: Mark = Mark { cookie: [1, 2, 3, 4, 5, 6, 7, 8] };

    fn sum(octets: &[u8]) -> u16 {
        let words = octets.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
        let sum: u32 = words.sum();
        u16::try_from((sum & 0xFFFF) + (sum >> 16)).unwrap()
    }

    /// The Echo-Reply to a request
    fn reply(request: &[u8]) -> Vec<u8> {
        let mut reply = request.to_vec();
        reply[12..16].copy_from_slice(&request[16..20]);
        reply[16..20].copy_from_slice(&request[12..16]);
        reply[20] = ECHO_REPLY;
        reply
    }

    /// A router's error about a request, with as much of it as RFC 792 wants
    fn error(request: &[u8], kind: u8) -> Vec<u8> {
        let mut error = reply(request)[..20].to_vec();
        error[12..16].copy_from_slice(&[203, 0, 113, 9]);
        error.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
        error.extend(&request[..28]);
        error
    }

    #[test]
    fn a_ping_is_a_valid_echo_request() {
        let packet = MARK.emit(ProofPacket::Ping, US, PEER, 0x1234);
        assert_eq!((sum(&packet[..20]), sum(&packet[20..])), (0xFFFF, 0xFFFF));
        assert_eq!((packet[0], packet[3], packet[8], packet[9]), (0x45, 36, 64, 1));
        assert_eq!((&packet[12..16], &packet[16..20]), (&US.octets()[..], &PEER.octets()[..]));
        assert_eq!(packet[20..28], [8, 0, packet[22], packet[23], 7, 8, 0x12, 0x34]);
        let expiring = MARK.emit(ProofPacket::ExpiringPing, US, TEST_NET_ADDRESS, 1);
        assert_eq!((expiring[8], sum(&expiring[..20])), (1, 0xFFFF));
    }

    #[test]
    fn answers_are_recognized_and_others_are_not() {
        let packet = MARK.emit(ProofPacket::Ping, US, PEER, 7);
        let recognize = |packet: &[u8]| MARK.recognize(packet, US, || Some(PEER));
        assert_eq!(recognize(&reply(&packet)), Some((ProofAnswer::EchoReply, 7)));
        for kind in [DESTINATION_UNREACHABLE, TIME_EXCEEDED] {
            assert_eq!(recognize(&error(&packet, kind)), Some((ProofAnswer::IcmpError, 7)));
        }
        assert_eq!(recognize(&packet), None, "our own packet");
        assert_eq!(recognize(&error(&packet, 5)), None, "a redirect");
        assert_eq!(MARK.recognize(&reply(&packet), PEER, || None), None, "for another address");
        let elsewhere =
            error(&MARK.emit(ProofPacket::Ping, US, Ipv4Addr::new(192, 168, 1, 9), 7), 3);
        assert_eq!(recognize(&elsewhere), None, "about a user's ping");
        let beyond =
            error(&MARK.emit(ProofPacket::ExpiringPing, US, TEST_NET_ADDRESS, 8), TIME_EXCEEDED);
        assert_eq!(MARK.recognize(&beyond, US, || None), Some((ProofAnswer::IcmpError, 8)));
        let other = Mark { cookie: [9, 2, 3, 4, 5, 6, 7, 8] };
        assert_eq!(other.recognize(&reply(&packet), US, || Some(PEER)), None, "a user's ping");
        for length in 0..reply(&packet).len() {
            assert_eq!(recognize(&reply(&packet)[..length]), None, "{length}");
        }
        for length in 0..error(&packet, 11).len() {
            assert_eq!(recognize(&error(&packet, 11)[..length]), None, "{length}");
        }
    }

    #[test]
    fn the_cookie_is_in_no_debug_output() {
        assert_eq!(format!("{MARK:?}"), "Mark { .. }");
    }
}
