//! The strength of a session's keys

/// The secret part of the session keys (RFC 3078 §2)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyStrength {
    /// 8-octet keys of which the first three octets are known
    Bits40,
    /// 8-octet keys of which the first octet is known
    Bits56,
    /// 16-octet keys
    Bits128,
}
