//! The protocols of a link, and the values by which LCP and CCP name authentication and encryption

use std::fmt;

use pptp_mppe::KeyStrength;

use super::frame;

/// A protocol with a negotiation of its own
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// Link Control Protocol, C021
    Lcp,
    /// Password Authentication Protocol, C023
    Pap,
    /// Challenge Handshake Authentication Protocol, C223
    Chap,
    /// Extensible Authentication Protocol, C227
    Eap,
    /// Compression Control Protocol, 80FD: negotiates MPPE
    Ccp,
    /// IP Control Protocol, 8021
    Ipcp,
    /// IPv6 Control Protocol, 8057
    Ipv6cp,
}

impl Protocol {
    /// Its number in the PPP header
    pub const fn number(self) -> u16 {
        match self {
            Self::Lcp => frame::LCP,
            Self::Pap => frame::PAP,
            Self::Chap => frame::CHAP,
            Self::Eap => frame::EAP,
            Self::Ccp => frame::CCP,
            Self::Ipcp => frame::IPCP,
            Self::Ipv6cp => frame::IPV6CP,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lcp => "LCP",
            Self::Pap => "PAP",
            Self::Chap => "CHAP",
            Self::Eap => "EAP",
            Self::Ccp => "CCP",
            Self::Ipcp => "IPCP",
            Self::Ipv6cp => "IPV6CP",
        })
    }
}

/// The proof of a client's identity: the value of LCP's Authentication-Protocol option (RFC 1661 §6.2)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthenticationProtocol {
    /// C023: the password in the clear
    Pap,
    /// C227: Extensible Authentication Protocol, with MS-CHAPv2 inside where it is agreed to
    Eap,
    /// C227 with an EAP method other than MS-CHAPv2 (RFC 3748 §5)
    EapMethod(u8),
    /// C223 05: CHAP with MD5
    ChapMd5,
    /// C223 80: MS-CHAP version 1
    MsChapV1,
    /// C223 81: MS-CHAP version 2
    MsChapV2,
    /// C223 with an algorithm this crate has no name for
    ChapOther(u8),
    /// A protocol this crate has no name for
    Other(u16),
}

impl AuthenticationProtocol {
    /// Reads the option's value; `None` if it is too short for any
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (protocol, rest) = value.split_first_chunk()?;
        Some(match (u16::from_be_bytes(*protocol), rest) {
            (frame::PAP, _) => Self::Pap,
            (frame::EAP, _) => Self::Eap,
            (frame::CHAP, [0x05, ..]) => Self::ChapMd5,
            (frame::CHAP, [0x80, ..]) => Self::MsChapV1,
            (frame::CHAP, [0x81, ..]) => Self::MsChapV2,
            (frame::CHAP, [algorithm, ..]) => Self::ChapOther(*algorithm),
            (other, _) => Self::Other(other),
        })
    }

    /// The value of the option that asks for this protocol; empty if this crate does not know it
    pub(crate) const fn option_value(self) -> &'static [u8] {
        match self {
            Self::Pap => &[0xC0, 0x23],
            Self::Eap | Self::EapMethod(_) => &[0xC2, 0x27],
            Self::ChapMd5 => &[0xC2, 0x23, 0x05],
            Self::MsChapV1 => &[0xC2, 0x23, 0x80],
            Self::MsChapV2 => &[0xC2, 0x23, 0x81],
            Self::ChapOther(_) | Self::Other(_) => &[],
        }
    }

    /// The option's value, of CHAP with its algorithm: C227, C22381
    pub const fn number(self) -> u32 {
        match self {
            Self::Pap => 0xC023,
            Self::Eap | Self::EapMethod(_) => 0xC227,
            Self::ChapMd5 => 0xC2_2305,
            Self::MsChapV1 => 0xC2_2380,
            Self::MsChapV2 => 0xC2_2381,
            Self::ChapOther(algorithm) => 0xC2_2300 | algorithm as u32,
            Self::Other(protocol) => protocol as u32,
        }
    }

    /// Returns true if MPPE has keys to begin with after it (RFC 3079)
    pub const fn leaves_keys(self) -> bool {
        matches!(self, Self::MsChapV1 | Self::MsChapV2 | Self::Eap)
    }

    /// Returns true if the server has proven too that it knows the password
    pub const fn proves_server(self) -> bool {
        matches!(self, Self::MsChapV2 | Self::Eap)
    }
}

impl fmt::Display for AuthenticationProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pap => f.write_str("PAP"),
            Self::Eap => f.write_str("EAP"),
            Self::EapMethod(4) => f.write_str("EAP-MD5"),
            Self::EapMethod(13) => f.write_str("EAP-TLS"),
            Self::EapMethod(25) => f.write_str("PEAP"),
            Self::EapMethod(method) => write!(f, "EAP with method {method}"),
            Self::ChapMd5 => f.write_str("CHAP-MD5"),
            Self::MsChapV1 => f.write_str("MS-CHAPv1"),
            Self::MsChapV2 => f.write_str("MS-CHAPv2"),
            Self::ChapOther(algorithm) => write!(f, "CHAP with algorithm {algorithm:02x}"),
            Self::Other(protocol) => write!(f, "protocol {protocol:04x}"),
        }
    }
}

/// The Supported Bits of CCP's MPPE option (RFC 3078 §2.1)
///
/// Displayed as RRAS and pppd log them: `+H+S` for 128-bit stateless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MppeBits(pub u32);

impl MppeBits {
    /// H and S: stateless, 128 bit
    pub const STATELESS_128: Self = Self(0x0100_0040);
    /// H, M, S, L and C: what RRAS offers
    pub const ANY: Self = Self(0x0100_00E1);
    /// H and C: compression alone, what RRAS offers with encryption switched off
    pub const MPPC: Self = Self(0x0100_0001);

    pub(crate) const STATELESS: u32 = 0x0100_0000;
    /// The three strengths, strongest first
    const STRENGTHS: [(u32, KeyStrength); 3] =
        [(0x40, KeyStrength::Bits128), (0x80, KeyStrength::Bits56), (0x20, KeyStrength::Bits40)];

    /// Every strength from `least` to `most`
    pub(crate) fn at_least(least: KeyStrength, most: KeyStrength) -> Self {
        let strengths = Self::STRENGTHS.iter().filter(|(_, it)| (least..=most).contains(it));
        Self(strengths.fold(0, |bits, (bit, _)| bits | bit))
    }

    pub(crate) const fn with(self, bits: u32) -> Self {
        Self(self.0 | bits)
    }

    pub(crate) const fn stateless(self) -> Self {
        self.with(Self::STATELESS)
    }

    pub(crate) const fn is_stateless(self) -> bool {
        self.0 & Self::STATELESS != 0
    }

    /// The strengths offered, strongest first
    pub(crate) fn strengths(self) -> impl Iterator<Item = KeyStrength> {
        let offered = Self::STRENGTHS.into_iter().filter(move |(bit, _)| self.0 & bit != 0);
        offered.map(|(_, strength)| strength)
    }

    /// Returns true if no strength and no compression is named, with or without the stateless bit
    pub const fn is_none(self) -> bool {
        self.0 & !Self::STATELESS == 0
    }
}

impl fmt::Display for MppeBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u32, &str); 6] = [
            (MppeBits::STATELESS, "+H"),
            (0x80, "+M"),
            (0x40, "+S"),
            (0x20, "+L"),
            (0x10, "+D"),
            (0x01, "+C"),
        ];
        if self.is_none() {
            return f.write_str("no encryption");
        }
        NAMES
            .iter()
            .filter(|(bit, _)| self.0 & bit != 0)
            .try_for_each(|(_, name)| f.write_str(name))
    }
}
