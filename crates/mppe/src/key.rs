//! The chain of session keys (RFC 3078 §7, RFC 3079 §3.3)

use std::fmt;

use sha1::block_api::compress;
use zeroize::ZeroizeOnDrop;

use crate::{KeyStrength, rc4::Rc4, wipe::wipe};

/// A session key; those of 8 octets leave the rest unused
#[derive(Clone)]
pub(crate) struct SessionKey([u8; 16]);

impl Drop for SessionKey {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl ZeroizeOnDrop for SessionKey {}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey([redacted])")
    }
}

impl SessionKey {
    /// The first 8 octets, twice
    fn twice(&self) -> Self {
        let mut twice = self.clone();
        twice.0.copy_within(..8, 8);
        twice
    }
}

/// The chain of session keys, each of which follows from the one before it
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
        self.with_cipher(&interim, |cipher| cipher.apply(&mut next.0));
        self.reduced(next)
    }

    /// Lends out the cipher under one of the chain's keys
    pub(crate) fn with_cipher<T>(&self, key: &SessionKey, run: impl FnOnce(&mut Rc4) -> T) -> T {
        match self.strength {
            KeyStrength::Bits40 | KeyStrength::Bits56 => Rc4::with(&key.twice().0, run),
            KeyStrength::Bits128 => Rc4::with(&key.0, run),
        }
    }

    /// Starts the stream of one of the chain's keys in a cipher that is kept
    pub(crate) fn rekey(&self, cipher: &mut Rc4, key: &SessionKey) {
        match self.strength {
            KeyStrength::Bits40 | KeyStrength::Bits56 => cipher.rekey(&key.twice().0),
            KeyStrength::Bits128 => cipher.rekey(&key.0),
        }
    }

    /// The octets of a key that count
    pub(crate) fn octets<'k>(&self, key: &'k SessionKey) -> &'k [u8] {
        let length = match self.strength {
            KeyStrength::Bits40 | KeyStrength::Bits56 => 8,
            KeyStrength::Bits128 => 16,
        };
        key.0.get(..length).unwrap_or(&key.0)
    }

    /// Returns the first 16 octets of a SHA-1 digest
    fn digest(&self, key: &SessionKey) -> SessionKey {
        let mut message = self.message(key);
        let mut hash = SHA1_INITIAL;
        compress(&mut hash, message.as_chunks().0);
        let mut digest = SessionKey([0; 16]);
        for (octets, word) in digest.0.as_chunks_mut().0.iter_mut().zip(hash) {
            *octets = word.to_be_bytes();
        }
        wipe(&mut message);
        wipe(&mut hash);
        digest
    }

    /// The input of SHA-1: two blocks, padded
    fn message(&self, key: &SessionKey) -> [u8; 128] {
        let (start, key) = (self.octets(&self.start), self.octets(key));
        let mut message = [0; 128];
        match self.strength {
            KeyStrength::Bits40 | KeyStrength::Bits56 => {
                message[..8].copy_from_slice(start);
                message[48..56].copy_from_slice(key);
                message[56..96].fill(0xF2);
                message[96] = 0x80;
                message[126..].copy_from_slice(&(96_u16 * 8).to_be_bytes());
            }
            KeyStrength::Bits128 => {
                message[..16].copy_from_slice(start);
                message[56..72].copy_from_slice(key);
                message[72..112].fill(0xF2);
                message[112] = 0x80;
                message[126..].copy_from_slice(&(112_u16 * 8).to_be_bytes());
            }
        }
        message
    }

    /// Overwrites the octets that are not secret at this strength with known values
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

/// FIPS 180-4 §5.3.1
const SHA1_INITIAL: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
