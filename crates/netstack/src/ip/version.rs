//! The versions of IP, and the lengths of headers

/// A version of IP
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V4,
    V6,
}

/// Octets of an IPv4 header without options (RFC 791 §3.1)
pub(crate) const IPV4_HEADER: usize = 20;

/// Octets of an IPv6 header without extension headers (RFC 8200 §3)
pub(crate) const IPV6_HEADER: usize = 40;

/// Octets of a TCP header without options (RFC 9293 §3.1)
pub(crate) const TCP_HEADER: usize = 20;

/// Octets of a UDP header (RFC 768)
pub(crate) const UDP_HEADER: usize = 8;

/// Octets of the header of an echo request (RFC 792, RFC 4443 §4.1)
pub(crate) const ECHO_HEADER: usize = 8;

impl Version {
    /// Octets of a header without options and without extension headers
    pub(crate) const fn header_len(self) -> usize {
        match self {
            Self::V4 => IPV4_HEADER,
            Self::V6 => IPV6_HEADER,
        }
    }

    /// Octets of the largest payload behind that header: the length field of IPv4 counts the header as well
    pub(crate) const fn max_payload(self) -> usize {
        match self {
            Self::V4 => MAX_LENGTH - IPV4_HEADER,
            Self::V6 => MAX_LENGTH,
        }
    }
}

/// Octets of the IP header of a packet, with the options of IPv4; extension headers of IPv6 are not looked at
///
/// `None` if the packet is of no version that is known.
pub(crate) fn header_len(packet: &[u8]) -> Option<usize> {
    let [version_ihl, ..] = packet else { return None };
    match version_ihl >> 4 {
        4 => Some(usize::from(version_ihl & 0x0F).saturating_mul(4)),
        6 => Some(IPV6_HEADER),
        _ => None,
    }
}

/// The largest number in the length field of either version
const MAX_LENGTH: usize = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_as_long_as_its_version_and_its_options_make_it() {
        assert_eq!([Version::V4.header_len(), Version::V6.header_len()], [20, 40]);
        assert_eq!([Version::V4.max_payload(), Version::V6.max_payload()], [65_515, 65_535]);
        assert_eq!(header_len(&[0x45, 0]), Some(20));
        assert_eq!(header_len(&[0x4F, 0]), Some(60));
        assert_eq!(header_len(&[0x60, 0]), Some(40));
        for unknown in [&[][..], &[0x05], &[0x55], &[0xF5]] {
            assert_eq!(header_len(unknown), None, "{unknown:?}");
        }
    }
}
