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

/// Two incompatible readings of the A bit in a stateful session: its effect on the keys
///
/// They differ only after the first lost frame, and then for good: a peer with the other reading
/// cannot open any later frame.
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
