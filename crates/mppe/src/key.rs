//! The chain of session keys (RFC 3078 §7, RFC 3079 §3.3)

use std::fmt;

use sha1::{Digest, Sha1};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{KeyStrength, rc4::Rc4};

/// A session key; those of 8 octets leave the rest unused
#[derive(Clone)]
pub(crate) struct SessionKey([u8; 16]);

impl Drop for SessionKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for SessionKey {}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey([redacted])")
    }
}

/// How one session key follows from the one before it
#[derive(Debug)]
pub(crate) struct KeyChain {
    start: SessionKey,
    strength: KeyStrength,
}

impl KeyChain {
    pub(crate) fn new(start_key: &[u8; 16], strength: KeyStrength) -> Self {
        Self { start: SessionKey(*start_key), strength }
    }

    /// The initial session key, which encrypts nothing: a stateless sender steps before each frame
    pub(crate) fn initial(&self) -> SessionKey {
        self.reduced(self.digest(&self.start))
    }

    /// The key of the next frame
    pub(crate) fn next(&self, key: &SessionKey) -> SessionKey {
        let interim = self.digest(key);
        let mut next = interim.clone();
        self.cipher(&interim).apply(&mut next.0);
        self.reduced(next)
    }

    /// The cipher under one of the chain's keys
    pub(crate) fn cipher(&self, key: &SessionKey) -> Rc4 {
        Rc4::new(self.octets(key))
    }

    /// The octets of a key that count
    pub(crate) fn octets<'k>(&self, key: &'k SessionKey) -> &'k [u8] {
        let length = match self.strength {
            KeyStrength::Bits40 | KeyStrength::Bits56 => 8,
            KeyStrength::Bits128 => 16,
        };
        key.0.get(..length).unwrap_or(&key.0)
    }

    fn digest(&self, key: &SessionKey) -> SessionKey {
        let digest: [u8; 20] = Sha1::new()
            .chain_update(self.octets(&self.start))
            .chain_update([0x00; 40])
            .chain_update(self.octets(key))
            .chain_update([0xF2; 40])
            .finalize()
            .into();
        let [octets @ .., _, _, _, _] = digest;
        SessionKey(octets)
    }

    /// Overwrites what the strength takes away from the secret
    fn reduced(&self, mut key: SessionKey) -> SessionKey {
        let [first, second, third, ..] = &mut key.0;
        match self.strength {
            KeyStrength::Bits40 => (*first, *second, *third) = (0xD1, 0x26, 0x9E),
            KeyStrength::Bits56 => *first = 0xD1,
            KeyStrength::Bits128 => (),
        }
        key
    }
}
