//! The encryptor of stateless sessions (RFC 3078 §7.1)

use crate::{
    KeyStrength,
    header::Header,
    key::{KeyChain, SessionKey},
};

/// Encrypts one direction of a link, in place
///
/// The frames must reach the wire in the order in which they were sealed: many peers drop late
/// ones.
#[derive(Debug)]
pub struct Encryptor {
    chain: KeyChain,
    key: SessionKey,
    coherency_count: u16,
}

impl Encryptor {
    /// A stateless session, before its first frame (RFC 3078 §7.1)
    ///
    /// 40 and 56 bits use the first 8 octets of the start key.
    pub fn stateless(start_key: &[u8; 16], strength: KeyStrength) -> Self {
        let chain = KeyChain::new(start_key, strength);
        let key = chain.initial();
        Self { chain, key, coherency_count: 0 }
    }

    /// Encrypts `protocol ‖ payload` in place and returns the MPPE header (RFC 3078 §3)
    ///
    /// The header and the octets belong behind the protocol number 00FD.
    pub fn seal(&mut self, inner: &mut [u8]) -> [u8; 2] {
        self.key = self.chain.next(&self.key);
        self.chain.with_cipher(&self.key, |cipher| cipher.apply(inner));
        let header = Header::stateless(self.coherency_count);
        self.coherency_count = self.coherency_count.wrapping_add(1);
        header.emit()
    }
}
