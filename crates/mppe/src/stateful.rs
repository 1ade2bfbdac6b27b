//! Stateful sessions: one RC4 stream for many frames (RFC 3078 §7.3, §8.2)
//!
//! A lost frame takes the key stream out of step, so the receiver asks for a reset (CCP's
//! Reset-Request) and can open nothing until a frame with the A bit comes. After such a reset key
//! stream is used twice under one reading, and under both an observer learns where it was: RFC 3078
//! says itself that stateless sessions are the safer ones. They are here for servers that have
//! nothing else.

mod decryptor;
mod encryptor;
mod reset;
mod stream;
#[cfg(test)]
mod tests;

pub use decryptor::StatefulDecryptor;
pub use encryptor::StatefulEncryptor;
pub use reset::StatefulReset;
