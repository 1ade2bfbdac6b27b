//! The server's IPv6, which is only this: it answers IPv6 echo requests (RFC 4443 §4.1)

/// The reply to an echo request, if the packet is one
///
/// Only the addresses, which change places, the type, and so the checksum are changed.
pub(crate) fn echo_reply(packet: &[u8]) -> Option<Vec<u8>> {
    let mut reply = packet.to_vec();
    let (header, message) = reply.split_at_mut_checked(HEADER)?;
    let (_, addresses) = header.split_at_mut_checked(8)?;
    let (source, destination) = addresses.split_at_mut_checked(16)?;
    let [ECHO_REQUEST, 0, high, low, ..] = message else { return None };
    if packet.get(6) != Some(&ICMPV6) {
        return None;
    }
    source.swap_with_slice(destination);
    let checksum = u16::from_be_bytes([*high, *low]);
    let (sum, overflows) = checksum.overflowing_sub(0x0100);
    let checksum = sum.wrapping_sub(u16::from(overflows)).to_be_bytes();
    let [kind, _, high, low, ..] = message else { return None };
    *kind = ECHO_REPLY;
    [*high, *low] = checksum;
    Some(reply)
}

const HEADER: usize = 40;
const ICMPV6: u8 = 58;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
