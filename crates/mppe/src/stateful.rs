//! Stateful sessions: one RC4 stream for many frames (RFC 3078 §7.3, §8.2)
//!
//! A lost frame takes the key stream out of step, so the receiver asks for a reset (CCP's
//! Reset-Request) and can open nothing until a frame with the A bit comes. After such a reset key
//! stream is used twice under one reading, and under both an observer learns where it was: RFC 3078
//! says itself that stateless sessions are the safer ones. They are here for servers that have
//! nothing else.

mod decryptor;
mod encryptor;
mod stream;
#[cfg(test)]
mod tests;

pub use decryptor::StatefulDecryptor;
pub use encryptor::StatefulEncryptor;

/// What a frame with the A bit does to the keys of a stateful session: two incompatible readings
///
/// They differ after the first lost frame only, and then for good: nothing that follows can be
/// opened by a peer of the other reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatefulReset {
    /// RC4 begins anew with the key there is (RFC 3078 §7.3 and §8.2; FreeBSD)
    Rfc,
    /// A new key is derived first (Linux, lwIP)
    Linux,
}

/// A count whose low octet is this one changes the key: a *flag* frame (RFC 3078 §7.3)
const FLAG: u16 = 0xFF;

const fn is_flag(coherency_count: u16) -> bool {
    coherency_count & FLAG == FLAG
}
