//! Key changes in stateful sessions: flag frames and resets

/// A count whose low octet is this one changes the key: a *flag* frame (RFC 3078 §7.3)
pub(super) const FLAG: u16 = 0xFF;

/// Two incompatible readings of the A bit in a stateful session: its effect on the keys
///
/// They differ only after the first lost frame, and then for good: a peer with the other reading
/// cannot open any later frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatefulReset {
    /// RC4 begins again with the current key (RFC 3078 §7.3 and §8.2; FreeBSD)
    Rfc,
    /// A new key is derived first (Linux, lwIP)
    Linux,
}

/// Returns true if a frame with this count changes the key
pub(super) const fn is_flag(coherency_count: u16) -> bool {
    coherency_count & FLAG == FLAG
}
