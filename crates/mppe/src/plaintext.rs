//! The plausibility check: a key is right if it gives an IP packet

use crate::{
    key::{KeyChain, SessionKey},
    rc4::Rc4,
};

/// The protocol field in front of a packet
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plaintext {
    /// The inner protocol
    pub(crate) protocol: u16,
    /// Octets of the protocol field: 2, or 1 if the peer compresses it
    pub(crate) protocol_len: usize,
}

/// Decrypts in place if the plaintext is plausible; otherwise leaves the octets unchanged
///
/// A wrong key costs its schedule and [`HEAD`] octets, not the whole frame.
pub(crate) fn open(chain: &KeyChain, key: &SessionKey, ciphertext: &mut [u8]) -> Option<Plaintext> {
    chain.with_cipher(key, |cipher| open_with(cipher, ciphertext))
}

/// Decrypts like [`open`] with a given cipher, which moves on even if the plaintext is not
/// plausible
#[inline]
pub(crate) fn open_with(cipher: &mut Rc4, ciphertext: &mut [u8]) -> Option<Plaintext> {
    let length = ciphertext.len();
    let (head, rest) = ciphertext.split_at_mut(HEAD.min(length));
    let mut saved = [0; HEAD];
    copy(head, &mut saved);
    cipher.apply(head);
    let plaintext = examine(head, length);
    match plaintext {
        Some(_) => cipher.apply(rest),
        None => copy(&saved, head),
    }
    plaintext
}

/// Returns true if octets look like an IPv4 packet: version, lengths and the header's checksum (RFC
/// 791 §3.1)
///
/// A [`Decryptor`](crate::Decryptor) applies this check to each frame. It is public for links
/// without encryption. Octets behind the packet's total length are allowed.
pub fn is_plausible_ipv4(packet: &[u8]) -> bool {
    ipv4(packet, packet.len())
}

fn copy(from: &[u8], to: &mut [u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

/// Reads the head of a plaintext of `length` octets
fn examine(head: &[u8], length: usize) -> Option<Plaintext> {
    let (protocol, packet) = match head {
        [low, packet @ ..] if low & 1 == 1 => (u16::from(*low), packet),
        [high, low, packet @ ..] => (u16::from_be_bytes([*high, *low]), packet),
        _ => return None,
    };
    let protocol_len = head.len().checked_sub(packet.len())?;
    let length = length.checked_sub(protocol_len)?;
    let plausible = match protocol {
        0x0021 => ipv4(packet, length),
        0x0057 => ipv6(packet, length, protocol_len == 1),
        _ => false,
    };
    plausible.then_some(Plaintext { protocol, protocol_len })
}

/// Returns true if version, header length, total length and header checksum are right (RFC 791
/// §3.1)
fn ipv4(packet: &[u8], length: usize) -> bool {
    let [first, _, high, low, ..] = packet else { return false };
    let header = usize::from(first & 0x0F).saturating_mul(4);
    let total = usize::from(u16::from_be_bytes([*high, *low]));
    let Some(octets) = packet.get(..header) else { return false };
    first >> 4 == 4
        && header >= 20
        && (header..=length).contains(&total)
        && ones_complement_sum(octets) == 0xFFFF
}

/// Returns true if version and payload length are right (RFC 8200 §3)
///
/// IPv6 has no header checksum. Behind a compressed protocol field, which has 8 bits less to tell
/// right from wrong, the payload must end where the frame ends.
fn ipv6(packet: &[u8], length: usize, exactly: bool) -> bool {
    let [first, _, _, _, high, low, ..] = packet else { return false };
    let total = usize::from(u16::from_be_bytes([*high, *low])).saturating_add(40);
    first >> 4 == 6 && if exactly { total == length } else { total <= length }
}

/// Returns FFFF if the checksum among the octets is right (RFC 1071)
///
/// The carry is added once. It is at most 1D for 30 words, so adding it cannot carry again and give
/// FFFF.
fn ones_complement_sum(octets: &[u8]) -> u32 {
    let (words, _) = octets.as_chunks::<2>();
    let sum: u32 = words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum();
    (sum >> 16).saturating_add(sum & 0xFFFF)
}

/// The protocol and the longest IPv4 header
const HEAD: usize = 2 + 60;

#[cfg(test)]
mod tests {
    use super::*;

    const IPV4: [u8; 22] = *b"\0\x21\x45\0\0\x14\0\0\x40\0\x40\x01\x26\xE7\x0A\0\0\x01\x0A\0\0\x02";

    fn protocol(octets: &[u8]) -> Option<u16> {
        examine(&octets[..octets.len().min(HEAD)], octets.len()).map(|p| p.protocol)
    }

    fn with(at: usize, octet: u8) -> Vec<u8> {
        let mut octets = IPV4.to_vec();
        octets[at] = octet;
        octets
    }

    #[test]
    fn ipv4_with_and_without_a_compressed_protocol() {
        assert_eq!(examine(&IPV4, 22), Some(Plaintext { protocol: 0x0021, protocol_len: 2 }));
        assert_eq!(examine(&IPV4[1..], 21), Some(Plaintext { protocol: 0x0021, protocol_len: 1 }));
    }

    #[test]
    fn ipv4_with_options_and_padding() {
        let mut octets = [&IPV4[..], &[1; 40]].concat();
        octets[2] = 0x4F;
        octets[5] = 60;
        octets[12..14].fill(0);
        let checksum = !u16::try_from(ones_complement_sum(&octets[2..62])).unwrap();
        octets[12..14].copy_from_slice(&checksum.to_be_bytes());
        octets.extend([9; 100]);
        assert_eq!(protocol(&octets), Some(0x0021));
    }

    #[test]
    fn ipv4_of_which_one_field_is_wrong() {
        let wrong = [
            (1, 0x23),  // protocol
            (2, 0x55),  // version
            (2, 0x44),  // header length below 5
            (2, 0x46),  // header longer than the frame
            (5, 21),    // total length beyond the frame
            (5, 19),    // total length within the header
            (13, 0xE8), // checksum
        ];
        for (at, octet) in wrong {
            let mut octets = with(at, octet);
            if at == 2 || at == 5 {
                octets[12..14].fill(0);
                let sum = ones_complement_sum(&octets[2..22]);
                octets[12..14].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
            }
            assert_eq!(protocol(&octets), None, "{at}: {octet:#x}");
        }
    }

    #[test]
    fn a_packet_in_the_clear_is_examined_as_well() {
        assert!(is_plausible_ipv4(&IPV4[2..]));
        assert!(is_plausible_ipv4(&[&IPV4[2..], &[7; 100]].concat()), "with octets behind it");
        for octets in [&IPV4[..], &IPV4[2..21], &[]] {
            assert!(!is_plausible_ipv4(octets));
        }
    }

    #[test]
    fn ipv6_must_fit() {
        let mut octets = [&[0, 0x57, 0x60, 0, 0, 0, 0, 8, 17, 64][..], &[0; 40]].concat();
        assert_eq!(octets.len(), 2 + 40 + 8);
        assert_eq!(protocol(&octets), Some(0x0057));
        assert_eq!(protocol(&octets[1..]), Some(0x0057));
        octets.push(0);
        assert_eq!(protocol(&octets), Some(0x0057));
        assert_eq!(protocol(&octets[1..]), None);
        assert_eq!(protocol(&octets[..49]), None);
        octets[2] = 0x40;
        assert_eq!(protocol(&octets), None);
    }

    #[test]
    fn no_prefix_is_plausible() {
        for length in 0..IPV4.len() {
            assert_eq!(protocol(&IPV4[..length]), None);
            assert_eq!(protocol(&[0x00, 0x57, 0x60, 0, 0, 0, 0, 0][..length.min(8)]), None);
        }
    }

    #[test]
    fn a_wrong_key_leaves_the_frame_as_it_was() {
        let chain = KeyChain::new(&[7; 16], crate::KeyStrength::Bits128);
        let (right, wrong) = (chain.initial(), chain.next(&chain.initial()));
        let mut frame = [&IPV4[..], &[3; 100]].concat();
        chain.with_cipher(&right, |cipher| cipher.apply(&mut frame));
        let sealed = frame.clone();
        assert_eq!(open(&chain, &wrong, &mut frame), None);
        assert_eq!(frame, sealed);
        assert!(open(&chain, &right, &mut frame).is_some());
        assert_eq!(frame, [&IPV4[..], &[3; 100]].concat());
    }
}
