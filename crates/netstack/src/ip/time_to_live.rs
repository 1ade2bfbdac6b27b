//! The time to live of a packet (RFC 791 §3.2)

use crate::SocketError;

/// A time to live that a packet can leave with
pub(crate) fn hop_limit(ttl: u32) -> Result<u8, SocketError> {
    u8::try_from(ttl).ok().filter(|ttl| *ttl > 0).ok_or(SocketError::TimeToLive)
}

/// The time to live that RFC 1700 recommends
pub(crate) const HOP_LIMIT: u8 = 64;
